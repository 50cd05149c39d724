"""Files that are whole or not there: written under a temporary name, synced, renamed, and their folder synced.

After a power loss a file has its old bytes or its new ones, never half of them.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from gateway.errors import LedgerError

__all__ = ["MAX_FILE_BYTES", "Folder", "TileFolder", "replace_file"]

MAX_FILE_BYTES: Final = 256 * (65_535 + 2)
"""A full bundle of the largest entries."""


class Folder(Protocol):
    """Where the log is published. Paths are relative, with ``/`` between their parts, as tlog-tiles names them."""

    def read(self, path: str) -> bytes | None:
        """The file's bytes, or None when there is no such file."""
        ...

    def create(self, path: str, data: bytes) -> None:
        """Write a file that never changes, durably. The same bytes there already are well; others are refused."""
        ...

    def replace(self, path: str, data: bytes) -> None:
        """Write or exchange a file, durably."""
        ...

    def discard(self, path: str) -> None:
        """Remove a folder and what is in it, if it is there; need not be durable."""
        ...


class TileFolder:
    """A published log in a folder of the file system, made when it is first written to."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        """Raises LedgerError ``ledger-file-failed``, also for a file larger than any that the log publishes."""
        return _read(self._root / path)

    def create(self, path: str, data: bytes) -> None:
        """Raises LedgerError: ``published-file-differs``, ``ledger-file-failed``."""
        target = self._root / path
        found = _read(target)
        if found is None:
            _make_folder(target.parent)
            replace_file(target, data)
        elif found != data:
            raise LedgerError("published-file-differs", path=target)
        else:
            # An earlier attempt may have stopped between its rename and its last sync.
            _sync(target)
            _sync(target.parent)

    def replace(self, path: str, data: bytes) -> None:
        """Raises LedgerError ``ledger-file-failed``."""
        target = self._root / path
        _make_folder(target.parent)
        replace_file(target, data)

    def discard(self, path: str) -> None:
        """Raises LedgerError ``ledger-file-failed``."""
        target = self._root / path
        try:
            shutil.rmtree(target)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LedgerError("ledger-file-failed", path=target, reason=error.strerror) from error


def replace_file(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, whole or not at all, durably. The folder has to exist.

    Raises LedgerError ``ledger-file-failed``; what is at ``path`` is then the old file or the new one.
    """
    # The process number keeps two daemons on one folder from writing into each other's file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise LedgerError("ledger-file-failed", path=path, reason=error.strerror) from error
    _sync(path.parent)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError("ledger-file-failed", path=path, reason=error.strerror) from error
    if len(data) > MAX_FILE_BYTES:
        raise LedgerError("ledger-file-failed", path=path, reason="larger than any file of a log")
    return data


def _make_folder(path: Path) -> None:
    """Make ``path`` and the folders above it that are missing, each entry synced into the folder that holds it."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise LedgerError("ledger-file-failed", path=path, reason=error.strerror) from error
    _sync(path.parent)


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LedgerError("ledger-file-failed", path=path, reason=error.strerror) from error
