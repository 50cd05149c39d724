"""Checkpoints cosigned beside the work: published with what witnesses signed, halted where one says no (F37, F38, T5, T6, T28)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from gateway.custody import close_alarm
from gateway.daemon import serve
from gateway.delivery.witness import Witnesses
from gateway.exchange.witness import Witness
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.cosignature import find_cosignature
from gateway.ledger.report import Verdict
from gateway.store import alarms, outside
from gateway.store.alarms import AlarmCode
from gateway.store.outside import Outside, OutsideKind
from tests.delivery.own_ledger import ORIGIN, SIGNER, OwnLedger, own_ledger
from tests.exchange.local_witness import SIZE_TYPE, LocalWitness
from tests.exchange.still import until
from tests.nodes import lay_nodes


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[OwnLedger]:
    (tmp_path / "state").mkdir(mode=0o700)
    with own_ledger(tmp_path / "state") as made:
        yield made


@pytest.fixture
async def local() -> AsyncIterator[LocalWitness]:
    async with LocalWitness(SIGNER.verifier).serving() as witness:
        yield witness


def witnessed(ledger: OwnLedger, *locals_: LocalWitness) -> Witnesses:
    """A process started on the ledger."""
    return Witnesses(
        database=ledger.database,
        notary=ledger.notary,
        witnesses=[Witness(f"w{number}", local.url, key=local.key) for number, local in enumerate(locals_)],
        clock=ledger.clock,
    )


def state(ledger: OwnLedger, name: str = "w0") -> Outside:
    with ledger.database.read() as conn:
        return outside.find(conn, OutsideKind.WITNESS, name)


def raised(ledger: OwnLedger) -> list[tuple[str, str]]:
    with ledger.database.read() as conn:
        return [(one.code.value, one.subject) for one in alarms.open_alarms(conn)]


def published(ledger: OwnLedger) -> bytes:
    found = ledger.published.read("checkpoint")
    assert found is not None
    return found


async def test_what_a_witness_signed_is_published_with_the_checkpoint(ledger: OwnLedger, local: LocalWitness) -> None:
    ledger.work(3)
    await witnessed(ledger, local).step()
    note = ledger.newest().note
    assert published(ledger).startswith(note)
    text = note.decode().rpartition("\n\n")[0] + "\n"
    assert find_cosignature(text, published(ledger)[len(note) :].decode(), local.key).at == local.now
    assert [report.verdict for report in ledger.verified()] == [Verdict.PROVED] * 2
    before = published(ledger)
    ledger.notary.publish(final=True)
    assert published(ledger) == before, "publishing again takes nothing away"
    ledger.work()
    assert published(ledger) == ledger.newest().note, "a newer checkpoint waits for its own"


async def test_each_checkpoint_continues_the_last_one_that_was_cosigned(ledger: OwnLedger, local: LocalWitness) -> None:
    witnesses = witnessed(ledger, local)
    for count in (1, 5, 300, 2):
        ledger.work(count)
        await witnesses.step()
        assert state(ledger).size == ledger.newest().size
        ledger.clock.pass_(minutes=2)
    assert [one.old for one in local.asked] == [0, *[one.checkpoint.size for one in local.asked][:-1]]
    await witnesses.step()
    assert len(local.asked) == 4, "nothing new, nothing asked"


async def test_a_witness_that_remembers_more_than_we_do_gets_its_proof(ledger: OwnLedger, local: LocalWitness) -> None:
    ledger.work(4)
    await witnessed(ledger, local).step()
    with ledger.database.begin() as conn:  # a journal of before the answer came
        outside.store(conn, Outside(kind=OutsideKind.WITNESS, name="w0", size=1))
    ledger.work(4)
    await witnessed(ledger, local).step()
    assert [one.old for one in local.asked] == [0, 1, 5]
    assert state(ledger).size == 9
    assert raised(ledger) == []


async def test_two_witnesses_sign_side_by_side(ledger: OwnLedger, local: LocalWitness) -> None:
    async with LocalWitness(SIGNER.verifier, name="witness.example/w2", seed=22).serving() as second:
        local.answer = lambda _response: web.Response(status=503)
        witnesses = witnessed(ledger, local, second)
        await witnesses.step()
        assert published(ledger).count(b"witness.example") == 1
        local.answer = lambda response: response
        ledger.clock.pass_(minutes=2)
        await witnesses.step()
        assert published(ledger).count(b"witness.example") == 2
        assert state(ledger).failures == 0


async def test_a_fork_halts_and_raises_an_alarm(ledger: OwnLedger, local: LocalWitness) -> None:
    ledger.work(4)
    local.held[ORIGIN] = Checkpoint(origin=ORIGIN, size=3, root=b"\x07" * 32)  # what it was shown by another ledger
    witnesses = witnessed(ledger, local)
    await witnesses.step()
    assert raised(ledger) == [("witness-refused", "w0")]
    with ledger.database.read() as conn:
        (alarm,) = alarms.open_alarms(conn)
    assert alarm.facts["note"] == ledger.newest().note.decode(), "the evidence is kept"
    asked = len(local.asked)
    ledger.work()
    ledger.clock.pass_(hours=5)
    await witnesses.step()
    assert len(local.asked) == asked, "it is asked no more"
    assert b"witness.example" not in published(ledger)
    with ledger.database.begin() as conn:
        alarms.close_alarm(conn, alarm.id, person="p", reason="r", at="2026-11-22T06:00:00.000000Z")
    del local.held[ORIGIN]
    await witnesses.step()
    assert state(ledger).size == ledger.newest().size


async def test_a_witness_that_has_seen_more_than_there_is_proves_a_rollback(
    ledger: OwnLedger, local: LocalWitness
) -> None:
    local.held[ORIGIN] = Checkpoint(origin=ORIGIN, size=50, root=b"\x07" * 32)
    ledger.work(4)
    await witnessed(ledger, local).step()
    assert raised(ledger) == [("witness-refused", "w0")]


async def test_a_slow_witness_is_in_nobodys_way(ledger: OwnLedger, local: LocalWitness) -> None:
    local.gate = asyncio.Event()
    step = asyncio.create_task(witnessed(ledger, local).step())
    await local.arrived.wait()
    ledger.work(20)
    local.gate.set()
    await step
    assert state(ledger).size == 1
    assert published(ledger) == ledger.newest().note, "it signed one that is not the newest any more"
    assert raised(ledger) == []


async def test_a_witness_that_is_down_is_asked_less_and_less(ledger: OwnLedger, local: LocalWitness) -> None:
    local.answer = lambda _response: web.Response(status=503)
    witnesses = witnessed(ledger, local)
    for _ in range(4 * 60):
        ledger.work()
        await witnesses.step()
        ledger.clock.pass_(seconds=15)
    assert len(local.asked) < 10
    assert state(ledger).why == "witness-refuses"
    local.answer = lambda response: response
    ledger.clock.pass_(minutes=16)
    await witnesses.step()
    assert state(ledger).size == ledger.newest().size


async def test_a_witness_that_names_one_size_after_another_is_no_use(ledger: OwnLedger, local: LocalWitness) -> None:
    ledger.work(9)
    sizes = iter(range(3, 9))
    local.answer = lambda _response: web.Response(status=409, body=f"{next(sizes)}\n".encode(), content_type=SIZE_TYPE)
    await witnessed(ledger, local).step()
    assert len(local.asked) == 2, "one more try, not an endless walk"
    assert state(ledger).why == "witness-unsteady"
    assert raised(ledger) == []


async def test_the_daemon_has_its_ledger_cosigned(tmp_path: Path) -> None:
    nodes = lay_nodes(tmp_path)
    with nodes.province.open() as province:
        verifier = province.note_signer.verifier
    async with LocalWitness(verifier).serving() as local:
        section = f'witnesses = [{{ name = "w", url = "{local.url}", verifier_key = "{local.key}" }}]'
        file = nodes.province.path / "config.toml"
        file.write_text(file.read_text("utf-8").replace("# witnesses = []", f"{section} #"), "utf-8")
        stop = asyncio.Event()
        with nodes.province.open() as province:
            working = asyncio.create_task(serve(province, stop))
            folder = province.settings.publish_dir
            await until(lambda: b"witness.example" in (folder / "checkpoint").read_bytes() or working.done())
            stop.set()
            await working
        assert b"witness.example" in (folder / "checkpoint").read_bytes()
        with nodes.province.open() as province, province.database.begin() as conn:
            alarms.raise_alarm(conn, AlarmCode.WITNESS_REFUSED, "w", {"size": 1, "held": 2}, "2026")
        with nodes.province.open() as province:
            args = {"alarm": 1, "person": "p", "reason": "r"}
            assert (await close_alarm(province, args, lambda _stage, _count: None))["forgotten"] == 0
