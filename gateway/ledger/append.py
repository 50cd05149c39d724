"""One entry onto the head, inside the transaction of the business state that it tells of: O(log n)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from gateway.errors import LedgerError
from gateway.ledger.entry import Value, encode
from gateway.ledger.kinds import KINDS, NO_PREVIOUS
from gateway.ledger.port import Head, Log, StoredEntry, Tile
from gateway.ledger.tiles import TILE_WIDTH
from gateway.ledger.tree import Edge, leaf_hash, root_of

__all__ = ["append"]

_PLACED: Final = frozenset({"route", "route_seq", "batch_id", "previous"})  # what places an entry on its route


def append(
    log: Log,
    kind: str,
    fields: Mapping[str, Value],
    *,
    at: datetime,
    route: str | None = None,
    route_seq: int | None = None,
    batch_id: str | None = None,
) -> int:
    """Append an entry and return its index.

    For a kind that belongs to a route (the ``batch.*`` kinds), ``route``, ``route_seq`` and ``batch_id`` are given here and not in
    ``fields``; ``previous`` is found out. Nothing is durable until the caller's transaction commits.

    Raises LedgerError: the codes of :func:`gateway.ledger.entry.encode`, ``entry-route-wrong``, ``route-sequence-gap``,
    ``genesis-misplaced``, ``ledger-edge-invalid``, ``ledger-hash-missing``.
    """
    head = log.head()
    if (head.size == 0) != (kind == "genesis"):
        raise LedgerError("genesis-misplaced", index=head.size, kind=kind)
    declared = KINDS.get(kind)
    routed = declared is not None and declared.routed
    if routed:
        if route is None or route_seq is None or batch_id is None or not _PLACED.isdisjoint(fields):
            raise LedgerError("entry-route-wrong", kind=kind)
        previous = _previous_on_route(log, route, route_seq)
        fields = {**fields, "route": route, "route_seq": route_seq, "batch_id": batch_id, "previous": previous}
    elif (route, route_seq, batch_id) != (None, None, None):
        raise LedgerError("entry-route-wrong", kind=kind)
    leaf = encode(kind, fields, at)
    hashed = leaf_hash(leaf)
    edge = Edge(size=head.size, hashes=head.edge).append(hashed)
    log.put(
        StoredEntry(
            index=head.size,
            leaf=leaf,
            leaf_hash=hashed,
            kind=kind,
            route=route,
            route_seq=route_seq,
            batch_id=batch_id,
        ),
        Head(size=edge.size, root=edge.root(), edge=edge.hashes),
        _completed_tiles(log, edge.size, hashed),
    )
    return head.size


def _previous_on_route(log: Log, route: str, route_seq: int) -> int:
    tail = log.route_tail(route)
    highest = 0 if tail is None else tail.route_seq
    # A number may come again (disputed, then reconciled; abandoned, then its void batch) but none may be left out.
    if not 1 <= route_seq <= highest + 1:
        raise LedgerError("route-sequence-gap", route=route, expected=highest + 1, found=route_seq)
    return NO_PREVIOUS if tail is None else tail.index


def _completed_tiles(log: Log, size: int, newest: bytes) -> list[Tile]:
    """The full tiles that the entry number ``size - 1`` completes: none for 255 entries out of 256."""
    tiles: list[Tile] = []
    level, count = 0, size
    while count % TILE_WIDTH == 0:
        index = count // TILE_WIDTH - 1
        start = index * TILE_WIDTH
        hashes = [*log.hashes(level, start, start + TILE_WIDTH - 1), newest]
        if len(hashes) != TILE_WIDTH:
            raise LedgerError(
                "ledger-hash-missing", level=level, start=start, stop=start + TILE_WIDTH, found=len(hashes)
            )
        newest = root_of(hashes)
        tiles.append(Tile(level=level, index=index, data=b"".join(hashes), root=newest))
        level, count = level + 1, count // TILE_WIDTH
    return tiles
