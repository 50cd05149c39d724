"""What the receiver holds of a route against what it must hold by its own receipts; only buckets that differ are opened.

Deciding is apart from asking: :class:`Walk` says which question comes next and what an answer means, :class:`Comparison` puts the
questions and looks up how those that differ stand by now. Records are told apart by key and version, never by content: two may say
the same.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import chain, islice, pairwise
from typing import Final, NamedTuple

from gateway.delivery.exchange import Exchange, Progress
from gateway.errors import ExchangeError
from gateway.exchange.digests import RouteDigests, RouteRecord
from gateway.store.buckets import Bucket, digest_buckets, key_hash, parse_prefix
from gateway.store.database import Connection, Database
from gateway.store.standing import Standing, accepted, shared_elsewhere, standing, standing_of_keys

__all__ = ["Comparison", "Difference", "OurRecord", "Ours", "Pair", "Verdict", "Walk", "pairs", "verdict"]

_HASH: Final = 32
_VERSION_END: Final = 40
_ENTRY: Final = 48  # hash, version, record id
_LOOKED_UP: Final = 500
_DEEPEST: Final = 16  # hex digits: of any number of records, two share eight bytes of their hash only by design
_MOST_QUESTIONS: Final = 100_000  # a peer that never comes to the point


class Verdict(StrEnum):
    """How one record stands on both sides."""

    IDENTICAL = "identical"
    DIFFERENT = "different"  # another version there
    WITHDRAWN = "withdrawn"  # taken back on one side only
    MISSING = "missing"  # taken by the receiver, and not there any more
    UNKNOWN = "unknown"  # held there, and never accepted by any receipt of ours
    UNDER_WAY = "under-way"  # in a batch whose receipt is not reconciled yet


class OurRecord(NamedTuple):
    """A record that the receiver took: the SHA-256 of its key, the version, and its id here."""

    hash: bytes
    version: int
    id: int


class Pair(NamedTuple):
    """A key on which the two sides do not agree; one of them may have nothing under it."""

    ours: OurRecord | None
    theirs: RouteRecord | None


class Difference(NamedTuple):
    """What became of a pair. ``version`` and ``op`` are the record's here today, ``accepted`` what the receiver took by its receipts,
    ``theirs`` and ``their_op`` what it holds; 0 and None where there is nothing. ``id`` is None for a key that we do not hold."""

    verdict: Verdict
    key: str
    id: int | None
    version: int
    op: str | None
    accepted: int
    theirs: int
    their_op: str | None


class Ours:
    """Our side of a route in 48 bytes a record. ``held`` gives key, version and record id; of one key the highest version counts."""

    def __init__(self, held: Iterable[tuple[str, int, int]]) -> None:
        self._raw = [bytearray() for _ in range(256)]
        for key, version, number in held:
            hashed = key_hash(key)
            self._raw[hashed[0]] += hashed + version.to_bytes(8, "big") + number.to_bytes(8, "big")

    def under(self, prefix: str) -> list[OurRecord]:
        """The records whose key's hash begins with ``prefix``, in the order of their hash."""
        start = parse_prefix(prefix)
        parts = self._raw[start[0] : start[0] + 1] if start else self._raw
        return list(chain.from_iterable(_records(raw, start) for raw in parts))

    def buckets(self, prefix: str) -> list[Bucket]:
        """The buckets under ``prefix``, as the receiver digests them (:mod:`gateway.store.buckets`)."""
        start = parse_prefix(prefix)
        parts = self._raw[start[0] : start[0] + 1] if start else self._raw
        return [
            bucket
            for raw in parts
            for bucket in digest_buckets(((one.hash, one.version) for one in _records(raw, start)), start)
        ]


def _records(raw: bytearray, start: bytes) -> Iterator[OurRecord]:
    entries = sorted(bytes(raw[at : at + _ENTRY]) for at in range(0, len(raw), _ENTRY))
    for entry, following in pairwise([*entries, b""]):
        # The higher version of a key comes last.
        if entry.startswith(start) and entry[:_HASH] != following[:_HASH]:
            version, number = entry[_HASH:_VERSION_END], entry[_VERSION_END:]
            yield OurRecord(entry[:_HASH], int.from_bytes(version, "big"), int.from_bytes(number, "big"))


def pairs(ours: Iterable[OurRecord], theirs: Iterable[RouteRecord]) -> Iterator[Pair]:
    """The keys on which two sides do not agree, in no particular order."""
    mine = {one.hash: one for one in ours}
    for record in theirs:
        own = mine.pop(key_hash(record.key), None)
        if own is None or own.version != record.version:
            yield Pair(own, record)
    for own in mine.values():
        yield Pair(own, None)


