"""Enough room on the disk for what is begun: work is held back before a write fails, and goes on when there is room again.

Room is bytes and files: a file system may have used up the one while there is plenty of the other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.delivery.holds import Holds, Work

__all__ = ["SpaceWatch"]

_CODE = "space-low"
_STOPS = frozenset({Work.INTAKE, Work.RUN, Work.SENDING})
_FILES = 1_000  # a checkpoint takes three, a start and a journal a dozen
_ENOUGH = 1.1  # to go on there must be a tenth more than to stop: no flutter at the edge


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceWatch:
    """Watches the file systems of ``folders``; ``least`` bytes, and a thousand files, must be free on each, 0 watches nothing.

    Batches that are under way are finished. Signing goes on: a checkpoint takes a few kilobytes, and what is committed must be covered.
    """

    folders: Sequence[Path]
    least: int
    holds: Holds

    def look(self) -> None:
        """Begin or end the hold."""
        if not self.least:
            return
        found = [os.statvfs(folder) for folder in self.folders if folder.exists()]
        free = min((one.f_bavail * one.f_frsize for one in found), default=self.least)
        # A file system that counts no files says 0 of 0.
        files = min((one.f_favail for one in found if one.f_files), default=_FILES)
        if free < self.least or files < _FILES:
            self.holds.begin(_CODE, _STOPS, free=free, least=self.least, files=files)
        elif free >= self.least * _ENOUGH and files >= _FILES * _ENOUGH:
            self.holds.end(_CODE)
