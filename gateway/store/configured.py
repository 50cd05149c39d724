"""What was configured at the last start, as a digest for every key: so that the next start can say which keys changed, and never a value."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from gateway.store.tables import setting

__all__ = ["read_all", "write_all"]


def read_all(conn: Connection) -> dict[str, bytes]:
    """Digest by key."""
    return {row.key: bytes(row.digest) for row in conn.execute(select(setting))}


def write_all(conn: Connection, digests: Mapping[str, bytes]) -> None:
    """Put ``digests`` in place of everything."""
    conn.execute(delete(setting))
    if digests:
        conn.execute(insert(setting), [{"key": key, "digest": digest} for key, digest in digests.items()])
