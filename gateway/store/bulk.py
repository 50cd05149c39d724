"""Statements over thousands of rows, handed to the driver as they are.

SQLAlchemy's own way builds a dict and a parameter set for each row; on the hot paths of a run that costs more than the database
does. Statements here are written with ``?`` and hold no other question mark and no per cent sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

__all__ = ["count_in", "execute_many", "select_in", "stream"]

# One statement text for every full chunk, so that the driver's cache of prepared statements holds it.
_CHUNK = 500
_STREAMED = 2_000

Values = Sequence[Any]


def _native(conn: Connection, statement: str) -> str:
    return statement if conn.dialect.paramstyle == "qmark" else statement.replace("?", "%s")


def execute_many(conn: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run ``statement`` once for every row; returns the number of rows that it touched."""
    return conn.exec_driver_sql(_native(conn, statement), list(rows)).rowcount if rows else 0


def _in_chunks(
    conn: Connection, statement: str, before: Values, values: Values
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        yield _native(conn, statement.replace("IN (*)", f"IN ({marks})")), (*before, *chunk)


def select_in(conn: Connection, statement: str, before: Values, values: Values) -> Iterator[Any]:
    """The rows of a query that ends in ``… IN (*)``, for ``values`` cut into chunks; ``before`` binds the marks in front of it."""
    for text, bound in _in_chunks(conn, statement, before, values):
        yield from conn.exec_driver_sql(text, bound).all()


def count_in(conn: Connection, statement: str, before: Values, values: Values) -> int:
    """Run an UPDATE or DELETE that ends in ``… IN (*)`` in the same way; returns the number of rows that it touched."""
    return sum(
        conn.exec_driver_sql(text, bound).rowcount for text, bound in _in_chunks(conn, statement, before, values)
    )


def stream(conn: Connection, statement: str, bound: Values, listed: Values = ()) -> Iterator[Any]:
    """The rows of a query, never all of them in memory at once; ``listed`` binds its last mark, an ``IN (*)``."""
    marks = ",".join("?" * len(listed))
    result = conn.exec_driver_sql(
        _native(conn, statement.replace("IN (*)", f"IN ({marks})")),
        (*bound, *listed),
        execution_options={"yield_per": _STREAMED},
    )
    for part in result.partitions():
        yield from part
