"""Sending again (重新同步): which records a person means, what would become of each, and making them due in one transaction.

A receiver takes a version above the one it holds, knows the same version with the same bytes, and rejects the same version with others.
So a version number stands for one rendering: a record that was last sent under another mapping is raised to a new version before it goes
out again, and so is one that the receiver holds at a version of its own. What is in a batch under way stays with it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from gateway.clock import instant
from gateway.delivery.compare import Comparison, Verdict
from gateway.delivery.exchange import Exchange
from gateway.delivery.idset import IdSet
from gateway.errors import ConfigError, DeliveryError
from gateway.store import records, shares
from gateway.store.database import Connection
from gateway.store.standing import Carrier, Standing, Wanted, carriers, standing, wanted
from gateway.store.states import State

__all__ = [
    "REFUSED",
    "By",
    "Chosen",
    "Compared",
    "Fate",
    "MappingOf",
    "Selection",
    "Versions",
    "choose",
    "compared",
    "fate",
    "make_due",
]

_AT_ONCE: Final = 5_000
_SHOWN: Final = 10  # keys of each kind
_SENT: Final = frozenset({Verdict.DIFFERENT, Verdict.WITHDRAWN, Verdict.MISSING, Verdict.UNKNOWN})


class By(StrEnum):
    """Which date ``since`` and ``until`` are about."""

    DECIDED = "decided"  # the catalog's decision date, in the record
    CHANGED = "changed"  # when we stored the record's newest content


class MappingOf(StrEnum):
    """Whose mapping the records go out under."""

    TODAY = "today"
    AS_SENT = "as-sent"  # byte for byte as they stand in the batch that carried them last


class Fate(StrEnum):
    """What a resync does with one record."""

    UNDER_WAY = "under-way"  # stays in its batch
    DUE = "due"  # was not sent as it is now: the next run would send it anyway
    AGAIN = "again"  # same version, same bytes
    RAISED = "raised"  # under a new version
    AS_SENT = "as-sent"
    NEVER_SENT = "as-sent-never"
    ERASED = "as-sent-erased"  # the package is not kept any more
    OTHER_FORMAT = "as-sent-format"  # the receiver's format is another one by now
    OTHER_SIGHT = (
        "as-sent-clearance"  # sent under another mapping, when the receiver may have seen more than it may now
    )
    TAKEN_BACK = "as-sent-withdrawn"  # was taken back since: it must not appear again
    HELD_ABOVE = "as-sent-superseded"  # the receiver holds a higher version


REFUSED: Final = frozenset(
    {Fate.NEVER_SENT, Fate.ERASED, Fate.OTHER_FORMAT, Fate.OTHER_SIGHT, Fate.TAKEN_BACK, Fate.HELD_ABOVE}
)
"""Fates of a record that cannot go out as it was sent."""

_STAYING: Final = frozenset({Fate.UNDER_WAY, Fate.HELD_ABOVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a person means; every condition given must hold. ``since`` and ``until`` are days, both included, counted in ``zone`` when they
    are about changes."""

    since: date | None = None
    until: date | None = None
    by: By = By.DECIDED
    keys: tuple[str, ...] = ()
    unit: str | None = None
    batch_id: str | None = None
    rejected: bool = False
    everything: bool = False
    compare: bool = False
    zone: tzinfo = UTC

    def check(self) -> None:
        """Raises ConfigError: ``resync-nothing-chosen``, ``resync-days-reversed``."""
        narrowed = (self.since, self.until, self.keys, self.unit, self.batch_id, self.rejected, self.compare)
        if not self.everything and not any(narrowed):
            raise ConfigError("resync-nothing-chosen")
        if self.since and self.until and self.since > self.until:
            raise ConfigError("resync-days-reversed", since=self.since, until=self.until)

    def describe(self) -> str:
        """The selection in one line, for the ledger: figures and days, no key of a record."""
        parts = {
            self.by.value: f"{self.since or ''}..{self.until or ''}" if self.since or self.until else "",
            "keys": str(len(self.keys) or ""),
            "unit": self.unit,
            "batch": self.batch_id,
        }
        flags = {"rejected": self.rejected, "compare": self.compare, "all": self.everything}
        words = [f"{name}={value}" for name, value in parts.items() if value]
        return " ".join([*words, *(name for name, given in flags.items() if given)])

    def wanted(self, decision_field: str) -> Wanted:
        """The same in the store's terms."""
        since, until = self.since or date.min, self.until or date.max
        days = bool(self.since or self.until)
        return Wanted(
            decided=(decision_field, since, until) if days and self.by is By.DECIDED else None,
            changed=(_begins(since, self.zone), _ends(until, self.zone)) if days and self.by is By.CHANGED else None,
            unit=self.unit,
            batch_id=self.batch_id,
            rejected=self.rejected,
            keys=self.keys,
        )


