"""Packages past their time, whose bytes may go, and what keeps them all the same.

A package is past its time when its batch ended long enough ago and the entry that says so lies under a signed checkpoint: it was
reconciled, received, or given up and the void batch in its place is settled. One in dispute ends only at a person's word. Digests, receipts and
entries stay for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from gateway.errors import StoreError
from gateway.store.states import OPEN, State
from gateway.store.tables import batch, entry, inbox_batch, legal_hold, package

__all__ = [
    "Hold",
    "HoldScope",
    "Payload",
    "Side",
    "add_hold",
    "erase",
    "holds",
    "past_due",
    "payload_bytes",
    "release_hold",
]


class Side(StrEnum):
    """Whose package it is."""

    SENT = "sent"
    RECEIVED = "received"


class HoldScope(StrEnum):
    """What a legal hold keeps: one batch, or every batch that speaks of a subject."""

    BATCH = "batch"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A package past its time; ``entered`` is the index of the entry that tells of its batch, ``size`` its bytes."""

    side: Side
    batch_id: str
    package_sha256: str
    settled_at: str
    entered: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A person's order to keep something beyond its time. ``name`` is a batch's id or an identifier as records write it."""

    id: int
    scope: HoldScope
    name: str
    at: str
    person: str
    reason: str


def past_due(conn: Connection, *, before: str, signed: int, disputed: bool = False) -> list[Payload]:
    """What ended before ``before`` and is entered below the size ``signed``, oldest first; what is in dispute only if ``disputed``."""
    ends = {State.RECONCILED: "batch.reconciled", State.ABANDONED: "batch.abandoned"}
    if disputed:
        ends[State.DISPUTED] = "batch.disputed"
    sent = [_sent(state, kind, before, signed) for state, kind in ends.items()]
    received_entry = _entered(inbox_batch.c.id, "batch.received")
    received = select(
        literal(Side.RECEIVED.value).label("side"),
        inbox_batch.c.id.label("batch_id"),
        inbox_batch.c.package_sha256,
        inbox_batch.c.received_at.label("settled_at"),
        received_entry.label("entered"),
        func.length(inbox_batch.c.package).label("size"),
    ).where(inbox_batch.c.received_at < before, func.length(inbox_batch.c.package) > 0, received_entry < signed)
    found = [_payload(row) for query in (*sent, received) for row in conn.execute(query)]
    return sorted(found, key=lambda one: (one.settled_at, one.batch_id))


def _sent(state: State, kind: str, before: str, signed: int) -> Select[Any]:
    """Our own packages that ended in ``state``, under an entry of ``kind``."""
    entered = _entered(batch.c.id, kind)
    void = batch.alias()
    unsettled = exists().where(void.c.void_of == batch.c.id, void.c.state.in_([one.value for one in OPEN]))
    return (
        select(
            literal(Side.SENT.value).label("side"),
            batch.c.id.label("batch_id"),
            batch.c.package_sha256,
            batch.c.closed_at.label("settled_at"),
            entered.label("entered"),
            func.length(package.c.data).label("size"),
        )
        .join(package, package.c.batch_id == batch.c.id)
        .where(batch.c.state == state.value, batch.c.closed_at < before, entered < signed, ~unsettled)
    )


def _entered(batch_id: ColumnElement[str], kind: str) -> ScalarSelect[Any]:
    """The index of the newest entry of this kind about a batch; NULL where there is none, which is below no size."""
    query = select(func.max(entry.c.idx)).where(entry.c.batch_id == batch_id, entry.c.kind == kind)
    return query.scalar_subquery()


def payload_bytes(conn: Connection, payload: Payload) -> bytes:
    """The package's bytes, nothing once they are erased."""
    if payload.side is Side.SENT:
        data = conn.scalar(select(package.c.data).where(package.c.batch_id == payload.batch_id))
    else:
        data = conn.scalar(select(inbox_batch.c.package).where(inbox_batch.c.id == payload.batch_id))
    return bytes(data or b"")


def erase(conn: Connection, payload: Payload) -> None:
    """Take the bytes away; everything else about the batch stays. Raises StoreError ``package-erased`` when they were gone already."""
    if conn.dialect.name == "sqlite":
        # What is freed is overwritten with zeros: else the bytes would lie in the file until something else takes their place.
        conn.exec_driver_sql("PRAGMA secure_delete = ON")
    if payload.side is Side.SENT:
        gone = conn.execute(delete(package).where(package.c.batch_id == payload.batch_id))
    else:
        gone = conn.execute(
            update(inbox_batch)
            .where(inbox_batch.c.id == payload.batch_id, func.length(inbox_batch.c.package) > 0)
            .values(package=b"")
        )
    if gone.rowcount != 1:
        raise StoreError("package-erased", batch=payload.batch_id)


def add_hold(conn: Connection, scope: HoldScope, name: str, *, person: str, reason: str, at: str) -> int:
    """Keep something until :func:`release_hold`; the hold's number. Raises StoreError ``hold-exists``."""
    known = select(legal_hold.c.id).where(
        legal_hold.c.scope == scope.value, legal_hold.c.name == name, legal_hold.c.released_at.is_(None)
    )
    if (number := conn.scalar(known)) is not None:
        raise StoreError("hold-exists", hold=number)
    made = conn.execute(insert(legal_hold).values(scope=scope.value, name=name, at=at, person=person, reason=reason))
    key: Any = made.inserted_primary_key
    return int(key[0])


def release_hold(conn: Connection, number: int, *, at: str) -> Hold:
    """Let go; the hold as it was. Raises StoreError ``hold-missing``."""
    row = conn.execute(
        select(legal_hold).where(legal_hold.c.id == number, legal_hold.c.released_at.is_(None))
    ).one_or_none()
    if row is None:
        raise StoreError("hold-missing", hold=number)
    conn.execute(update(legal_hold).where(legal_hold.c.id == number).values(released_at=at))
    return _hold(row)


def holds(conn: Connection) -> list[Hold]:
    """The holds that last, oldest first."""
    query = select(legal_hold).where(legal_hold.c.released_at.is_(None)).order_by(legal_hold.c.id)
    return [_hold(row) for row in conn.execute(query)]


def _payload(row: Row[Any]) -> Payload:
    return Payload(**(dict(row._mapping) | {"side": Side(row.side)}))


def _hold(row: Row[Any]) -> Hold:
    return Hold(id=row.id, scope=HoldScope(row.scope), name=row.name, at=row.at, person=row.person, reason=row.reason)
