"""The walk through two sides' buckets against plain sets, and against receivers that answer nonsense."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.delivery.compare import OurRecord, Ours, Pair, Walk, pairs
from gateway.errors import ExchangeError
from gateway.exchange.digests import RouteBucket, RouteDigests, RouteRecord
from gateway.store.buckets import digest_buckets, key_hash

ROUTE = "1/permits/2"
SIDE = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 5), max_size=60)


class There:
    """A receiver that holds ``held`` (key → version) and answers as the protocol says, opening buckets above ``at_most`` records."""

    def __init__(self, held: Mapping[str, int], at_most: int = 3) -> None:
        self.held = held
        self.at_most = at_most
        self.asked: list[str] = []

    def __call__(self, prefix: str) -> RouteDigests:
        self.asked.append(prefix)
        inside = [(key, version) for key, version in self.held.items() if key_hash(key).hex().startswith(prefix)]
        if prefix and len(inside) <= self.at_most:
            return told(prefix, records=[RouteRecord(key, version, "upsert", "0" * 64) for key, version in inside])
        buckets = digest_buckets(((key_hash(key), version) for key, version in inside), bytes.fromhex(prefix))
        return told(prefix, buckets=[RouteBucket(prefix=b.prefix, count=b.count, digest=b.digest) for b in buckets])


def told(
    prefix: str, *, records: Iterable[RouteRecord] | None = None, buckets: Iterable[RouteBucket] = ()
) -> RouteDigests:
    """An answer that went over the line."""
    answer = RouteDigests(
        route=ROUTE, prefix=prefix, buckets=tuple(buckets), records=None if records is None else tuple(records)
    )
    return RouteDigests.from_json(answer.to_json(), route=ROUTE, prefix=prefix)


def walked(ours: Ours, there: There) -> list[Pair]:
    walk = Walk(ours)
    found: list[Pair] = []
    while (prefix := walk.question()) is not None:
        found += walk.answer(there(prefix))
    return found


def numbered(held: Mapping[str, int]) -> list[tuple[str, int, int]]:
    return [(key, version, number) for number, (key, version) in enumerate(held.items(), 1)]


@given(ours=SIDE, theirs=SIDE, changed=SIDE, at_most=st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_the_walk_finds_what_comparing_everything_finds(
    ours: dict[str, int], theirs: dict[str, int], changed: dict[str, int], at_most: int
) -> None:
    """Mostly the same on both sides, with some of each kind of difference; as a multiset of (key, version)."""
    theirs = {**ours, **theirs, **changed}
    ours = {key: version for key, version in {**ours, **changed}.items() if (version + len(key)) % 7}
    found = walked(Ours(numbered(ours)), There(theirs, at_most))
    names = {key_hash(key): key for key in (*ours, *theirs)}
    mine = Counter((names[pair.ours.hash], pair.ours.version) for pair in found if pair.ours)
    other = Counter((pair.theirs.key, pair.theirs.version) for pair in found if pair.theirs)
    assert mine == Counter(ours.items()) - Counter(theirs.items())
    assert other == Counter(theirs.items()) - Counter(ours.items())
    for pair in found:
        assert pair.ours is None or pair.theirs is None or pair.ours.hash == key_hash(pair.theirs.key)


@given(ours=SIDE, theirs=SIDE)
@settings(max_examples=60, deadline=None)
def test_only_buckets_that_differ_are_opened(ours: dict[str, int], theirs: dict[str, int]) -> None:
    there = There(theirs)
    walked(Ours(numbered(ours)), there)
    differing = {key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}
    hashes = [key_hash(key).hex() for key in differing]
    assert len(there.asked) == len(set(there.asked))
    assert all(any(name.startswith(prefix) for name in hashes) for prefix in there.asked if prefix)


def test_two_nodes_that_agree_need_one_question() -> None:
    held = {str(number): number % 3 + 1 for number in range(1, 500)}
    there = There(held)
    assert walked(Ours(numbered(held)), there) == []
    assert there.asked == [""]


def test_a_receiver_that_holds_nothing_is_asked_once() -> None:
    held = {str(number): 1 for number in range(500)}
    there = There({})
    found = walked(Ours(numbered(held)), there)
    assert {pair.ours.hash for pair in found if pair.ours} == {key_hash(key) for key in held}
    assert there.asked == [""]


def test_of_one_key_in_two_exchanges_the_higher_version_counts() -> None:
    ours = Ours([("a", 3, 1), ("a", 2, 9), ("b", 1, 2), ("b", 1, 7)])
    assert walked(ours, There({"a": 3, "b": 1})) == []
    (pair,) = walked(ours, There({"a": 2, "b": 1}))
    assert pair.ours == OurRecord(key_hash("a"), 3, 1)


def test_two_records_that_say_the_same_are_two() -> None:
    """The digest of a body is not what tells records apart."""
    same = hashlib.sha256(b"<same/>").hexdigest()
    theirs = [RouteRecord("a", 1, "upsert", same)]
    (pair,) = pairs([OurRecord(key_hash("a"), 1, 1), OurRecord(key_hash("b"), 1, 2)], theirs)
    assert (pair.theirs, pair.ours and pair.ours.id) == (None, 2)


def test_a_receiver_that_opens_buckets_for_ever_is_left() -> None:
    there = There({"a": 1}, at_most=-1)
    with pytest.raises(ExchangeError, match="compare-endless"):
        walked(Ours([]), there)
    assert len(there.asked) < 10


def test_a_million_records_take_fifty_bytes_each() -> None:
    ours = Ours((str(number), 1, number) for number in range(20_000))
    assert sum(len(raw) for raw in ours._raw) == 48 * 20_000
    assert sum(bucket.count for bucket in ours.buckets("")) == 20_000
