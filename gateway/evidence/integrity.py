"""Integrity: every entry hashed again from its bytes, every root computed, every checkpoint and everything signed held against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

from gateway.errors import LedgerError
from gateway.evidence.bundle import VERIFIER, Bundle
from gateway.evidence.notes import Claimed
from gateway.ledger.entry import Entry
from gateway.ledger.proof import edge_at
from gateway.ledger.report import Discrepancies
from gateway.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, TileId, new_tiles, split_tile
from gateway.ledger.tree import leaf_hash, root_of
from gateway.ledger.verify import compare_tiles, published_leaves
from gateway.ledger.walk import Walk

__all__ = ["Integrity", "TileNodes"]

_TILES_KEPT: Final = 256


class TileNodes:
    """The perfect subtrees of a published tree of ``size`` leaves, out of its tiles (8,192 bytes each, the newest used are kept)."""

    def __init__(self, bundle: Bundle, size: int) -> None:
        self._bundle = bundle
        self._size = size
        self._hashes = lru_cache(_TILES_KEPT)(self._tile)

    def node(self, height: int, index: int) -> bytes:
        """Raises LedgerError ``ledger-hash-missing`` where a tile is not there or not whole."""
        level, rest = divmod(height, TILE_HEIGHT)
        start, stop = index << rest, (index + 1) << rest
        tile, offset = divmod(start, TILE_WIDTH)
        hashes = self._hashes(level, tile)[offset : offset + stop - start]
        if len(hashes) != stop - start:
            raise LedgerError("ledger-hash-missing", level=level, start=start, stop=stop, found=len(hashes))
        return root_of(hashes)

    def _tile(self, level: int, index: int) -> list[bytes]:
        width = min(TILE_WIDTH, (self._size >> TILE_HEIGHT * level) - index * TILE_WIDTH)
        if width < 1:
            return []
        tile = TileId(level=level, index=index, width=width)
        try:
            return split_tile(self._bundle.read(tile.path) or b"", width)
        except LedgerError:
            return []


class Integrity:
    """Walks the log of ``bundle``. ``newest`` is its checkpoint, ``sizes`` those at which a root will be asked for.

    ``told`` takes what entries say of each other (routes, figures), which is not a matter of integrity.
    """

    def __init__(
        self, bundle: Bundle, newest: Claimed | None, sizes: Iterable[int], *, found: Discrepancies, told: Discrepancies
    ) -> None:
        self._bundle = bundle
        self._newest = newest
        self._found = found
        # Without a checkpoint there is nothing to compare with; the entries are looked at all the same.
        self._claimed = bundle.manifest.size if newest is None else newest.checkpoint.size
        # A claim of more entries than the bundle can hold must not keep us looking for them.
        self.size = min(max(self._claimed, 0), len(bundle) * TILE_WIDTH)
        self._nodes = TileNodes(bundle, self.size)
        self.walk = Walk(found, sizes, absence_contradicts=False, told=told)

    @property
    def whole(self) -> bool:
        """Whether no entry was missing so far. Where one is, what others lean on may be missing, and nothing is wrong because of that."""
        return self.walk.root is not None

    def entries(self) -> Iterator[tuple[int, bytes, Entry | None]]:
        """Every entry in its place, hashed and held against the tiles while it passes."""
        for index, leaf in self._leaves(self._found):
            entry = self.walk.take(index, leaf, leaf_hash(leaf))
            compare_tiles(self._bundle, self.walk.completed, self._found)
            yield index, leaf, entry
        self.walk.end(self._claimed)
        compare_tiles(self._bundle, self.walk.partial_tiles(), self._found)

    def again(self) -> Iterator[tuple[int, bytes]]:
        """Every entry a second time, unchecked: what there was to tell was told the first time."""
        return self._leaves(Discrepancies())

    def _leaves(self, found: Discrepancies) -> Iterator[tuple[int, bytes]]:
        for tile in new_tiles(0, self.size):
            if tile.level == 0:
                yield from enumerate(published_leaves(self._bundle, tile, found), start=tile.start)

    def leaf(self, index: int) -> bytes | None:
        """One entry's bytes."""
        if not 0 <= index < self.size:
            return None
        start = index - index % TILE_WIDTH
        tile = TileId(level=0, index=index // TILE_WIDTH, width=min(TILE_WIDTH, self.size - start))
        leaves = published_leaves(self._bundle, tile, Discrepancies())
        return leaves[index - start] if leaves else None

    def on_history(self, claimed: Claimed) -> bool | None:
        """Whether this tree had that root at that size; None when that cannot be told."""
        root = self.walk.root_at(claimed.checkpoint.size)
        return None if root is None else root == claimed.checkpoint.root

    def judge_checkpoints(self, checkpoints: Sequence[Claimed]) -> None:
        """After the walk: the bundle's checkpoints against the roots of the bytes."""
        manifest = self._bundle.manifest
        for one in checkpoints:
            if one.checkpoint.origin != manifest.origin:
                self._found.add(
                    "evidence-other-log", expected=manifest.origin, found=f"{one.place} {one.checkpoint.origin}"
                )
            self.walk.compare("evidence-checkpoint-wrong", one.checkpoint)
        if self._newest is None:
            self._found.add("evidence-checkpoint-absent", contradicts=False)
            return
        newest = self._newest.checkpoint
        if (manifest.size, manifest.root) != (newest.size, newest.root.hex()):
            expected, found = f"{manifest.size} {manifest.root}", f"{newest.size} {newest.root.hex()}"
            self._found.add("evidence-manifest-wrong", expected=expected, found=found)

    def judge_echo(self, index: int, claimed: Claimed) -> None:
        """A checkpoint of this log inside a sealed document, that of the entry ``index``: proof of how the log stood then."""
        checkpoint = claimed.checkpoint
        if checkpoint.origin != self._bundle.manifest.origin or checkpoint.size > self.size:
            found = f"{claimed.place} {checkpoint.origin} {checkpoint.size}"
            self._found.add("evidence-echo-wrong", index=index, expected=self._bundle.manifest.origin, found=found)
            return
        try:
            root = edge_at(self._nodes, checkpoint.size).root()
        except LedgerError as error:
            self._found.add(
                "evidence-echo-unproved", index=index, expected=claimed.place, found=error.code, contradicts=False
            )
            return
        if root != checkpoint.root:
            self._found.add(
                "evidence-echo-wrong",
                index=index,
                expected=f"{checkpoint.size} {root.hex()}",
                found=f"{claimed.place} {checkpoint.root.hex()}",
            )

    def judge_files(self) -> None:
        """What no other digest covers is as the manifest says; nothing lies in the bundle that belongs to another size of the log."""
        for path, digest in self._bundle.manifest.files.items():
            data = self._bundle.read(path)
            if data is None:
                self._found.add("evidence-file-absent", expected=path, contradicts=False)
            elif sha256(data).hexdigest() != digest:
                self._found.add("evidence-file-wrong", expected=f"{path} {digest}", found=sha256(data).hexdigest())
        if VERIFIER not in self._bundle.manifest.files:
            self._found.add("evidence-file-absent", expected=VERIFIER, contradicts=False)

    def judge_surplus(self) -> None:
        """At the very end: a member that nothing asked for was put in, or what spoke of it was taken out.

        Where entries are missing, what they would have asked for is no surprise; a tile of another size of the log always is.
        """
        for path in self._bundle.unread():
            if not path.startswith("tile/"):
                self._found.add("evidence-file-surplus", expected=path, contradicts=self.whole)
            elif not self._has(path):
                self._found.add("evidence-file-surplus", expected=path)

    def _has(self, path: str) -> bool:
        """Whether a log of this size has a tile, or an entry bundle, of that path."""
        _, level, *groups = path.split("/")
        number, _, width = "".join(groups).replace("x", "").partition(".p")
        try:
            tile = TileId(
                level=0 if level == "entries" else int(level),
                index=int(number),
                width=int(width) if width else TILE_WIDTH,
            )
        except LedgerError:
            return False
        meant = tile.bundle_path if level == "entries" else tile.path
        return path == meant and tile.width == min(TILE_WIDTH, (self.size >> TILE_HEIGHT * tile.level) - tile.start)
