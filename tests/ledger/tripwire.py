"""Power cuts: every durable call can be the last one, with its effect or without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from gateway.ledger.folder import Folder
from gateway.ledger.memory import HeadMemory, Remembered
from gateway.ledger.port import Head, Log, RouteTail, StoredCheckpoint, StoredEntry, Tile

T = TypeVar("T")


class PowerCutError(Exception):
    """The machine stopped here."""


class Tripwire:
    """Counts calls and cuts the power at one of them: before it took effect, or after."""

    def __init__(self, at: int, *, persists: bool) -> None:
        self._left = at
        self._persists = persists
        self.passed: list[str] = []

    def mend(self) -> None:
        """From now on nothing is cut."""
        self._left, self._persists = 1_000_000, False

    def around(self, name: str, action: Callable[[], T]) -> T:
        self._left -= 1
        if self._left < 0 and not self._persists:
            raise PowerCutError(name)
        result = action()
        if self._left < 0:
            raise PowerCutError(name)
        self.passed.append(name)
        return result


class TrippedLog:
    """A log with a tripwire on what the publisher writes and on what it reads."""

    def __init__(self, log: Log, wire: Tripwire) -> None:
        self._log = log
        self._wire = wire

    def head(self) -> Head:
        return self._wire.around("head", self._log.head)

    def put(self, entry: StoredEntry, head: Head, tiles: Sequence[Tile]) -> None:
        raise NotImplementedError

    def entries(self, start: int, stop: int) -> Iterator[StoredEntry]:
        return iter(self._wire.around("entries", lambda: list(self._log.entries(start, stop))))

    def hashes(self, level: int, start: int, stop: int) -> Iterator[bytes]:
        return iter(self._wire.around("hashes", lambda: list(self._log.hashes(level, start, stop))))

    def tile(self, level: int, index: int) -> bytes | None:
        return self._wire.around("tile", lambda: self._log.tile(level, index))

    def newest_checkpoint(self) -> StoredCheckpoint | None:
        return self._wire.around("newest checkpoint", self._log.newest_checkpoint)

    def put_checkpoint(self, checkpoint: StoredCheckpoint) -> None:
        self._wire.around("put checkpoint", lambda: self._log.put_checkpoint(checkpoint))

    def route_tail(self, route: str) -> RouteTail | None:
        raise NotImplementedError


class TrippedMemory:
    """Head memory with a tripwire."""

    def __init__(self, memory: HeadMemory, wire: Tripwire) -> None:
        self._memory = memory
        self._wire = wire

    def read(self) -> Remembered | None:
        return self._wire.around("read memory", self._memory.read)

    def swap(self, expected: Remembered | None, new: Remembered) -> None:
        self._wire.around("swap memory", lambda: self._memory.swap(expected, new))


class TrippedFolder:
    """A published folder with a tripwire."""

    def __init__(self, folder: Folder, wire: Tripwire) -> None:
        self._folder = folder
        self._wire = wire

    def read(self, path: str) -> bytes | None:
        return self._wire.around(f"read {path}", lambda: self._folder.read(path))

    def create(self, path: str, data: bytes) -> None:
        self._wire.around(f"create {path}", lambda: self._folder.create(path, data))

    def replace(self, path: str, data: bytes) -> None:
        self._wire.around(f"replace {path}", lambda: self._folder.replace(path, data))

    def discard(self, path: str) -> None:
        self._wire.around(f"discard {path}", lambda: self._folder.discard(path))
