"""When the publication of a record began and when it ends: written once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from gateway.store.bulk import execute_many, select_in, stream

__all__ = ["Published", "fix", "of", "over", "without"]


class Published(NamedTuple):
    """Days are ``YYYY-MM-DD``; ``until`` is the last one, None without end."""

    record_id: int
    since: str
    until: str | None
    regime: str
    gravity: str


def without(conn: Connection, catalog: str, source: str) -> Iterator[tuple[int, str]]:
    """The shared records (id, content) whose period is not fixed. Read it to the end before writing."""
    yield from stream(
        conn,
        "SELECT r.id, c.content FROM record r JOIN record_content c ON c.record_id = r.id "
        "WHERE r.catalog = ? AND r.source = ? AND r.op = 'upsert' "
        "AND NOT EXISTS (SELECT 1 FROM publicity p WHERE p.record_id = r.id)",
        (catalog, source),
    )


def fix(conn: Connection, rows: Sequence[Published]) -> int:
    """Write periods; one that is fixed already stays as it is. Returns how many it wrote."""
    return execute_many(
        conn,
        "INSERT INTO publicity (record_id, since, until, regime, gravity) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (record_id) DO NOTHING",
        [tuple(row) for row in rows],
    )


def over(conn: Connection, catalog: str, source: str, today: str) -> Iterator[int]:
    """The ids of the shared records whose last day lies before ``today``."""
    for (number,) in stream(
        conn,
        "SELECT r.id FROM publicity p JOIN record r ON r.id = p.record_id "
        "WHERE p.until < ? AND r.catalog = ? AND r.source = ? AND r.op = 'upsert'",
        (today, catalog, source),
    ):
        yield number


def of(conn: Connection, ids: Sequence[int]) -> Mapping[int, Published]:
    """The periods of these records, as far as they are fixed."""
    rows = select_in(
        conn, "SELECT record_id, since, until, regime, gravity FROM publicity WHERE record_id IN (*)", (), ids
    )
    return {row[0]: Published._make(row) for row in rows}
