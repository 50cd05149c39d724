"""What all decisions have in common: who may be addressed, how a document is numbered, who keeps the file and when it was touched."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from random import Random
from typing import Final, TypeAlias

from gateway.demo.days import Day
from gateway.demo.names import person
from gateway.demo.subjects import Kind, Subject

__all__ = ["CLERK_COLUMNS", "Addressees", "Cell", "Clerks", "Row", "document_number"]

Cell: TypeAlias = str | int | float | bytes | None
"""What a cell of the business database holds; bytes only where a text was stored in another encoding."""
Row: TypeAlias = tuple[Cell, ...]

CLERK_COLUMNS: Final = ("JBR", "LXDH", "UPDATED_AT")
"""Who handled the file, their telephone, and when it was last written: no mapping names them, so they are never sent."""

_FULL_WIDTH: Final = str.maketrans("0123456789", "０１２３４５６７８９")
_TYPED_WIDE: Final = 61  # every so many documents a number is typed with an input method in full width


class Addressees(Enum):
    """To whom a decision of one sort can be addressed."""

    ANYONE = frozenset(Kind)
    PERSONS = frozenset({Kind.PERSON})
    BUSINESSES = frozenset(Kind) - {Kind.PERSON}

    def among(self, subjects: Sequence[Subject]) -> tuple[tuple[Cell, ...], ...]:
        """The cells of those subjects."""
        return tuple(subject.cells for subject in subjects if subject.kind in self.value)


class Clerks:
    """The people who keep the files; with them the last cells of a row."""

    def __init__(self, random: Random) -> None:
        self._people = tuple((person(random), f"0000-61000{place:02d}") for place in range(12))
        minutes = range(8 * 60 + 30, 17 * 60 + 30)
        self._times = tuple(f"{minute // 60:02d}:{minute % 60:02d}:{random.randrange(60):02d}" for minute in minutes)

    def cells(self, number: int, day: Day, chance: float) -> Row:
        """For :data:`CLERK_COLUMNS`; ``chance`` in [0, 1) picks the time within the day of the decision."""
        who, telephone = self._people[number % len(self._people)]
        return who, telephone, f"{day.iso} {self._times[int(chance * len(self._times))]}"


def document_number(word: str, year: int, number: int) -> str:
    """``<word>〔<year>〕<number>号``; never given twice under one word."""
    text = f"{word}〔{year}〕{number}号"
    return text if number % _TYPED_WIDE else text.translate(_FULL_WIDTH)
