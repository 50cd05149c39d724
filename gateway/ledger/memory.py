"""The head memory: the ledger's newest head, kept where the database is not, so that a database rolled back or forked is noticed.

It is one tiny file on another volume or host. Its text is a checkpoint (origin, size, root) with the time of its making as a fourth line.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from gateway.clock import instant, parse_instant
from gateway.errors import LedgerError
from gateway.ledger.checkpoint import Checkpoint, parse_checkpoint
from gateway.ledger.folder import replace_file

__all__ = ["FileHeadMemory", "HeadMemory", "Remembered"]

_MAX_FILE_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The last head that this node let itself sign, and when."""

    origin: str
    size: int
    root: bytes
    at: datetime

    def text(self) -> str:
        """The four lines."""
        return Checkpoint(origin=self.origin, size=self.size, root=self.root, extensions=(instant(self.at),)).text()


class HeadMemory(Protocol):
    """Where the last head is remembered. Both calls are durable and atomic between processes."""

    def read(self) -> Remembered | None:
        """What is remembered, or None when nothing ever was. Raises LedgerError ``head-memory-malformed``."""
        ...

    def swap(self, expected: Remembered | None, new: Remembered) -> None:
        """Remember ``new`` if ``expected`` is what is remembered now. Raises LedgerError ``head-memory-moved`` if it is not."""
        ...


class FileHeadMemory:
    """Head memory in a file. Its folder has to exist: a volume that is not mounted must not look like a fresh start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Remembered | None:
        """Raises LedgerError: ``head-memory-malformed``, ``ledger-file-failed``."""
        try:
            with self._path.open("rb") as file:
                data = file.read(_MAX_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError("ledger-file-failed", path=self._path, reason=error.strerror) from error
        try:
            checkpoint = parse_checkpoint(data.decode("utf-8"))
            (line,) = checkpoint.extensions
            found = Remembered(
                origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root, at=parse_instant(line)
            )
        except (LedgerError, ValueError) as error:
            raise LedgerError("head-memory-malformed", path=self._path) from error
        if found.text().encode("utf-8") != data:
            raise LedgerError("head-memory-malformed", path=self._path)
        return found

    def swap(self, expected: Remembered | None, new: Remembered) -> None:
        """Raises LedgerError: ``head-memory-moved``, ``head-memory-malformed``, ``ledger-file-failed``."""
        with self._locked():
            if self.read() != expected:
                raise LedgerError("head-memory-moved", path=self._path)
            replace_file(self._path, new.text().encode("utf-8"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Between processes of this host. The lock stands beside the file, because the file itself is exchanged."""
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError("ledger-file-failed", path=lock, reason=error.strerror) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
