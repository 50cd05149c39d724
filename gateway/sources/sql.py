"""A source that is one SELECT on a database: read as a whole, or from a cursor column's position.

A reading with a cursor asks for ``cursor >= position - overlap``: rows that tie with the position are read again, and so are rows
that were stamped within the overlap but committed after the last reading. Who keeps the records tells the known ones by their key and
content. A row stamped earlier than the overlap reaches back is found by the next complete reading only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa

from gateway.clock import Clock, SystemClock
from gateway.errors import SourceError
from gateway.sources.engines import Session, parse_url, session, translated
from gateway.sources.port import ROW, ROWS_PER_CHUNK, Chunk, Damage, Reading
from gateway.sources.position import Kind, Overlap, Position
from gateway.sources.statement import for_text_clause, single_select
from gateway.sources.values import Unreadable, as_series, as_text

__all__ = ["SqlSource"]

BIND_TYPES: dict[Kind, sa.types.TypeEngine[Any]] = {
    Kind.INTEGER: sa.BigInteger(),
    Kind.DECIMAL: sa.Numeric(),
    Kind.REAL: sa.Double(),
    Kind.DATE: sa.Date(),
    Kind.TIMESTAMP: sa.DateTime(),
    Kind.INSTANT: sa.DateTime(timezone=True),
    Kind.TEXT: sa.String(),
}
NO_CURSOR = Unreadable(value_class="empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlSource:
    """One SELECT, read-only, in one consistent snapshot, streamed.

    - ``url`` as SQLAlchemy writes it; it may hold a password and is shown nowhere.
    - ``zone``: what local times in the database mean, and what instants are told in.
    - ``cursor``: a column of the query that grows with every change of a row; None reads everything each time.
    - ``overlap``: a span of time for cursors that are times, a whole number for numbers.
    - ``null_cursor``: rows without a cursor value are read each time (``include``) or refused, each with a problem (``refuse``).
    - ``limit``: how long one statement may take (see :mod:`gateway.sources.engines` for what that means to each engine).
    """

    name: str
    url: str = field(repr=False)
    query: str
    zone: ZoneInfo
    cursor: str | None = None
    overlap: Overlap = timedelta(0)
    null_cursor: Literal["include", "refuse"] = "include"
    limit: timedelta | None = None
    clock: Clock = field(default_factory=SystemClock)

    def columns(self) -> tuple[str, ...]:
        """The query's columns. Raises SourceError, SourceUnavailableError."""
        url, query = self._checked()
        with (
            session(url, source=self.name, zone=self.zone, limit=self.limit, clock=self.clock) as opened,
            translated("prepare", url, source=self.name, limit=self.limit),
        ):
            return self._live_columns(opened, query)

    def probe(self) -> None:
        """Connect, and have the engine read the query and find the cursor column. Raises SourceError, SourceUnavailableError."""
        self._cursor_among(self.columns())

    def read(self, position: str | None, *, size: int = ROWS_PER_CHUNK) -> Reading:
        """Read from ``position``, or everything when it is None or the source has no cursor.

        Raises SourceError ``position-unreadable``; while the chunks are taken also ``query-…``, ``cursor-…`` and
        SourceUnavailableError ``source-unreachable``, ``source-too-slow``.
        """
        start = Position.parse(position, source=self.name) if position is not None and self.cursor else None
        return Reading(complete=start is None, chunks=self._chunks(start, size))

    def _checked(self) -> tuple[sa.URL, str]:
        url = parse_url(self.url, source=self.name)
        backslashes = url.get_backend_name() in {"mysql", "mariadb"}
        return url, single_select(self.query, source=self.name, backslashes=backslashes)

    def _live_columns(self, opened: Session, query: str) -> tuple[str, ...]:
        everything: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(_derived(query, ()))
        names = opened.names(everything.where(sa.false()))
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)
        if repeated:
            raise SourceError("query-columns-repeated", source=self.name, columns="、".join(repeated))
        if ROW in names:
            raise SourceError("query-column-reserved", source=self.name, column=ROW)
        return names

    def _cursor_among(self, columns: Sequence[str]) -> str | None:
        """The cursor as the query spells it: a name that differs in case alone is meant, since engines fold unquoted names."""
        if self.cursor is None or self.cursor in columns:
            return self.cursor
        alike = [column for column in columns if column.casefold() == self.cursor.casefold()]
        if len(alike) != 1:
            facts = {"source": self.name, "cursor": self.cursor, "columns": "、".join(columns)}
            raise SourceError("cursor-column-unknown", **facts)
        return alike[0]

    def _chunks(self, start: Position | None, size: int) -> Generator[Chunk, None, None]:
        url, query = self._checked()
        with session(url, source=self.name, zone=self.zone, limit=self.limit, clock=self.clock) as opened:
            with translated("prepare", url, source=self.name, limit=self.limit):
                columns = self._live_columns(opened, query)
                cursor = self._cursor_among(columns)
                table = _derived(query, columns)
                if start is not None and cursor is not None:
                    self._check_kind(opened, table.c[cursor], start)
            statement = self._statement(table, cursor, start, typed=not opened.types_its_cells)
            track = _Track(source=self, columns=columns, cursor=cursor, position=start)
            with translated("read", url, source=self.name, limit=self.limit):
                for rows in opened.rows(statement, size):
                    yield track.chunk(rows)
                track.finish()

    def _check_kind(self, opened: Session, cursor: sa.ColumnElement[Any], start: Position) -> None:
        """A column that changed its type since the position was written would be compared by rules nobody meant."""
        if opened.types_its_cells:
            return
        for rows in opened.rows(sa.select(cursor).where(cursor.is_not(None)).limit(1), 1):
            now = Position.of(rows[0][0])
            if now is not None and now.kind.family != start.kind.family:
                facts = {"cursor": self.cursor, "before": start.kind.value, "now": now.kind.value}
                raise SourceError("cursor-type-changed", source=self.name, **facts)

    def _statement(
        self, table: sa.Subquery, name: str | None, start: Position | None, *, typed: bool
    ) -> sa.Select[Any]:
        statement = sa.select(*table.c)
        if name is None:
            return statement
        cursor = table.c[name]
        statement = statement.order_by(cursor)
        if start is None:
            return statement
        floor = start.floor(self.overlap, self.zone, source=self.name, cursor=name)
        wanted = [cursor >= sa.literal(floor, BIND_TYPES[start.kind]), cursor.is_(None)]
        if not typed:
            # SQLite sorts every number before every text: cells of another type than the position's are read each time.
            kinds = ["integer", "real"] if start.kind.family == "number" else ["text"]
            wanted.append(sa.func.typeof(cursor).not_in(kinds))
        return statement.where(sa.or_(*wanted))


