"""Rows of texts as an old workbook (``.xls``, BIFF8), for receivers that take nothing else.

xlwt has not been worked on since 2017 and is an extra (``pip install credit-gateway[xls]``); what it writes is read back in its test by
the reader that this program reads sheets with.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.errors import MappingError

__all__ = ["old_workbook"]

_MOST_ROWS: Final = 65_536
_MOST_CHARACTERS: Final = 32_767


def old_workbook(sheets: Iterable[tuple[str, Sequence[str], Iterable[Sequence[str | None]]]]) -> bytes:
    """The workbook of ``sheets``: (name, headings, rows), every cell a text.

    Raises MappingError ``xls-missing`` without xlwt, ``sheet-too-large`` for more rows, or a longer text, than such a workbook holds.
    """
    try:
        xlwt: Any = importlib.import_module("xlwt")
    except ImportError as error:
        raise MappingError("xls-missing") from error
    book = xlwt.Workbook(encoding="utf-8")
    for name, headings, rows in sheets:
        sheet = book.add_sheet(name)
        text = xlwt.easyxf(num_format_str="@")
        for number, row in enumerate([headings, *rows]):
            if number >= _MOST_ROWS:
                raise MappingError("sheet-too-large", sheet=name, most=_MOST_ROWS - 1)
            for column, cell in enumerate(row):
                if cell is None or cell == "":
                    continue
                if len(cell.encode("utf-16-le")) // 2 > _MOST_CHARACTERS:
                    raise MappingError("sheet-too-large", sheet=name, most=_MOST_CHARACTERS)
                sheet.write(number, column, cell, text)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()
