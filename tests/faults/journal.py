"""A model of the sender's journal and of anybody's ledger: atomic, durable, in memory.

A transaction is one call: it looks first and writes last, so whoever dies before it changed nothing and whoever dies after it changed
everything. The rules of moving are the real ones (:mod:`gateway.store.states`), the claims and fences those of ``store/batches.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from gateway.delivery.breaker import Breaker
from gateway.delivery.core import Standing
from gateway.ledger.tree import Edge, leaf_hash
from gateway.store.states import CLAIMABLE, CLAIMED, PENDING, TRANSITIONS, State, check_transition
from tests.faults.checker import Checkpoint, Entry, Ledger, Line
from tests.faults.mutants import Mutant

__all__ = ["FenceLost", "Journal", "Log", "Package", "Receipt", "Row", "Share"]

LEASE = timedelta(seconds=30)
_BATCH = 3


class FenceLost(Exception):  # noqa: N818 — the store's own word
    """Another worker has the batch."""


class Package(NamedTuple):
    """A sealed batch; equal bytes have equal digests."""

    id: str
    route: str
    sequence: int
    digest: str
    lines: tuple[Line, ...]
    checkpoint: Checkpoint
    void: bool


class Receipt(NamedTuple):
    """A receiver's signed answer; ``rejected`` are the keys and versions that it will not have."""

    digest: str
    signer: str
    batch_id: str
    route: str
    sequence: int
    package: str
    counts: dict[str, int]
    rejected: frozenset[tuple[str, int]]


class Log:
    """A ledger that grows, and what was signed of it."""

    def __init__(self) -> None:
        self.kept = Ledger()
        self._edge = Edge()
        self._last: dict[str, int] = {}
        self.highest: dict[str, int] = {}

    def append(self, kind: str, package: Package, *, receipt: str, at: float, sequence: int | None = None) -> None:
        """Enter a batch; numbers of a route may come again but never leave one out."""
        route, number = package.route, package.sequence if sequence is None else sequence
        highest = self.highest.get(route, 0)
        if not 1 <= number <= highest + 1:
            raise AssertionError(f"route-sequence-gap: {route} {highest} {number}")
        leaf = self._leaf(kind, package, receipt, at)
        previous = self._last.get(route, -1)
        self._last[route], self.highest[route] = len(self.kept.entries), max(highest, number)
        self.kept.entries.append(Entry(leaf, kind, route, number, previous, package.id, package.digest, receipt))
        self._edge = self._edge.append(leaf_hash(leaf))

    def newest(self) -> Checkpoint:
        """What was signed last."""
        return self.kept.checkpoints[-1] if self.kept.checkpoints else Checkpoint(0, Edge().root())

    def sign(self) -> None:
        """Sign the head, unless that was done."""
        if self.newest().size < self._edge.size:
            self.kept.checkpoints.append(Checkpoint(self._edge.size, self._edge.root()))

    def sign_ahead(self, kind: str, package: Package, *, receipt: str, at: float) -> None:
        """Sign what the head will be when this entry is in."""
        edge = self._edge.append(leaf_hash(self._leaf(kind, package, receipt, at)))
        self.kept.checkpoints.append(Checkpoint(edge.size, edge.root()))

    def _leaf(self, kind: str, package: Package, receipt: str, at: float) -> bytes:
        previous = self._last.get(package.route, -1)
        place = f"{len(self.kept.entries)} {kind} {package.route} {package.sequence} {previous}"
        return f"{place} {package.id} {package.digest} {receipt} {at}".encode()


@dataclass(slots=True)
class Row:
    """A batch in the journal."""

    package: Package
    made_at: datetime
    give_up_at: datetime
    next_at: datetime
    void_of: str | None = None
    state: State = State.READY
    attempts: int = 0
    asks: int = 0
    retried: int = 0
    fence: int = 0
    owner: str | None = None
    until: datetime | None = None
    receipt: Receipt | None = None

    @property
    def id(self) -> str:
        """The batch's id."""
        return self.package.id

    def standing(self, state: State | None = None) -> Standing:
        """As :func:`gateway.delivery.standing.standing_of` reads it."""
        state = state or self.state
        return Standing(
            state=state,
            made_at=self.made_at,
            give_up_at=self.give_up_at,
            attempts=self.attempts,
            asks=self.asks,
            sequence=self.package.sequence,
            void=self.package.void,
            next_at=self.next_at if state in CLAIMABLE and state is not State.SENDING else None,
        )


@dataclass(slots=True)
class Share:
    """How a record stands on a route: sealed at a version, taken at a version, in a batch until that is settled."""

    version: int = 0
    accepted: int = 0
    batch_id: str | None = None


