"""Delimited text as rows (RFC 4180), each with the line it begins on; a line that is no row costs itself alone.

A quote that nobody closed would make one row of the rest of the file. So a row that is wrong gives back every line but its first, and
reading goes on from the second: nothing is swallowed.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from gateway.sources.encoding import Encoding, decode

__all__ = ["CsvRow", "CsvRows", "lines_of"]

LINE_BYTES = 1 << 20
LINES_IN_ROW = 500  # more than the longest field needs, were it broken after every few words
Line = tuple[str | None, bool]  # its text, None when it is too long; whether all of it could be decoded
TOO_LONG, NOT_PAIRED, TOO_FEW, TOO_MANY = "line-too-long", "quotes-not-paired", "too-few-cells", "too-many-cells"


class CsvRow(NamedTuple):
    """A row: the number of its first line, its cells, and what is wrong with the row as a whole, if so (``class-…``
    in the texts).

    ``decoded`` is false when a cell holds bytes that are no text (see ``encoding.ESCAPED``).
    """

    line: int
    cells: list[str]
    wrong: str = ""
    decoded: bool = True


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The file's lines, each with its line feed; of a longer one the first ``LINE_BYTES``."""
    while line := file.readline(LINE_BYTES):
        yield line
        while len(line) == LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(LINE_BYTES)


class _Stuck(Exception):  # noqa: N818 - no error: it ends one attempt at a row
    """The row in hand cannot be finished."""


class CsvRows:
    """The rows of one file. Set ``width`` once the headings are known: rows with fewer or more cells are then wrong."""

    def __init__(self, file: BinaryIO, encoding: Encoding, separator: str) -> None:
        self.width: int | None = None
        self._lines = lines_of(file)
        self._encoding = encoding
        self._separator = separator
        self._passed = 0  # lines of rows that are done
        self._taken: list[Line] = []  # of the row in hand
        self._given_back: deque[Line] = deque()

    def __iter__(self) -> Iterator[CsvRow]:
        """Every row but those without any text."""
        while True:
            reader = csv.reader(self._feed(), delimiter=self._separator, strict=True)
            try:
                for cells in reader:
                    row = self._row(cells)
                    if row is not None:
                        yield row
            except _Stuck as stuck:
                yield self._wrong([], str(stuck))
            except csv.Error:
                yield self._wrong([], NOT_PAIRED)
            else:
                return

    def _feed(self) -> Iterator[str]:
        while True:
            if self._given_back:
                line = self._given_back.popleft()
            else:
                raw = next(self._lines, None)
                if raw is None:
                    return
                line = decode(raw, self._encoding) if len(raw) < LINE_BYTES else (None, False)
            self._taken.append(line)
            text = line[0]
            if text is None:
                raise _Stuck(TOO_LONG)
            if len(self._taken) > LINES_IN_ROW:
                raise _Stuck(NOT_PAIRED)
            yield text.removeprefix("\ufeff") if self._passed == 0 else text

    def _row(self, cells: list[str]) -> CsvRow | None:
        if self.width is not None and len(cells) > self.width and not any(cells[self.width :]):
            cells = cells[: self.width]
        if self.width is not None and len(cells) != self.width and any(cells):
            return self._wrong(cells, TOO_FEW if len(cells) < self.width else TOO_MANY)
        first, taken = self._passed + 1, self._taken
        self._passed += len(taken)
        decoded = taken[0][1] if len(taken) == 1 else all(whole for _, whole in taken)
        taken.clear()
        return CsvRow(first, cells, "", decoded) if any(cells) else None

    def _wrong(self, cells: list[str], why: str) -> CsvRow:
        """The first line in hand as a wrong row; the others are read again, each as if a row began there."""
        self._given_back.extendleft(reversed(self._taken[1:]))
        self._taken.clear()
        self._passed += 1
        return CsvRow(self._passed, cells, wrong=why)