def _begins(day: date, zone: tzinfo) -> str:
    return "" if day == date.min else instant(datetime.combine(day, time.min, zone))


def _ends(day: date, zone: tzinfo) -> str:
    """The instant after the day's last; text above every instant when there is no such day."""
    return "~" if day == date.max else instant(datetime.combine(day + timedelta(days=1), time.min, zone))


class Versions:
    """A version for each of some record ids, in 16 bytes each. Fill it in the order of ids, or call :meth:`sort` once."""

    def __init__(self) -> None:
        self._ids = array("q")
        self._versions = array("q")

    def put(self, number: int, version: int) -> None:
        """Add one; not found until :meth:`sort`."""
        self._ids.append(number)
        self._versions.append(version)

    def sort(self) -> None:
        """Make everything put in found."""
        order = sorted(range(len(self._ids)), key=self._ids.__getitem__)
        self._ids = array("q", (self._ids[at] for at in order))
        self._versions = array("q", (self._versions[at] for at in order))

    def of(self, number: int) -> int:
        """The version of a record; 0 when there is none."""
        at = bisect_left(self._ids, number)
        return self._versions[at] if at < len(self._ids) and self._ids[at] == number else 0


@dataclass(slots=True, kw_only=True)
class Compared:
    """What a comparison found. ``ids`` differ and can be sent, ``held`` tells the versions that the receiver holds of them; ``stray`` are
    records held there under keys that we do not hold: nothing can be sent for them."""

    counts: Mapping[Verdict, int] = field(default_factory=dict)
    samples: dict[Verdict, list[dict[str, object]]] = field(default_factory=dict)
    ids: IdSet = field(default_factory=IdSet)
    held: Versions = field(default_factory=Versions)
    stray: int = 0


