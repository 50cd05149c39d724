"""What peers sent to this node: their batches with our receipts, and the newest version of every record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select

from gateway.errors import StoreError
from gateway.store.buckets import Bucket, digest_buckets, key_hash, parse_prefix
from gateway.store.bulk import execute_many, select_in, stream
from gateway.store.tables import inbox_batch

__all__ = [
    "InboxBatch",
    "InboxHeld",
    "InboxRow",
    "add_batch",
    "apply",
    "bucket_digests",
    "bucket_records",
    "find_batch",
    "held_versions",
    "last_received",
    "last_sequence",
    "list_batches",
    "package_bytes",
    "receipt_bytes",
    "small_bucket",
]

_COLUMNS = tuple(column for column in inbox_batch.c if column.name not in {"receipt", "package"})
_HIGHEST = b"\xff" * 33  # above every key hash


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxBatch:
    """A batch as received and answered. ``counts`` are the receipt's figures, ``checkpoint`` the sender's as it stood in the batch."""

    id: str
    route: str
    sender: str
    catalog: str
    sequence: int
    package_sha256: str
    receipt_sha256: str
    verdict: str
    counts: Mapping[str, int]
    checkpoint: str
    received_at: str


class InboxRow(NamedTuple):
    """A record version to take. ``body`` and ``content`` (canonical JSON) are None for withdraw and stop-share; ``digest`` is SHA-256 of
    the body's bytes, of nothing when there is none. ``reason`` is the code of why a record is taken back, ``basis`` its
    owner's words for it."""

    key: str
    version: int
    op: str
    digest: bytes
    body: bytes | None
    content: str | None
    reason: str | None = None
    basis: str | None = None


class InboxHeld(NamedTuple):
    """What we hold under a key of a route."""

    key: str
    version: int
    op: str
    digest: bytes


def add_batch(conn: Connection, new: InboxBatch, *, package: bytes, receipt: bytes) -> None:
    """Store a received batch and our answer, in the transaction that applies its records.

    Raises StoreError: ``inbox-gap`` when ``sequence`` is not the route's next, ``inbox-differs`` when a digest is not that of its bytes.
    """
    expected = last_sequence(conn, new.route) + 1
    if new.sequence != expected:
        raise StoreError("inbox-gap", route=new.route, expected=expected, found=new.sequence)
    for data, digest in ((package, new.package_sha256), (receipt, new.receipt_sha256)):
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError("inbox-differs", batch=new.id)
    values = {item.name: getattr(new, item.name) for item in fields(new)}
    values["counts"] = json.dumps(dict(new.counts))
    conn.execute(insert(inbox_batch).values(**values, package=package, receipt=receipt))


def find_batch(conn: Connection, batch_id: str) -> InboxBatch | None:
    """The received batch with this id."""
    row = conn.execute(select(*_COLUMNS).where(inbox_batch.c.id == batch_id)).one_or_none()
    return None if row is None else _batch(row)


def list_batches(conn: Connection, *, route: str | None = None, limit: int) -> list[InboxBatch]:
    """Received batches, newest first."""
    query = select(*_COLUMNS).order_by(inbox_batch.c.received_at.desc(), inbox_batch.c.sequence.desc()).limit(limit)
    if route is not None:
        query = query.where(inbox_batch.c.route == route)
    return [_batch(row) for row in conn.execute(query)]


def last_received(conn: Connection) -> Mapping[tuple[str, str], str]:
    """When each sender's batches of each catalog last came and were not refused, by (sender's code, catalog)."""
    newest = func.max(inbox_batch.c.received_at)
    query = select(inbox_batch.c.sender, inbox_batch.c.catalog, newest).where(inbox_batch.c.verdict != "refused")
    rows = conn.execute(query.group_by(inbox_batch.c.sender, inbox_batch.c.catalog))
    return {(sender, catalog): at for sender, catalog, at in rows}


def _batch(row: Row[Any]) -> InboxBatch:
    return InboxBatch(**(dict(row._mapping) | {"counts": json.loads(row.counts)}))


