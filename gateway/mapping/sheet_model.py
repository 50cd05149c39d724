"""What a format of sheets is: templates whose headings and order are the receiver's, and what of a catalog's record stands in each column.

Values only; :mod:`gateway.mapping.sheet_loader` makes them from ``mappings/formats/<id>/`` and names every mistake there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.catalog.model import Condition
from gateway.mapping.fields_format import FieldsFormat
from gateway.mapping.format_model import BatchFact, WhenEmpty
from gateway.mapping.model import Rule

__all__ = [
    "MOMENTS",
    "FeedbackType",
    "SheetColumn",
    "SheetFeedback",
    "SheetFormat",
    "SheetTemplate",
    "SheetType",
    "moment_name",
]

MOMENTS: Mapping[str, str] = {"yyyyMMddHHmmss": "%Y%m%d%H%M%S", "yyyyMMddHH": "%Y%m%d%H", "yyyyMMdd": "%Y%m%d"}
"""How a file's name may tell when it was made."""


class SheetType(StrEnum):
    """The kinds of file; the old one only where a receiver insists."""

    XLSX = "xlsx"
    XLS = "xls"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetColumn:
    """One column: its heading to the letter, and where its text comes from. With neither ``field`` nor ``batch`` the first rule makes it."""

    heading: str
    field: str | None
    batch: BatchFact | None
    rules: tuple[Rule, ...]
    when_empty: WhenEmpty
    max_length: int | None = None
    why: str = ""
    profile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetTemplate:
    """One template. ``when`` are the conditions under which a record of the catalog belongs into it (in none: always).

    ``file`` is the name of the file, with ``{yyyyMMddHH}`` or another of :data:`MOMENTS` in it, without the ending.
    """

    id: str
    catalog: str
    sheet: str
    file: str
    when: tuple[Condition, ...]
    columns: tuple[SheetColumn, ...]

    def file_name(self, type_: SheetType, at: datetime) -> str:
        """The name of a file made at ``at``, local time."""
        return f"{moment_name(self.file, at)}.{type_}"


class FeedbackType(StrEnum):
    """The kinds of file that a receiver answers with."""

    CSV = "csv"
    XLSX = "xlsx"
    XLS = "xls"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFeedback:
    """What a receiver's answer to one of our files looks like. ``file`` is its name without the ending, with ``{file}`` for ours.

    ``row``, ``result``, ``code`` and ``message`` are its headings; a row is counted as a spreadsheet does, the headings being row 1, and one
    without a number speaks of the whole file. Results in ``accepted`` mean that a record was taken; ``unlisted_accepted``: so do rows that
    are not listed.
    """

    file: str
    type: FeedbackType
    row: str
    result: str
    code: str
    message: str
    accepted: tuple[str, ...]
    unlisted_accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFormat(FieldsFormat[SheetTemplate]):
    """One format. ``withdrawn`` names the file that lists what is taken back, ``feedback`` says how the receiver answers."""

    type: SheetType
    withdrawn: str | None = None
    feedback: SheetFeedback | None = None


def moment_name(file: str, at: datetime) -> str:
    """A file's name with the marks of :data:`MOMENTS` filled in for ``at``, local time."""
    for mark, shape in MOMENTS.items():
        file = file.replace(f"{{{mark}}}", at.strftime(shape))
    return file