async def compared(comparison: Comparison) -> Compared:
    """Run a comparison to its end. Raises what :meth:`Comparison.differences` raises."""
    found = Compared()
    async for one in comparison.differences():
        shown = found.samples.setdefault(one.verdict, [])
        if len(shown) < _SHOWN:
            ours = {"version": one.version, "op": one.op, "accepted": one.accepted} if one.version else None
            theirs = {"version": one.theirs, "op": one.their_op} if one.theirs else None
            shown.append({"key": one.key, "ours": ours, "theirs": theirs})
        if one.verdict in _SENT:
            if one.id is None:
                found.stray += 1
            elif found.ids.add(one.id):
                found.held.put(one.id, one.theirs)
    found.held.sort()
    found.counts = {verdict: comparison.counts[verdict] for verdict in Verdict}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a resync is about. ``ids`` (signed 64-bit) are the records that it sends, earliest deadline first; as sent they stand in the order
    of the batches that carried them. ``fates`` and ``ops`` count records, ``samples`` holds a few keys of each fate."""

    ids: array[int]
    fates: Mapping[Fate, int]
    ops: Mapping[str, int]
    samples: Mapping[Fate, Sequence[str]]
    compared: Compared | None = None

    def held(self, number: int) -> int:
        """The version that the receiver holds, where a comparison found that it differs; else 0."""
        return 0 if self.compared is None else self.compared.held.of(number)


def choose(
    conn: Connection,
    exchange: Exchange,
    selection: Selection,
    *,
    mapping: MappingOf = MappingOf.TODAY,
    found: Compared | None = None,
) -> Chosen:
    """The records that ``selection`` means, of those that the exchange ever shared or has to share, and what would become of each.

    ``found`` narrows to what a comparison found to differ. Looks only. Raises ConfigError as :meth:`Selection.check`, DeliveryError
    ``resync-batch-unknown``.
    """
    selection.check()
    carrying = carriers(conn, exchange.name)
    if selection.batch_id is not None and selection.batch_id not in carrying:
        raise DeliveryError("resync-batch-unknown", batch=selection.batch_id, exchange=exchange.name)
    what = selection.wanted(exchange.catalog.deadline.field)
    fates: Counter[Fate] = Counter()
    ops: Counter[str] = Counter()
    samples: dict[Fate, list[str]] = {}
    groups: dict[str | None, array[int]] = {}
    for one in wanted(conn, exchange.name, exchange.catalog.id, exchange.source.name, what):
        if found is not None and one.id not in found.ids:
            continue
        here = fate(one, carrying, exchange, mapping, 0 if found is None else found.held.of(one.id))
        fates[here] += 1
        shown = samples.setdefault(here, [])
        if len(shown) < _SHOWN:
            shown.append(one.key)
        if here not in _STAYING:
            ops[one.op] += 1
            groups.setdefault(one.batch_id if mapping is MappingOf.AS_SENT else None, array("q")).append(one.id)
    ids = array("q")
    for name in sorted(groups, key=lambda name: _place(name, carrying)):
        ids.extend(groups[name])
    return Chosen(ids=ids, fates=fates, ops=ops, samples=samples, compared=found)


def _place(name: str | None, carrying: Mapping[str, Carrier]) -> tuple[str, str, int]:
    """Where the records of a batch come among those sent again as sent: what may share a batch stands together, opened once each."""
    carrier = None if name is None else carrying.get(name)
    return ("", "", 0) if carrier is None else (carrier.mapping_digest, carrier.format, carrier.sequence)


def fate(one: Standing, carrying: Mapping[str, Carrier], exchange: Exchange, mapping: MappingOf, held: int) -> Fate:
    """What becomes of one record; ``held`` is the version at which a comparison found it at the receiver, 0 for none or not compared."""
    carrier = None if one.batch_id is None else carrying.get(one.batch_id)
    # A disputed batch is closed without outcomes: nothing more will come of it.
    if one.under_way and carrier is not None and carrier.state is not State.DISPUTED:
        return Fate.UNDER_WAY
    if mapping is MappingOf.AS_SENT:
        return _fate_as_sent(one, carrier, exchange, held)
    if held >= one.version:
        return Fate.RAISED
    if one.sealed is None or (carrier is not None and 0 < one.sealed < one.version):
        return Fate.DUE
    # A withdrawal says the same under every mapping. Of a batch that was given up nobody knows whether its bytes arrived.
    same = carrier is not None and carrier.mapping_digest == exchange.mapping_digest
    return Fate.AGAIN if same or one.op != "upsert" else Fate.RAISED


def _fate_as_sent(one: Standing, carrier: Carrier | None, exchange: Exchange, held: int) -> Fate:
    if carrier is None or one.sealed is None:
        return Fate.NEVER_SENT
    if carrier.format != f"{exchange.format_id} {exchange.format_version}":
        return Fate.OTHER_FORMAT
    if not exchange.sight.whole and carrier.mapping_digest != exchange.mapping_digest:
        return Fate.OTHER_SIGHT
    if not carrier.kept:
        return Fate.ERASED
    if one.op != "upsert" and 0 < one.sealed < one.version:
        return Fate.TAKEN_BACK
    if one.sealed and held > one.sealed:
        return Fate.HELD_ABOVE
    return Fate.AS_SENT


def make_due(conn: Connection, exchange: Exchange, chosen: Chosen, *, mapping: MappingOf) -> array[int]:
    """Make the chosen records due, whatever was sealed before; returns those that are to be sealed now, in the order chosen. In the
    transaction that opens the run.

    How each stands is looked up once more: since the choice a run may have taken some along. Records to be sent as they were are not made
    due: a crash would leave them to the next run, which would send them under today's mapping.
    """
    carrying = carriers(conn, exchange.name)
    going = IdSet()
    for numbers in _chunks(chosen.ids):
        stood = list(standing(conn, exchange.name, numbers))
        fates = {one.id: fate(one, carrying, exchange, mapping, chosen.held(one.id)) for one in stood}
        again = [number for number, here in fates.items() if here not in _STAYING]
        going.update(again)
        if mapping is MappingOf.TODAY:
            raised = [(number, chosen.held(number) + 1) for number, here in fates.items() if here is Fate.RAISED]
            shares.leave_undisturbed(conn, exchange.name, raised)
            records.raise_versions(conn, raised)
            shares.send_again(conn, exchange.name, again)
    return array("q", (number for number in chosen.ids if number in going))


def _chunks(ids: Sequence[int]) -> Iterator[list[int]]:
    """In the order of ids: a transaction that goes through a table from one end to the other writes each page once."""
    ordered = IdSet(ids)
    chunk: list[int] = []
    for number in ordered:
        chunk.append(number)
        if len(chunk) == _AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
