"""The tiles and bundles that a checkpoint speaks for, proved against its root before they are written.

Storage may have been changed since the head was signed. The partial tiles give the root; every full tile is a hash of the tile above it;
every entry is a hash of a tile of level 0. So nothing is published that the signature does not cover.
"""

from __future__ import annotations

from gateway.errors import LedgerError
from gateway.ledger.folder import Folder
from gateway.ledger.port import Log, StoredCheckpoint
from gateway.ledger.proof import LeafNodes, edge_at
from gateway.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, TileId, encode_bundle, new_tiles, split_tile
from gateway.ledger.tree import Edge, leaf_hash, root_of

__all__ = ["publish_files"]


def publish_files(log: Log, folder: Folder, checkpoint: StoredCheckpoint, *, since: int) -> None:
    """Write every tile and bundle that the tree of ``checkpoint`` has and the tree of ``since`` entries had not.

    Written top level first, because the level above proves the one below; a reader is told of none of them before the checkpoint is there.
    Raises LedgerError: ``ledger-hash-missing``, ``ledger-root-differs``, ``stored-tile-differs``, ``stored-leaf-differs``, and the
    folder's codes.
    """
    partial = _partial_tiles(log, checkpoint)
    above: dict[int, bytes] = {}  # hashes of the level above, proved, by their number
    at_level = checkpoint.size.bit_length()  # above every level there is
    here: dict[int, bytes] = {}
    for tile in new_tiles(since, checkpoint.size):
        if tile.level != at_level:
            above, here, at_level = here, {}, tile.level
        hashes = _full_tile(log, tile, above) if tile.full else partial[tile.level]
        here.update(enumerate(hashes, start=tile.start))
        folder.create(tile.path, b"".join(hashes))
        if tile.level == 0:
            folder.create(tile.bundle_path, encode_bundle(_proved_leaves(log, tile, hashes)))
        if tile.full:
            # tlog-tiles: a partial tile may go once the full one is there. A crash here leaves files that nobody asks for.
            _discard_partials(folder, tile)


def _partial_tiles(log: Log, checkpoint: StoredCheckpoint) -> dict[int, list[bytes]]:
    """The hashes of the partial tile of every level: together they make the edge, and so the root, of the checkpoint."""
    found: dict[int, list[bytes]] = {}
    edge: list[bytes] = []
    for level in reversed(range(checkpoint.size.bit_length() // TILE_HEIGHT + 1)):
        count = checkpoint.size >> TILE_HEIGHT * level
        width = count % TILE_WIDTH
        hashes = list(log.hashes(level, count - width, count))
        if len(hashes) != width:
            raise LedgerError("ledger-hash-missing", level=level, start=count - width, stop=count, found=len(hashes))
        found[level] = hashes
        edge.extend(edge_at(LeafNodes(hashes), width).hashes)
    if Edge(size=checkpoint.size, hashes=tuple(edge)).root() != checkpoint.root:
        raise LedgerError("ledger-root-differs", size=checkpoint.size)
    return found


def _full_tile(log: Log, tile: TileId, above: dict[int, bytes]) -> list[bytes]:
    data = log.tile(tile.level, tile.index)
    hashes = [] if data is None else split_tile(data, TILE_WIDTH)
    if root_of(hashes) != above[tile.index]:
        raise LedgerError("stored-tile-differs", level=tile.level, index=tile.index)
    return hashes


def _proved_leaves(log: Log, tile: TileId, hashes: list[bytes]) -> list[bytes]:
    entries = list(log.entries(tile.start, tile.start + tile.width))
    if [entry.index for entry in entries] != list(range(tile.start, tile.start + tile.width)):
        raise LedgerError("ledger-entry-missing", index=tile.start)
    for entry, hashed in zip(entries, hashes, strict=True):
        if leaf_hash(entry.leaf) != hashed:
            raise LedgerError("stored-leaf-differs", index=entry.index)
    return [entry.leaf for entry in entries]


def _discard_partials(folder: Folder, tile: TileId) -> None:
    folder.discard(f"{tile.path}.p")
    if tile.level == 0:
        folder.discard(f"{tile.bundle_path}.p")