def _derived(query: str, columns: Sequence[str]) -> sa.Subquery:
    """The operator's query as a table ``q`` whose columns are quoted, whatever they are called."""
    named: Iterator[sa.ColumnClause[Any]] = (sa.column(sa.sql.quoted_name(column, quote=True)) for column in columns)
    return sa.text(for_text_clause(query)).columns(*named).subquery("q")


class _Track:
    """What one reading remembers from chunk to chunk: how many rows it has seen and how far the cursor has come."""

    def __init__(
        self, *, source: SqlSource, columns: Sequence[str], cursor: str | None, position: Position | None
    ) -> None:
        self._source = source
        self._columns = columns
        self._cursor = None if cursor is None else columns.index(cursor)
        self._position = position
        self._seen = 0
        self._refused: str | None = None
        self._now = source.clock.now()

    def chunk(self, rows: Sequence[tuple[Any, ...]]) -> Chunk:
        """The rows as a frame, those apart that cannot be read."""
        columns = list(zip(*rows, strict=True))
        series: list[pl.Series] = []
        damages: list[Damage] = []
        for name, values in zip(self._columns, columns, strict=True):
            one, unreadable = as_series(name, values, self._source.zone)
            series.append(one)
            damages += [_damage(place, "column-unreadable", name, what) for place, what in unreadable.items()]
        if self._cursor is not None:
            name, values = self._columns[self._cursor], columns[self._cursor]
            if self._source.null_cursor == "refuse":
                empty = (place for place, value in enumerate(values) if value is None)
                damages += [_damage(place, "required-missing", name, NO_CURSOR) for place in empty]
            self._advance(values)
        labels = pl.int_range(self._seen + 1, self._seen + 1 + len(rows), eager=True)
        series.append(("行 " + labels.cast(pl.String)).alias(ROW))
        self._seen += len(rows)
        position = None if self._position is None else self._position.text()
        return Chunk.of(pl.DataFrame(series), damages, position=position)

    def finish(self) -> None:
        """Raises SourceError when the reading ends without a position though there were cursor values: none could be used."""
        if self._position is None and self._refused is not None:
            facts = {"source": self._source.name, "cursor": self._source.cursor, "kind": self._refused}
            raise SourceError("cursor-overlap-unusable", **facts)

    def _advance(self, values: Sequence[object]) -> None:
        """Move to the largest cursor value of the chunk: its last one, since the engine has sorted them by its own rules."""
        source = self._source
        for value in reversed(values):
            found = self._usable(value)
            if found is not None:
                # An overlap of another kind than the cursor is told now, and not first by the reading that needs it.
                found.floor(source.overlap, source.zone, source=source.name, cursor=str(source.cursor))
                found = found.capped(self._now, source.zone)
                self._position = found if self._position is None else self._position.later(found)
                return

    def _usable(self, value: object) -> Position | None:
        """The value as a position; None when it is empty, unreadable, of another family than the position or a text that tells no time
        where a span of time is to be taken from it: such a row sorts anywhere and must not move the position."""
        if isinstance(value, bytes):
            value = as_text(value, self._source.zone)
        if value is None or isinstance(value, Unreadable):
            return None
        found = Position.of(value)
        if found is None and not isinstance(value, float | Decimal):
            facts = {"source": self._source.name, "cursor": self._source.cursor, "kind": type(value).__name__}
            raise SourceError("cursor-type-unusable", **facts)
        if found is None or (self._position is not None and found.kind.family != self._position.kind.family):
            return None
        if found.kind is Kind.TEXT and self._source.overlap and not found.is_time():
            self._refused = found.kind.value
            return None
        return found


def _damage(place: int, code: str, column: str, what: Unreadable) -> Damage:
    return Damage(place=place, code=code, column=column, value_class=what.value_class)
