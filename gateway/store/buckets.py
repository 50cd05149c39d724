"""Comparing what two nodes hold without sending it: records in 256 buckets by the SHA-256 of their key, one digest a bucket.

A bucket's digest is SHA-256 over its records in the order of their key's hash, 40 bytes each: that hash and the version as 8 bytes,
big-endian. Of two nodes that agree on a version neither takes other bytes for it, so versions are enough. A bucket
that differs is opened by its prefix: 256 smaller ones, or its records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import StoreError

__all__ = ["Bucket", "digest_buckets", "key_hash", "parse_prefix"]

_HASH = 32
_ENTRY = _HASH + 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """``prefix`` in lower-case hex (two digits more than what was asked for), records in it, digest in hex."""

    prefix: str
    count: int
    digest: str


def key_hash(key: str) -> bytes:
    """SHA-256 of the key in UTF-8."""
    return hashlib.sha256(key.encode()).digest()


def parse_prefix(prefix: str) -> bytes:
    """The bytes of a hex prefix, whole bytes only and fewer than a hash has. Raises StoreError ``bucket-prefix``."""
    try:
        raw = bytes.fromhex(prefix)
    except ValueError:
        raise StoreError("bucket-prefix") from None
    if raw.hex() != prefix or len(raw) >= _HASH:
        raise StoreError("bucket-prefix")
    return raw


def digest_buckets(held: Iterable[tuple[bytes, int]], prefix: bytes = b"") -> list[Bucket]:
    """The buckets under ``prefix`` that are not empty, in order. ``held`` gives key hash and version; others than ``prefix`` are skipped."""
    depth = len(prefix)
    gathered: dict[int, bytearray] = {}
    for hashed, version in held:
        if hashed.startswith(prefix):
            gathered.setdefault(hashed[depth], bytearray()).extend(hashed + version.to_bytes(8, "big"))
    return [
        Bucket(prefix=(prefix + bytes([byte])).hex(), count=len(raw) // _ENTRY, digest=_digest(raw))
        for byte, raw in sorted(gathered.items())
    ]


def _digest(raw: bytearray) -> str:
    entries = sorted(bytes(raw[start : start + _ENTRY]) for start in range(0, len(raw), _ENTRY))
    return hashlib.sha256(b"".join(entries)).hexdigest()
