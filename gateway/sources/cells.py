"""How far the cells of a sheet reach, and which hold an error, from the sheet's XML (ECMA-376 part 1, §18.3.1) as it is inflated.

Twice: at a glance, by patterns, where the XML is written as Excel and every library writes it; and by a parser where it is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

__all__ = ["Extent", "glance", "parser", "walk"]

CELL = re.compile(rb"<c[\s/>]")
PLACE = re.compile(rb'<c\s(?:[^>]*?\s)?r="([A-Z]{1,7})([0-9]{1,9})"')
ERROR = re.compile(rb'<c\s[^>]*?\bt="e"[^>]*>')
# What the patterns above would not understand: a prefix, a document type, another encoding, an attribute in single quotes.
STRANGE = re.compile(rb"<[\w.-]+:c[\s/>]|<!DOCTYPE|\0|<c\s[^>]*'")
TAIL = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The rectangle from A1 that holds all cells, and the cells with an error as (row, column) from 0."""

    rows: int
    columns: int
    errors: frozenset[tuple[int, int]]


def glance(pieces: Iterable[bytes]) -> Extent | None:
    """The extent, cells without a value included; None as soon as something is not written as usual."""
    rows: set[bytes] = set()
    columns: set[bytes] = set()
    errors: set[tuple[int, int]] = set()
    tail = b""
    for piece in pieces:
        whole, mark, rest = (tail + piece).rpartition(b"<")
        tail = mark + rest
        places = PLACE.findall(whole)
        if len(places) != len(CELL.findall(whole)) or STRANGE.search(whole) or len(tail) > TAIL:
            return None
        columns.update(letters for letters, _ in places)
        rows.update(digits for _, digits in places)
        for error in ERROR.findall(whole):
            errors.update(_place(match[1] + match[2]) for match in PLACE.finditer(error))
    if CELL.match(tail):
        return None
    return Extent(
        rows=max(map(int, rows), default=0),
        columns=max((_place(letters + b"1")[1] + 1 for letters in columns), default=0),
        errors=frozenset(errors),
    )


def walk(pieces: Iterable[bytes]) -> Extent:
    """The extent of the cells with a value. Raises expat.ExpatError, ValueError."""
    cells = _Cells()
    reader = parser(cells.start)
    for piece in pieces:
        reader.Parse(piece, False)
    reader.Parse(b"", True)
    return Extent(rows=cells.rows, columns=cells.columns, errors=frozenset(cells.errors))


class _Cells:
    """Where the parser is. A row or cell without a place follows the one before it."""

    def __init__(self) -> None:
        self.rows = self.columns = 0
        self.errors: set[tuple[int, int]] = set()
        self._row = self._column = -1

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if tag == "c":
            if "r" in attributes:
                self._row, self._column = _place(attributes["r"].encode())
            else:
                self._column += 1
            if attributes.get("t") == "e":
                self.errors.add((self._row, self._column))
        elif tag in {"v", "is"}:
            self.rows = max(self.rows, self._row + 1)
            self.columns = max(self.columns, self._column + 1)
        elif tag == "row":
            self._row = int(attributes["r"]) - 1 if "r" in attributes else self._row + 1
            self._column = -1


def parser(start: Callable[[str, dict[str, str]], None]) -> expat.XMLParserType:
    """An expat parser that refuses every DOCTYPE, and with it every entity. ``start`` is given names without their prefix."""
    made = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise ValueError("DOCTYPE")

    made.StartDoctypeDeclHandler = refuse
    made.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
    return made


def _place(reference: bytes) -> tuple[int, int]:
    """``B3`` → (2, 1)."""
    letters = reference.rstrip(b"0123456789")
    column = 0
    for letter in letters:
        column = column * 26 + letter - ord("A") + 1
    return int(reference[len(letters) :]) - 1, column - 1
