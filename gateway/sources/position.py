"""A position: the largest cursor value that a source has shown, written with its type so that a later run compares it rightly.

``integer:123``, ``decimal:1.50``, ``real:0.1``, ``date:2026-07-27``, ``timestamp:2026-07-27T09:30:00.000001`` (local, as the column
holds it), ``instant:2026-07-27T01:30:00.000001Z`` (a column with zones), ``text:2026-07-27 09:30:00``. Fractions of a second are
kept to the microsecond, the finest that the three engines tell.

A position too low costs time, since rows already known are read again; a position too high loses rows. So every doubt here is
settled downwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any

from gateway.clock import instant, parse_instant
from gateway.errors import SourceError

__all__ = ["Kind", "Overlap", "Position"]

Overlap = timedelta | int


class Kind(StrEnum):
    """The types a cursor column may have."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    REAL = "real"
    DATE = "date"
    TIMESTAMP = "timestamp"
    INSTANT = "instant"
    TEXT = "text"

    @property
    def family(self) -> str:
        """Kinds of one family compare with each other."""
        return "number" if self in {Kind.INTEGER, Kind.DECIMAL, Kind.REAL} else self.value


PARSERS: dict[Kind, Callable[[str], object]] = {
    Kind.INTEGER: int,
    Kind.DECIMAL: Decimal,
    Kind.REAL: float,
    Kind.DATE: date.fromisoformat,
    Kind.TIMESTAMP: datetime.fromisoformat,
    Kind.INSTANT: parse_instant,
    Kind.TEXT: str,
}
KINDS: dict[type, Kind] = {
    int: Kind.INTEGER,
    Decimal: Kind.DECIMAL,
    float: Kind.REAL,
    date: Kind.DATE,
    datetime: Kind.TIMESTAMP,
    str: Kind.TEXT,
}

# Times as texts: 2026-07-27, 2026-07-27 09:30, 2026-07-27T09:30:00.5+08:00, the same with slashes, 20260727, 20260727093000.
DASHED = re.compile(r"(\d{4})([-/])(\d\d)\2(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
PACKED = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One cursor value and its kind; ``value`` is of the Python type that belongs to the kind."""

    kind: Kind
    value: Any

    @classmethod
    def of(cls, value: object) -> Position | None:
        """The position at a value that a driver gave; None when a cursor cannot be of its type or the value orders nothing."""
        kind = KINDS.get(type(value))
        if kind is None or (isinstance(value, float | Decimal) and not math.isfinite(value)):
            return None
        if isinstance(value, datetime) and value.tzinfo is not None:
            kind = Kind.INSTANT
        return cls(kind=kind, value=value)

    @classmethod
    def parse(cls, text: str, *, source: str) -> Position:
        """The position that :meth:`text` wrote. Raises SourceError ``position-unreadable``."""
        tag, _, value = text.partition(":")
        try:
            kind = Kind(tag)
            return cls(kind=kind, value=PARSERS[kind](value))
        except (ValueError, ArithmeticError) as error:
            raise SourceError("position-unreadable", source=source) from error

    def text(self) -> str:
        """The written form."""
        match self.kind:
            case Kind.INSTANT:
                return f"{self.kind}:{instant(self.value)}"
            case Kind.DATE | Kind.TIMESTAMP:
                return f"{self.kind}:{self.value.isoformat()}"
            case _:
                return f"{self.kind}:{self.value}"

    def is_time(self) -> bool:
        """Whether a span of time can be taken from the value."""
        if self.kind is Kind.TEXT:
            return _time_in(self.value) is not None
        return self.kind in {Kind.DATE, Kind.TIMESTAMP, Kind.INSTANT}

    def later(self, other: Position) -> Position:
        """The larger of two positions of one family; texts by code points, as SQLite compares them.

        An engine that sorts texts by a language may find the other one larger: this then is the lower position, which is safe.
        """
        return max(self, other, key=lambda position: position.value)

    def capped(self, now: datetime, zone: tzinfo) -> Position:
        """This position, but never in the future: one row dated 2099 would otherwise hide every row that comes after it."""
        if not self.is_time():
            return self
        local = now.astimezone(zone).replace(tzinfo=None)
        value: Any = _time_in(self.value) if self.kind is Kind.TEXT else self.value
        bound: Any = {Kind.INSTANT: now, Kind.DATE: local.date()}.get(self.kind, local)
        if value <= bound:
            return self
        return Position(kind=self.kind, value=_like(self.value, local) if self.kind is Kind.TEXT else bound)

    def floor(self, overlap: Overlap, zone: tzinfo, *, source: str, cursor: str) -> Any:
        """The value that the next read starts at: ``overlap`` below the position. Rows at it are read again, so ties are safe.

        A span of time fits dates, times and texts that are times, a whole number fits numbers; no overlap fits everything.
        Raises SourceError ``cursor-overlap-unusable``.
        """
        start = self._before_repeated_hour(zone)
        if not overlap:
            return start
        if isinstance(overlap, timedelta) and self.is_time():
            match self.kind:
                case Kind.TEXT:
                    return _like(self.value, _earlier(_time_in(self.value), overlap))
                case Kind.DATE:
                    return _earlier(start, timedelta(days=-(-overlap // timedelta(days=1))))
                case _:
                    return _earlier(start, overlap)
        if isinstance(overlap, int) and self.kind.family == "number":
            return start - overlap
        raise SourceError("cursor-overlap-unusable", source=source, cursor=cursor, kind=self.kind.value)

    def _before_repeated_hour(self, zone: tzinfo) -> Any:
        """A local time in the hour that the clocks repeat when summer time ends may stand for its first pass: go back to that."""
        if self.kind is not Kind.TIMESTAMP:
            return self.value
        first, second = (self.value.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        return _earlier(self.value, first - second) if first > second else self.value


def _earlier(time: Any, span: timedelta) -> Any:
    try:
        return time - span
    except OverflowError:  # nothing is earlier than the calendar's first day
        return time.min.replace(tzinfo=time.tzinfo) if isinstance(time, datetime) else time.min


def _time_in(text: str) -> datetime | None:
    """The local time that a text tells, without its fraction and its zone; None when it tells none."""
    if match := DASHED.fullmatch(text):
        year, _, *rest = match.groups()
    elif match := PACKED.fullmatch(text):
        year, *rest = match.groups()
    else:
        return None
    try:
        month, day, hour, minute, second = (int(part or 0) for part in rest)
        return datetime(int(year), month, day, hour, minute, second)  # noqa: DTZ001 - as the column holds it
    except ValueError:
        return None


def _like(text: str, time: datetime) -> str:
    """``time`` written as ``text`` is, but cut to the minute, so that it sorts before every text that tells this time or a later one:
    a space sorts before ``T``, and a time without its seconds or their fraction before the same with them."""
    if match := DASHED.fullmatch(text):
        minute = time.isoformat(sep=" ", timespec="minutes").replace("-", match[2])
        return minute if match[5] else minute[:10]
    digits = re.sub(r"\D", "", time.isoformat(timespec="seconds"))
    return digits if len(text) > 8 else digits[:8]
