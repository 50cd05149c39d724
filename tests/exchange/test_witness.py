"""The client of witnesses against a real one that keeps the rules, and against answers that keep none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.errors import ExchangeError
from gateway.exchange.fetch import FetchLimits
from gateway.exchange.witness import Inconsistent, Stands, Witness
from gateway.ledger.cosignature import Cosignature
from gateway.texts import LANGUAGES
from tests.delivery.shown_ledger import ShownLedger
from tests.exchange.local_witness import SIZE_TYPE, LocalWitness

LEDGER, FORK = ShownLedger(), ShownLedger(total=4)


@pytest.fixture
async def local() -> AsyncIterator[LocalWitness]:
    async with LocalWitness(LEDGER.signer.verifier).serving() as witness:
        yield witness


def asked(local: LocalWitness, limits: FetchLimits | None = None) -> Witness:
    return Witness("w1", local.url, key=local.key, limits=limits)


async def shown(local: LocalWitness, size: int, old: int, ledger: ShownLedger = LEDGER) -> object:
    return await asked(local).add_checkpoint(ledger.note(size).encode(), old, ledger.proof(size, old))


async def refused(local: LocalWitness, limits: FetchLimits | None = None) -> str:
    with pytest.raises(ExchangeError) as caught:
        await asked(local, limits).add_checkpoint(LEDGER.note(5).encode(), 0, ())
    for language in LANGUAGES:
        assert "{" not in caught.value.say(language)
    return caught.value.code


async def test_a_ledger_that_grows_is_cosigned(local: LocalWitness) -> None:
    for old, size in ((0, 3), (3, 8), (8, 8), (8, 40)):
        answer = await shown(local, size, old)
        assert isinstance(answer, Cosignature)
        assert answer.at == local.now
    assert [one.old for one in local.asked] == [0, 3, 8, 8]


async def test_a_witness_that_stands_elsewhere_says_where(local: LocalWitness) -> None:
    await shown(local, 8, 0)
    assert await shown(local, 12, 5) == Stands(size=8)
    assert await shown(local, 12, 0) == Stands(size=8)
    assert isinstance(await shown(local, 12, 8), Cosignature)
    assert await shown(local, 8, 8) == Stands(size=12), "it has seen more than we"


async def test_a_fork_is_not_cosigned(local: LocalWitness) -> None:
    await shown(local, 8, 0)
    assert await shown(local, 12, 8, FORK) == Inconsistent()
    assert await shown(local, 8, 8, FORK) == Inconsistent(), "two roots of one size"
    assert isinstance(await shown(local, 12, 8), Cosignature)


async def test_a_log_or_key_that_it_does_not_know(local: LocalWitness) -> None:
    local.logs.clear()
    assert await refused(local) == "witness-unknown-log"
    thief = ShownLedger(seed=99)
    local.logs[thief.signer.verifier.name] = thief.signer.verifier
    assert await refused(local) == "witness-unknown-log"


@pytest.mark.parametrize(
    ("status", "kind", "body", "code"),
    [
        (200, "text/plain", b"", "witness-answer-malformed"),
        (200, "text/plain", b"\xff\xfe\n", "witness-answer-malformed"),
        (200, "text/plain", b"rubbish\n", "witness-answer-malformed"),
        (409, "text/plain", b"7\n", "witness-answer-malformed"),
        (409, SIZE_TYPE, b"7", "witness-answer-malformed"),
        (409, SIZE_TYPE, b"-7\n", "witness-answer-malformed"),
        (409, SIZE_TYPE, b"99999999999999999999\n", "witness-answer-malformed"),
        (400, "text/plain", b"", "witness-refuses"),
        (302, "text/plain", b"", "witness-refuses"),
        (503, "text/plain", b"", "witness-refuses"),
        (200, "text/plain", bytes(70_000), "service-answer-too-large"),
    ],
)
async def test_rubbish_is_refused(local: LocalWitness, status: int, kind: str, body: bytes, code: str) -> None:
    local.answer = lambda _response: web.Response(status=status, body=body, content_type=kind)
    assert await refused(local) == code


async def test_the_cosignature_of_another_witness_is_none(local: LocalWitness) -> None:
    other = LocalWitness(LEDGER.signer.verifier, seed=22)
    local.cosigner = other.cosigner
    assert await refused(local) == "witness-answer-malformed"


async def test_a_silent_witness_is_left_at_the_deadline(local: LocalWitness) -> None:
    local.gate = asyncio.Event()
    assert await refused(local, FetchLimits(seconds=0.2)) == "service-silent"
    local.gate.set()
