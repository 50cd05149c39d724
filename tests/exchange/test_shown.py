"""What a node shows of its ledger beside a package: it comes through headers as it was, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ExchangeError
from gateway.exchange.intake import ReceiptTaken
from gateway.exchange.outcome import Acknowledged, Later
from gateway.exchange.port import Outgoing
from gateway.exchange.shown import NOTHING, Shown, read_shown
from tests.exchange.peer import Peer, answer, answers, problem
from tests.exchange.shelf import Shelf
from tests.exchange.test_receiver import BATCH, PACKAGE, PATH, head, raw, served, transport
from tests.exchange.test_service import sent

KEY = "credit-gateway/11230700001001013H+0358b7fa+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh"
SIZES = st.integers(min_value=0, max_value=10**16 - 1)


@given(
    key=st.sampled_from(["", KEY]),
    since=st.none() | SIZES,
    proof=st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    held=st.none() | SIZES,
)
def test_headers_say_what_was_shown(key: str, since: int | None, proof: list[bytes], held: int | None) -> None:
    shown = Shown(key=key, since=since, proof=() if since is None else tuple(proof), held=held)
    headers = {name.lower(): value for name, value in shown.headers().items()}
    assert read_shown(headers) == shown
    assert all(len(value) < 8190 and "\n" not in value for value in headers.values())


def test_nothing_shown_needs_no_header() -> None:
    assert NOTHING.headers() == {}
    assert read_shown({}) == NOTHING


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("credit-consistency", ""),
        ("credit-consistency", "-1"),
        ("credit-consistency", "07"),
        ("credit-consistency", "1e3"),
        ("credit-consistency", "7 AAAA"),
        ("credit-consistency", "7 " + ",".join(["A" * 43 + "="] * 64)),
        ("credit-consistency", "7 " + "A" * 43 + "=,"),
        ("credit-consistency", "99999999999999999"),
        ("credit-ledger-held", "x"),
        ("credit-ledger-held", ""),
        ("credit-ledger-key", "x" * 2000),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, value: str) -> None:
    with pytest.raises(ExchangeError, match="shown-malformed"):
        read_shown({name: value})


async def test_it_travels_both_ways() -> None:
    asked = Shown(key=KEY, since=3, proof=(b"\x01" * 32, b"\x02" * 32), held=9)
    answered = Shown(key=KEY, since=9, proof=(b"\x03" * 32,))
    shelf = Shelf()
    shelf.says = ReceiptTaken(receipt=b"receipt", new=True, shown=answered)
    async with served(shelf) as listener:
        way = transport(listener)
        outcome = await way.send(Outgoing(batch_id=BATCH, package=PACKAGE, shown=asked))
        await way.close()
    assert outcome == Acknowledged(receipt=b"receipt", status=201, stored=False, shown=answered)
    assert shelf.shown == [asked]


async def test_a_header_that_cannot_be_read_costs_no_upload() -> None:
    shelf = Shelf()
    async with served(shelf) as listener, raw(listener) as caller:
        await caller.say(head("PUT", PATH, Content_Length="1000", Credit_Consistency="7 nonsense"))
        assert await caller.code() == (400, "shown-malformed")
    assert shelf.calls == []


async def test_a_receipt_counts_whatever_stands_beside_it() -> None:
    beside = {"Credit-Consistency": "nonsense", "Credit-Ledger-Key": "x" * 2000}
    async with Peer(answers(answer(201, b"PK receipt", headers=beside))) as peer:
        assert await sent(peer) == Acknowledged(receipt=b"PK receipt", status=201, stored=False)


async def test_a_peer_that_wants_a_proof_is_not_one_that_refuses() -> None:
    async with Peer(answers(problem(409, "log-proof-wanted", expected=17))) as peer:
        assert await sent(peer) == Later(
            why="peer-wants-proof", status=409, code="log-proof-wanted", expected=17, retry_after=None
        )
