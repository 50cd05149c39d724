"""A source of delimited text files: comma, tab or semicolon, UTF-8 or GB 18030, recognised by their headings."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

import polars as pl

from gateway.errors import SourceError
from gateway.sources.csv_rows import CsvRow, CsvRows, lines_of
from gateway.sources.encoding import ESCAPED, Encoding, recognise
from gateway.sources.listing import State, list_files, steady
from gateway.sources.port import ROW, ROWS_PER_CHUNK, Chunk, Damage, Reading
from gateway.sources.template import Match, Template, find_headings

__all__ = ["CsvSource"]

SUFFIXES = (".csv", ".txt", ".tsv")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSource:
    """Files of rows, read line by line.

    - ``path``: a file, a folder or a pattern (see :func:`gateway.sources.listing.list_files`).
    - ``templates``: what the files may look like. One whose headings fit none of them is refused before any row is read.
    - ``encoding``: ``detect`` takes the one that most lines are well formed in.
    - ``complete``: the files together list everything there is, so that a record missing from them has vanished.

    Every cell is text; an empty one is null. A position is not kept: whoever keeps the records tells what is new among the rows.
    """

    name: str
    path: str
    templates: tuple[Template, ...]
    encoding: Literal["detect", "utf-8", "gb18030"] = "detect"
    separator: Literal[",", "\t", ";"] = ","
    complete: bool = False

    def columns(self) -> tuple[str, ...]:
        """The headings of all templates, each once."""
        return tuple(dict.fromkeys(heading for template in self.templates for heading in template.headings))

    def probe(self) -> None:
        """Look at every file as far as its first row. Raises SourceError, SourceUnavailableError."""
        for file in list_files(self.path, SUFFIXES, source=self.name).files:
            self._look(file)

    def read(self, position: str | None, *, size: int = ROWS_PER_CHUNK) -> Reading:
        """Read all files, in the order of their names, whatever the position.

        Raises SourceUnavailableError ``source-files-missing``; while the chunks are taken ``source-file-…``, ``template-…``,
        ``csv-encoding-unknown``.
        """
        listing = list_files(self.path, SUFFIXES, source=self.name)
        return Reading(complete=self.complete and not listing.unfinished, chunks=self._chunks(listing.files, size))

    def _chunks(self, files: tuple[Path, ...], size: int) -> Generator[Chunk, None, None]:
        looks = [self._look(file) for file in files]  # every file, before any row of one is handed on
        for file, (encoding, state) in zip(files, looks, strict=True):
            with steady(file, state) as opened:
                match, rows = self._opened(file, opened, encoding)
                while batch := list(islice(rows, size)):
                    yield _chunk(batch, match, file.name)

    def _look(self, file: Path) -> tuple[Encoding, State]:
        """The file's encoding. Raises SourceError unless the file has the headings of a template and a row below them."""
        state = State()
        with steady(file, state) as opened:
            encoding = self._encoding_of(file, opened)
            opened.seek(0)
            _, rows = self._opened(file, opened, encoding)
            if next(rows, None) is None:
                raise SourceError("source-file-without-rows", file=file.name)
        return encoding, state

    def _encoding_of(self, file: Path, opened: BinaryIO) -> Encoding:
        if not opened.peek(1):  # type: ignore[attr-defined]  # a file opened "rb" is buffered
            raise SourceError("source-file-empty", file=file.name)
        if self.encoding != "detect":
            return Encoding(self.encoding)
        encoding = recognise(lines_of(opened))
        if encoding is None:
            raise SourceError("csv-encoding-unknown", file=file.name)
        return encoding

    def _opened(self, file: Path, opened: BinaryIO, encoding: Encoding) -> tuple[Match, Iterator[CsvRow]]:
        """The headings, and the rows below them."""
        source = CsvRows(opened, encoding, self.separator)
        rows = iter(source)
        match = find_headings((row.cells for row in rows), self.templates, file=file.name)
        source.width = match.width
        return match, rows


def _chunk(rows: list[CsvRow], match: Match, file: str) -> Chunk:
    """The rows as a frame, those apart that cannot be read."""
    damages = list(_damages(rows, match))  # empties the cells that are no text
    nothing = [""] * match.width
    columns = list(zip(*(nothing if row.wrong else row.cells for row in rows), strict=True))
    headings = zip(match.template.headings, match.cells, strict=True)
    frame = pl.DataFrame([pl.Series(name, columns[cell], dtype=pl.String) for name, cell in headings])
    lines = pl.Series([row.line for row in rows]).cast(pl.String)
    labels = (f"{file} 第 " + lines + " 行").alias(ROW)
    return Chunk.of(frame.with_columns(pl.all().replace("", None), labels), damages, template=match.template.id)


def _damages(rows: list[CsvRow], match: Match) -> Iterator[Damage]:
    for place, row in enumerate(rows):
        if row.wrong:
            yield Damage(place=place, code="row-malformed", value_class=row.wrong, expected=str(match.width))
        elif not row.decoded:
            for name, cell in zip(match.template.headings, match.cells, strict=True):
                if ESCAPED.search(row.cells[cell]):
                    yield Damage(place=place, code="column-unreadable", column=name, value_class="not-text")
                    row.cells[cell] = ""
