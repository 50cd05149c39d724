"""Resyncs between two nodes, and hands that meddle with what the receiver holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from gateway.again import preview_resync, resync
from gateway.app import Gateway
from gateway.store import batches, inbox
from gateway.store.buckets import key_hash
from tests.nodes import BUREAU, PROVINCE, Folder

EXCHANGE = "permits-to-province"
ROUTE = f"{BUREAU}/administrative-license/{PROVINCE}"
ORDER = {"exchange": EXCHANGE, "person": "王芳", "reason": "对方数据库恢复"}


def silent(_stage: str, _count: int) -> None: ...


async def again(gateway: Gateway, **args: object) -> dict[str, Any]:
    """A resync of the bureau's exchange."""
    return await resync(gateway, {**ORDER, **args}, silent)


async def preview(gateway: Gateway, **args: object) -> dict[str, Any]:
    """What it would do."""
    return await preview_resync(gateway, {**ORDER, **args}, silent)


def held_there(province: Gateway) -> dict[str, tuple[int, str]]:
    """Key → version and operation of everything that the province holds for the route."""
    with province.database.read() as conn:
        buckets = inbox.bucket_digests(conn, ROUTE)
        return {
            record.key: (record.version, record.op)
            for bucket in buckets
            for record in inbox.bucket_records(conn, ROUTE, bucket.prefix)
        }


def sealed(gateway: Gateway) -> int:
    """How many batches the exchange has sealed."""
    with gateway.database.read() as conn:
        return len(batches.list_batches(conn, exchange=EXCHANGE, limit=10_000))


def meddle(folder: Folder, *changes: tuple[str, tuple[object, ...]]) -> None:
    """Change a node's database behind its back."""
    with sqlite3.connect(folder.path / "var" / "gateway.db") as conn:
        for statement, values in changes:
            assert conn.execute(statement, values).rowcount, statement
    conn.close()


def lost(key: str) -> tuple[str, tuple[object, ...]]:
    """The receiver has lost a record."""
    return "DELETE FROM inbox_record WHERE key = ?", (key,)


def held_at(key: str, version: int, op: str = "upsert") -> tuple[str, tuple[object, ...]]:
    """The receiver holds another version of a record."""
    return "UPDATE inbox_record SET version = ?, op = ? WHERE key = ?", (version, op, key)


def planted(key: str, like: str, version: int = 1) -> tuple[str, tuple[object, ...]]:
    """The receiver holds a record that nobody sent."""
    return (
        "INSERT INTO inbox_record (route, key, key_hash, version, op, digest, batch_id, changed_at, body, content, reason) "
        "SELECT route, ?, ?, ?, op, digest, batch_id, changed_at, body, content, reason "
        "FROM inbox_record WHERE key = ?",
        (key, key_hash(key), version, like),
    )


def compared(found: Mapping[str, Any]) -> dict[str, int]:
    """The figures of a comparison that are not 0."""
    return {name: count for name, count in found["compare"].items() if isinstance(count, int) and count}


Change = Callable[[], None]
