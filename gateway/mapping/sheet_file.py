"""Rows as a file of the kind that a receiver takes; the same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.mapping.sheet_model import SheetType
from gateway.mapping.workbook import workbook
from gateway.mapping.workbook_xls import old_workbook

__all__ = ["sheet_file"]


def sheet_file(type_: SheetType, sheet: str, headings: Sequence[str], rows: Iterable[Sequence[str | None]]) -> bytes:
    """The workbook with one sheet. Raises MappingError ``sheet-too-large``, ``xls-missing``."""
    content = (sheet, headings, rows)
    return old_workbook([content]) if type_ is SheetType.XLS else workbook([content])
