"""What every format whose documents are a receiver's own files says of them: how a file is called, and what the answer to it looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

__all__ = ["MARKS", "FeedbackType", "FileFeedback", "file_name", "numbered_name"]

_MOMENTS: Final[Mapping[str, str]] = {
    "yyyyMMddHHmmss": "%Y%m%d%H%M%S",
    "yyyyMMddHH": "%Y%m%d%H",
    "yyyyMMdd": "%Y%m%d",
}
MARKS: Final = (*_MOMENTS, "sequence")
"""What may stand in braces in a file's name: when the batch was made, and its number on its route (six digits or more)."""


class FeedbackType(StrEnum):
    """The kinds of file that a receiver answers with."""

    CSV = "csv"
    XLSX = "xlsx"
    XLS = "xls"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFeedback:
    """What a receiver's answer to one of our files looks like. ``file`` is its name without the ending, with ``{file}`` for ours.

    ``row``, ``result``, ``code`` and ``message`` are its headings; a row of a sheet is counted as a spreadsheet does, the headings being row
    1, a record of a document from 1, and one without a number speaks of the whole file. Results in ``accepted`` mean that a record was taken;
    ``unlisted_accepted``: so do rows that are not listed.
    """

    file: str
    type: FeedbackType
    row: str
    result: str
    code: str
    message: str
    accepted: tuple[str, ...]
    unlisted_accepted: bool = False


def file_name(file: str, at: datetime, sequence: int) -> str:
    """A file's name with its :data:`MARKS` filled in for a batch made ``at`` (local time), number ``sequence`` of its route."""
    for mark, shape in _MOMENTS.items():
        file = file.replace(f"{{{mark}}}", at.strftime(shape))
    return file.replace("{sequence}", f"{sequence:06}")


def numbered_name(name: str, number: int, count: int) -> str:
    """The name of the file ``number`` (from 1) of ``count`` that share ``name``; a single one goes without the number."""
    return name if count == 1 else f"{name}_{number:06}"
