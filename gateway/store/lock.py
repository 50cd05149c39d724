"""One process writes a state folder: an exclusive lock that the kernel drops when its holder dies.

The lock is flock(2) on ``<folder>/lock``, never on the file's existence: a file left behind by a crash stops nobody. What the file
says (pid, host, since, what) is for the person who is refused. flock is reliable on local file systems; do not put the state folder
on NFS.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import StoreError

__all__ = ["hold"]

_NAME = "lock"
_LONGEST = 4096


@contextmanager
def hold(folder: Path, *, what: str, at: str) -> Iterator[None]:
    """Hold the state folder for as long as the block runs; the folder is made (mode 0700) when it does not exist.

    ``what`` says who we are (``serve``, ``run permits-to-province``), ``at`` is the instant of now as text. Raises StoreError
    ``state-held`` with the holder's pid, host, since and what, ``state-unwritable`` when the folder's disk is full or only to be read.
    """
    try:
        descriptor = _locked(folder)
    except OSError as error:
        raise StoreError("state-unwritable", folder=str(folder), reason=error.strerror) from error
    try:
        try:
            _write(descriptor, {"pid": os.getpid(), "host": socket.gethostname(), "since": at, "what": what})
        except OSError as error:
            raise StoreError("state-unwritable", folder=str(folder), reason=error.strerror) from error
        yield
        # The file stays: removing it would let a third process lock a new one while a second still waits on the old one.
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> int:
    """The lock file, open and ours. Raises StoreError ``state-held``, OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Not O_TRUNC: until the lock is ours the words in the file are another's.
    descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise StoreError("state-held", folder=str(folder), **holder) from None
        raise
    return descriptor


def _write(descriptor: int, words: dict[str, object]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(words, ensure_ascii=False).encode(), 0)


def _holder(descriptor: int) -> dict[str, object]:
    """What the holder wrote; question marks when it has locked but not written yet."""
    unknown: dict[str, object] = {"pid": "?", "host": "?", "since": "?", "what": "?"}
    try:
        words = json.loads(os.pread(descriptor, _LONGEST, 0))
    except ValueError:
        return unknown
    if not isinstance(words, dict):
        return unknown
    return {name: words.get(name, missing) for name, missing in unknown.items()}
