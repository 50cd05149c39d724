"""Columns of whatever type a driver or file gives, as text without loss: what the rules begin with.

A native date or number becomes the text a person would have typed, so that every rule knows one type. What has no such text (bytes that
are no UTF-8, lists, a number whose last digits the source itself had lost) is told as unreadable instead of being guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from gateway.mapping.rules_number import plain_decimal

__all__ = ["Intake", "take_in"]

# A binary fraction keeps fifteen decimal digits for certain: a longer number (an id number typed into a spreadsheet as a number, say)
# has been rounded before it reached us.
_CERTAIN: Final = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A column as text; ``unreadable`` marks the values that could not be taken in, None when all could."""

    text: pl.Series
    unreadable: pl.Series | None = None


def take_in(column: pl.Series, time_zone: str) -> Intake:
    """``column`` as text. A moment with a time zone becomes local time in ``time_zone``."""
    kind = column.dtype
    if kind == pl.String:
        return Intake(text=column)
    if isinstance(kind, pl.Datetime):
        local = column.dt.convert_time_zone(time_zone).dt.replace_time_zone(None) if kind.time_zone else column
        return Intake(text=local.dt.to_string("%Y-%m-%d %H:%M:%S"))
    if isinstance(kind, pl.Decimal):
        return Intake(text=column.to_frame().select(plain_decimal(pl.col(column.name), kind.scale)).to_series())
    if kind in (pl.Float32, pl.Float64):
        return _from_float(column)
    if (
        kind.is_integer()
        or kind in (pl.Date, pl.Time, pl.Boolean, pl.Null)
        or isinstance(kind, pl.Categorical | pl.Enum)
    ):
        return Intake(text=column.cast(pl.String))
    if kind == pl.Binary:
        text = pl.Series(column.name, [_decoded(value) for value in column], dtype=pl.String)
        return Intake(text=text, unreadable=text.is_null() & column.is_not_null())
    return Intake(text=pl.Series(column.name, [None] * len(column), dtype=pl.String), unreadable=column.is_not_null())


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _from_float(column: pl.Series) -> Intake:
    """The shortest decimal that reads back as the same number: what a person typed, for up to fifteen digits."""
    certain = column.is_finite() & (column.abs() < _CERTAIN)
    unreadable = ~certain & column.is_not_null()
    text = column.set(unreadable.fill_null(value=False), None).cast(pl.String)
    small = text.str.contains("e", literal=True).fill_null(value=False)
    if small.any():
        # Numbers below 0.0001 come with an exponent; they are few and written out one by one.
        written = [format(Decimal(item), "f") if item and "e" in item else item for item in text]
        text = pl.Series(text.name, written, dtype=pl.String)
    return Intake(text=text.str.strip_suffix(".0").str.replace(r"^-0$", "0"), unreadable=unreadable)
