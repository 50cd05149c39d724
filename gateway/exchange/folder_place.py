"""A place on this machine, a mounted one too: no link is followed, what is written is on disk before its name appears."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.errors import ExchangeError, PeerUnavailableError
from gateway.exchange.place import MOST_ENTRIES, Entry

__all__ = ["FolderPlace"]

_FILE_MODE: Final = 0o640  # the group reads: the other node, or the program that carries files on, is in it
_FOLDER_MODE: Final = 0o2770
_CODES: Final = {
    errno.ENOENT: "folder-missing",
    errno.ENOTDIR: "folder-missing",
    errno.EACCES: "folder-forbidden",
    errno.EPERM: "folder-forbidden",
    errno.EROFS: "folder-forbidden",
    errno.ENOSPC: "folder-full",
    errno.EDQUOT: "folder-full",
}


class FolderPlace:
    """The folders below ``root``. Calls run in threads, so that a disk that hangs stops nothing else."""

    def __init__(self, root: Path, *, peer: str) -> None:
        self._root = root
        self._peer = peer

    async def entries(self, folder: str) -> list[Entry]:
        """Everything in the folder."""
        return await asyncio.to_thread(self._entries, folder)

    async def find(self, folder: str, name: str) -> Entry | None:
        """The entry, links not followed."""
        return await asyncio.to_thread(self._find, folder, name)

    async def read(self, folder: str, name: str, limit: int) -> bytes | None:
        """A regular file's contents."""
        return await asyncio.to_thread(self._read, folder, name, limit)

    async def write(self, folder: str, name: str, data: bytes) -> None:
        """A new file, synced."""
        await asyncio.to_thread(self._write, folder, name, data)

    async def rename(self, folder: str, name: str, to: str, to_name: str) -> None:
        """A rename, synced."""
        await asyncio.to_thread(self._rename, folder, name, to, to_name)

    async def probe(self, folders: tuple[str, ...]) -> None:
        """Raises PeerUnavailableError ``folder-missing``, ``folder-forbidden``."""
        await asyncio.to_thread(self._probe, folders)

    async def close(self) -> None:
        """Nothing is open."""

    def _entries(self, folder: str) -> list[Entry]:
        found: list[Entry] = []
        try:
            with os.scandir(self._root / folder) as listing:
                for one in listing:
                    if len(found) == MOST_ENTRIES:
                        raise ExchangeError("folder-too-full", folder=folder, most=MOST_ENTRIES)
                    with suppress(FileNotFoundError):  # taken away while we looked
                        found.append(_entry(one.name, one.stat(follow_symlinks=False)))
        except OSError as error:
            raise self._error(folder, error) from error
        return found

    def _find(self, folder: str, name: str) -> Entry | None:
        try:
            return _entry(name, (self._root / folder / name).lstat())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(folder, error) from error

    def _read(self, folder: str, name: str, limit: int) -> bytes | None:
        try:
            # O_NONBLOCK: opening a FIFO must not hang. The file is judged by its descriptor: it cannot be exchanged in between.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._root / folder / name, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise ExchangeError("file-irregular", name=name) from error
            raise self._error(folder, error) from error
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ExchangeError("file-irregular", name=name)
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise self._error(folder, error) from error
        if len(data) > limit:
            raise ExchangeError("file-too-large", name=name, most=limit)
        return data

    def _write(self, folder: str, name: str, data: bytes) -> None:
        path = self._root / folder / name
        try:
            path.unlink(missing_ok=True)  # what an attempt left that was cut off; O_EXCL: nobody's link is followed
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags, _FILE_MODE), "wb") as file:
                os.fchmod(file.fileno(), _FILE_MODE)  # whatever the umask took away: a service's is 0077
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._error(folder, error) from error

    def _rename(self, folder: str, name: str, to: str, to_name: str) -> None:
        target = self._root / to
        try:
            if to != folder and not target.is_dir():
                target.mkdir(exist_ok=True)
                target.chmod(_FOLDER_MODE)
            (self._root / folder / name).rename(target / to_name)
            for each in {target, self._root / folder}:
                _sync(each)
        except OSError as error:
            raise self._error(to, error) from error

    def _probe(self, folders: tuple[str, ...]) -> None:
        for folder in folders:
            path = self._root / folder
            try:
                if not stat.S_ISDIR(path.stat().st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            except OSError as error:
                raise self._error(folder, error) from error

    def _error(self, folder: str, error: OSError) -> PeerUnavailableError:
        code = _CODES.get(error.errno or 0, "folder-failing")
        return PeerUnavailableError(
            code, peer=self._peer, folder=str(self._root / folder), reason=error.strerror or "-"
        )


def _entry(name: str, status: os.stat_result) -> Entry:
    return Entry(
        name=name,
        size=status.st_size,
        changed=status.st_mtime,
        regular=stat.S_ISREG(status.st_mode),
        folder=stat.S_ISDIR(status.st_mode),
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
