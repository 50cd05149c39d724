"""The days of the decisions: working days up to yesterday, most of them of the last two years, a few older."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final

from gateway.catalog.publicity import add_months

__all__ = ["TERMS", "Day", "decision_days"]

TERMS: Final = (3, 12, 24, 36, 48, 60, 72)
"""Months after which something ends."""

_RECENT = timedelta(days=730)
_OLD = timedelta(days=1_600)  # reaches into the regime of 2019, which ended on 2023-04-30
_LAW = date(2021, 7, 15)  # the revised Penalty Law: the kinds of penalty written here are its kinds
_THINNED = 20  # of the older days every twentieth, so that some 5 % of the decisions are old


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of decisions. ``written`` is how the business system shows it: the systems of former years wrote dates in other shapes.

    ``end`` gives the corresponding day after each of :data:`TERMS`, ``iso`` as well in ISO 8601.
    """

    day: date
    iso: str
    written: str
    year: int
    next: str
    end: Mapping[int, str]


def decision_days(today: date, since: date | None = None) -> tuple[Day, ...]:
    """Weekdays in order, the last one before ``today``, the first one ``since`` or some four years ago.

    Dealt out evenly, they put most decisions into the last two years.
    """
    recent = today - _RECENT
    if since is not None:
        return tuple(map(_day, _weekdays(since, today)))
    return tuple(map(_day, (*_weekdays(max(today - _OLD, _LAW), recent)[::_THINNED], *_weekdays(recent, today))))


def _weekdays(first: date, end: date) -> list[date]:
    span = (first + timedelta(days=offset) for offset in range((end - first).days))
    return [day for day in span if day.weekday() < 5]


def _day(day: date) -> Day:
    return Day(
        day=day,
        iso=day.isoformat(),
        written=_written(day),
        year=day.year,
        next=(day + timedelta(days=1)).isoformat(),
        end=MappingProxyType({months: add_months(day, months).isoformat() for months in TERMS}),
    )


def _written(day: date) -> str:
    match day.toordinal() % 40:
        case 0:
            return f"{day.year}年{day.month}月{day.day}日"
        case 1 | 2:
            return f"{day:%Y/%m/%d}"
        case 3:
            return f"{day:%Y%m%d}"
        case _:
            return day.isoformat()
