"""What each exchange has shared of the records: sealed up to which version, taken by the receiver up to which, and with what outcome.

A row stands for every record that an exchange ever sealed, and stays when its batch is given up: the bytes may have left, so the
receiver may hold the record, so a withdrawal must follow. A record that was never sealed needs none.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from gateway.errors import StoreError
from gateway.store.bulk import count_in, execute_many, select_in, stream
from gateway.store.tables import batch, record, share

__all__ = [
    "ListedOutcome",
    "Share",
    "due",
    "due_changes",
    "due_withdrawals",
    "leave_undisturbed",
    "of_batch",
    "outcomes",
    "release",
    "seal",
    "send_again",
    "settle",
]


class ListedOutcome(NamedTuple):
    """An outcome that a receipt lists by key: every rejected record, others where the receiver has more to say.

    ``result`` is ``created``, ``updated``, ``unchanged``, ``withdrawn`` or ``rejected``.
    """

    key: str
    version: int
    result: str
    code: str
    field: str
    message: str


class Share(NamedTuple):
    """How a record stands at an exchange. ``outcome`` is None until the receipt of its batch is settled.

    ``accepted`` as an outcome: taken, and the receipt did not list it (so: created, updated, unchanged or withdrawn).
    """

    record_id: int
    key: str
    version: int
    outcome: str | None
    code: str | None
    field: str | None
    message: str | None


def due(conn: Connection, exchange: str, catalog: str, sources: Sequence[str]) -> array[int]:
    """The ids (signed 64-bit) of the records that this exchange has to send: earliest deadline first, those without one last.

    Due is a record whose version is above the one sealed. So a withdrawal is due when the record was ever sealed here, and is not
    when it never was; a rejected record stays sealed at its version and is due again when it changes.
    """
    if not sources:
        return array("q")
    rows = stream(
        conn,
        "SELECT r.id FROM record r LEFT JOIN share s ON s.exchange = ? AND s.record_id = r.id "
        "WHERE r.catalog = ? AND (r.version > s.version OR (s.version IS NULL AND r.op = 'upsert')) AND r.source IN (*) "
        "ORDER BY r.deadline IS NULL, r.deadline, r.id",
        (exchange, catalog),
        sources,
    )
    return array("q", (number for (number,) in rows))


def due_withdrawals(conn: Connection, exchange: str, catalog: str, source: str) -> int:
    """How many of the records that are due are to be taken back. One that the receiver has taken back already, and that a person has sent
    once more, is none; nor is one that a person ordered back, or a rule."""
    rows = stream(
        conn,
        "SELECT count(*) FROM record r JOIN share s ON s.exchange = ? AND s.record_id = r.id "
        "WHERE r.catalog = ? AND r.source = ? AND r.op <> 'upsert' AND r.version > s.version AND r.version > s.accepted "
        "AND NOT EXISTS (SELECT 1 FROM record_order o WHERE o.record_id = r.id)",
        (exchange, catalog, source),
    )
    # To the end: a statement that is left half read would keep its connection's snapshot after the transaction.
    return sum(count for (count,) in rows)


def due_changes(conn: Connection, exchange: str, catalog: str, source: str) -> int:
    """How many of the records that are due were shared before and have changed since."""
    rows = stream(
        conn,
        "SELECT count(*) FROM record r JOIN share s ON s.exchange = ? AND s.record_id = r.id "
        "WHERE r.catalog = ? AND r.source = ? AND r.op = 'upsert' AND s.version > 0 AND r.version > s.version",
        (exchange, catalog, source),
    )
    return sum(count for (count,) in rows)


def seal(conn: Connection, exchange: str, batch_id: str, rows: Sequence[tuple[int, int]]) -> None:
    """Note that the records (id, version) are in a batch that is stored already in the same transaction."""
    execute_many(
        conn,
        "INSERT INTO share (exchange, record_id, version, accepted, batch_id) VALUES (?, ?, ?, 0, ?) "
        "ON CONFLICT (exchange, record_id) DO UPDATE SET version = excluded.version, batch_id = excluded.batch_id, "
        "outcome = NULL, code = NULL, field = NULL, message = NULL",
        [(exchange, number, version, batch_id) for number, version in rows],
    )


def settle(conn: Connection, exchange: str, batch_id: str, listed: Sequence[ListedOutcome]) -> int:
    """Write the outcomes of a receipt: those listed as they are, every other record of the batch as ``accepted``.

    Returns how many records it marked. A record that has been sealed again in a later batch since is not among them: the receipt of
    that batch will speak for it. To settle twice changes nothing. Raises StoreError ``outcome-unmatched`` when an outcome names another
    version than the batch has.
    """
    ids = dict(
        select_in(
            conn,
            "SELECT key, record_id FROM share JOIN record ON id = record_id "
            "WHERE exchange = ? AND batch_id = ? AND outcome IS NULL AND key IN (*)",
            (exchange, batch_id),
            [outcome.key for outcome in listed],
        )
    )
    rows = [
        (one.result, one.code, one.field, one.message, one.result, exchange, ids[one.key], one.version)
        for one in listed
        if one.key in ids
    ]
    marked = execute_many(
        conn,
        "UPDATE share SET outcome = ?, code = ?, field = ?, message = ?, "
        "accepted = CASE WHEN ? = 'rejected' THEN accepted ELSE version END "
        "WHERE exchange = ? AND record_id = ? AND version = ?",
        rows,
    )
    if marked != len(rows):
        # Left alone, a rejection under a version that was never sent would count as accepted.
        raise StoreError("outcome-unmatched", batch=batch_id, listed=len(rows), matched=marked)
    rest = conn.execute(
        update(share)
        .where(share.c.batch_id == batch_id, share.c.exchange == exchange, share.c.outcome.is_(None))
        .values(outcome="accepted", accepted=share.c.version)
    )
    return marked + rest.rowcount


def release(conn: Connection, batch_id: str) -> int:
    """Take the records out of a batch that is given up: they stand at the version the receiver took last. Returns how many.

    Every one of them is due again, unless an operator had it sent a second time and the receiver holds that version already.
    """
    return conn.execute(
        update(share)
        .where(share.c.batch_id == batch_id)
        .values(version=share.c.accepted, batch_id=None, outcome=None, code=None, field=None, message=None)
    ).rowcount


def send_again(conn: Connection, exchange: str, ids: Sequence[int]) -> int:
    """Make records due whatever was sealed before, at an operator's order; returns how many. Records in a batch that is still
    under way stay with it."""
    return count_in(
        conn,
        "UPDATE share SET version = 0 WHERE exchange = ? AND (batch_id IS NULL OR outcome IS NOT NULL OR batch_id IN "
        "(SELECT id FROM batch WHERE state = 'disputed')) AND record_id IN (*)",
        (exchange,),
        ids,
    )


def leave_undisturbed(conn: Connection, exchange: str, rows: Sequence[tuple[int, int]]) -> int:
    """Before :func:`gateway.store.records.raise_versions` of ``rows``: what every other exchange has sent and settled at the version to be
    raised stays sent there. Returns how many that are."""
    others = conn.scalars(select(batch.c.exchange).where(batch.c.exchange != exchange).distinct()).all()
    return sum(
        execute_many(
            conn,
            "UPDATE share SET version = CASE WHEN version >= ? THEN version + 1 ELSE ? END WHERE exchange = ? AND record_id = ? "
            "AND outcome IS NOT NULL AND version = (SELECT version FROM record WHERE id = ?)",
            [(least, least, other, number, number) for number, least in rows],
        )
        for other in others
    )


def of_batch(conn: Connection, batch_id: str) -> Iterator[Share]:
    """The records whose newest sealing is this batch, by key."""
    columns = (
        share.c.record_id,
        record.c.key,
        share.c.version,
        share.c.outcome,
        share.c.code,
        share.c.field,
        share.c.message,
    )
    query = select(*columns).join(record).where(share.c.batch_id == batch_id).order_by(record.c.key)
    for row in conn.execute(query, execution_options={"yield_per": 1_000}):
        yield Share._make(row)


def outcomes(conn: Connection, exchange: str) -> Mapping[str, int]:
    """How many records of an exchange stand at each outcome; under way, or released and due again, is ``open``."""
    query = select(func.coalesce(share.c.outcome, "open"), func.count()).where(share.c.exchange == exchange)
    return dict(conn.execute(query.group_by(share.c.outcome)).tuples().all())
