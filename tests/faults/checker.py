"""The promise, checked from outside: what a sender, its receivers and their ledgers hold, as plain data, against invariants I1–I6.

Nothing here comes from the gateway. The receivers' state is played again from what they took, the ledgers' roots are computed again from
their leaves (RFC 6962 §2.1), and every disagreement is a :class:`Finding` under the invariant that it breaks.

- I1 every record of the source is at the receiver in its newest version, and took effect there once
- I2 what the sender counts as acknowledged, the receiver has on disk
- I3 the ledgers hang together, and tell of every closed batch exactly once
- I4 no two checkpoints of one ledger are inconsistent, wherever they were seen
- I5 the numbers of a route have no gap, here and there, and nothing overtakes
- I6 when faults stop, nothing is left under way
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

__all__ = ["Broken", "Checkpoint", "Entry", "Finding", "Ledger", "Line", "Received", "Sent", "World", "check", "find"]

_EFFECTS = ("created", "updated", "withdrawn")
_CLOSED = {"reconciled": "batch.reconciled", "disputed": "batch.disputed", "abandoned": "batch.abandoned"}


class Line(NamedTuple):
    """A record as it stands in a batch; ``rejected`` by the receiver, or taken."""

    key: str
    version: int
    op: str
    rejected: bool = False


class Checkpoint(NamedTuple):
    """The head of a ledger as it was signed."""

    size: int
    root: bytes


class Sent(NamedTuple):
    """A batch at its sender. ``receipt`` is the digest of the accepted one, or empty."""

    id: str
    route: str
    sequence: int
    state: str
    digest: str
    void_of: str | None
    receipt: str


class Received(NamedTuple):
    """A batch at its receiver. ``receipts`` are the digests of all that it signed for it; ``counts`` what it said became of the lines."""

    id: str
    route: str
    sequence: int
    digest: str
    receipts: tuple[str, ...]
    counts: Mapping[str, int]
    lines: tuple[Line, ...]


class Entry(NamedTuple):
    """A ledger entry. What is about no batch has an empty ``route``; ``previous`` is the route's entry before it, -1 for none."""

    leaf: bytes
    kind: str
    route: str = ""
    sequence: int = 0
    previous: int = -1
    batch_id: str = ""
    digest: str = ""
    receipt: str = ""


@dataclass(slots=True)
class Ledger:
    """A node's log, what it signed of it, and what others were shown of that."""

    entries: list[Entry] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)


@dataclass(slots=True)
class World:
    """Everything that there is when all is over.

    ``wanted`` and ``held`` are by route, then by key: version and operation. ``received`` is in the order of arrival. ``ledger`` is the
    sender's, ``ledgers`` the receivers' by the code at the end of their routes.
    """

    wanted: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    held: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    ledgers: dict[str, Ledger] = field(default_factory=dict)


class Finding(NamedTuple):
    """What is broken: the invariant, and where."""

    invariant: str
    text: str


class Broken(AssertionError):  # noqa: N818 — it is what a broken promise is called
    """At least one invariant does not hold."""

    def __init__(self, findings: list[Finding], lost: int, doubled: int) -> None:
        self.findings = findings
        lines = "\n".join(f"  {one.invariant} {one.text}" for one in findings)
        super().__init__(f"{lost} lost, {doubled} doubled\n{lines}")


def check(world: World) -> tuple[int, int]:
    """How many records were lost and how many took effect twice: (0, 0), or Broken is raised."""
    findings, lost, doubled = find(world)
    if findings:
        raise Broken(findings, lost, doubled)
    return lost, doubled


def find(world: World) -> tuple[list[Finding], int, int]:
    """Everything that is broken, and how many records were lost and doubled."""
    findings, doubled = _played(world)
    lost = list(_lost(world))
    findings += lost
    findings += _acknowledged(world)
    findings += _told(world)
    findings += _signed(world)
    findings += _numbered(world)
    findings += _at_rest(world)
    return findings, len(lost), doubled


def _played(world: World) -> tuple[list[Finding], int]:
    """I1, at the receivers: their state follows from what they took, and nothing took effect twice."""
    findings: list[Finding] = []
    doubled = 0
    state: dict[str, dict[str, tuple[int, str]]] = {}
    for batch in world.received:
        here = state.setdefault(batch.route, {})
        effects = 0
        for line in batch.lines:
            if not line.rejected and line.version > here.get(line.key, (0, ""))[0]:
                here[line.key] = (line.version, line.op)
                effects += 1
        said = sum(batch.counts.get(name, 0) for name in _EFFECTS)
        if said != effects:
            doubled += max(said - effects, 0)
            findings.append(
                Finding("I1", f"{batch.id}: {said} effects told of, {effects} follow from what came before")
            )
        if sum(batch.counts.get(name, 0) for name in (*_EFFECTS, "unchanged", "rejected")) != len(batch.lines):
            findings.append(Finding("I1", f"{batch.id}: {dict(batch.counts)} for {len(batch.lines)} records"))
    for route in {*state, *world.held}:
        if state.get(route, {}) != world.held.get(route, {}):
            findings.append(Finding("I1", f"{route}: what is held does not follow from what was taken"))
    return findings, doubled


