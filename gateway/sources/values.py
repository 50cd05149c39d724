"""A column of values as a database driver gives them, made into a polars series of the types that :mod:`gateway.sources.port` names.

A driver hands over what the engine stored: Python's own types where a column is typed, any mixture where it is not (SQLite keeps a
type in every cell). A value that cannot be read becomes :class:`Unreadable` where it is met and costs its own row alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal

import polars as pl

__all__ = ["Unreadable", "as_series", "as_text", "plain"]

INT64 = range(-(2**63), 2**63)
DIGITS = 38  # what pl.Decimal holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Stands for a value that could not be read: what kind of thing it is (``class-…`` in the texts), never the value."""

    value_class: str


def as_series(name: str, values: Sequence[object], zone: tzinfo) -> tuple[pl.Series, dict[int, Unreadable]]:
    """The column, null where empty or unreadable, and the unreadable values by their place in it.

    Text is decoded from UTF-8 where it comes as bytes. One type in all values keeps that type; several make a text column, each
    value in its plain form. An instant is told in ``zone``.
    """
    series = _typed(name, values, zone)
    if series is not None:
        return series, {}
    spelled = [None if value is None else as_text(value, zone) for value in values]
    unreadable = {place: text for place, text in enumerate(spelled) if isinstance(text, Unreadable)}
    if unreadable:
        series = _typed(name, [None if place in unreadable else value for place, value in enumerate(values)], zone)
    if series is None:
        series = pl.Series(name, [None if isinstance(text, Unreadable) else text for text in spelled], dtype=pl.String)
    return series, unreadable


def _typed(name: str, values: Sequence[object], zone: tzinfo) -> pl.Series | None:
    """The column in the one type of its values; None when there are several, or none of ours, or a value needs a look of its own."""
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if len(kinds) > 1:
        return None
    kind = kinds.pop() if kinds else str
    if kind is str:
        return pl.Series(name, values, dtype=pl.String)
    if kind is bytes:
        raw = pl.Series(name, values, dtype=pl.Binary)
        try:
            return raw.cast(pl.String)
        except pl.exceptions.ComputeError:
            return None
    if kind is int:
        try:
            return pl.Series(name, values, dtype=pl.Int64)
        except (OverflowError, TypeError):
            return None
    if kind is float:
        series = pl.Series(name, values, dtype=pl.Float64)
        return series if series.is_finite().all() else None
    if kind is Decimal:
        return _decimals(name, values)
    if kind is date:
        return pl.Series(name, values, dtype=pl.Date)
    if kind is datetime:
        return pl.Series(name, [_local(value, zone) for value in values], dtype=pl.Datetime("us"))
    return None


def _decimals(name: str, values: Sequence[object]) -> pl.Series | None:
    scale = whole = 0
    for value in values:
        if isinstance(value, Decimal):
            exponent = value.as_tuple().exponent
            if not isinstance(exponent, int):  # NaN and infinities have a letter here
                return None
            scale = max(scale, -exponent)
            whole = max(whole, value.adjusted() + 1)
    if scale + whole > DIGITS:
        return None
    return pl.Series(name, values, dtype=pl.Decimal(DIGITS, scale))


def as_text(value: object, zone: tzinfo) -> str | Unreadable:
    """One value in its plain form: digits without exponent, ISO dates and times, JSON for nested values, ``true`` and ``false``."""
    match value:
        case str() | Unreadable():
            return value
        case bytes() | bytearray() | memoryview():
            raw = bytes(value)
            try:
                return raw.decode("utf-8")
            except UnicodeDecodeError:
                return Unreadable(value_class="not-text")
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            return Unreadable(value_class="not-finite")
        case Decimal() if not value.is_finite():
            return Unreadable(value_class="not-finite")
        case float():
            return plain(Decimal(repr(value)))
        case Decimal():
            return format(value, "f")
        case datetime():
            return str(_local(value, zone))
        case date() | time():
            return value.isoformat()
        case timedelta():
            return _clock_face(value)
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)


def plain(number: Decimal) -> str:
    """Digits without exponent and without zeros that say nothing: ``12``, ``0.2``."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _local(value: object, zone: tzinfo) -> object:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(zone).replace(tzinfo=None)
    return value


def _clock_face(span: timedelta) -> str:
    """``hh:mm:ss``: MariaDB's TIME, which may be negative and longer than a day."""
    seconds, sign = abs(span) // timedelta(seconds=1), "-" if span < timedelta(0) else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
