"""Rows of texts as a workbook (``.xlsx``). Every cell is a text: nothing that stands in one is a formula, a link or a number rounded."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import xlsxwriter

from gateway.errors import MappingError

__all__ = ["workbook"]

_MOST_ROWS: Final = 1_048_576
_MOST_CHARACTERS: Final = 32_767
_WIDEST: Final = 60
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


def workbook(sheets: Iterable[tuple[str, Sequence[str], Iterable[Sequence[str | None]]]]) -> bytes:
    """The workbook of ``sheets``: (name, headings, rows). The same rows give the same bytes.

    Raises MappingError ``sheet-too-large`` for more rows, or a longer text, than a workbook can hold.
    """
    data = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(data, options) as book:
        # Otherwise the moment of writing would stand in the file.
        book.set_properties({"created": _LONG_AGO})
        text, bold = book.add_format({"num_format": "@"}), book.add_format({"bold": True, "num_format": "@"})
        for name, headings, rows in sheets:
            sheet = book.add_worksheet(name)
            widths = [len(heading) for heading in headings]
            for column, heading in enumerate(headings):
                sheet.write_string(0, column, heading, bold)
            for number, row in enumerate(rows, start=1):
                if number >= _MOST_ROWS:
                    raise MappingError("sheet-too-large", sheet=name, most=_MOST_ROWS - 1)
                for column, cell in enumerate(row):
                    if cell is None or cell == "":
                        continue
                    if len(cell.encode("utf-16-le")) // 2 > _MOST_CHARACTERS:
                        raise MappingError("sheet-too-large", sheet=name, most=_MOST_CHARACTERS)
                    sheet.write_string(number, column, cell, text)
                    widths[column] = max(widths[column], len(cell))
            for column, width in enumerate(widths):
                sheet.set_column(column, column, min(2 * width + 2, _WIDEST))
            sheet.freeze_panes(1, 0)
    return data.getvalue()
