"""What came of sending: attempts, one row each and never written over, and receipts, the bytes as they arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, insert, select, update

from gateway.errors import StoreError
from gateway.store.tables import attempt, batch, receipt, refused_receipt

__all__ = [
    "Attempt",
    "Receipt",
    "RefusedReceipt",
    "end_attempt",
    "find_receipt",
    "list_attempts",
    "refuse_receipt",
    "refused_receipts",
    "start_attempt",
    "store_receipt",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try. ``outcome`` is ``acknowledged``, ``refused``, ``later`` or ``unknown``, None while it lasts."""

    batch_id: str
    number: int
    fence: int
    started_at: str
    ended_at: str | None
    outcome: str | None
    status: int | None
    code: str | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The receipt that was checked and accepted. ``late``: it came when the batch was not being sent any more."""

    batch_id: str
    data: bytes = field(repr=False)
    sha256: str
    verdict: str
    received_at: str
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedReceipt:
    """Bytes that claimed to be a receipt; ``code`` says which check they failed."""

    id: int
    batch_id: str
    data: bytes = field(repr=False)
    code: str
    at: str


def start_attempt(conn: Connection, batch_id: str, *, fence: int, at: str) -> int:
    """Write down that bytes are about to leave; returns the attempt's number, from 1. Raises StoreError ``fence-lost``."""
    counted = conn.execute(
        update(batch)
        .where(batch.c.id == batch_id, batch.c.fence == fence, batch.c.state == "sending")
        .values(attempts=batch.c.attempts + 1)
    )
    if counted.rowcount != 1:
        raise StoreError("fence-lost", batch=batch_id)
    number = conn.execute(select(batch.c.attempts).where(batch.c.id == batch_id)).scalar_one()
    conn.execute(insert(attempt).values(batch_id=batch_id, number=number, fence=fence, started_at=at))
    return int(number)


def end_attempt(
    conn: Connection,
    batch_id: str,
    number: int,
    *,
    at: str,
    outcome: str,
    status: int | None = None,
    code: str | None = None,
    detail: str | None = None,
) -> None:
    """Write down how an attempt ended, once. Raises StoreError ``attempt-ended`` when that is known already."""
    ended = conn.execute(
        update(attempt)
        .where(attempt.c.batch_id == batch_id, attempt.c.number == number, attempt.c.ended_at.is_(None))
        .values(ended_at=at, outcome=outcome, status=status, code=code, detail=detail)
    )
    if ended.rowcount != 1:
        raise StoreError("attempt-ended", batch=batch_id, number=number)


def list_attempts(conn: Connection, batch_id: str) -> list[Attempt]:
    """All tries of a batch, first to last."""
    query = select(attempt).where(attempt.c.batch_id == batch_id).order_by(attempt.c.number)
    return [Attempt(**row._mapping) for row in conn.execute(query)]


def store_receipt(conn: Connection, batch_id: str, data: bytes, *, verdict: str, at: str, late: bool) -> bool:
    """Keep a checked receipt; False when these very bytes are kept already.

    Raises StoreError ``receipt-contradicts`` when the batch has another receipt: keep this one with :func:`refuse_receipt`.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    known = conn.scalar(select(receipt.c.sha256).where(receipt.c.batch_id == batch_id))
    if known is not None:
        if known != sha256:
            raise StoreError("receipt-contradicts", batch=batch_id, known=known, found=sha256)
        return False
    conn.execute(
        insert(receipt).values(batch_id=batch_id, sha256=sha256, verdict=verdict, received_at=at, late=late, data=data)
    )
    return True


def find_receipt(conn: Connection, batch_id: str) -> Receipt | None:
    """The accepted receipt of a batch."""
    row = conn.execute(select(receipt).where(receipt.c.batch_id == batch_id)).one_or_none()
    return None if row is None else Receipt(**(dict(row._mapping) | {"data": bytes(row.data)}))


def refuse_receipt(conn: Connection, batch_id: str, data: bytes, *, code: str, at: str) -> None:
    """Keep bytes that failed a check, as evidence; the same bytes for the same reason once."""
    known = conn.scalar(
        select(func.count()).where(
            refused_receipt.c.batch_id == batch_id, refused_receipt.c.code == code, refused_receipt.c.data == data
        )
    )
    if not known:
        conn.execute(insert(refused_receipt).values(batch_id=batch_id, code=code, at=at, data=data))


def refused_receipts(conn: Connection, batch_id: str) -> Sequence[RefusedReceipt]:
    """Everything refused for a batch, first to last."""
    query = select(refused_receipt).where(refused_receipt.c.batch_id == batch_id).order_by(refused_receipt.c.id)
    return [RefusedReceipt(**(dict(row._mapping) | {"data": bytes(row.data)})) for row in conn.execute(query)]
