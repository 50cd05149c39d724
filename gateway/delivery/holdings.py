"""What we hold of a route, told to its sender for comparison: in buckets, or bucket by bucket down to the records."""

from __future__ import annotations

from gateway.exchange.digests import RouteBucket, RouteDigests, RouteRecord
from gateway.store import inbox
from gateway.store.database import Database

__all__ = ["holdings"]

# One answer: some hundred kB as keys usually are, never above the 8 MiB that a sender reads.
_RECORDS = 5_000
_KEY_BYTES = 2 * 1024 * 1024


def holdings(database: Database, route: str, prefix: str) -> RouteDigests:
    """The answer for one prefix: the 256 buckets for the empty one, however few records there are; else the bucket's records, or the
    smaller buckets in it when they are too many for one answer. Raises StoreError ``bucket-prefix``.
    """
    with database.read() as conn:
        if prefix:
            held = inbox.small_bucket(conn, route, prefix, records=_RECORDS, key_bytes=_KEY_BYTES)
            if held is not None:
                records = tuple(RouteRecord(one.key, one.version, one.op, one.digest.hex()) for one in held)
                return RouteDigests(route=route, prefix=prefix, records=records)
        found = inbox.bucket_digests(conn, route, prefix)
    buckets = tuple(RouteBucket(prefix=one.prefix, count=one.count, digest=one.digest) for one in found)
    return RouteDigests(route=route, prefix=prefix, buckets=buckets)