def _lost(world: World) -> Iterator[Finding]:
    """I1, end to end: the newest version of every record is there, unless the receiver said that it will not have it."""
    rejected = {
        (batch.route, line.key, line.version) for batch in world.received for line in batch.lines if line.rejected
    }
    for route, wanted in world.wanted.items():
        held = world.held.get(route, {})
        for key, (version, op) in wanted.items():
            found = held.get(key)
            never = found is None and op != "upsert"  # taken back before it was ever shared
            if found != (version, op) and not never and (route, key, version) not in rejected:
                yield Finding("I1", f"{route} {key}: wanted {version} {op}, there is {found}")
        for key in held.keys() - wanted.keys():
            yield Finding("I1", f"{route} {key}: held, and never in the source")


def _acknowledged(world: World) -> Iterator[Finding]:
    """I2."""
    there = {batch.id: batch for batch in world.received}
    for batch in world.sent:
        if batch.state not in {"acknowledged", "reconciled"} and not batch.receipt:
            continue
        found = there.get(batch.id)
        if found is None:
            yield Finding("I2", f"{batch.id}: {batch.state} here, unknown there")
        elif found.digest != batch.digest:
            yield Finding("I2", f"{batch.id}: other bytes there")
        elif batch.receipt not in found.receipts:
            yield Finding("I2", f"{batch.id}: the receiver never signed its receipt")


def _told(world: World) -> Iterator[Finding]:
    """I3."""
    sent = {batch.id: batch for batch in world.sent}
    told = Counter((entry.batch_id, entry.kind) for entry in world.ledger.entries if entry.route)
    for batch in world.sent:
        kind = _CLOSED.get(batch.state)
        for one in _CLOSED.values():
            expected = 1 if one == kind else 0
            if told[batch.id, one] != expected:
                yield Finding("I3", f"{batch.id} is {batch.state}: {told[batch.id, one]} × {one} in the ledger")
    for entry in world.ledger.entries:
        told_of = entry.kind in _CLOSED.values()
        if told_of and (entry.batch_id not in sent or entry.digest != sent[entry.batch_id].digest):
            yield Finding("I3", f"{entry.kind} {entry.batch_id}: no such batch, or other bytes")
    for code, ledger in world.ledgers.items():
        here = Counter(entry.batch_id for entry in ledger.entries if entry.kind == "batch.received")
        if here != Counter(batch.id for batch in world.received if batch.route.rpartition("/")[2] == code):
            yield Finding("I3", f"{code}: its ledger does not tell of each batch that it took exactly once")
    for ledger in (world.ledger, *world.ledgers.values()):
        newest: dict[str, int] = {}
        for index, entry in enumerate(ledger.entries):
            if entry.route:
                if entry.previous != newest.get(entry.route, -1):
                    yield Finding("I3", f"entry {index}: previous is {entry.previous}")
                newest[entry.route] = index


def _signed(world: World) -> Iterator[Finding]:
    """I4."""
    for ledger in (world.ledger, *world.ledgers.values()):
        wanted: dict[int, set[bytes]] = {}
        for checkpoint in ledger.checkpoints:
            wanted.setdefault(checkpoint.size, set()).add(checkpoint.root)
        for size, root in _roots(entry.leaf for entry in ledger.entries):
            if wanted.pop(size, {root}) != {root}:
                yield Finding("I4", f"a checkpoint of size {size} is not of this ledger")
        for size in wanted:
            yield Finding("I4", f"a checkpoint of size {size} is ahead of its ledger")


def _roots(leaves: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The root after every leaf, from the perfect trees that it is made of."""
    yield 0, sha256(b"").digest()
    trees: list[tuple[int, bytes]] = []
    for number, leaf in enumerate(leaves, start=1):
        size, hashed = 1, sha256(b"\0" + leaf).digest()
        while trees and trees[-1][0] == size:
            size, hashed = size * 2, sha256(b"\1" + trees.pop()[1] + hashed).digest()
        trees.append((size, hashed))
        root = trees[-1][1]
        for _, left in trees[-2::-1]:
            root = sha256(b"\1" + left + root).digest()
        yield number, root


def _numbered(world: World) -> Iterator[Finding]:
    """I5."""
    there: dict[str, list[int]] = {}
    for batch in world.received:
        there.setdefault(batch.route, []).append(batch.sequence)
    for route, numbers in there.items():
        if numbers != list(range(1, len(numbers) + 1)):
            yield Finding("I5", f"{route}: received in the order {numbers}")
    here: dict[str, list[int]] = {}
    stands: dict[tuple[str, int], Sent] = {}
    for one in world.sent:
        if one.state != "abandoned":
            here.setdefault(one.route, []).append(one.sequence)
            stands[one.route, one.sequence] = one
    for route, numbers in here.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield Finding("I5", f"{route}: numbered {sorted(numbers)}")
    for one in world.sent:
        if one.state == "abandoned" and one.id not in {other.void_of for other in world.sent}:
            yield Finding("I5", f"{one.id}: given up, and no void batch has its number {one.sequence}")
        if one.void_of is not None and not any(o.id == one.void_of and o.sequence == one.sequence for o in world.sent):
            yield Finding("I5", f"{one.id}: void, in the place of nothing")
    for ledger in (world.ledger, *world.ledgers.values()):
        highest: dict[str, int] = {}
        for entry in ledger.entries:
            if entry.route:
                if not 1 <= entry.sequence <= highest.get(entry.route, 0) + 1:
                    yield Finding("I5", f"{entry.route}: the ledger leaves out what is before {entry.sequence}")
                highest[entry.route] = max(highest.get(entry.route, 0), entry.sequence)


def _at_rest(world: World) -> Iterator[Finding]:
    """I6."""
    for batch in world.sent:
        if batch.state not in _CLOSED:
            yield Finding("I6", f"{batch.id} number {batch.sequence} of {batch.route} is {batch.state}")
