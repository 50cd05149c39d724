"""One pass over a log's entries: leaf hashes, edge, tiles, the roots at the sizes asked for, and the chain of what entries say.

Memory is bounded: one unfinished tile a level beside what the chain holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.ledger.chain import Chain
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Entry
from gateway.ledger.report import Discrepancies
from gateway.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, TileId
from gateway.ledger.tree import Edge, root_of

__all__ = ["ComputedTile", "Walk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedTile:
    """A tile as the entries give it."""

    id: TileId
    hashes: list[bytes]


class Walk:
    """Takes entries in the order of their index and collects discrepancies.

    ``sizes`` are the sizes whose roots are to be compared. ``absence_contradicts`` says whether a missing entry contradicts (storage that
    claims to hold it) or only keeps things from being proved (files that somebody handed over). What entries say of each other goes to
    ``told`` where that is given, everything else to ``found``.
    """

    def __init__(
        self,
        found: Discrepancies,
        sizes: Iterable[int],
        *,
        absence_contradicts: bool,
        told: Discrepancies | None = None,
    ) -> None:
        self._found = found
        self.chain = Chain(found, told)
        self._sizes = frozenset(sizes)
        self._roots: dict[int, bytes] = {}
        self._levels: list[list[bytes]] = [[]]
        self._absence_contradicts = absence_contradicts
        self._broken = False
        self.size = 0
        self.edge = Edge()
        self.completed: list[ComputedTile] = []
        self._remember_root()

    @property
    def root(self) -> bytes | None:
        """The root over all entries, None when one is missing."""
        return None if self._broken else self.edge.root()

    def take(self, index: int, leaf: bytes, hashed: bytes) -> Entry | None:
        """One entry with its leaf hash. ``completed`` are afterwards the full tiles that it completed.

        Returns the entry, None when its bytes are none.
        """
        self.completed = []
        if index != self.size:
            self._gap(index)
        self.size = index + 1
        if not self._broken:
            self.edge = self.edge.append(hashed)
            self._remember_root()
            self._fill(0, hashed)
        return self.chain.take(index, leaf)

    def end(self, size: int) -> None:
        """After the last entry: there should have been ``size``."""
        self.completed = []
        if self.size != size:
            self._gap(size)
            self.size = size

    def partial_tiles(self) -> Iterator[ComputedTile]:
        """The tiles that are not full at the end."""
        for level, hashes in enumerate(self._levels):
            if hashes and not self._broken:
                index = self.edge.size >> TILE_HEIGHT * (level + 1)
                yield ComputedTile(id=TileId(level=level, index=index, width=len(hashes)), hashes=hashes)

    def root_at(self, size: int) -> bytes | None:
        """The root at one of ``sizes``, None when the walk never got there."""
        return self._roots.get(size)

    def compare(self, code: str, expected: Checkpoint) -> None:
        """The root at that size is the expected one, and the log is at least that long."""
        root = self._roots.get(expected.size)
        if expected.size > self.size:
            self._found.add("ledger-tail-absent", index=self.size, expected=expected.size, found=self.size)
        elif root is not None and root != expected.root:
            self._found.add(
                code, expected=f"{expected.size} {expected.root.hex()}", found=f"{expected.size} {root.hex()}"
            )

    def _gap(self, found: int) -> None:
        self._found.add(
            "ledger-entry-absent",
            index=self.size,
            expected=self.size,
            found=found,
            contradicts=self._absence_contradicts,
        )
        self._broken = True  # no root can be computed from here on
        self.chain.interrupt()

    def _remember_root(self) -> None:
        if self.edge.size in self._sizes:
            self._roots[self.edge.size] = self.edge.root()

    def _fill(self, level: int, hashed: bytes) -> None:
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(hashed)
        if len(self._levels[level]) == TILE_WIDTH:
            hashes, self._levels[level] = self._levels[level], []
            index = (self.edge.size >> TILE_HEIGHT * (level + 1)) - 1
            self.completed.append(ComputedTile(id=TileId(level=level, index=index), hashes=hashes))
            self._fill(level + 1, root_of(hashes))
