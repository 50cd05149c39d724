"""Anchors: one token for everything that was entered, nothing in anybody's way, transfers held when it takes too long."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SystemClock, instant, parse_instant
from gateway.delivery.anchor import Anchors
from gateway.delivery.asking import failed, may_be_asked, succeeded, waiting
from gateway.delivery.holds import Holds, Work
from gateway.exchange.timestamp import Authority
from gateway.ledger.report import Verdict
from gateway.store import outside
from gateway.store.outside import Outside, OutsideKind
from tests.delivery.own_ledger import OwnLedger, SetClock, own_ledger
from tests.exchange.authority import LocalAuthority

HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[OwnLedger]:
    (tmp_path / "state").mkdir(mode=0o700)
    with own_ledger(tmp_path / "state") as made:
        yield made


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalAuthority]:
    async with LocalAuthority(tmp_path / "authority").serving() as authority:
        yield authority


def anchored(ledger: OwnLedger, *locals_: LocalAuthority) -> Anchors:
    """A process started on the ledger."""
    return Anchors(
        database=ledger.database,
        node=ledger.node,
        notary=ledger.notary,
        authorities=[
            # An authority lives in real time, whatever the test's clock says.
            Authority(f"authority-{number}", local.url, roots=[local.root.certificate], clock=SystemClock())
            for number, local in enumerate(locals_)
        ],
        holds=Holds(ledger.clock),
        clock=ledger.clock,
        every=HOUR,
        stop_after=4 * HOUR,
    )


def state(ledger: OwnLedger, name: str = "authority-0") -> Outside:
    with ledger.database.read() as conn:
        return outside.find(conn, OutsideKind.AUTHORITY, name)


async def test_a_stamp_over_the_newest_checkpoint_is_entered_and_signed_over(
    ledger: OwnLedger, local: LocalAuthority
) -> None:
    ledger.work(3)
    stamped = ledger.newest()
    await anchored(ledger, local).step()
    (anchor,) = ledger.entries("anchor")
    assert (anchor.number("checkpoint_size"), anchor.text("checkpoint_root")) == (stamped.size, stamped.root.hex())
    token = base64.b64decode(anchor.text("token"))
    assert hashlib.sha256(token).hexdigest() == anchor.text("token_sha256")
    assert hashlib.sha256(stamped.note).digest() in token
    assert anchor.text("authority") == "authority-0"
    assert abs(SystemClock().now() - parse_instant(anchor.text("stamped_at"))) < timedelta(minutes=1)
    assert ledger.newest().size == ledger.log.head().size, "and the anchor itself is under a checkpoint"
    assert [report.verdict for report in ledger.verified()] == [Verdict.PROVED] * 2


async def test_no_authority_nothing_asked_nothing_held(ledger: OwnLedger) -> None:
    anchors = anchored(ledger)
    await anchors.work()
    assert ledger.entries("anchor") == []
    assert anchors.overdue() is None


async def test_an_anchor_alone_is_no_reason_for_the_next_one(ledger: OwnLedger, local: LocalAuthority) -> None:
    anchors = anchored(ledger, local)
    for _ in range(10):
        await anchors.step()
        ledger.clock.pass_(hours=3)
    assert len(local.queries) == len(ledger.entries("anchor")) == 1
    ledger.work()
    await anchors.step()
    assert len(local.queries) == 2


async def test_there_is_time_between_two_anchors(ledger: OwnLedger, local: LocalAuthority) -> None:
    anchors = anchored(ledger, local)
    for _ in range(24):
        ledger.work(2)
        await anchors.step()
        ledger.clock.pass_(minutes=10)
    sizes = [entry.number("checkpoint_size") for entry in ledger.entries("anchor")]
    assert sizes == sorted(set(sizes))
    assert len(sizes) == 4, "one an hour, whatever was entered"


async def test_a_long_outage_holds_transfers_and_one_token_ends_it(ledger: OwnLedger, local: LocalAuthority) -> None:
    anchors = anchored(ledger, local)
    await anchors.step()
    local.status = 503
    ledger.clock.pass_(hours=2)
    ledger.work()
    began, held_from = ledger.clock.moment, None
    for _ in range(5 * 12):
        await anchors.step()
        if held_from is None and anchors.holds.on(Work.SENDING):
            held_from = ledger.clock.moment
        ledger.work()
        ledger.clock.pass_(minutes=5)
    assert held_from is not None
    assert 4 * HOUR < held_from - began <= 4 * HOUR + timedelta(minutes=10)
    assert anchors.holds.on(Work.INTAKE)
    assert anchors.holds.on(Work.SIGNING) is None, "what is entered goes on being signed"
    assert len(local.queries) < 30, "asked less and less often, not at every look"
    local.status, asked = 200, len(local.queries)
    newest = ledger.newest()
    ledger.clock.pass_(minutes=16)
    await anchors.step()
    assert anchors.holds.all() == ()
    assert len(local.queries) == asked + 1
    assert [entry.number("checkpoint_size") for entry in ledger.entries("anchor")][-1] == newest.size
    assert len(ledger.entries("anchor")) == 2


async def test_it_recovers_though_there_was_never_a_token(ledger: OwnLedger, local: LocalAuthority) -> None:
    """Not even the time since which one is owed can be read off an earlier token."""
    local.status = 503
    anchors = anchored(ledger, local)
    ledger.clock.pass_(days=90)  # the ledger is old when its first authority is configured
    await anchors.step()
    assert anchors.overdue() is None, "it has just been asked for the first time"
    ledger.clock.pass_(hours=5)
    await anchors.step()
    assert anchors.overdue() is not None
    local.status = 200
    ledger.clock.pass_(minutes=16)
    await anchors.step()
    assert anchors.overdue() is None
    assert len(ledger.entries("anchor")) == 1


async def test_a_restart_neither_storms_nor_forgets(ledger: OwnLedger, local: LocalAuthority) -> None:
    local.status = 503
    for _ in range(20):
        await anchored(ledger, local).step()
    assert len(local.queries) == 1
    ledger.clock.pass_(hours=5)
    restarted = anchored(ledger, local)
    restarted.hold()
    assert restarted.holds.on(Work.SENDING), "before anything else is done"
    assert state(ledger).why == "stamp-refused"


async def test_one_authority_of_two_is_enough(ledger: OwnLedger, local: LocalAuthority, tmp_path: Path) -> None:
    async with LocalAuthority(tmp_path / "second").serving() as second:
        local.status = 503
        anchors = anchored(ledger, local, second)
        for _ in range(8):
            ledger.work()
            await anchors.step()
            ledger.clock.pass_(hours=1, minutes=1)
        assert anchors.overdue() is None
        assert {entry.text("authority") for entry in ledger.entries("anchor")} == {"authority-1"}
        assert state(ledger).failures == 8
        local.status = 200
        await anchors.step()
        assert ledger.entries("anchor")[-1].text("authority") == "authority-0"


@pytest.mark.parametrize("defect", ["other_nonce", "other_document", "rejected"])
async def test_nothing_false_is_ever_entered(ledger: OwnLedger, local: LocalAuthority, defect: str) -> None:
    local.reply = getattr(local, defect)
    await anchored(ledger, local).step()
    assert ledger.entries("anchor") == []
    assert (state(ledger).failures, state(ledger).size) == (1, 0)


async def test_a_slow_authority_is_in_nobodys_way(ledger: OwnLedger, local: LocalAuthority) -> None:
    local.gate = asyncio.Event()
    step = asyncio.create_task(anchored(ledger, local).step())
    await local.asked.wait()
    stamped = ledger.newest().size
    ledger.work(300)
    assert ledger.newest().size == stamped + 300
    local.gate.set()
    await step
    (anchor,) = ledger.entries("anchor")
    assert anchor.number("checkpoint_size") == stamped


async def test_two_processes_enter_one_token(ledger: OwnLedger, local: LocalAuthority) -> None:
    await asyncio.gather(anchored(ledger, local).step(), anchored(ledger, local).step())
    assert len(ledger.entries("anchor")) == 1


async def test_a_stop_while_asking_loses_nothing(ledger: OwnLedger, local: LocalAuthority) -> None:
    local.gate = asyncio.Event()
    anchors = anchored(ledger, local)
    working = asyncio.create_task(anchors.work())
    await local.asked.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    local.gate.set()
    await anchors.step()
    assert len(ledger.entries("anchor")) == 1


# When to ask again


def test_what_is_owed_counts_from_the_oldest_entry_that_nobody_vouched_for() -> None:
    clock = SetClock()
    now = clock.now()
    known = Outside(kind=OutsideKind.AUTHORITY, name="a", size=3, at=instant(now - 9 * HOUR))
    assert waiting(known, now - HOUR, now).waiting_since == instant(now - HOUR)
    assert waiting(known, now + HOUR, now).waiting_since == instant(now), "an entry of a clock that was ahead"
    fresh = Outside(kind=OutsideKind.AUTHORITY, name="a")
    assert waiting(fresh, now - HOUR, now).waiting_since == instant(now)
    assert waiting(waiting(known, now - HOUR, now), now, now).waiting_since == instant(now - HOUR)


@given(st.lists(st.integers(min_value=0, max_value=40 * 60), max_size=30), st.integers(-48, 48))
def test_a_failing_service_is_asked_again_within_a_quarter_of_an_hour_whatever_the_clock_does(
    pauses: list[int], leap: int
) -> None:
    clock = SetClock()
    known = waiting(Outside(kind=OutsideKind.WITNESS, name="w"), clock.now(), clock.now())
    for seconds in pauses:
        if may_be_asked(known, clock.now(), HOUR):
            known = failed(known, "service-silent", clock.now())
            assert not may_be_asked(known, clock.now(), HOUR), "never at once again"
        clock.pass_(seconds=seconds)
    clock.pass_(hours=leap)
    asked = []
    for _ in range(17):
        asked.append(may_be_asked(known, clock.now(), HOUR))
        clock.pass_(minutes=1)
    assert any(asked)
    done = succeeded(known, 7, clock.now())
    assert (done.size, done.failures, done.waiting_since, done.next_at, done.why) == (7, 0, None, None, None)
    assert not may_be_asked(done, clock.now(), HOUR)
    clock.pass_(minutes=61)
    assert may_be_asked(done, clock.now(), HOUR)
