"""Which files a source reads: one file, a folder or a pattern; finished files only, in the order of their names."""

from __future__ import annotations

import glob
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway.errors import SourceUnavailableError

__all__ = ["Listing", "State", "list_files", "steady"]

# Names that programs give to a file while they write it: hidden ones, Office's lock files, browsers' and transfer programs' parts.
UNFINISHED_STARTS = (".", "~$")
UNFINISHED_ENDS = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files to read, and whether there were others of their kind that nobody has finished writing."""

    files: tuple[Path, ...]
    unfinished: bool


def list_files(path: str, suffixes: tuple[str, ...], *, source: str) -> Listing:
    """Files at ``path``: the file itself, the files in the folder with one of the suffixes, or all that a pattern (``*``, ``?``, ``[…]``,
    ``**``) fits. Raises SourceUnavailableError ``source-files-missing``: a file may still arrive."""
    place = Path(path)
    if place.is_dir():
        found = list(place.iterdir())
    elif place.exists():
        found = [place]
    else:
        found = [Path(name) for name in glob.glob(path, recursive=True, include_hidden=True)]  # noqa: PTH207 - takes a whole path
    files = [file for file in found if file.is_file()]
    unfinished = [file for file in files if _unfinished(file.name)]
    chosen = [file for file in files if file not in unfinished]
    if place.is_dir():
        chosen = [file for file in chosen if file.suffix.lower() in suffixes]
    if not chosen:
        raise SourceUnavailableError("source-files-missing", source=source, path=path)
    return Listing(files=tuple(sorted(chosen, key=lambda file: (file.name, file))), unfinished=bool(unfinished))


def _unfinished(name: str) -> bool:
    return name.startswith(UNFINISHED_STARTS) or name.lower().endswith(UNFINISHED_ENDS)


@dataclass(slots=True)
class State:
    """A file as it was found: node, size, time of change. Empty until it has been looked at."""

    seen: tuple[int, int, int] | None = None


@contextmanager
def steady(file: Path, state: State) -> Generator[BinaryIO]:
    """The file, open, and the same as when ``state`` was last kept.

    Raises SourceUnavailableError ``source-file-unreadable``; ``source-file-changed``, at the beginning or at the end, when somebody has
    written to the file or replaced it since: what was read of it is no state that it ever had.
    """
    try:
        with file.open("rb") as opened:
            _compare(file, state)
            yield opened
            _compare(file, state)
    except OSError as error:
        raise SourceUnavailableError("source-file-unreadable", file=file.name, reason=error.strerror) from error


def _compare(file: Path, state: State) -> None:
    stat = file.stat()
    now = stat.st_ino, stat.st_size, stat.st_mtime_ns
    if state.seen not in (None, now):
        raise SourceUnavailableError("source-file-changed", file=file.name)
    state.seen = now