@dataclass(slots=True)
class Journal:
    """Everything durable at the sender. ``records`` is by catalog, ``shares`` by route, then by key."""

    mutant: Mutant | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    records: dict[str, dict[str, tuple[int, str, int]]] = field(default_factory=dict)  # version, operation, content
    shares: dict[str, dict[str, Share]] = field(default_factory=dict)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    log: Log = field(default_factory=Log)

    def of_route(self, route: str) -> list[Row]:
        """The rows of a route, by number."""
        rows = [row for row in self.rows.values() if row.package.route == route]
        return sorted(rows, key=lambda row: row.package.sequence)

    def pending(self, route: str) -> Row | None:
        """The batch that the receiver waits for."""
        return min(
            (row for row in self.rows.values() if row.state in PENDING and row.package.route == route),
            key=lambda row: row.package.sequence,
            default=None,
        )

    def claim(self, route: str, owner: str, at: datetime, longest: timedelta) -> tuple[Row, State, int] | None:
        """The row, where it was found, and the fence."""
        row = self.pending(route)
        if self.mutant is Mutant.OVERTAKING:
            free = [one for one in self.of_route(route) if one.state in CLAIMABLE and one.next_at <= at]
            row = free[-1] if free else row
        if row is None or row.state not in CLAIMABLE or not self._free(row, at, longest):
            return None
        found, row.state = row.state, CLAIMED[row.state]
        if row.state is not found:
            check_transition(row.id, found, row.state)
        row.fence, row.owner, row.until = row.fence + 1, owner, at + LEASE
        return row, found, row.fence

    def _free(self, row: Row, at: datetime, longest: timedelta) -> bool:
        if self.mutant is Mutant.CLOCK_BELIEVED:
            return (row.until is None or row.until <= at) and (row.state is State.SENDING or row.next_at <= at)
        leased = row.until is not None and at < row.until <= at + 2 * LEASE
        if leased or (self.mutant is Mutant.LEASE_FOR_EVER and row.until is not None):
            return False
        return row.state is State.SENDING or not at < row.next_at <= at + longest

    def held_by(self, row: Row, fence: int) -> None:
        """Raises FenceLost."""
        if row.fence != fence and self.mutant is not Mutant.FENCE_IGNORED:
            raise FenceLost

    def write(self, row: Row, before: Standing, after: Standing, at: datetime, fence: int | None) -> None:
        """As :func:`gateway.delivery.standing.write_standing` writes it. Raises FenceLost, StoreError."""
        if fence is not None:
            self.held_by(row, fence)
        if after.state is not before.state:
            # The mutant believes what it read when it began.
            check_transition(row.id, before.state if self.mutant is Mutant.FENCE_IGNORED else row.state, after.state)
            row.state = after.state
            row.fence += fence is None
            if after.state is not State.SENDING:
                row.owner = row.until = None
            if after.state in {State.WAITING, State.UNKNOWN}:
                row.next_at = after.next_at or at
        elif after.next_at is not None and row.state in CLAIMABLE - {State.SENDING}:
            row.next_at = after.next_at
            if fence is not None:
                row.owner = row.until = None
        if after.give_up_at != before.give_up_at:
            row.give_up_at, row.asks = after.give_up_at, 0

    def end_leases(self, at: datetime) -> None:
        """At the start of the only process there is."""
        for row in self.rows.values():
            if self.mutant is Mutant.LEASE_FOR_EVER:
                continue
            if row.state is State.SENDING:
                row.state, row.next_at = State.UNKNOWN, at
                row.fence += 1
            if row.owner is not None:
                row.fence += 1
            row.owner = row.until = None

    def extract(self, catalog: str, source: dict[str, int]) -> None:
        """Commit A: the source's rows (key → content) into records with versions."""
        records = self.records.setdefault(catalog, {})
        for key, content in source.items():
            known = records.get(key)
            if known is None:
                records[key] = (1, "upsert", content)
            elif known[1:] != ("upsert", content):
                records[key] = (known[0] + 1, "upsert", content)
        for key, (version, op, content) in records.items():
            if op == "upsert" and key not in source:
                records[key] = (version + 1, "withdraw", content)

    def due(self, route: str) -> list[Line]:
        """What is not sealed in its newest version."""
        shares = self.shares.setdefault(route, {})
        found = []
        for key, (version, op, _) in self.records.get(route.split("/")[1], {}).items():
            share = shares.get(key)
            if (op == "upsert") if share is None else version > share.version:
                found.append(Line(key, version, op))
        return found[:_BATCH]

    def hole(self, route: str) -> Row | None:
        """A batch that was given up and whose number nobody has taken."""
        rows = self.of_route(route)
        taken = {row.package.sequence for row in rows if row.state is not State.ABANDONED}
        holes = [row for row in rows if row.state is State.ABANDONED and row.package.sequence not in taken]
        return holes[-1] if holes else None

    def next_number(self, route: str) -> int | None:
        """The route's next sequence number; None while it has a hole."""
        standing = [row.package.sequence for row in self.of_route(route) if row.state is not State.ABANDONED]
        if self.mutant is Mutant.NUMBER_SKIPPED:
            return max((row.package.sequence for row in self.of_route(route)), default=0) + 1
        hole = self.hole(route)
        if hole is not None:
            return hole.package.sequence if self.mutant is Mutant.NUMBER_REUSED else None
        return max(standing, default=0) + 1

    def mark(self, route: str, lines: Collection[Line], batch_id: str | None) -> None:
        """The records are in this batch."""
        shares = self.shares.setdefault(route, {})
        for line in lines:
            share = shares.setdefault(line.key, Share())
            share.version, share.batch_id = line.version, batch_id

    def settle(self, row: Row) -> None:
        """The outcomes of the receipt, for the records that were not sealed again since."""
        rejected = row.receipt.rejected if row.receipt else frozenset()
        for key, share in self.shares.get(row.package.route, {}).items():
            if share.batch_id == row.id and (key, share.version) not in rejected:
                share.accepted = share.version

    def release(self, row: Row) -> None:
        """The records of a batch that is given up stand where the receiver took them last."""
        for share in self.shares.get(row.package.route, {}).values():
            if share.batch_id == row.id:
                share.version, share.batch_id = share.accepted, None

    def open_rows(self) -> Iterator[Row]:
        """What is not over."""
        return (row for row in self.rows.values() if TRANSITIONS[row.state])
