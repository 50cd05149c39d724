"""What an auditor asks the store for: packages and receipts by batch, batches by record or unit, entries by kind. Only reads."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.ledger.port import StoredCheckpoint, StoredEntry
from gateway.store.tables import (
    batch,
    checkpoint,
    entry,
    inbox_batch,
    inbox_record,
    package,
    receipt,
    record,
    refused_receipt,
    share,
)

__all__ = [
    "Holding",
    "batches_of_unit",
    "batches_with",
    "checkpoint_sizes",
    "checkpoints_of",
    "entries_of",
    "package_of",
    "receipt_of",
]


_MOST_VALUES: Final = 500  # in one statement


class Holding(NamedTuple):
    """A batch that holds the newest version of a record, on its route."""

    batch_id: str
    route: str


def package_of(conn: Connection, batch_id: str, *, received: bool) -> bytes | None:
    """The package as sealed, or as ``received``; None when there is none, or its bytes were erased."""
    query = (
        select(inbox_batch.c.package).where(inbox_batch.c.id == batch_id)
        if received
        else select(package.c.data).where(package.c.batch_id == batch_id)
    )
    return _bytes(conn.scalar(query)) or None  # of an erased one that was received, an empty text is left


def receipt_of(conn: Connection, batch_id: str, sha256: str, *, received: bool) -> bytes | None:
    """The receipt with that digest (64 hex digits): our answer to what was ``received``, else what the receiver sent, refused or not.

    A void batch may end by the receipt of the batch that it stood for. Where nothing has that digest, whatever stands in its place, so that
    it can be seen.
    """
    if received:
        return _bytes(conn.scalar(select(inbox_batch.c.receipt).where(inbox_batch.c.id == batch_id)))
    row = conn.execute(select(receipt.c.sha256, receipt.c.data).where(receipt.c.batch_id == batch_id)).one_or_none()
    if row is not None and (row.sha256 == sha256 or not sha256):
        return _bytes(row.data)
    of: str | None = batch_id
    while of is not None:
        for data in conn.scalars(select(refused_receipt.c.data).where(refused_receipt.c.batch_id == of)):
            if hashlib.sha256(data).hexdigest() == sha256:
                return bytes(data)
        of = conn.scalar(select(batch.c.void_of).where(batch.c.id == of))
    return None if row is None else _bytes(row.data)


def batches_of_unit(conn: Connection, unit: str) -> set[str]:
    """The batches that hold the newest version of a record which the organisation ``unit`` produced, as far as this node knows units."""
    query = (
        select(share.c.batch_id)
        .join(record, record.c.id == share.c.record_id)
        .where(record.c.unit == unit, share.c.batch_id.is_not(None))
        .distinct()
    )
    return set(conn.scalars(query))


def batches_with(conn: Connection, key: str) -> list[Holding]:
    """The batches that hold the newest version of the record ``key``, sent ones first."""
    sent = (
        select(batch.c.id, batch.c.route)
        .join(share, share.c.batch_id == batch.c.id)
        .join(record, record.c.id == share.c.record_id)
        .where(record.c.key == key)
        .distinct()
        .order_by(batch.c.route, batch.c.id)
    )
    received = (
        select(inbox_record.c.batch_id, inbox_record.c.route)
        .where(inbox_record.c.key == key)
        .order_by(inbox_record.c.route)
    )
    return [Holding(*row) for query in (sent, received) for row in conn.execute(query)]


def entries_of(conn: Connection, kinds: Collection[str]) -> list[StoredEntry]:
    """The entries of some kinds that are few, in order."""
    query = select(entry).where(entry.c.kind.in_(kinds)).order_by(entry.c.idx)
    return [
        StoredEntry(
            index=row.idx,
            leaf=bytes(row.leaf),
            leaf_hash=bytes(row.leaf_hash),
            kind=row.kind,
            route=row.route,
            route_seq=row.route_seq,
            batch_id=row.batch_id,
        )
        for row in conn.execute(query)
    ]


def checkpoint_sizes(conn: Connection) -> Iterator[int]:
    """The sizes of all checkpoints, smallest first."""
    return iter(conn.scalars(select(checkpoint.c.size).order_by(checkpoint.c.size)))


def checkpoints_of(conn: Connection, sizes: Sequence[int]) -> list[StoredCheckpoint]:
    """The checkpoints of those sizes, smallest first."""
    found = []
    for start in range(0, len(sizes), _MOST_VALUES):
        chosen = checkpoint.c.size.in_(sizes[start : start + _MOST_VALUES])
        rows = conn.execute(select(checkpoint).where(chosen).order_by(checkpoint.c.size))
        found += [StoredCheckpoint(size=row.size, root=bytes(row.root), note=bytes(row.note)) for row in rows]
    return found


def _bytes(data: bytes | None) -> bytes | None:
    return None if data is None else bytes(data)
