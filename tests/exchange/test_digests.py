"""The question what a peer holds: what is asked, what is believed, and what is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ExchangeError, PeerUnavailableError
from gateway.exchange.digests import RouteBucket, RouteDigests, RouteRecord
from gateway.exchange.service import ServiceLimits, ServiceTransport

from .peer import Peer, answer, answers, closed_port, never_answers, problem
from .still import StillClock, StillIds

ROUTE = "11230700001001013H/administrative-license/11230000000000019J"
ZERO = "0" * 64
KEY = "黑森交许〔2026〕1号"
HASH = hashlib.sha256(KEY.encode()).hexdigest()


def transport(url: str, limits: ServiceLimits | None = None) -> ServiceTransport:
    return ServiceTransport(url, peer="province", clock=StillClock(), ids=StillIds(), limits=limits)


def said(document: object) -> bytes:
    return answer(200, json.dumps(document).encode(), media_type="application/json")


def bucket(**changes: object) -> dict[str, object]:
    return {"prefix": "0f", "count": 2, "digest": ZERO, **changes}


def record(**changes: object) -> dict[str, object]:
    return {"key": KEY, "version": 3, "op": "upsert", "digest": ZERO, **changes}


def told(prefix: str = "", **changes: object) -> dict[str, object]:
    return {"route": ROUTE, "prefix": prefix, **changes}


async def asked(raw: bytes, prefix: str = "", limits: ServiceLimits | None = None) -> RouteDigests:
    async with Peer(answers(raw)) as peer:
        way = transport(peer.url, limits)
        try:
            return await way.digests(ROUTE, prefix)
        finally:
            await way.close()


async def test_buckets_and_records_are_read() -> None:
    found = await asked(said(told(buckets=[bucket(), bucket(prefix="10")], later="is passed over")))
    assert found.records is None
    assert found.buckets[0] == RouteBucket(prefix="0f", count=2, digest=ZERO)
    inside = await asked(said(told(HASH[:2], records=[record()])), HASH[:2])
    assert inside.records == (RouteRecord(KEY, 3, "upsert", ZERO),)
    nothing = await asked(said(told("ab", records=[])), "ab")
    assert nothing.records == ()


async def test_the_question_names_route_and_prefix() -> None:
    async with Peer(answers(said(told("ab", records=[])))) as peer:
        way = transport(peer.url)
        await way.digests(ROUTE, "ab")
        await way.close()
    assert peer.requests[0].target == f"/exchange/v1/routes/{ROUTE}/digest?prefix=ab"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        told(),
        told(buckets={}),
        told(buckets=[], records=[]),
        told("ab", buckets=[]),
        {**told(buckets=[]), "route": "other/route/here"},
        told(buckets=[bucket(), bucket()]),
        told(buckets=[bucket(prefix="0F")]),
        told(buckets=[bucket(prefix="0")]),
        told(buckets=[bucket(prefix="0f0f")]),
        told(buckets=[bucket(count=0)]),
        told(buckets=[bucket(count=True)]),
        told(buckets=[bucket(count=10**18)]),
        told(buckets=[bucket(digest="0" * 63)]),
        told(buckets=[bucket(digest=ZERO[:-1] + "G")]),
        told(buckets=["0f"]),
        told(records=[record(), record()]),
        told(records=[record(key="")]),
        told(records=[record(key="k" * 1025)]),
        told(records=[record(key="\ud800")]),
        told(records=[record(version=0)]),
        told(records=[record(version=1.5)]),
        told(records=[record(version=True)]),
        told(records=[record(op="delete")]),
        told(records=[record(digest="")]),
        told(records=[record(digest=None)]),
        told(records=[[KEY, 3]]),
    ],
)
async def test_what_cannot_be_such_an_answer_is_refused(document: object) -> None:
    with pytest.raises(ExchangeError) as caught:
        await asked(said(document))
    assert caught.value.code == "digests-malformed"
    assert KEY not in str(caught.value)


async def test_a_record_of_another_bucket_is_refused() -> None:
    other = "00" if not HASH.startswith("00") else "01"
    with pytest.raises(ExchangeError, match="digests-malformed"):
        await asked(said(told(other, records=[record()])), other)


async def test_a_bucket_cannot_be_opened_below_the_last_byte() -> None:
    deep = "ab" * 31
    with pytest.raises(ExchangeError, match="digests-malformed"):
        await asked(said(told(deep, buckets=[bucket(prefix=deep + "00")])), deep)


@pytest.mark.parametrize(
    ("raw", "error", "why"),
    [
        (problem(403, "route-forbidden"), "digests-question-failed", "route-forbidden"),
        (problem(404, "unknown-route"), "digests-question-failed", "unknown-route"),
        (problem(429, "too-many-requests"), "digests-later", "too-many-requests"),
        (problem(503, "unavailable"), "digests-later", "unavailable"),
        (answer(500), "digests-later", "answer-unexpected"),
        (answer(302, headers={"Location": "/"}), "digests-later", "answer-unexpected"),
        (said(told(buckets=[]))[:-1], "digests-later", "answer-cut"),
        (answer(200, b"[" * 50_000, media_type="application/json"), "digests-malformed", None),
        (answer(200, b"\xff", media_type="application/json"), "digests-malformed", None),
    ],
)
async def test_a_no_and_a_not_now(raw: bytes, error: str, why: str | None) -> None:
    with pytest.raises(ExchangeError) as caught:
        await asked(raw)
    assert caught.value.code == error
    assert isinstance(caught.value, PeerUnavailableError) == (error == "digests-later") == caught.value.retryable
    assert caught.value.facts.get("why") == why


async def test_a_silent_an_absent_and_a_talkative_peer() -> None:
    async with Peer(never_answers) as peer:
        way = transport(peer.url, ServiceLimits(total=0.3))
        with pytest.raises(PeerUnavailableError) as caught:
            await way.digests(ROUTE, "")
        assert caught.value.facts["why"] == "peer-timeout"
        await way.close()
    way = transport(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(PeerUnavailableError, match="digests-later"):
        await way.digests(ROUTE, "")
    await way.close()
    with pytest.raises(ExchangeError) as large:
        await asked(said(told(buckets=[], padding="x" * 5_000)), limits=ServiceLimits(digest_bytes=4_000))
    assert large.value.facts["why"] == "answer-too-large"


HELD = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), st.integers(1, 10**18 - 1), max_size=8
)


@given(held=HELD, op=st.sampled_from(["upsert", "withdraw", "stop-share"]))
@settings(max_examples=100, deadline=None)
def test_whatever_is_written_is_read(held: Mapping[str, int], op: str) -> None:
    records = tuple(RouteRecord(key, version, op, ZERO) for key, version in held.items())
    for found in (
        RouteDigests(route=ROUTE, prefix="", records=records),
        RouteDigests(route=ROUTE, prefix="ab", buckets=(RouteBucket(prefix="abcd", count=1, digest=ZERO),)),
    ):
        document = json.loads(json.dumps(found.to_json()))
        assert RouteDigests.from_json(document, route=ROUTE, prefix=found.prefix) == found
