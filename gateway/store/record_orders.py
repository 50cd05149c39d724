"""Records that were taken back by order, or by the rule of their publication period: they stay back whatever their source says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from gateway.store.bulk import count_in, execute_many, select_in
from gateway.store.publication_tables import record_order
from gateway.store.tables import record

__all__ = ["Known", "Ordered", "begin", "lift", "list_all", "named", "ordered", "unsent"]


class Ordered(NamedTuple):
    """An order that holds. ``person`` is None where a rule took the record back; ``basis`` is the law or the decision that it rests on."""

    record_id: int
    code: str
    basis: str
    person: str | None
    reason: str
    at: str


class Known(NamedTuple):
    """A record that an order names. ``order`` is the code of the order under which it is held back, None while it is shared."""

    id: int
    source: str
    key: str
    op: str
    version: int
    order: str | None


def named(conn: Connection, catalog: str, keys: Sequence[str]) -> list[Known]:
    """The records of a catalog under these keys, whatever source they came from."""
    rows = select_in(
        conn,
        "SELECT r.id, r.source, r.key, r.op, r.version, o.code FROM record r "
        "LEFT JOIN record_order o ON o.record_id = r.id WHERE r.catalog = ? AND r.key IN (*)",
        (catalog,),
        keys,
    )
    return sorted((Known._make(row) for row in rows), key=lambda one: one.id)


def begin(conn: Connection, rows: Sequence[Ordered], *, op: str) -> None:
    """Take records back (``withdraw`` or ``stop-share``) under the next version and hold them back from now on."""
    ids = [row.record_id for row in rows]
    count_in(conn, "DELETE FROM record_order WHERE record_id IN (*)", (), ids)
    execute_many(
        conn,
        "INSERT INTO record_order (record_id, code, basis, person, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
        [tuple(row) for row in rows],
    )
    execute_many(
        conn,
        "UPDATE record SET version = version + 1, op = ?, reason = ?, changed_at = ? WHERE id = ?",
        [(op, row.code, row.at, row.record_id) for row in rows],
    )


def lift(conn: Connection, ids: Sequence[int], *, at: str) -> int:
    """Share records again that were held back, with the content that they have by now; returns how many."""
    count_in(conn, "DELETE FROM record_order WHERE record_id IN (*)", (), ids)
    return count_in(
        conn,
        "UPDATE record SET version = version + 1, op = 'upsert', reason = NULL, changed_at = ? "
        "WHERE op <> 'upsert' AND id IN (*)",
        (at,),
        ids,
    )


def ordered(conn: Connection, ids: Sequence[int]) -> Mapping[int, Ordered]:
    """The orders that hold about these records."""
    rows = select_in(
        conn,
        "SELECT record_id, code, basis, person, reason, at FROM record_order WHERE record_id IN (*)",
        (),
        ids,
    )
    return {row[0]: Ordered._make(row) for row in rows}


def list_all(conn: Connection, catalog: str | None = None) -> Iterator[tuple[Known, Ordered]]:
    """Every record held back by a person, newest first."""
    columns = (record.c.id, record.c.source, record.c.key, record.c.op, record.c.version, record_order.c.code)
    query = select(*columns, *record_order.c).join(record).where(record_order.c.person.is_not(None))
    if catalog is not None:
        query = query.where(record.c.catalog == catalog)
    for row in conn.execute(query.order_by(record_order.c.at.desc(), record.c.id)):
        yield Known._make(row[:6]), Ordered._make(row[6:])


def unsent(conn: Connection, exchange: str, ids: Sequence[int]) -> list[int]:
    """Those of these records that the exchange has to send."""
    rows = select_in(
        conn,
        "SELECT r.id FROM record r LEFT JOIN share s ON s.exchange = ? AND s.record_id = r.id "
        "WHERE (r.version > s.version OR (s.version IS NULL AND r.op = 'upsert')) AND r.id IN (*)",
        (exchange,),
        ids,
    )
    return sorted(number for (number,) in rows)
