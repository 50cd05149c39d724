"""What peers sent, as it is passed on: read batch by batch behind a position, and remembered with the record that was made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from gateway.store.bulk import execute_many, select_in, stream

__all__ = ["Arrival", "Origin", "any_origin", "arrivals", "origins", "owners_words", "remember"]


class Arrival(NamedTuple):
    """A record as a peer's batch number ``sequence`` left it. ``content`` is canonical JSON, None when it is taken back for ``reason``."""

    sequence: int
    key: str
    version: int
    op: str
    content: str | None
    reason: str | None


class Origin(NamedTuple):
    """Where a record of ours came from: the route, and version and operation as they were taken last."""

    record_id: int
    route: str
    version: int
    op: str


def arrivals(conn: Connection, route: str, *, after: tuple[int, str], limit: int) -> list[Arrival]:
    """Up to ``limit`` records of a route behind ``after`` (sequence number, key), in the order in which they came.

    A record that a later batch has changed again stands at that batch alone.
    """
    sequence, key = after
    rows = stream(
        conn,
        "SELECT b.sequence, r.key, r.version, r.op, r.content, r.reason FROM inbox_batch b JOIN inbox_record r ON r.batch_id = b.id "
        "WHERE b.route = ? AND b.sequence >= ? AND (b.sequence > ? OR r.key > ?) ORDER BY b.sequence, r.key LIMIT ?",
        (route, sequence, sequence, key, limit),
    )
    return [Arrival._make(row) for row in rows]


def origins(conn: Connection, ids: Sequence[int]) -> Mapping[int, Origin]:
    """Where the records with these ids came from; those of our own are left out."""
    rows = select_in(conn, "SELECT record_id, route, version, op FROM origin WHERE record_id IN (*)", (), ids)
    return {row[0]: Origin._make(row) for row in rows}


def owners_words(conn: Connection, ids: Sequence[int]) -> Mapping[int, str]:
    """What owners said when they took back the records with these ids; those that they said nothing of are left out."""
    rows = select_in(
        conn,
        "SELECT o.record_id, i.basis FROM origin o JOIN record r ON r.id = o.record_id JOIN inbox_record i ON i.route = o.route "
        "AND i.key = r.key WHERE i.basis IS NOT NULL AND o.record_id IN (*)",
        (),
        ids,
    )
    return dict(rows)


def remember(conn: Connection, rows: Sequence[Origin]) -> None:
    """Note where records came from, in the transaction that takes them."""
    execute_many(
        conn,
        "INSERT INTO origin (record_id, route, version, op) VALUES (?, ?, ?, ?) ON CONFLICT (record_id) DO UPDATE SET "
        "route = excluded.route, version = excluded.version, op = excluded.op",
        rows,
    )


def any_origin(conn: Connection) -> bool:
    """Whether this node passes on anything at all."""
    return any(True for _ in stream(conn, "SELECT 1 FROM (SELECT record_id FROM origin LIMIT 1) AS one", ()))
