"""A source of Excel workbooks, ``.xlsx`` and ``.xls``: the sheets whose headings fit a template."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import fastexcel
import polars as pl

from gateway.errors import SourceError
from gateway.sources.listing import State, list_files, steady
from gateway.sources.port import ROW, ROWS_PER_CHUNK, Chunk, Damage, Reading
from gateway.sources.sheet import SheetRows, first_rows, read_sheet
from gateway.sources.template import ROWS_SEARCHED, Match, Template, find_headings
from gateway.sources.workbook import Errors, Limits, examine

__all__ = ["ExcelSource"]

SUFFIXES = (".xlsx", ".xlsm", ".xls")
# A sheet that does not fit may be notes, lists of choices or another catalog's; one that nearly fits was meant and must not be missed.
OTHER_SHEET = ("template-not-found", "template-wrong")
MEANT = 80  # percent
ROWS_LOADED = 4 * ROWS_SEARCHED  # to find the headings in: empty rows do not count as searched


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcelSource:
    """Workbooks, each read as a whole within ``limits``.

    - ``path``: a file, a folder or a pattern (see :func:`gateway.sources.listing.list_files`).
    - ``templates``: what a sheet may look like. Every visible sheet that fits one is read; others (notes, lists of choices) are passed
      over, and a workbook without any that fits is refused before any row is read.
    - ``complete``: the files together list everything there is, so that a record missing from them has vanished.

    A position is not kept: whoever keeps the records tells what is new among the rows.
    """

    name: str
    path: str
    templates: tuple[Template, ...]
    complete: bool = False
    limits: Limits = field(default_factory=Limits)

    def columns(self) -> tuple[str, ...]:
        """The headings of all templates, each once."""
        return tuple(dict.fromkeys(heading for template in self.templates for heading in template.headings))

    def probe(self) -> None:
        """Open every workbook and find its headings. Raises SourceError, SourceUnavailableError."""
        for file in list_files(self.path, SUFFIXES, source=self.name).files:
            self._look(file)

    def read(self, position: str | None, *, size: int = ROWS_PER_CHUNK) -> Reading:
        """Read all workbooks, in the order of their names, whatever the position.

        Raises SourceUnavailableError ``source-files-missing``; while the chunks are taken ``source-file-…``, ``template-…``,
        ``workbook-…``.
        """
        listing = list_files(self.path, SUFFIXES, source=self.name)
        return Reading(complete=self.complete and not listing.unfinished, chunks=self._chunks(listing.files, size))

    def _chunks(self, files: tuple[Path, ...], size: int) -> Generator[Chunk, None, None]:
        looks = [self._look(file) for file in files]  # every file, before any row of one is handed on
        for look in looks:
            for sheet in look.sheets:
                label = f"{look.file.name}「{sheet.name}」" if len(look.sheets) > 1 else look.file.name
                yield from _divided(look.rows(sheet), label, sheet.match, size)

    def _look(self, file: Path) -> _Look:
        """The sheets to read. Raises SourceError unless there are some, and a row below the headings of one."""
        state = State()
        with steady(file, state), _translated(file):
            errors = examine(file, self.limits)
            workbook = fastexcel.read_excel(str(file))
            sheets = self._fitting(file, workbook)
        look = _Look(file=file, state=state, errors=errors, sheets=sheets)
        if not any(sheet.followed or look.rows(sheet).lines for sheet in sheets):
            raise SourceError("source-file-without-rows", file=file.name)
        return look

    def _fitting(self, file: Path, workbook: fastexcel.ExcelReader) -> list[_FoundSheet]:
        found: list[_FoundSheet] = []
        refusals: list[SourceError] = []
        for name in workbook.sheet_names:
            rows = first_rows(workbook, name, ROWS_LOADED)
            try:
                match = find_headings((cells for _, cells in rows), self.templates, file=file.name)
            except SourceError as refusal:
                if refusal.code not in OTHER_SHEET or _likeness(refusal) >= MEANT:
                    raise
                refusals.append(refusal)
                continue
            followed = len(rows) > match.row + 1
            found.append(_FoundSheet(name=name, match=match, headings=rows[match.row][0], followed=followed))
        if not found:
            raise max(refusals, key=_likeness)
        return found


def _likeness(refusal: SourceError) -> int:
    percent = refusal.facts.get("likeness", 0)
    return percent if isinstance(percent, int) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _FoundSheet:
    """A sheet whose row ``headings`` fits a template; ``followed`` when a row below it has been seen already."""

    name: str
    match: Match
    headings: int
    followed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a first look at a workbook found."""

    file: Path
    state: State
    errors: Errors
    sheets: list[_FoundSheet]

    def rows(self, sheet: _FoundSheet) -> SheetRows:
        """The sheet's rows."""
        with steady(self.file, self.state), _translated(self.file):
            workbook = fastexcel.read_excel(str(self.file))
            return read_sheet(
                workbook, sheet.name, sheet.match, sheet.headings, self.errors.get(sheet.name, frozenset())
            )


def _divided(rows: SheetRows, label: str, match: Match, size: int) -> Iterator[Chunk]:
    lines = pl.Series(rows.lines, dtype=pl.Int64).cast(pl.String)
    frame = rows.frame.with_columns((f"{label} 第 " + lines + " 行").alias(ROW))
    for first in range(0, len(frame), size):
        damages = [
            Damage(place=place - first, code="column-unreadable", column=heading, value_class=what.value_class)
            for (place, heading), what in sorted(rows.unreadable.items(), key=lambda item: item[0])
            if first <= place < first + size
        ]
        yield Chunk.of(frame[first : first + size], damages, template=match.template.id)


@contextmanager
def _translated(file: Path) -> Generator[None]:
    """Whatever the library that reads cells stumbles over is a workbook that cannot be read; it panics over some."""
    try:
        yield
    except (SourceError, OSError):
        raise
    except BaseException as error:
        if isinstance(error, fastexcel.FastExcelError) or type(error).__name__ == "PanicException":
            raise SourceError("workbook-unreadable", file=file.name) from error
        raise
