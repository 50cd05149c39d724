"""What a format of sheets is: templates whose headings and order are the receiver's, and what of a catalog's record stands in each column.

Values only; :mod:`gateway.mapping.sheet_loader` makes them from ``mappings/formats/<id>/`` and names every mistake there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from gateway.catalog.model import Condition
from gateway.errors import Finding
from gateway.mapping.format_model import BatchFact, Fact, WhenEmpty
from gateway.mapping.model import Rule

__all__ = ["MOMENTS", "SheetColumn", "SheetFormat", "SheetTemplate", "SheetType"]

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
        name = self.file
        for mark, shape in MOMENTS.items():
            name = name.replace(f"{{{mark}}}", at.strftime(shape))
        return f"{name}.{type_}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFormat:
    """One format. ``receiver`` says in words who demands it; ``sealing`` how its files are vouched for.

    ``texts`` are the bytes of format.toml and of every binding by path in the folder.
    """

    id: str
    version: str
    zh: str
    en: str
    standard: str
    receiver: str
    sealing: str
    type: SheetType
    templates: tuple[SheetTemplate, ...]
    facts: tuple[Fact, ...]
    texts: Mapping[str, bytes]
    valid_from: date | None = None
    valid_to: date | None = None
    warnings: tuple[Finding, ...] = ()

    def catalogs(self) -> tuple[str, ...]:
        """The catalogs that it takes."""
        return tuple(dict.fromkeys(template.catalog for template in self.templates))
