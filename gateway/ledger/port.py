"""What the ledger asks of its storage: bytes in, bytes out. The ledger opens no database; the store implements this port.

Hashes are 32 bytes, SHA-256 as in RFC 6962 §2.1. Indices count entries from 0; a range is ``start`` included, ``stop`` excluded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Head", "Log", "RouteTail", "StoredCheckpoint", "StoredEntry", "Tile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The state of the tree after ``size`` entries.

    ``edge`` holds the roots of the perfect subtrees that make up the tree, largest (leftmost) first, one for every bit set
    in ``size``. The empty log is size 0, root SHA-256 of the empty string, edge ().
    """

    size: int
    root: bytes
    edge: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """One entry as stored. ``leaf`` is the truth; everything beside it is an index into it.

    ``route_seq`` and ``route`` are both given or both None.
    """

    index: int
    leaf: bytes
    leaf_hash: bytes
    kind: str
    route: str | None
    route_seq: int | None
    batch_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A full tile (C2SP tlog-tiles): 256 hashes, 8,192 bytes, never changed once written.

    ``root`` is the Merkle tree hash over the 256 hashes, which is hash number ``index`` of level ``level + 1``.
    """

    level: int
    index: int
    data: bytes
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A signed checkpoint: ``note`` is the whole signed note, ``size`` and ``root`` an index into it."""

    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTail:
    """Where a route ends: the index of its newest entry, and the highest sequence number that any of its entries has."""

    index: int
    route_seq: int


class Log(Protocol):
    """The ledger's storage.

    ``head``, ``put`` and ``route_tail`` as :func:`gateway.ledger.append.append` uses them run inside the caller's business
    transaction and are durable when that commits. ``put_checkpoint`` as the publisher uses it is durable when it returns:
    give the publisher a log that is bound to no open transaction.
    """

    def head(self) -> Head:
        """The head row; in a writing transaction it is read under a lock, so that two appends never take the same index."""
        ...

    def put(self, entry: StoredEntry, head: Head, tiles: Sequence[Tile]) -> None:
        """Insert ``entry`` and the full ``tiles`` it completes, and move the head to ``head``, all or nothing.

        ``entry.index`` is the size of the head as stored and ``head.size`` one more; storage refuses anything else.
        """
        ...

    def entries(self, start: int, stop: int) -> Iterator[StoredEntry]:
        """The stored entries of the range in the order of their index, streamed; a missing one is left out, not invented."""
        ...

    def hashes(self, level: int, start: int, stop: int) -> Iterator[bytes]:
        """Hashes number ``start`` to ``stop`` of a tile level, in order; a missing one is left out.

        Level 0: the ``leaf_hash`` of the entries. Level n above 0: the ``root`` of the full tiles of level n - 1.
        """
        ...

    def tile(self, level: int, index: int) -> bytes | None:
        """The 8,192 bytes of a full tile, or None when there is none yet."""
        ...

    def newest_checkpoint(self) -> StoredCheckpoint | None:
        """The checkpoint with the largest size, or None when none was ever stored."""
        ...

    def put_checkpoint(self, checkpoint: StoredCheckpoint) -> None:
        """Store a checkpoint durably. Storing the same again (same size, same bytes) changes nothing; other bytes are refused."""
        ...

    def route_tail(self, route: str) -> RouteTail | None:
        """Where ``route`` ends, or None when it has no entry."""
        ...
