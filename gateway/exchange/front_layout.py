"""A receiver's table in a front-end database (前置库), and what of it stands in the live catalogue.

Names come from a format that people edit: none of them gets into a statement before it was found in the live catalogue, and every one is
quoted there as the catalogue writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from gateway.errors import ExchangeError

__all__ = ["CONTROL", "FEEDBACK", "Layout", "Live", "TableNames", "look_up"]

CONTROL: Final = ("batch", "sequence", "key", "version", "op", "status", "code", "message", "time")
"""What the control columns of a row tell."""
FEEDBACK: Final = ("batch", "key", "status", "code", "message")
"""What the columns of a feedback table tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """A table, and the names of those of its columns that both sides tell each other by."""

    table: str
    schema: str | None
    named: Mapping[str, str]

    @property
    def shown(self) -> str:
        """The table as people write it."""
        return f"{self.schema}.{self.table}" if self.schema else self.table


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One table of a format: ``rows`` are its control columns, ``columns`` those of the data in order. ``feedback`` is the receiver's own table
    of outcomes, None where it writes them into the rows."""

    format_id: str
    format_version: str
    catalog: str
    rows: TableNames
    columns: tuple[str, ...]
    feedback: TableNames | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A layout as it stands in the database. ``named`` leads from what a column tells, ``data`` from a format's column, to the live column."""

    rows: sa.Table
    named: Mapping[str, sa.Column[object]]
    data: Mapping[str, sa.Column[object]]
    feedback: sa.Table | None = None
    feedback_named: Mapping[str, sa.Column[object]] = field(default_factory=dict)


def look_up(inspector: sa.Inspector, layout: Layout) -> Live:
    """The layout in the live catalogue. Capitals do not count where the name is plain without them.

    Raises ExchangeError: ``front-table-missing``, ``front-column-missing`` (naming all that are), ``front-name-ambiguous``,
    ``front-not-transactional`` (a storage engine that keeps half a batch), ``front-without-unique``
    (batch and key must be unique together, so that writing twice leaves one copy).
    """
    names = layout.rows
    table, live = _table(inspector, names, (*names.named.values(), *layout.columns))
    engine = _engine(inspector, str(table.name), table.schema)
    if engine not in {"", "INNODB"}:
        raise ExchangeError("front-not-transactional", table=names.shown, engine=engine)
    keys = frozenset(str(live[names.named[what]].name) for what in ("batch", "key"))
    if keys not in _unique(inspector, str(table.name), table.schema):
        raise ExchangeError("front-without-unique", table=names.shown, columns=", ".join(sorted(keys)))
    feedback, told = None, {}
    if layout.feedback is not None:
        feedback, columns = _table(inspector, layout.feedback, tuple(layout.feedback.named.values()))
        told = {what: columns[name] for what, name in layout.feedback.named.items()}
    return Live(
        rows=table,
        named={what: live[name] for what, name in names.named.items()},
        data={name: live[name] for name in layout.columns},
        feedback=feedback,
        feedback_named=told,
    )


def _table(
    inspector: sa.Inspector, names: TableNames, columns: Sequence[str]
) -> tuple[sa.Table, dict[str, sa.Column[object]]]:
    """The table with those of its columns that are used, by the names of the format."""
    schema = names.schema
    if schema is not None:
        schema = _found(schema, inspector.get_schema_names())
        if schema is None:
            raise ExchangeError("front-table-missing", table=names.shown)
    table = _found(names.table, inspector.get_table_names(schema))
    if table is None:
        raise ExchangeError("front-table-missing", table=names.shown)
    live = [str(column["name"]) for column in inspector.get_columns(table, schema)]
    found = {name: _found(name, live) for name in columns}
    missing = [name for name, column in found.items() if column is None]
    if missing:
        raise ExchangeError("front-column-missing", table=names.shown, columns=", ".join(missing))
    made = {
        name: sa.Column[object](quoted_name(column, quote=True)) for name, column in found.items() if column is not None
    }
    quoted_schema = None if schema is None else quoted_name(schema, quote=True)
    return sa.Table(quoted_name(table, quote=True), sa.MetaData(), *made.values(), schema=quoted_schema), made


def _found(name: str, live: Sequence[str]) -> str | None:
    """The name as the catalogue writes it. Raises ExchangeError ``front-name-ambiguous``."""
    if name in live:
        return name
    close = [one for one in live if one.casefold() == name.casefold()]
    if len(close) > 1:
        raise ExchangeError("front-name-ambiguous", name=name, found=", ".join(close))
    return close[0] if close else None


def _unique(inspector: sa.Inspector, table: str, schema: str | None) -> set[frozenset[str]]:
    """The sets of columns that are unique together."""
    found = {frozenset(one["column_names"]) for one in inspector.get_unique_constraints(table, schema)}
    found.add(frozenset(inspector.get_pk_constraint(table, schema)["constrained_columns"]))
    for index in inspector.get_indexes(table, schema):
        if index["unique"] and not (index.get("dialect_options") or {}).get("postgresql_where"):
            found.add(frozenset(name for name in index["column_names"] if name is not None))
    return found


def _engine(inspector: sa.Inspector, table: str, schema: str | None) -> str:
    """The storage engine of a table of MySQL or MariaDB, in capitals; "" elsewhere."""
    backend = inspector.dialect.name
    if backend not in {"mysql", "mariadb"}:
        return ""
    return str(inspector.get_table_options(table, schema).get(f"{backend}_engine", "")).upper()
