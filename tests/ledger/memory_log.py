"""A log kept in memory, behind the ledger's storage port: what the real store replaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from gateway.errors import StoreError
from gateway.ledger.port import Head, Log, RouteTail, StoredCheckpoint, StoredEntry, Tile
from gateway.ledger.tree import EMPTY_ROOT


class Storage(Protocol):
    """Storage under test: what a suite needs beside the port."""

    def transaction(self) -> AbstractContextManager[Log]:
        """A log whose writes are there when the block ends, and are not when it raises."""
        ...

    def log(self) -> Log:
        """A log bound to no transaction, for readers and the publisher."""
        ...


class MemoryLog:
    """Everything in lists, open to a test that tampers."""

    def __init__(self) -> None:
        self.current = Head(size=0, root=EMPTY_ROOT, edge=())
        self.rows: dict[int, StoredEntry] = {}
        self.tiles: dict[tuple[int, int], Tile] = {}
        self.checkpoints: dict[int, StoredCheckpoint] = {}
        self.tails: dict[str, RouteTail] = {}

    def head(self) -> Head:
        return self.current

    def put(self, entry: StoredEntry, head: Head, tiles: Sequence[Tile]) -> None:
        if entry.index != self.current.size or head.size != entry.index + 1:
            raise StoreError("test-head-moved")
        self.rows[entry.index] = entry
        self.tiles.update({(tile.level, tile.index): tile for tile in tiles})
        self.current = head
        if entry.route is not None and entry.route_seq is not None:
            tail = self.tails.get(entry.route)
            highest = entry.route_seq if tail is None else max(tail.route_seq, entry.route_seq)
            self.tails[entry.route] = RouteTail(index=entry.index, route_seq=highest)

    def entries(self, start: int, stop: int) -> Iterator[StoredEntry]:
        for index in range(start, stop):
            if index in self.rows:
                yield self.rows[index]

    def hashes(self, level: int, start: int, stop: int) -> Iterator[bytes]:
        for index in range(start, stop):
            if level == 0 and index in self.rows:
                yield self.rows[index].leaf_hash
            elif level > 0 and (level - 1, index) in self.tiles:
                yield self.tiles[level - 1, index].root

    def tile(self, level: int, index: int) -> bytes | None:
        tile = self.tiles.get((level, index))
        return None if tile is None else tile.data

    def newest_checkpoint(self) -> StoredCheckpoint | None:
        return self.checkpoints[max(self.checkpoints)] if self.checkpoints else None

    def put_checkpoint(self, checkpoint: StoredCheckpoint) -> None:
        if self.checkpoints.setdefault(checkpoint.size, checkpoint) != checkpoint:
            raise StoreError("test-checkpoint-differs")

    def route_tail(self, route: str) -> RouteTail | None:
        return self.tails.get(route)

    def copy(self) -> MemoryLog:
        """As it is now: the backup that somebody restores."""
        other = MemoryLog()
        other.current = self.current
        other.rows, other.tiles = dict(self.rows), dict(self.tiles)
        other.checkpoints, other.tails = dict(self.checkpoints), dict(self.tails)
        return other


class MemoryStorage:
    """:class:`Storage` over a :class:`MemoryLog`."""

    def __init__(self) -> None:
        self._log = MemoryLog()

    @contextmanager
    def transaction(self) -> Iterator[Log]:
        draft = self._log.copy()
        yield draft
        self._log = draft

    def log(self) -> Log:
        return self._log
