"""Our clock against a real node's, over TLS on loopback."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.clock import SystemClock
from gateway.delivery.clock_check import ClockCheck
from gateway.delivery.holds import Holds, Work
from gateway.delivery.skew import ClockWatch
from gateway.errors import DeliveryError
from gateway.ledger.append import append
from gateway.store.entries import DurableLog, TransactionLog
from tests.nodes import PROVINCE, Nodes, lay_nodes

LIMIT = timedelta(minutes=5)


@dataclass
class SetClock(SystemClock):
    """A clock that somebody set ``by`` too far ahead."""

    by: timedelta

    def now(self) -> datetime:
        return super().now() + self.by


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


async def test_runs_and_signatures_wait_until_the_clock_is_right_again(nodes: Nodes) -> None:
    clock = SetClock(
        timedelta(hours=-8)
    )  # local time in the clock of a machine that takes it for UTC, the other way round
    holds = Holds(clock)
    async with nodes.province_listening():
        with nodes.bureau.open() as gateway:
            async with gateway.peer("province") as peer:
                check = ClockCheck(peers={PROVINCE: peer}, watch=ClockWatch(LIMIT), holds=holds, clock=clock)
                await check.look()
                (hold,) = holds.all()
                assert hold.code == "clock-skew"
                assert abs(float(str(hold.facts["seconds"])) - 8 * 3600) < 5
                for work in (Work.RUN, Work.SIGNING):
                    with pytest.raises(DeliveryError, match="held-back"):
                        holds.check(work)
                holds.check(Work.SENDING)
                clock.by = timedelta()
                await check.look()
                assert holds.all() == ()


async def test_a_clock_that_was_set_is_in_doubt_until_somebody_was_asked() -> None:
    clock = SetClock(timedelta())
    check = ClockCheck(peers={}, watch=ClockWatch(LIMIT), holds=Holds(clock), clock=clock)
    assert not check.stepped(), "before the first look there is nothing to hold it against"
    await check.look()
    clock.by = timedelta(minutes=4)
    assert not check.stepped()
    clock.by = timedelta(hours=1)
    assert check.stepped()
    assert check.stepped(), "asking does not settle it"
    await check.look()
    assert not check.stepped()


def test_nothing_is_signed_before_somebody_was_asked(nodes: Nodes) -> None:
    with nodes.bureau.open() as gateway:
        log = DurableLog(gateway.database)
        before = log.newest_checkpoint()
        gateway.notary.doubt(lambda: True)
        enter(gateway)
        gateway.notary.publish(final=True)
        assert log.newest_checkpoint() == before
        gateway.notary.doubt(lambda: False)
        gateway.notary.publish(final=True)
        assert log.newest_checkpoint() != before


async def test_who_has_not_been_answered_yet_asks_again_soon(nodes: Nodes) -> None:
    clock = SystemClock()
    async with nodes.province_listening():
        with nodes.bureau.open() as gateway:
            async with gateway.peer("province") as peer:
                check = ClockCheck(peers={PROVINCE: peer}, watch=ClockWatch(LIMIT), holds=Holds(clock), clock=clock)
                assert check.unanswered()
                await check.look()
                assert not check.unanswered()
    assert not ClockCheck(peers={}, watch=ClockWatch(LIMIT), holds=Holds(clock), clock=clock).unanswered()


def enter(gateway: Gateway) -> None:
    """Something new in the ledger."""
    fields = {
        "node": gateway.node.code,
        "software": "-",
        "person": "p",
        "action": "a",
        "subject": "s",
        "reason": "r",
    }
    with gateway.database.begin() as conn:
        append(TransactionLog(conn), "operator.action", fields, at=gateway.clock.now())


def test_nothing_is_signed_while_the_clock_is_in_doubt(nodes: Nodes) -> None:
    """What was committed meanwhile is covered by the first checkpoint after the hold."""
    with nodes.bureau.open() as gateway:
        log = DurableLog(gateway.database)
        signed = log.newest_checkpoint()
        assert signed is not None
        gateway.holds.begin("clock-skew", frozenset({Work.SIGNING}), seconds=7200, limit=300)
        enter(gateway)
        gateway.notary.publish(final=True)
        assert log.newest_checkpoint() == signed
        gateway.holds.end("clock-skew")
        gateway.notary.publish(final=True)
        newest = log.newest_checkpoint()
        assert newest is not None
        assert newest.size == signed.size + 1


async def test_a_peer_that_does_not_answer_says_nothing(nodes: Nodes) -> None:
    clock = SetClock(timedelta(days=365))
    holds = Holds(clock)
    nodes.point_bureau_at("https://127.0.0.1:1")
    with nodes.bureau.open() as gateway:
        async with gateway.peer("province") as peer:
            await ClockCheck(peers={PROVINCE: peer}, watch=ClockWatch(LIMIT), holds=holds, clock=clock).look()
    assert holds.all() == ()
