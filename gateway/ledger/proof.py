"""Inclusion and consistency proofs, made as RFC 6962 §2.1.1 and §2.1.2 define and checked as RFC 9162 §2.1.3.2 and §2.1.4.2 prescribe.

A proof is a tuple of 32-byte hashes. A check returns nothing and raises ``LedgerError``; anything absent, of a wrong length, left
over or out of range fails it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.errors import LedgerError
from gateway.ledger.port import Log
from gateway.ledger.tiles import TILE_HEIGHT
from gateway.ledger.tree import HASH_BYTES, Edge, node_hash, root_of

__all__ = [
    "LeafNodes",
    "LogNodes",
    "Nodes",
    "check_consistency",
    "check_inclusion",
    "consistency_proof",
    "edge_at",
    "inclusion_proof",
]


class Nodes(Protocol):
    """The perfect subtrees of a tree."""

    def node(self, height: int, index: int) -> bytes:
        """The root over leaves ``index · 2^height`` to ``(index + 1) · 2^height``, all of which exist."""
        ...


class LeafNodes:
    """Nodes over leaf hashes held in memory."""

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        self._leaf_hashes = leaf_hashes

    def node(self, height: int, index: int) -> bytes:
        """Hashed from the leaves up, every time."""
        return root_of(self._leaf_hashes[index << height : (index + 1) << height])


class LogNodes:
    """Nodes out of a log's storage: at most 128 hashes are read for one node."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def node(self, height: int, index: int) -> bytes:
        """Raises LedgerError ``ledger-hash-missing`` where storage lacks a hash."""
        level, rest = divmod(height, TILE_HEIGHT)
        start, stop = index << rest, (index + 1) << rest
        hashes = list(self._log.hashes(level, start, stop))
        if len(hashes) != stop - start:
            raise LedgerError("ledger-hash-missing", level=level, start=start, stop=stop, found=len(hashes))
        return root_of(hashes)


def edge_at(nodes: Nodes, size: int) -> Edge:
    """The edge that the tree had when it had ``size`` leaves."""
    return Edge(size=size, hashes=tuple(_cover(nodes, 0, size)))


def inclusion_proof(nodes: Nodes, index: int, size: int) -> tuple[bytes, ...]:
    """PATH(index, D[size]) of RFC 6962 §2.1.1. Raises LedgerError ``proof-out-of-range``."""
    if not 0 <= index < size:
        raise LedgerError("proof-out-of-range", first=index, second=size)
    start, stop = 0, size
    path: list[bytes] = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(_range_root(nodes, middle, stop))
            stop = middle
        else:
            path.append(_range_root(nodes, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(nodes: Nodes, old: int, new: int) -> tuple[bytes, ...]:
    """PROOF(old, D[new]) of RFC 6962 §2.1.2; empty when both are equal. Raises LedgerError ``proof-out-of-range``."""
    if not 0 < old <= new:
        raise LedgerError("proof-out-of-range", first=old, second=new)
    start, stop = 0, new
    path: list[bytes] = []
    while stop != old:
        middle = start + _split(stop - start)
        if old <= middle:
            path.append(_range_root(nodes, middle, stop))
            stop = middle
        else:
            path.append(_range_root(nodes, start, middle))
            start = middle
    if start > 0:  # the old tree is a proper part here: its own last subtree has to be told
        path.append(_range_root(nodes, start, stop))
    return tuple(reversed(path))


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 §2.1.3.2: the leaf hash stands at ``index`` in the tree of ``size`` leaves and ``root``.

    Raises LedgerError ``inclusion-proof-invalid``.
    """
    if not 0 <= index < size or not _all_hashes(leaf, root, *proof):
        raise LedgerError("inclusion-proof-invalid", index=index, size=size)
    here, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise LedgerError("inclusion-proof-invalid", index=index, size=size)
        if here & 1 or here == last:
            computed = node_hash(sibling, computed)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        here, last = here >> 1, last >> 1
    if last != 0 or computed != root:
        raise LedgerError("inclusion-proof-invalid", index=index, size=size)


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """RFC 9162 §2.1.4.2: the tree of ``new`` leaves begins with the tree of ``old`` leaves. Size 0 has no proof and is refused.

    Raises LedgerError ``consistency-proof-invalid``.
    """
    refusal = LedgerError("consistency-proof-invalid", old=old, new=new)
    if not 0 < old <= new or not _all_hashes(old_root, new_root, *proof):
        raise refusal
    if old == new:
        if proof or old_root != new_root:
            raise refusal
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if len(path) < 1 + (old & (old - 1) == 0):
        raise refusal
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    from_old = from_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise refusal
        if first & 1 or first == last:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            from_new = node_hash(from_new, sibling)
        first, last = first >> 1, last >> 1
    if last != 0 or from_old != old_root or from_new != new_root:
        raise refusal


def _all_hashes(*hashes: bytes) -> bool:
    return all(len(one) == HASH_BYTES for one in hashes)


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _cover(nodes: Nodes, start: int, stop: int) -> list[bytes]:
    """The perfect subtrees of a range that starts at a multiple of the power of two at or above its length."""
    hashes = []
    for height in reversed(range((stop - start).bit_length())):
        if (stop - start) >> height & 1:
            hashes.append(nodes.node(height, start >> height))
            start += 1 << height
    return hashes


def _range_root(nodes: Nodes, start: int, stop: int) -> bytes:
    return Edge(size=stop - start, hashes=tuple(_cover(nodes, start, stop))).root()
