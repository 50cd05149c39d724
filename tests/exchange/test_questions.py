"""What a sender may ask a peer: for a receipt, and who it is."""

from __future__ import annotations

import pytest

from gateway.errors import ExchangeError
from gateway.exchange.outcome import Acknowledged, Later, NeverReceived, NotReady, Unknown
from gateway.exchange.service import ServiceLimits, ServiceTransport

from .peer import Peer, answer, answers, closed_port, never_answers, problem
from .still import StillClock, StillIds

BATCH = "0193a5b0-1111-7222-8333-444455556666"
RECEIPT = b"PK a sealed receipt"


def transport(url: str, *, limits: ServiceLimits | None = None) -> ServiceTransport:
    return ServiceTransport(url, peer="province", clock=StillClock(), ids=StillIds(), limits=limits)


async def asked(peer: Peer, *, limits: ServiceLimits | None = None) -> object:
    way = transport(peer.url, limits=limits)
    try:
        return await way.receipt(BATCH)
    finally:
        await way.close()


# The question for a receipt


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (answer(200, RECEIPT), Acknowledged(receipt=RECEIPT, status=200, stored=True)),
        (answer(202, headers={"Retry-After": "5"}), NotReady(retry_after=5.0)),
        (problem(404, "unknown-batch"), NeverReceived()),
        (problem(404, "not-found"), Later(why="peer-refuses-question", status=404, code="not-found")),
        (answer(404, b"nginx", media_type="text/html"), Later(why="peer-refuses-question", status=404)),
        (problem(401, "caller-unknown"), Later(why="peer-refuses-question", status=401, code="caller-unknown")),
        (answer(503), Later(why="peer-busy", status=503)),
        (answer(200, RECEIPT)[:-1], Unknown(why="answer-cut", status=200)),
        (answer(200, RECEIPT, media_type="text/plain"), Unknown(why="answer-not-a-receipt", status=200)),
        (problem(404, "unknown-batch")[:-1], Later(why="peer-refuses-question", status=404)),
    ],
)
async def test_receipt_question(raw: bytes, expected: object) -> None:
    async with Peer(answers(raw)) as peer:
        assert await asked(peer) == expected
    assert peer.requests[0].target == f"/exchange/v1/batches/{BATCH}/receipt"


async def test_receipt_question_to_a_silent_or_absent_peer_is_later() -> None:
    async with Peer(never_answers) as peer:
        assert await asked(peer, limits=ServiceLimits(total=0.3)) == Later(why="peer-timeout")
    way = transport(f"http://127.0.0.1:{closed_port()}")
    assert await way.receipt(BATCH) == Later(why="peer-unreachable")
    await way.close()


# The question who the peer is


async def test_node() -> None:
    body = '{"code": "1", "name": "省", "versions": [1], "formats": [{"id": "f", "version": "2"}], "limits": {"packageBytes": 9}, "new": 1}'
    async with Peer(answers(answer(200, body.encode(), media_type="application/json; charset=utf-8"))) as peer:
        way = transport(peer.url)
        info = await way.node()
        await way.close()
    assert (info.code, info.name, info.versions, info.package_bytes) == ("1", "省", (1,), 9)
    assert [(offer.id, offer.version) for offer in info.formats] == [("f", "2")]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (answer(200, b"[" * 50_000, media_type="application/json"), "node-answer-malformed"),
        (answer(200, b'{"code": 1}', media_type="application/json"), "node-answer-malformed"),
        (
            answer(200, b'{"code":"1","name":"n","versions":[1],"limits":3}', media_type="application/json"),
            "node-answer-malformed",
        ),
        (answer(200, b"{}", media_type="text/html"), "node-question-failed"),
        (problem(401, "caller-unknown"), "node-question-failed"),
    ],
)
async def test_node_that_does_not_say(raw: bytes, code: str) -> None:
    async with Peer(answers(raw)) as peer:
        way = transport(peer.url)
        with pytest.raises(ExchangeError) as caught:
            await way.node()
        await way.close()
    assert caught.value.code == code
