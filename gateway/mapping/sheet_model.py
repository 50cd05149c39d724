"""What a format of sheets is: templates whose headings and order are the receiver's, and what of a catalog's record stands in each column.

Values only; :mod:`gateway.mapping.sheet_loader` makes them from ``mappings/formats/<id>/`` and names every mistake there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.catalog.model import Condition
from gateway.mapping.fields_format import FieldsFormat
from gateway.mapping.file_shape import FileFeedback, file_name
from gateway.mapping.format_model import BatchFact, WhenEmpty
from gateway.mapping.model import Rule

__all__ = [
    "SheetColumn",
    "SheetFormat",
    "SheetTemplate",
    "SheetType",
]


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

    ``file`` is the name of the file, without the ending, with :data:`gateway.mapping.file_shape.MARKS` in braces.
    """

    id: str
    catalog: str
    sheet: str
    file: str
    when: tuple[Condition, ...]
    columns: tuple[SheetColumn, ...]

    def file_name(self, type_: SheetType, at: datetime, sequence: int) -> str:
        """The name of the file of a batch made ``at``, local time, number ``sequence`` of its route."""
        return f"{file_name(self.file, at, sequence)}.{type_}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFormat(FieldsFormat[SheetTemplate]):
    """One format. ``withdrawn`` names the file that lists what is taken back, ``feedback`` says how the receiver answers."""

    type: SheetType
    withdrawn: str | None = None
    feedback: FileFeedback | None = None
