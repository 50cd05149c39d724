"""The port through which rows come in: a source is read from a position and yields data frames.

A frame has the source's own columns, in the source's own names, and ``@row``, which says where a row came from as a person would
(``permits.csv 第 17 行``, ``行 1234``). Its cells are of few types, so that every rule downstream knows them all:

- ``String`` for text, for what has no other type here (a time, a UUID, JSON, ``true``/``false``) and for every column whose values
  are of several types in one chunk;
- ``Int64``, ``Float64``, ``Decimal(38, scale)``, ``Date`` and ``Datetime("us")`` where the driver types every value of the chunk
  alike. A ``Datetime`` never carries a zone: an instant is told in the source's local time.

The type of a column may differ between two chunks (an engine may keep text in one row and a number in the next), its written form
does not: ``1`` stays ``1`` in an ``Int64`` and in a ``String`` column. A cell that is null or an empty text is empty.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

__all__ = [
    "PROBLEMS",
    "ROW",
    "ROWS_PER_CHUNK",
    "Chunk",
    "Damage",
    "Reading",
    "Source",
]

ROW = "@row"
ROWS_PER_CHUNK = 10_000

PROBLEMS = pl.Schema(
    {
        "@row": pl.String,
        "@key": pl.String,
        "field": pl.String,
        "source": pl.String,
        "code": pl.String,
        "weight": pl.String,
        "value_class": pl.String,
        "expected": pl.String,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Why the row at ``place`` of a frame cannot be read.

    ``column`` is empty when it is the row as a whole. ``value_class`` describes what stands there without showing it (``class-…`` in the
    texts).
    """

    place: int
    code: str
    column: str = ""
    value_class: str
    expected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Up to ``size`` rows of one reading.

    - ``frame``: the rows that could be read.
    - ``problems``: why the other rows could not, in the shape of ``PROBLEMS``; one line a cell, or one for a whole row.
    - ``damaged``: those other rows, in the columns of ``frame``, with every cell empty that could not be read. They are never sent;
      they tell which records are only unreadable, so that a complete reading does not take them for vanished. A row whose
      cells cannot be told apart is empty but for ``@row``.
    - ``position``: where the next reading starts once the rows up to this chunk are kept; null when the source has no cursor.
    - ``template``: the template that the file was recognised by; null for a database.
    """

    frame: pl.DataFrame
    problems: pl.DataFrame
    damaged: pl.DataFrame
    position: str | None = None
    template: str | None = None

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame,
        damages: Sequence[Damage],
        *,
        position: str | None = None,
        template: str | None = None,
    ) -> Chunk:
        """All rows as they came, divided into those that could be read and those with a damage."""
        rows = frame[ROW]
        problems = pl.DataFrame(
            [
                (rows[one.place], None, "", one.column, one.code, "reject", one.value_class, one.expected)
                for one in damages
            ],
            schema=PROBLEMS,
            orient="row",
        )
        bad = pl.Series(sorted({one.place for one in damages}), dtype=pl.UInt32)
        good = pl.int_range(len(frame), dtype=pl.UInt32, eager=True).is_in(bad.implode()).not_() if damages else None
        return cls(
            frame=frame if good is None else frame.filter(good),
            problems=problems,
            damaged=frame.clear() if good is None else frame.filter(~good),
            position=position,
            template=template,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One read of a source.

    ``complete`` says that the chunks list everything the source holds: a record that is not among them has vanished (unless a row
    could not be read, see ``Chunk.damaged``). ``chunks`` opens the source at its first step and may raise at each; close it
    (``contextlib.closing``) when leaving early. A source without rows may yield no chunk at all.
    """

    complete: bool
    chunks: Generator[Chunk, None, None]


class Source(Protocol):
    """Where rows come from."""

    @property
    def name(self) -> str:
        """The source's name in the configuration."""
        ...

    def columns(self) -> tuple[str, ...]:
        """The columns that frames will have, without ``@row``. Raises as :meth:`probe`."""
        ...

    def probe(self) -> None:
        """Check that the source can be read as configured, without reading its rows. Raises SourceError, SourceUnavailableError."""
        ...

    def read(self, position: str | None, *, size: int = ROWS_PER_CHUNK) -> Reading:
        """Read from ``position`` (as a former chunk told it), or everything when it is null. Raises SourceError."""
        ...
