"""RFC 6962 §2.1 hashing, and the edge of a growing tree. Pure arithmetic over 32-byte SHA-256 hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.errors import LedgerError

__all__ = ["EMPTY_ROOT", "HASH_BYTES", "Edge", "leaf_hash", "node_hash", "root_of"]

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root over no leaf at all."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """The Merkle tree hash over leaf hashes (not over leaves), in order; :data:`EMPTY_ROOT` over none.

    Pairing level by level and carrying an odd last hash up unchanged gives the tree that RFC 6962 defines by splitting at the
    largest power of two.
    """
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    while len(level) > 1:
        paired = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The right-hand edge (compact range) of a tree of ``size`` leaves.

    ``hashes`` are the roots of its perfect subtrees, largest first, one for every bit set in ``size``: all that is needed to
    append in O(log n) and to tell the root.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise LedgerError("ledger-edge-invalid", size=self.size, found=len(self.hashes))

    def append(self, leaf: bytes) -> Edge:
        """The edge after one more leaf hash."""
        merges = (~self.size & (self.size + 1)).bit_length() - 1
        kept = len(self.hashes) - merges
        for left in reversed(self.hashes[kept:]):
            leaf = node_hash(left, leaf)
        return Edge(size=self.size + 1, hashes=(*self.hashes[:kept], leaf))

    def root(self) -> bytes:
        """The Merkle tree hash of the whole tree."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root
