"""A place where two nodes leave files for each other: folders on this machine or behind SFTP, seen alike.

A folder is named relative to the place, ``outgoing`` or ``outgoing/taken``; a name is one path component. What the line or the disk
does is :class:`~gateway.errors.PeerUnavailableError`; what a file is and should not be is ExchangeError ``file-…``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.errors import ExchangeError, PeerUnavailableError
from gateway.exchange.file_names import DIGEST, digest_line, digest_of, part_of

__all__ = ["ASIDE", "MOST_ENTRIES", "Entry", "Place", "lay_aside", "publish", "read_whole", "stands", "write_part"]

MOST_ENTRIES: Final = 10_000
"""More files than this in one folder are not looked through: nobody is at work on the other side."""

ASIDE: Final = "aside"
_DIGEST_BYTES: Final = 1_024
_MOST_COPIES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a folder, links not followed. ``changed`` is in seconds since 1970, by the place's own clock."""

    name: str
    size: int
    changed: float
    regular: bool
    folder: bool = False


class Place(Protocol):
    """The files of one peer. Every call may raise PeerUnavailableError; then it is not known whether a ``rename`` took effect."""

    async def entries(self, folder: str) -> list[Entry]:
        """Everything in ``folder``. Raises ExchangeError ``folder-too-full``."""
        ...

    async def find(self, folder: str, name: str) -> Entry | None:
        """The entry called ``name``, None when there is none."""
        ...

    async def read(self, folder: str, name: str, limit: int) -> bytes | None:
        """A regular file's contents, None when there is none. Raises ExchangeError ``file-irregular``, ``file-too-large``."""
        ...

    async def write(self, folder: str, name: str, data: bytes) -> None:
        """A new file, on disk when this returns, in place of one of this name."""
        ...

    async def rename(self, folder: str, name: str, to: str, to_name: str) -> None:
        """Move what is called ``name``, link or file, into the folder ``to``, which is made if it is missing. Durable."""
        ...

    async def probe(self, folders: tuple[str, ...]) -> None:
        """Nothing, when all of ``folders`` are there and can be written to."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


async def read_whole(place: Place, folder: str, name: str, limit: int, *, beside: Sequence[str] = ()) -> bytes | None:
    """A file that is whole: its digest stands beside it and is that of its bytes. None when it is not (yet).

    ``beside`` are the folders that the file is on its way to: a process that ended there may have moved the digest and not the file.
    """
    for where in (folder, *beside):
        line = await place.read(where, name + DIGEST, _DIGEST_BYTES)
        expected = None if line is None else digest_of(name, line)
        if expected is None:
            continue
        data = await place.read(folder, name, limit)
        if data is not None and hashlib.sha256(data).hexdigest() == expected:
            return data
    return None


async def stands(place: Place, folder: str, name: str, data: bytes) -> bool:
    """Whether the file is there already, whole, with these bytes. Raises ExchangeError ``file-name-taken`` when it has others."""
    found = await place.find(folder, name)
    if found is None:
        return False
    held = await place.read(folder, name, len(data)) if found.regular and found.size == len(data) else None
    if held != data:
        raise ExchangeError("file-name-taken", name=name)
    return True


async def write_part(place: Place, folder: str, name: str, data: bytes) -> None:
    """The file and its digest, both under names that nobody takes. Until :func:`publish` nothing has been handed over."""
    await place.write(folder, part_of(name), data)
    line = digest_line(name, data)
    if await place.read(folder, name + DIGEST, _DIGEST_BYTES) != line:
        await place.write(folder, part_of(name + DIGEST), line)


async def publish(place: Place, folder: str, name: str) -> None:
    """Give the parts their names, the digest first: where the file is seen its digest is there."""
    if await place.find(folder, part_of(name + DIGEST)) is not None:
        if await place.find(folder, name + DIGEST) is not None:
            await lay_aside(place, folder, name + DIGEST, f"{folder}/{ASIDE}")
        await place.rename(folder, part_of(name + DIGEST), folder, name + DIGEST)
    await place.rename(folder, part_of(name), folder, name)


async def lay_aside(place: Place, folder: str, name: str, to: str) -> str:
    """Move ``name`` into ``to`` under its own name, or with a number behind it where that is taken; nothing is overwritten.

    Returns what it is called there. Raises PeerUnavailableError ``folder-too-full`` when every number is taken.
    """
    for number in range(_MOST_COPIES):
        to_name = f"{name}~{number}" if number else name
        if await place.find(to, to_name) is None:
            await place.rename(folder, name, to, to_name)
            return to_name
    raise PeerUnavailableError("folder-too-full", folder=to, most=_MOST_COPIES)
