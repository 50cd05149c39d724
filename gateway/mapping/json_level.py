"""One level of a JSON document: the record, or the rows of one of its parts, with the texts of its leaves and the levels below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog
from gateway.mapping.columns import Cells, cell_column
from gateway.mapping.format_model import WhenEmpty
from gateway.mapping.json_model import JsonTemplate, pointer
from gateway.mapping.json_value import branch_of
from gateway.mapping.parts import NUMBER, rows_of

__all__ = ["JsonLevel", "JsonRow"]

_PLACE: Final = re.compile(r"\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class JsonRow:
    """The texts of a level's leaves, in its order, None where nothing stands; and the rows of the parts directly in it."""

    texts: Sequence[str | None]
    parts: Mapping[str, Sequence[JsonRow]]


class JsonLevel:
    """The leaves that stand once in a row of ``part`` (None: in the record), compiled, and the levels of the parts in it."""

    def __init__(self, template: JsonTemplate, part: str | None, catalog: Catalog, library: Library) -> None:
        self.part = part
        self._base = template.repeat[part] if part is not None else template.records or ()
        self._leaves = [
            leaf for leaf in template.leaves if template.in_record(leaf.steps) and template.part_at(leaf.steps) == part
        ]
        arrays = {one: path for one, path in template.repeat.items() if template.part_at(path[:-1]) == part}
        self._inner = [JsonLevel(template, one, catalog, library) for one in arrays]
        self._cells = Cells([leaf.column for leaf in self._leaves], catalog, library)
        self._branch = branch_of(template, self._base, self._leaves, arrays)

    def fill(self, frame: pl.DataFrame) -> tuple[list[JsonRow], list[bool], pl.DataFrame]:
        """Each row of ``frame`` (canonical, with ``@row``, ``@key`` and the batch's columns); which are wrong; and why."""
        wide, wrong, problems = self._cells.fill(frame)
        bad = wrong.to_list()
        told = [problems]
        below: list[tuple[str, dict[int, list[JsonRow]]]] = []
        for level in self._inner:
            rows = rows_of(frame, level.part or "")
            inner, spoilt, said = level.fill(rows)
            told.append(said)
            grouped: dict[int, list[JsonRow]] = {}
            for parent, row, worse in zip(rows[NUMBER], inner, spoilt, strict=True):
                grouped.setdefault(parent, []).append(row)
                bad[parent] = bad[parent] or worse
            below.append((level.part or "", grouped))
        cells = wide.select(self._text(place) for place in range(len(self._leaves))).rows() if self._leaves else ()
        made = [
            JsonRow(cells[number] if cells else (), {part: grouped.get(number, []) for part, grouped in below})
            for number in range(frame.height)
        ]
        return made, bad, pl.concat(told)

    def value(self, row: JsonRow) -> object:
        """The object that a row is."""
        rows: dict[str, list[object]] = {}
        for level in self._inner:
            values = (level.value(one) for one in row.parts[level.part or ""])
            # A row of which nothing is written is none: it could not be told from one that is not there.
            rows[level.part or ""] = [value for value in values if value]
        return self._branch.value(self._leaves, (row.texts, rows))[0]

    def named(self, row: JsonRow, places: Mapping[str, int] | None = None) -> Iterator[tuple[str, str]]:
        """The texts of a row under their names, a part's with the number of the row: ``sections[2]/amount``."""
        for leaf, text in zip(self._leaves, row.texts, strict=True):
            if text is not None:
                yield _numbered(leaf.steps, places or {}), text
        for level in self._inner:
            for number, one in enumerate(row.parts[level.part or ""]):
                yield from level.named(one, {**(places or {}), "\0".join(level._base): number})

    def row(self, texts: Mapping[str, str]) -> JsonRow:
        """The inverse of :meth:`named`. Names that are none of the template's are left alone."""
        found: dict[str, dict[tuple[int, ...], str]] = {}
        for name, text in texts.items():
            places = tuple(int(number) - 1 for number in _PLACE.findall(name))
            found.setdefault(_PLACE.sub("", name), {})[places] = text
        return self._row(found, ())

    def _row(self, found: Mapping[str, Mapping[tuple[int, ...], str]], places: tuple[int, ...]) -> JsonRow:
        texts = [found.get(pointer(leaf.steps), {}).get(places) for leaf in self._leaves]
        parts = {}
        for level in self._inner:
            known = {at[len(places)] for at in level._known(found) if at[: len(places)] == places}
            parts[level.part or ""] = [level._row(found, (*places, number)) for number in sorted(known)]
        return JsonRow(texts, parts)

    def _known(self, found: Mapping[str, Mapping[tuple[int, ...], str]]) -> Iterable[tuple[int, ...]]:
        """The positions of every text in this level and below."""
        for leaf in self._leaves:
            yield from found.get(pointer(leaf.steps), ())
        for level in self._inner:
            yield from level._known(found)

    def _text(self, place: int) -> pl.Expr:
        text = pl.col(cell_column(place))
        blank = self._leaves[place].column.when_empty is WhenEmpty.BLANK
        return text.fill_null("") if blank else text


def _numbered(steps: tuple[str, ...], places: Mapping[str, int]) -> str:
    """A path with the numbers of the rows in it."""
    numbered: list[str | int] = []
    for length, step in enumerate(steps, start=1):
        numbered.append(step)
        if (number := places.get("\0".join(steps[:length]))) is not None:
            numbered.append(number)
    return pointer(tuple(numbered))
