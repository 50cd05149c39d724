"""Records of other nodes, taken over to be passed on: the first half of a run whose source is what this node holds.

The owner's key, unit and version go on. Our version of a record is the owner's, or the next of our own where a resync had raised ours above it;
so versions only grow, and what was A, then B, then A again goes on as three. What the owner took back is taken back here, for its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from gateway.catalog.calendar import WorkingDays
from gateway.clock import Clock, instant
from gateway.delivery.cases import cases_of, first_reasons
from gateway.delivery.exchange import Exchange, Progress, sender_of
from gateway.delivery.extract import Extracted, deadlines
from gateway.delivery.further import first_words, tell_refused
from gateway.delivery.held_records import HeldChunk, HeldRecords
from gateway.delivery.preview import Preview
from gateway.mapping.canonical import encode
from gateway.mapping.plan import Mapped
from gateway.mapping.problems import PROBLEMS
from gateway.memory import give_back
from gateway.package.feedback import REJECTED
from gateway.package.forms import Node
from gateway.store import quarantine, records, runs
from gateway.store.database import Database
from gateway.store.feedback import Told
from gateway.store.origins import Arrival, Origin, origins, remember
from gateway.store.quarantine import Stage

__all__ = ["preview_onward", "take_over"]

OTHER_OWNER = "key-of-another-sender"
_UPSERT, _STOP_SHARE = "upsert", "stop-share"
_AT_ONCE = 5_000


def take_over(
    database: Database,
    exchange: Exchange,
    source: HeldRecords,
    run_id: str,
    *,
    node: Node,
    working_days: WorkingDays,
    clock: Clock,
    progress: Progress,
    full: bool = False,
) -> Extracted:
    """Read what came since the last run and store it as records to be shared; the counterpart of :func:`gateway.delivery.extract.extract`.

    Raises SourceError, StoreError.
    """
    with database.read() as conn:
        position = None if full else runs.position(conn, exchange.name, source.name)
    deadline = deadlines(working_days, exchange.catalog.deadline.working_days)
    found = Extracted()
    for chunk in source.held_chunks(position, size=_AT_ONCE):
        compared = _compare(database, exchange, chunk, found, node)
        at = instant(clock.now())
        # Commit A, as for every source: records, quarantine and watermark stand or fall together.
        with database.begin() as conn:
            new = [
                records.NewRecord(one.key, row.digest, row.content, row.unit, deadline(row.day), one.version)
                for one, row in compared.new
            ]
            ids = records.add(conn, new, catalog=exchange.catalog.id, source=source.name, run_id=run_id, at=at)
            records.change(
                conn,
                [
                    records.ChangedRecord(number, row.digest, row.content, row.unit, deadline(row.day), one.version)
                    for number, one, row in compared.changed
                ],
                run_id=run_id,
                at=at,
            )
            records.keep(
                conn,
                [
                    records.ChangedRecord(number, row.digest, row.content, row.unit, deadline(row.day))
                    for number, _, row in compared.kept
                ],
            )
            records.take_back_as(
                conn,
                [records.TakenBack(number, one.op, one.reason, one.version) for number, one in compared.taken_back],
                run_id=run_id,
                at=at,
            )
            remember(conn, [Origin(number, chunk.route, one.version, one.op) for number, one in compared.seen])
            remember(
                conn,
                [
                    Origin(number, chunk.route, one.version, one.op)
                    for number, (one, _) in zip(ids, compared.new, strict=True)
                ],
            )
            place = {"exchange": exchange.name, "source": source.name}
            quarantine.note(
                conn,
                cases_of(compared.problems, chunk.frame, compared.units),
                **place,
                stage=Stage.SOURCE,
                run_id=run_id,
                at=at,
            )
            tell_refused(conn, chunk.route, compared.refused, at=at)
            quarantine.close_keys(conn, compared.sound, **place, stage=Stage.SOURCE, at=at)
            runs.advance(
                conn,
                exchange=exchange.name,
                source=source.name,
                position=chunk.position or "",
                run_id=run_id,
                at=at,
            )
        found.good.update(ids)
        found.present.update(ids)
        found.new += len(ids)
        found.changed += len(compared.changed) + len(compared.taken_back)
        give_back()
        progress("read", len(chunk.arrivals))
    found.complete = position is None
    if found.complete:
        with database.read() as conn:
            for number in records.present(conn, exchange.catalog.id, source.name):
                if number not in found.present:
                    found.vanished.add(number)
    return found


def preview_onward(database: Database | None, exchange: Exchange, source: HeldRecords, *, full: bool) -> Preview:
    """What :func:`take_over` would do, found out without writing anything."""
    shown = Preview(exchange=exchange.name)
    if database is None:
        return shown
    with database.read() as conn:
        position = None if full else runs.position(conn, exchange.name, source.name)
    found = Extracted()
    for chunk in source.held_chunks(position, size=_AT_ONCE):
        compared = _compare(database, exchange, chunk, found, Node(code="", name=""))
        shown.new += len(compared.new)
        shown.changed += len(compared.changed) + len(compared.taken_back)
    shown.rows = found.rows
    shown.quarantined_by = found.quarantined_by
    shown.unchanged = shown.rows - shown.new - shown.changed - found.quarantined
    return shown


@dataclass(frozen=True, slots=True)
class _Row:
    """A sound record's content."""

    digest: bytes
    content: str
    unit: str | None
    day: date | None


