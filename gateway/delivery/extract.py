"""Rows in, records stored: the first half of a run, up to commit A.

A chunk of rows is mapped and checked at column speed, compared with what is held under the same keys, and written in one transaction
together with its quarantine and the watermark. A crash between two chunks loses nothing: what was stored is found unchanged and still
due, the rest is read again from the watermark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import polars as pl

from gateway.catalog.calendar import WorkingDays
from gateway.clock import Clock, instant
from gateway.delivery.cases import cases_of, first_reasons
from gateway.delivery.exchange import Exchange, Progress
from gateway.delivery.idset import IdSet
from gateway.delivery.whole import whole_records
from gateway.mapping.canonical import encode
from gateway.mapping.problems import PROBLEMS
from gateway.memory import give_back
from gateway.sources.port import Chunk
from gateway.store import quarantine, records, runs
from gateway.store.database import Database
from gateway.store.quarantine import Stage

__all__ = ["Extracted", "deadlines", "extract", "take_back"]

VANISHED = "vanished-at-source"
_AT_ONCE = 10_000
_ROWS_AT_ONCE = 5_000  # a chunk of 30 columns with all its checks takes some 60 MB


@dataclass(slots=True)
class Extracted:
    """What reading brought. Counters are rows (records, where several rows make up one); the sets hold ids of records.

    ``good`` are the records that a good row stands for, ``present`` also those whose row is in quarantine now: a defective row is no
    reason to take its record back. ``repeated`` rows say again, word for word, what an earlier row of this run said.
    """

    complete: bool = False
    rows: int = 0
    repeated: int = 0
    new: int = 0
    changed: int = 0
    good: IdSet = field(default_factory=IdSet)
    present: IdSet = field(default_factory=IdSet)
    vanished: IdSet = field(default_factory=IdSet)
    quarantined_by: Counter[str] = field(default_factory=Counter)
    noticed_by: Counter[str] = field(default_factory=Counter)

    @property
    def quarantined(self) -> int:
        """Rows that failed a check, each counted once, under its first reason."""
        return self.quarantined_by.total()


def extract(
    database: Database,
    exchange: Exchange,
    run_id: str,
    *,
    working_days: WorkingDays,
    clock: Clock,
    progress: Progress,
    full: bool = False,
) -> Extracted:
    """Read the exchange's source and store what is new, changed or vanished. ``full`` reads everything, wherever the watermark stands.

    Raises SourceError, MappingError (the source has not the columns that its mapping names), StoreError.
    """
    with database.read() as conn:
        position = None if full else runs.position(conn, exchange.name, exchange.source.name)
    reading = exchange.source.read(position, size=_ROWS_AT_ONCE)
    taking = _Taking(database, exchange, run_id, working_days, clock)
    with closing(whole_records(reading.chunks, exchange.plan)) as chunks:
        for chunk in chunks:
            before = taking.found.rows
            taking.chunk(chunk)
            give_back()
            progress("read", taking.found.rows - before)
    if reading.complete:
        taking.missing()
    return taking.found


def take_back(database: Database, exchange: Exchange, run_id: str, found: Extracted, clock: Clock) -> None:
    """After a complete reading: what was not met is no longer at its source, and is taken back. Raises StoreError.

    Apart from the reading, so that a run that is held for taking back too much has taken nothing back.
    """
    if not found.complete:
        return
    gone = list(found.vanished)
    at = instant(clock.now())
    for start in range(0, len(gone), _AT_ONCE):
        with database.begin() as conn:
            records.take_back(
                conn, gone[start : start + _AT_ONCE], op="withdraw", reason=VANISHED, run_id=run_id, at=at
            )
    with database.begin() as conn:
        quarantine.close_missing(
            conn, exchange=exchange.name, source=exchange.source.name, stage=Stage.SOURCE, run_id=run_id, at=at
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """The good rows of a chunk, column by column."""

    locators: list[str]
    keys: list[str]
    units: list[str | None]
    deadlines: list[str | None]
    contents: list[str]
    digests: list[bytes]


@dataclass(slots=True)
class _Compared:
    """What the good rows of a chunk mean for the store."""

    new: list[records.NewRecord] = field(default_factory=list)
    changed: list[records.ChangedRecord] = field(default_factory=list)
    kept: list[records.ChangedRecord] = field(default_factory=list)  # of records that stay back
    duplicates: list[tuple[str, str]] = field(default_factory=list)  # locator and key


class _Taking:
    """One reading of a source into the store."""

    def __init__(
        self, database: Database, exchange: Exchange, run_id: str, working_days: WorkingDays, clock: Clock
    ) -> None:
        self._database = database
        self._exchange = exchange
        self._catalog = exchange.catalog
        self._source = exchange.source.name
        self._run_id = run_id
        self._clock = clock
        self._deadline = deadlines(working_days, exchange.catalog.deadline.working_days)
        self._fields = exchange.plan.fields_by_column()
        self.found = Extracted()

    def chunk(self, chunk: Chunk) -> None:
        """One chunk's commit A."""
        mapped = self._exchange.plan.map(chunk.frame)
        damaged = self._exchange.plan.map(chunk.damaged)
        rows = self._rows(mapped.records)
        unsound = [
            key for frame in (mapped.bad, damaged.bad, damaged.records) for key in frame["@key"] if key is not None
        ]
        with self._database.read() as conn:
            held = records.held(conn, self._catalog.id, self._source, [*rows.keys, *unsound])
        compared = self._compare(rows, held)
        problems = pl.concat([mapped.problems, self._named(chunk.problems), _duplicate_problems(compared.duplicates)])
        at = instant(self._clock.now())
        everything = (
            chunk.frame if chunk.damaged.is_empty() else pl.concat([chunk.frame, chunk.damaged], how="diagonal_relaxed")
        )
        cases = cases_of(problems, everything, _units(mapped.bad, mapped.records, damaged.bad, damaged.records))
        doubled = {key for _, key in compared.duplicates}
        sound = [key for key in rows.keys if key not in doubled]
        # Commit A: records, quarantine and watermark stand or fall together. A crash before it: the chunk is read again. After it: its
        # records are stored and due, and the next reading starts behind them.
        with self._database.begin() as conn:
            ids = records.add(
                conn, compared.new, catalog=self._catalog.id, source=self._source, run_id=self._run_id, at=at
            )
            records.change(conn, compared.changed, run_id=self._run_id, at=at)
            records.keep(conn, compared.kept)
            quarantine.note(
                conn,
                cases,
                exchange=self._exchange.name,
                source=self._source,
                stage=Stage.SOURCE,
                run_id=self._run_id,
                at=at,
            )
            quarantine.close_keys(
                conn, sound, exchange=self._exchange.name, source=self._source, stage=Stage.SOURCE, at=at
            )
            if chunk.position is not None:
                runs.advance(
                    conn,
                    exchange=self._exchange.name,
                    source=self._source,
                    position=chunk.position,
                    run_id=self._run_id,
                    at=at,
                )
        self._count(problems, mapped.records.height + mapped.bad.height + chunk.damaged.height)
        self.found.present.update(held[key].id for key in unsound if key in held)
        self.found.good.update(ids)
        self.found.present.update(ids)
        self.found.new += len(compared.new)
        self.found.changed += len(compared.changed)

    def missing(self) -> None:
        """After a complete reading: note what we hold and was not met."""
        self.found.complete = True
        with self._database.read() as conn:
            for number in records.present(conn, self._catalog.id, self._source):
                if number not in self.found.present:
                    self.found.vanished.add(number)

    def _rows(self, frame: pl.DataFrame) -> _Rows:
        contents, digests = encode(frame, self._catalog)
        return _Rows(
            locators=frame["@row"].to_list(),
            keys=frame["@key"].to_list(),
            units=frame["@unit"].to_list(),
            deadlines=[self._deadline(day) for day in frame[self._catalog.deadline.field]],
            contents=contents.to_list(),
            digests=digests,
        )

    def _compare(self, rows: _Rows, held: Mapping[str, records.Held]) -> _Compared:
        """Sort the good rows of a chunk into new, changed, unchanged, repeated, and contradicting an earlier row of the same key.

        Of two different rows under one key the first goes on; which is right only the unit can say.
        """
        compared = _Compared()
        fresh: dict[str, bytes] = {}
        for index, key in enumerate(rows.keys):
            digest, known = rows.digests[index], held.get(key)
            if known is None:
                if key not in fresh:
                    fresh[key] = digest
                    compared.new.append(
                        records.NewRecord(key, digest, rows.contents[index], rows.units[index], rows.deadlines[index])
                    )
                elif fresh[key] == digest:
                    self.found.repeated += 1
                else:
                    compared.duplicates.append((rows.locators[index], key))
            elif self.found.good.add(known.id):
                fresh[key] = digest
                self.found.present.add(known.id)
                if known.digest != digest or known.op != "upsert":
                    row = records.ChangedRecord(
                        known.id, digest, rows.contents[index], rows.units[index], rows.deadlines[index]
                    )
                    # A record that was taken back by order does not come back because its row is still there.
                    if not known.stays_back:
                        compared.changed.append(row)
                    elif known.digest != digest:
                        compared.kept.append(row)
            elif fresh.get(key, known.digest) == digest:
                self.found.repeated += 1
            else:
                compared.duplicates.append((rows.locators[index], key))
        return compared

    def _named(self, problems: pl.DataFrame) -> pl.DataFrame:
        """A source knows its columns, not the catalog: the field that a column is mapped to is told here."""
        named = pl.col("source").replace_strict(self._fields, default="", return_dtype=pl.String)
        return problems.with_columns(pl.when(pl.col("field") == "").then(named).otherwise("field").alias("field"))

    def _count(self, problems: pl.DataFrame, rows: int) -> None:
        self.found.rows += rows
        self.found.quarantined_by.update(first_reasons(problems))
        noticed = problems.filter(pl.col("weight") == "notice")["code"].value_counts()
        self.found.noticed_by.update(dict(noticed.iter_rows()))


def deadlines(working_days: WorkingDays, count: int) -> Callable[[date | None], str | None]:
    """The last day for sharing what was decided on a day, ``count`` working days later; none for what has no date."""

    @lru_cache(maxsize=4096)  # the decisions of a chunk share few dates
    def deadline(decided: date | None) -> str | None:
        return None if decided is None else working_days.add(decided, count).isoformat()

    return deadline


def _duplicate_problems(duplicates: list[tuple[str, str]]) -> pl.DataFrame:
    rows = [(row, key, "", "", "key-duplicate", "reject", "", "") for row, key in duplicates]
    return pl.DataFrame(rows, schema=PROBLEMS, orient="row")


def _units(*frames: pl.DataFrame) -> Mapping[str, str | None]:
    return {row: unit for frame in frames for row, unit in frame.select("@row", "@unit").iter_rows()}
