"""Code lists as column checks: a code that the list does not know, and one that was not in force on the day of the decision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

import polars as pl

from gateway.catalog.codelists import CodeList
from gateway.catalog.model import Field
from gateway.mapping.rules_codes import listed

__all__ = ["not_in_force", "unknown_codes"]


def unknown_codes(field: Field, codes: CodeList) -> tuple[pl.Expr, str]:
    """Where a text column holds a code that the list does not know, and the codes it may hold.

    A field with a separator holds several codes, each of them judged.
    """
    shown = list(codes.values()) + ([f"{field.open_prefix}…"] if field.open_prefix else [])
    return (~_all_in(field, codes.values())).fill_null(value=False), listed(shown)


def not_in_force(field: Field, codes: CodeList, decided_on: str) -> tuple[pl.Expr, pl.Expr] | None:
    """Where a known code is not in force on every day there is, and where it was not on the day in ``decided_on``.

    The first is told by the value alone. Without a day nothing is told. None when every code is always in force.
    """
    spans = list(_spans(codes))
    if len(spans) == 1:
        return None
    day = pl.col(decided_on)
    always = tuple(code for code in codes.values() if all(code in valid for _, _, valid in spans))
    sometimes = _all_in(field, codes.values()) & ~_all_in(field, always)
    fitting = [day.is_between(first, last) & _all_in(field, valid) for first, last, valid in spans]
    then = day.is_not_null() & ~pl.any_horizontal(fitting)
    return sometimes.fill_null(value=False), then.fill_null(value=False)


def _spans(codes: CodeList) -> Iterator[tuple[date, date, tuple[str, ...]]]:
    """The calendar cut where any code's period begins or ends: first day, last day, the codes in force between."""
    one_day = timedelta(days=1)
    cuts = {date.min}
    for entry in codes.entries:
        if entry.valid_from is not None:
            cuts.add(entry.valid_from)
        if entry.valid_to is not None and entry.valid_to < date.max:
            cuts.add(entry.valid_to + one_day)
    starts = sorted(cuts)
    ends = [*(start - one_day for start in starts[1:]), date.max]
    for first, last in zip(starts, ends, strict=True):
        yield first, last, tuple(code for code in codes.values() if codes.in_force(code, first))


def _all_in(field: Field, valid: tuple[str, ...]) -> pl.Expr:
    """Whether the value, or each of its parts, is one of ``valid`` or openly written with the field's prefix."""
    value = pl.col(field.name)
    if field.separator is None:
        inside = value.is_in(pl.Series(valid, dtype=pl.String).implode())
        if field.open_prefix is None:
            return inside
        openly = value.str.starts_with(field.open_prefix)
        return inside | (openly & (value.str.len_bytes() > len(field.open_prefix.encode())))
    # One pattern over the whole text is several times as fast as splitting it into a list.
    separator = re.escape(field.separator)
    parts = [re.escape(code) for code in valid]
    if field.open_prefix is not None:
        parts.append(f"{re.escape(field.open_prefix)}[^{separator}]+")
    if not parts:
        return pl.lit(value=False)
    part = f"(?:{'|'.join(parts)})"
    return value.str.contains(f"^{part}(?:{separator}{part})*$")
