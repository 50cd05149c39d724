"""What is said further up of records that came from below: kept for the senders to ask for, and taken from the receivers that we sent to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select

from gateway.store.bulk import execute_many, select_in
from gateway.store.tables import feedback, feedback_taken

__all__ = ["Sent", "Told", "add", "after", "keep", "last_taken", "last_told", "mark", "rejected_somewhere", "sent"]


class Told(NamedTuple):
    """An outcome for the sender of a route, in that route's key and version. ``level_…`` is the node that said it."""

    key: str
    version: int
    result: str
    code: str
    field: str
    message: str
    level_code: str
    level_name: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it went out on a route. ``outcome`` is None while its receipt is still to come."""

    exchange: str
    source: str
    record_id: int
    key: str
    version: int
    outcome: str | None
    run_id: str


def add(conn: Connection, route: str, rows: Sequence[Told], *, at: str) -> None:
    """Put outcomes behind those that the route has. Within the transaction that learnt of them."""
    if not rows:
        return
    last = conn.scalar(select(func.max(feedback.c.number)).where(feedback.c.route == route)) or 0
    execute_many(
        conn,
        "INSERT INTO feedback (route, number, key, version, result, code, field, message, level_code, level_name, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(route, number, *row, at) for number, row in enumerate(rows, start=last + 1)],
    )


def after(conn: Connection, route: str, number: int, *, limit: int) -> list[tuple[int, Told]]:
    """Up to ``limit`` outcomes of a route behind ``number``, with their numbers, in order."""
    columns = [feedback.c.number, *(feedback.c[name] for name in Told._fields)]
    query = select(*columns).where(feedback.c.route == route, feedback.c.number > number)
    return [(row[0], Told._make(row[1:])) for row in conn.execute(query.order_by(feedback.c.number).limit(limit))]


def last_told(conn: Connection, route: str, keys: Sequence[str]) -> Mapping[str, Told]:
    """What was said last of each key; keys never spoken of are left out."""
    query = f"SELECT number, {', '.join(Told._fields)} FROM feedback WHERE route = ? AND key IN (*)"  # noqa: S608 -- fixed names
    rows = sorted(select_in(conn, query, (route,), keys), key=lambda row: row[0])
    return {row[1]: Told._make(row[1:]) for row in rows}


def rejected_somewhere(conn: Connection, ids: Sequence[int]) -> set[tuple[int, int]]:
    """Which of these records, each with its version, stand rejected at any exchange of ours."""
    query = "SELECT record_id, version FROM share WHERE outcome = 'rejected' AND record_id IN (*)"
    return {(number, version) for number, version in select_in(conn, query, (), ids)}


def last_taken(conn: Connection, route: str) -> int:
    """The number of the last outcome that the receiver of a route has told us; 0 before the first."""
    return conn.scalar(select(func.max(feedback_taken.c.number)).where(feedback_taken.c.route == route)) or 0


def keep(conn: Connection, route: str, number: int, *, sha256: str, data: bytes, at: str) -> None:
    """Keep feedback as it was sealed; ``number`` is its last. The same twice ends the transaction with StoreError ``store-constraint``."""
    conn.execute(insert(feedback_taken).values(route=route, number=number, sha256=sha256, at=at, data=data))


def sent(conn: Connection, route: str, exchange: str, source: str, keys: Sequence[str]) -> list[Sent]:
    """The records of ``source`` under ``keys`` whose newest sealing for ``exchange`` went out on ``route``."""
    rows = select_in(
        conn,
        "SELECT r.id, r.key, s.version, s.outcome, b.run_id FROM record r JOIN share s ON s.exchange = ? AND s.record_id = r.id "
        "JOIN batch b ON b.id = s.batch_id WHERE b.route = ? AND r.catalog = ? AND r.source = ? AND r.key IN (*)",
        (exchange, route, route.split("/")[1], source),
        keys,
    )
    return [Sent(exchange, source, *row) for row in rows]


def mark(conn: Connection, rows: Sequence[tuple[Sent, Told]]) -> None:
    """Write what was said of records into their standing at the exchange. What the receiver itself has taken stays taken."""
    execute_many(
        conn,
        "UPDATE share SET outcome = ?, code = ?, field = ?, message = ? WHERE exchange = ? AND record_id = ? AND version = ?",
        [
            (told.result, told.code, told.field, told.message, one.exchange, one.record_id, one.version)
            for one, told in rows
        ],
    )