class Walk:
    """Which prefix to ask for next, and what the answers mean. A bucket that differs is opened, one that does not is passed over, and one
    that the receiver has not at all needs no question."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours
        self._waiting = [""]
        self._asked = 0

    def question(self) -> str | None:
        """The next prefix; None when everything is known. Raises ExchangeError ``compare-endless``."""
        if not self._waiting:
            return None
        self._asked += 1
        if self._asked > _MOST_QUESTIONS:
            raise ExchangeError("compare-endless", questions=_MOST_QUESTIONS)
        return self._waiting.pop()

    def answer(self, told: RouteDigests) -> Iterator[Pair]:
        """What is known by this answer; take all of it before the next question. Raises ExchangeError ``compare-endless``."""
        if told.records is not None:
            yield from pairs(self._ours.under(told.prefix), told.records)
            return
        if len(told.prefix) >= _DEEPEST:
            raise ExchangeError("compare-endless", questions=self._asked)
        ours = {bucket.prefix: bucket for bucket in self._ours.buckets(told.prefix)}
        for bucket in told.buckets:
            own = ours.pop(bucket.prefix, None)
            if own is None or own.digest != bucket.digest:
                self._waiting.append(bucket.prefix)
        for prefix in ours:
            yield from pairs(self._ours.under(prefix), ())


class Comparison:
    """One comparison of ``exchange`` with its receiver. ``sharing`` are the other exchanges on the same route: what they sent is neither
    missing nor unknown here. ``counts`` tells, after :meth:`differences` is read to its end, how many records stand how. ``progress`` is
    told of every question (``compared``)."""

    def __init__(self, database: Database, exchange: Exchange, sharing: Sequence[str], progress: Progress) -> None:
        self._database = database
        self._exchange = exchange
        self._sharing = sharing
        self._progress = progress
        self._own = 0
        self.counts: Counter[Verdict] = Counter()

    async def differences(self) -> AsyncIterator[Difference]:
        """Every record that differs, bucket by bucket. Raises ExchangeError, PeerUnavailableError, StoreError."""
        ours = await asyncio.to_thread(self._ours)
        walk = Walk(ours)
        differing = 0
        while (prefix := walk.question()) is not None:
            told = await self._exchange.peer.transport.digests(self._exchange.route, prefix)
            self._progress("compared", 1)
            found = walk.answer(told)
            while chunk := list(islice(found, _LOOKED_UP)):
                for pair, difference in await asyncio.to_thread(self._judged, chunk):
                    differing += pair.ours is not None
                    if difference.verdict is Verdict.IDENTICAL:
                        self.counts[Verdict.IDENTICAL] += 1
                    else:
                        self.counts[difference.verdict] += 1
                        yield difference
        self.counts[Verdict.IDENTICAL] += self._own - differing

    def _ours(self) -> Ours:
        catalog = self._exchange.catalog.id
        with self._database.read() as conn:

            def held() -> Iterator[tuple[str, int, int]]:
                for one in accepted(conn, self._exchange.name, catalog):
                    self._own += 1
                    yield one
                for name in self._sharing:
                    yield from accepted(conn, name, catalog)

            return Ours(held())

    def _judged(self, chunk: Sequence[Pair]) -> list[tuple[Pair, Difference]]:
        """The pairs that are this exchange's, by what the journal says now: since the comparison began a batch may have been settled."""
        with self._database.read() as conn:
            stood = self._stood(conn, chunk)
            keys = [pair.theirs.key for pair in chunk if pair.ours is None and pair.theirs is not None]
            exchange = self._exchange
            known = standing_of_keys(conn, exchange.name, exchange.catalog.id, exchange.source.name, keys)
            elsewhere = shared_elsewhere(conn, self._sharing, exchange.catalog.id, keys)
        found: list[tuple[Pair, Difference]] = []
        for pair in chunk:
            if pair.ours is not None:
                own = stood.get(pair.ours.id)
                if own is not None:
                    found.append((pair, _difference(own, pair.theirs)))
            elif pair.theirs is not None:
                own = known.get(pair.theirs.key)
                if pair.theirs.key in elsewhere and (own is None or own.sealed is None):
                    continue
                found.append((pair, _difference(own, pair.theirs)))
        return found

    def _stood(self, conn: Connection, chunk: Sequence[Pair]) -> dict[int, Standing]:
        ids = [pair.ours.id for pair in chunk if pair.ours is not None]
        return {one.id: one for one in standing(conn, self._exchange.name, ids) if one.sealed is not None}


def _difference(own: Standing | None, theirs: RouteRecord | None) -> Difference:
    return Difference(
        verdict=verdict(own, theirs),
        key=own.key if own is not None else theirs.key if theirs is not None else "",
        id=None if own is None else own.id,
        version=0 if own is None else own.version,
        op=None if own is None else own.op,
        accepted=0 if own is None else own.accepted or 0,
        theirs=0 if theirs is None else theirs.version,
        their_op=None if theirs is None else theirs.op,
    )


def verdict(own: Standing | None, theirs: RouteRecord | None) -> Verdict:
    """How a record stands on both sides, by our journal as it is now."""
    if theirs is None:
        return Verdict.MISSING
    if own is None:
        return Verdict.UNKNOWN
    if own.accepted == theirs.version:
        return Verdict.IDENTICAL
    if own.under_way and own.sealed == theirs.version:
        return Verdict.UNDER_WAY
    if not own.accepted:
        return Verdict.UNKNOWN
    taken_back = own.op != "upsert" and own.accepted == own.version
    return Verdict.WITHDRAWN if taken_back != (theirs.op != "upsert") else Verdict.DIFFERENT