def package_bytes(conn: Connection, batch_id: str) -> bytes | None:
    """The package exactly as received; None for a batch that never came, or whose bytes were erased after their time."""
    data = conn.scalar(select(inbox_batch.c.package).where(inbox_batch.c.id == batch_id))
    return bytes(data) if data else None


def receipt_bytes(conn: Connection, batch_id: str) -> bytes | None:
    """Our answer, byte for byte as first given; None for a batch that never came."""
    data = conn.scalar(select(inbox_batch.c.receipt).where(inbox_batch.c.id == batch_id))
    return None if data is None else bytes(data)


def last_sequence(conn: Connection, route: str) -> int:
    """The highest sequence number received on a route; 0 before the first."""
    return conn.scalar(select(func.max(inbox_batch.c.sequence)).where(inbox_batch.c.route == route)) or 0


def held_versions(conn: Connection, route: str, keys: Sequence[str]) -> dict[str, InboxHeld]:
    """What we hold under ``keys``, withdrawn records included; keys never received are left out."""
    query = "SELECT key, version, op, digest FROM inbox_record WHERE route = ? AND key IN (*)"
    return {row[0]: InboxHeld._make(row) for row in select_in(conn, query, (route,), keys)}


def apply(conn: Connection, route: str, rows: Sequence[InboxRow], *, batch_id: str, at: str) -> None:
    """Take record versions, each above the one held. The batch is stored first, in the same transaction.

    Raises StoreError ``inbox-superseded`` when one is not above the one held: the caller compared with something else.
    """
    written = execute_many(
        conn,
        "INSERT INTO inbox_record (route, key, key_hash, version, op, digest, batch_id, changed_at, body, content, reason, basis) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (route, key) DO UPDATE SET version = excluded.version, "
        "op = excluded.op, digest = excluded.digest, batch_id = excluded.batch_id, changed_at = excluded.changed_at, "
        "body = excluded.body, content = excluded.content, reason = excluded.reason, basis = excluded.basis "
        "WHERE excluded.version > inbox_record.version",
        [
            (
                route,
                row.key,
                key_hash(row.key),
                row.version,
                row.op,
                row.digest,
                batch_id,
                at,
                row.body,
                row.content,
                row.reason,
                row.basis,
            )
            for row in rows
        ],
    )
    if written != len(rows):
        raise StoreError("inbox-superseded", route=route, batch=batch_id, rows=len(rows), written=written)


def bucket_digests(conn: Connection, route: str, prefix: str = "") -> list[Bucket]:
    """The records of a route in the buckets under ``prefix`` (:mod:`gateway.store.buckets`), withdrawn ones included."""
    start = parse_prefix(prefix)
    rows = stream(
        conn,
        "SELECT key_hash, version FROM inbox_record WHERE route = ? AND key_hash >= ? AND key_hash < ?",
        (route, start, start + _HIGHEST),
    )
    return digest_buckets(((bytes(hashed), version) for hashed, version in rows), start)


def bucket_records(conn: Connection, route: str, prefix: str) -> list[InboxHeld]:
    """The records of one bucket, by key."""
    start = parse_prefix(prefix)
    rows = stream(
        conn,
        "SELECT key, version, op, digest FROM inbox_record WHERE route = ? AND key_hash >= ? AND key_hash < ? ORDER BY key",
        (route, start, start + _HIGHEST),
    )
    return [InboxHeld._make(row) for row in rows]


def small_bucket(conn: Connection, route: str, prefix: str, *, records: int, key_bytes: int) -> list[InboxHeld] | None:
    """The records of one bucket when they are at most so many and their keys (UTF-8) together at most so long; None when it is larger.

    Raises StoreError ``bucket-prefix``.
    """
    start = parse_prefix(prefix)
    length = "octet_length(key)" if conn.dialect.name == "postgresql" else "length(CAST(key AS BLOB))"
    ((count, size),) = stream(
        conn,
        f"SELECT count(*), sum({length}) FROM inbox_record WHERE route = ? AND key_hash >= ? AND key_hash < ?",  # noqa: S608 -- fixed texts
        (route, start, start + _HIGHEST),
    )
    return bucket_records(conn, route, prefix) if count <= records and (size or 0) <= key_bytes else None
