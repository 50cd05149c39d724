"""The cells of one sheet, told by what Excel keeps in each: a text, a number, a date, true or false, an error.

The library that reads cells gives one type to a column, and a column in Excel may hold anything. So the sheet is taken up to four times,
as texts, numbers, booleans and times, which together tell every cell's own type:

=========  ===========  ========  =========  =======
cell       as text      number    boolean    time
=========  ===========  ========  =========  =======
text       itself       perhaps   none       none
number     rounded      itself    some       perhaps
boolean    true, false  0, 1      itself     none
date       ISO          none      none       itself
error      none         none      none       none
=========  ===========  ========  =========  =======

A column of dates alone becomes ``Date``, or ``Datetime`` when one of them has a time of the day; every other column becomes text, a
number in plain digits. Excel keeps 15 digits of a number: what is longer was an identifier, and its last digits are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal

import fastexcel
import polars as pl

from gateway.sources.template import Match
from gateway.sources.values import Unreadable, plain

__all__ = ["SheetRows", "first_rows", "read_sheet"]

EXACT = 10**15  # Excel's numbers are binary64, of which it keeps and shows 15 significant digits
EARLIEST = -1e11  # days: the library panics over a time before, and so over any number as low
YEAR_OF_TIMES = 1900  # a time of the day without a date is told as one of 1899-12-31
NUMBER_OR_BOOLEAN = r"^(-?[0-9]+(\.[0-9]+)?|true|false)$"
TIME = r"^[0-9+-]+-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"
LOST = Unreadable(value_class="long-number")
ERROR = Unreadable(value_class="excel-error")


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRows:
    """The rows below the headings that hold anything: ``lines`` their row numbers as Excel shows them, ``unreadable`` by (place in the
    frame, heading)."""

    frame: pl.DataFrame
    lines: list[int]
    unreadable: dict[tuple[int, str], Unreadable]


def first_rows(workbook: fastexcel.ExcelReader, name: str, count: int) -> list[tuple[int, list[str | None]]]:
    """The first rows of a visible sheet that hold any text, each with its place, as far as ``count`` rows down; none of a hidden one."""
    sheet = workbook.load_sheet(name, header_row=None, skip_rows=0, n_rows=count, dtypes="string")
    if sheet.visible != "visible":
        return []
    rows = enumerate(pl.DataFrame(sheet).rows())
    return [(place, list(row)) for place, row in rows if any((cell or "").strip() for cell in row)]


def read_sheet(
    workbook: fastexcel.ExcelReader, name: str, match: Match, headings: int, errors: frozenset[tuple[int, int]]
) -> SheetRows:
    """The rows below the row ``headings``, which ``match`` fits."""
    texts = _taken(workbook, name, "string")
    chosen = [texts.columns[cell] for cell in match.cells]
    below = len(texts) - headings - 1
    texts = texts.select(chosen).tail(below)
    booleans = numbers = times = pl.DataFrame()
    if _any(texts, NUMBER_OR_BOOLEAN):
        booleans = _taken(workbook, name, "boolean").select(chosen).tail(below)
        numbers = _taken(workbook, name, "float").select(chosen).tail(below)
    if _any(texts, TIME):
        lowest = {column: numbers[column].min() for column in numbers.columns}
        safe = [int(one) for one in chosen if not isinstance(low := lowest.get(one), float) or low > EARLIEST]
        times = _taken(workbook, name, "datetime", safe).tail(below) if safe else times
    wrong = {(row - headings - 1, str(column)) for row, column in errors if headings < row and str(column) in chosen}
    filled = texts.select(pl.any_horizontal(pl.all().str.strip_chars() != "")).to_series().arg_true()
    kept = sorted({*filled, *(row for row, _ in wrong if row < below)})
    kept_at = {row: place for place, row in enumerate(kept)}
    series: list[pl.Series] = []
    unreadable: dict[tuple[int, str], Unreadable] = {}
    for heading, at in zip(match.template.headings, chosen, strict=True):
        others = (frame.get_column(at, default=None) for frame in (numbers, booleans, times))
        column = _Column(kept, texts[at], *others)
        series.append(column.series(heading))
        unreadable |= {(place, heading): LOST for place in column.lost}
        unreadable |= {(kept_at[row], heading): ERROR for row, of in wrong if of == at and row in kept_at}
    return SheetRows(frame=pl.DataFrame(series), lines=[headings + 2 + place for place in kept], unreadable=unreadable)


def _taken(
    workbook: fastexcel.ExcelReader, name: str, kind: fastexcel.DType, columns: list[int] | None = None
) -> pl.DataFrame:
    """All rows of the sheet from its first on, every cell as ``kind`` or null; columns are named by their places in Excel."""
    sheet = workbook.load_sheet(name, header_row=None, skip_rows=0, dtypes=kind, use_columns=columns)
    frame = pl.DataFrame(sheet)
    frame.columns = [str(column.absolute_index) for column in sheet.selected_columns]
    return frame


def _any(texts: pl.DataFrame, pattern: str) -> bool:
    """Whether a cell looks so: each further look at the sheet costs as much as the first."""
    return bool(texts.select(pl.any_horizontal(pl.all().str.contains(pattern).any())).item())


class _Column:
    """One column, taken four times."""

    def __init__(
        self,
        kept: list[int],
        texts: pl.Series,
        numbers: pl.Series | None = None,
        booleans: pl.Series | None = None,
        times: pl.Series | None = None,
    ) -> None:
        self._texts = texts.gather(kept).replace("", None)
        told = (
            (booleans if booleans is not None else pl.repeat(None, len(texts), eager=True)).gather(kept).is_not_null()
        )
        self._numbers: list[tuple[int, float]] = []
        self._times: list[tuple[int, datetime]] = []
        if numbers is not None:
            is_number = told & ~self._texts.is_in(["true", "false"]).fill_null(value=False)
            self._numbers = list(zip(is_number.arg_true(), numbers.gather(kept).filter(is_number), strict=True))
        if times is not None:
            is_time = times.gather(kept).is_not_null() & ~told
            self._times = list(zip(is_time.arg_true(), times.gather(kept).filter(is_time), strict=True))
        self.lost = [place for place, number in self._numbers if abs(number) >= EXACT]

    def series(self, name: str) -> pl.Series:
        """The column in its type, null where empty or lost."""
        moments = [moment for _, moment in self._times]
        if moments and len(moments) == len(self._texts.drop_nulls()) and min(moments).year >= YEAR_OF_TIMES:
            return self._dates(name, moments)
        spelled = self._texts.to_list()
        for place, number in self._numbers:
            spelled[place] = None if abs(number) >= EXACT else plain(Decimal(f"{number:.15g}"))
        for place, moment in self._times:
            spelled[place] = _spelled(moment)
        return pl.Series(name, spelled, dtype=pl.String)

    def _dates(self, name: str, moments: Sequence[datetime]) -> pl.Series:
        cells: list[datetime | None] = [None] * len(self._texts)
        for place, moment in self._times:
            cells[place] = moment
        series = pl.Series(name, cells, dtype=pl.Datetime("us"))
        return series if any(moment.time() != time() for moment in moments) else series.cast(pl.Date)


def _spelled(moment: datetime) -> str:
    if moment.year < YEAR_OF_TIMES:
        return moment.time().isoformat()
    return str(moment.date() if moment.time() == time() else moment)
