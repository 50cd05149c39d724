"""Templates: the headings by which a file is recognised, whatever stands above them and in whatever order they come."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.errors import SourceError

__all__ = ["ROWS_SEARCHED", "Match", "Template", "find_headings", "normalised"]

ROWS_SEARCHED = 10  # titles, dates and notes stand above the headings of many files
LIKE_HEADINGS = 1 / 3  # the share of cells that are headings of a template
SHOWN = 40  # characters of an unexpected heading
REQUIRED_MARKS = ("(必填)", "*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A shape of file: its columns by their headings. Frames have these names, whatever the file's own spelling."""

    id: str
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A template found: ``row`` is the place of the headings among the rows searched, ``cells`` the place of each heading in that row,
    ``width`` how many cells a row has up to the last of them."""

    template: Template
    row: int
    cells: tuple[int, ...]
    width: int


def normalised(heading: str) -> str:
    """A heading without what people vary: spaces and line breaks, full and half width, brackets, case, the mark of a required column."""
    text = unicodedata.normalize("NFKC", heading)
    kept = (character for character in text if not character.isspace() and unicodedata.category(character) != "Cf")
    text = "".join(kept).casefold()
    for mark in REQUIRED_MARKS:
        text = text.removeprefix(mark).removesuffix(mark)
    return text


def find_headings(rows: Iterable[Sequence[str | None]], templates: Sequence[Template], *, file: str) -> Match:
    """The first of the rows that has exactly a template's headings, each once; cells without text are no headings.

    Takes no more rows than up to the headings. Raises SourceError ``template-wrong`` with the missing and unexpected columns of the
    nearest template, ``template-not-found`` when no row looks like headings at all (its cells are then not told: they may be a
    record), ``template-heading-repeated``, ``template-ambiguous``.
    """
    wanted = [{normalised(heading): heading for heading in template.headings} for template in templates]
    likeness, nearest, shown = 0.0, 0, dict[str, str]()
    for number, row in enumerate(islice(rows, ROWS_SEARCHED)):
        names = [normalised(cell or "") for cell in row]
        found = {name: (cell or "").strip() for name, cell in zip(names, row, strict=True) if name}
        fitting = [place for place, headings in enumerate(wanted) if headings.keys() == found.keys()]
        if len(fitting) > 1:
            raise SourceError("template-ambiguous", templates="、".join(templates[place].id for place in fitting))
        if fitting:
            repeated = [found[name] for name in found if names.count(name) > 1]
            if repeated:
                raise SourceError("template-heading-repeated", file=file, repeated="、".join(repeated))
            cells = tuple(names.index(name) for name in wanted[fitting[0]])
            return Match(template=templates[fitting[0]], row=number, cells=cells, width=max(cells) + 1)
        for place, headings in enumerate(wanted):
            common = len(headings.keys() & found.keys()) / max(len(found), len(headings))
            if common > likeness:
                likeness, nearest, shown = common, place, found
    headings, name = wanted[nearest], templates[nearest].id
    if likeness < LIKE_HEADINGS:
        raise SourceError("template-not-found", file=file, nearest=name, headings="、".join(headings.values()))
    missing = "、".join(heading for key, heading in headings.items() if key not in shown)
    unexpected = "、".join(cell[:SHOWN] for key, cell in shown.items() if key not in headings)
    facts = {"missing": missing or "-", "unexpected": unexpected or "-", "likeness": round(likeness * 100)}
    raise SourceError("template-wrong", file=file, nearest=name, **facts)
