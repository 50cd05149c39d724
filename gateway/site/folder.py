"""Files of a site, written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gateway.errors import ExchangeError

__all__ = ["SiteFolder"]


class SiteFolder:
    """The folder that the web server serves. A visitor finds a file as it was or as it is, never a part of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made: set[Path] = set()

    def write(self, path: str, data: bytes) -> None:
        """Put ``data`` in the place of ``path``. Raises ExchangeError ``site-unwritable``."""
        target = self.root / path
        temporary = target.with_name(f".{target.name}.part")
        try:
            if target.parent not in self._made:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(target.parent)
            with suppress(FileNotFoundError):
                temporary.unlink()  # of a process that died
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            temporary.replace(target)
        except OSError as error:
            raise ExchangeError("site-unwritable", path=path, reason=error.strerror) from error

    def remove(self, path: str) -> None:
        """Take a file away, if it is there. Raises ExchangeError ``site-unwritable``."""
        try:
            with suppress(FileNotFoundError):
                (self.root / path).unlink()
        except OSError as error:
            raise ExchangeError("site-unwritable", path=path, reason=error.strerror) from error

    def settle(self) -> None:
        """Have everything on the disk before anybody relies on it: after a power cut no page is half."""
        os.sync()

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None when it is not there."""
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def files(self) -> list[str]:
        """Every file below the folder, temporary ones of a write that was cut off included."""
        found = (file for file in self.root.rglob("*") if file.is_file() or file.is_symlink())
        return sorted(file.relative_to(self.root).as_posix() for file in found)