@dataclass(slots=True, kw_only=True)
class _Compared:
    """What the arrivals of a chunk mean for the store; ``seen`` are the records whose owner's version is to be noted."""

    problems: pl.DataFrame
    units: Mapping[str, str | None]
    new: list[tuple[Arrival, _Row]] = field(default_factory=list)
    changed: list[tuple[int, Arrival, _Row]] = field(default_factory=list)
    kept: list[tuple[int, Arrival, _Row]] = field(default_factory=list)
    refused: list[Told] = field(default_factory=list)
    taken_back: list[tuple[int, Arrival]] = field(default_factory=list)
    seen: list[tuple[int, Arrival]] = field(default_factory=list)
    sound: list[str] = field(default_factory=list)


def _compare(database: Database, exchange: Exchange, chunk: HeldChunk, found: Extracted, node: Node) -> _Compared:
    """Sort a chunk's arrivals, and count them. ``node`` is ours: it says why it does not pass a record on."""
    mapped = exchange.plan.check(chunk.frame)
    rows = _rows(mapped, exchange)
    with database.read() as conn:
        held = records.held(conn, exchange.catalog.id, exchange.source.name, [one.key for one in chunk.arrivals])
        known = origins(conn, [one.id for one in held.values()])
    strangers: list[tuple[str, str]] = []
    compared = _Compared(
        problems=mapped.problems,
        units={
            row: unit
            for frame in (mapped.bad, mapped.records)
            for row, unit in frame.select("@row", "@unit").iter_rows()
        },
    )
    for one in chunk.arrivals:
        was = held.get(one.key)
        row = rows.get(one.key)
        if one.op == _UPSERT and row is None:
            # In quarantine. What we passed on before stays as it is until the record is mended or taken back.
            found.present.update([was.id] if was else ())
            continue
        if was is None:
            if row is not None:
                compared.new.append((one, row))
                compared.sound.append(one.key)
            continue
        origin = known.get(was.id) or Origin(was.id, chunk.route, 0, was.op)
        if origin.route != chunk.route and (origin.op == _UPSERT or one.op != _UPSERT):
            # A key belongs to whoever shares it; only when it was taken back there may another sender have it.
            if one.op == _UPSERT:
                strangers.append((one.key, sender_of(origin.route)))
            continue
        compared.sound.append(one.key)
        found.good.add(was.id)
        found.present.add(was.id)
        if origin.route == chunk.route and one.version <= origin.version:
            continue
        compared.seen.append((was.id, one))
        if row is None:
            if was.op != one.op:
                compared.taken_back.append((was.id, one))
        elif was.ordered or (was.op == _STOP_SHARE and origin.op != _STOP_SHARE):
            # Held back by this node, not by its owner: it does not come back because the owner has changed it.
            if was.digest != row.digest:
                compared.kept.append((was.id, one, row))
        elif was.digest != row.digest or was.op != _UPSERT:
            compared.changed.append((was.id, one, row))
    if strangers:
        compared.problems = pl.concat([compared.problems, _strangers(strangers)])
    versions = {one.key: one.version for one in chunk.arrivals}
    compared.refused = [
        Told(key, versions[key], REJECTED, problem["code"], "", text, node.code, node.name)
        for key, problem, text in first_words(compared.problems, exchange.catalog, by="@row")
    ]
    found.rows += len(chunk.arrivals)
    found.quarantined_by.update(first_reasons(compared.problems))
    noticed = compared.problems.filter(pl.col("weight") == "notice")["code"].value_counts()
    found.noticed_by.update(dict(noticed.iter_rows()))
    return compared


def _rows(mapped: Mapped, exchange: Exchange) -> Mapping[str, _Row]:
    frame = mapped.records
    contents, digests = encode(frame, exchange.catalog)
    days = frame[exchange.catalog.deadline.field].to_list()
    found = zip(frame["@row"], frame["@unit"], days, contents, digests, strict=True)
    return {key: _Row(digest, content, unit, day) for key, unit, day, content, digest in found}


def _strangers(found: Sequence[tuple[str, str]]) -> pl.DataFrame:
    rows = [(key, key, "", "", OTHER_OWNER, "reject", "", owner) for key, owner in found]
    return pl.DataFrame(rows, schema=PROBLEMS, orient="row")
