"""A catalog's conditions (``required_when``, ``identifier_when`` …) over the canonical frame: as expressions, and as words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import assert_never

import polars as pl

from gateway.catalog.model import Catalog, Condition, Operator

__all__ = ["all_hold", "any_alternative", "in_words", "part_stands"]


def all_hold(conditions: Sequence[Condition], catalog: Catalog) -> pl.Expr:
    """True where every condition holds, false elsewhere, never null. True everywhere without conditions."""
    if not conditions:
        return pl.lit(value=True)
    return pl.all_horizontal([_holds(condition, catalog) for condition in conditions])


def any_alternative(alternatives: Sequence[Sequence[Condition]], catalog: Catalog) -> pl.Expr:
    """True where all conditions of any alternative hold, never null. False everywhere without alternatives."""
    if not alternatives:
        return pl.lit(value=False)
    return pl.any_horizontal([all_hold(conditions, catalog) for conditions in alternatives])


def part_stands(part: str, catalog: Catalog) -> pl.Expr:
    """True on the flat rows that say something of ``part``, or of a part within it."""
    inside = [field.name for field in catalog.fields if part in catalog.chain(field.part)]
    return pl.any_horizontal([pl.col(name).is_not_null() for name in inside])


def in_words(alternatives: Sequence[Sequence[Condition]]) -> str:
    """The conditions with field names and signs, for :mod:`gateway.mapping.problems` to say in a language."""
    return " | ".join(" & ".join(_word(condition) for condition in conditions) for conditions in alternatives)


def _holds(condition: Condition, catalog: Catalog) -> pl.Expr:
    value = pl.col(condition.field)
    match condition.operator:
        case Operator.FILLED:
            return value.is_not_null()
        case Operator.EMPTY:
            return value.is_null()
        case Operator.IS:
            return value.is_in(list(condition.values)).fill_null(value=False)
        case Operator.HAS:
            return value.str.contains(_has(condition, catalog)).fill_null(value=False)
        case _:
            assert_never(condition.operator)


def _has(condition: Condition, catalog: Catalog) -> str:
    """A pattern that finds a part of a multiple value which is, or begins with, one of the condition's values."""
    separator = catalog.field(condition.field).separator
    start = "^" if separator is None else f"(?:^|{re.escape(separator)})"
    return f"{start}(?:{'|'.join(re.escape(value) for value in condition.values)})"


def _word(condition: Condition) -> str:
    match condition.operator:
        case Operator.FILLED:
            return f"{condition.field} ≠ ∅"
        case Operator.EMPTY:
            return f"{condition.field} = ∅"
        case Operator.IS:
            return f"{condition.field} = {'、'.join(condition.values)}"
        case Operator.HAS:
            return f"{condition.field} ∋ {'、'.join(condition.values)}"
        case _:
            assert_never(condition.operator)
