"""Working days in China: the operator's table first, then chinesecalendar, then Monday to Friday.

``codelists/working-days.csv`` has the columns ``date,working,note``; ``working`` is 是 or 否 (yes, no).
It corrects what is wrong or local, and holds a year that the State Council has announced before a new chinesecalendar
is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType

import chinese_calendar

from gateway.catalog.reading import read_rows
from gateway.errors import Finding

__all__ = ["WORKING_DAYS_COLUMNS", "WorkingDays", "parse_working_days"]

WORKING_DAYS_COLUMNS = ("date", "working", "note")
_ANSWERS = {"是": True, "否": False, "yes": True, "no": False}
_ONE_DAY = timedelta(days=1)


def _announced(day: date) -> bool | None:
    """What chinesecalendar knows about ``day``; None for a year that it does not hold."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingDays:
    """Which days are working days. ``overrides`` are the operator's table: day → whether it is a working day."""

    overrides: Mapping[date, bool] = field(default_factory=lambda: MappingProxyType({}))

    def is_working(self, day: date) -> bool:
        """Whether ``day`` is a working day."""
        override = self.overrides.get(day)
        if override is not None:
            return override
        announced = _announced(day)
        return day.weekday() < 5 if announced is None else announced

    def assumed(self, day: date) -> bool:
        """Whether the answer for ``day`` is a guess: neither the operator's table nor chinesecalendar holds its year.

        A table with both 1 January and 1 October of a year is taken to hold the whole announcement, which runs from
        元旦 to 国庆.
        """
        if day in self.overrides or {date(day.year, 1, 1), date(day.year, 10, 1)} <= self.overrides.keys():
            return False
        return _announced(day) is None

    def add(self, day: date, count: int) -> date:
        """The ``count``-th working day after ``day``, which is not counted itself (民法典第二百零一条); ``day`` for 0.

        At the end of the calendar (year 9999) the last day there is. Raises ValueError for a negative count.
        """
        if count < 0:
            raise ValueError("a count of working days is not negative")
        left = count
        while left > 0 and day < date.max:
            day += _ONE_DAY
            if self.is_working(day):
                left -= 1
        return day


def parse_working_days(file: str, data: bytes, findings: list[Finding]) -> WorkingDays:
    """The operator's table in the bytes of a CSV; mistakes are appended to ``findings``."""
    overrides: dict[date, bool] = {}
    rows: dict[date, int] = {}
    for row in read_rows(file, data, WORKING_DAYS_COLUMNS, findings):
        if row.cells["date"] == "":
            findings.append(row.finding("catalog-cell-empty", column="date"))
        day = row.date("date", findings)
        working = _ANSWERS.get(row.cells["working"])
        if working is None:
            findings.append(row.finding("working-days-answer", value=row.cells["working"]))
        if day is None or working is None:
            continue
        if day in rows:
            findings.append(row.finding("working-days-twice", day=day, first=rows[day]))
        rows.setdefault(day, row.number)
        overrides[day] = working
    return WorkingDays(overrides=MappingProxyType(overrides))
