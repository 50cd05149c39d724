"""From boolean columns to the frame of problems: which rows, which fields, what was expected. Values never enter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from gateway.catalog.model import Weight
from gateway.mapping.problems import PROBLEMS, no_problems

__all__ = ["Flag", "tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One boolean column and what a true in it means."""

    column: str
    field: str
    source: str
    code: str
    weight: Weight
    expected: str
    described: pl.Expr  # the value's class


def tell(frame: pl.DataFrame, flags: Sequence[Flag], silenced: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Every true flag as a row of :data:`PROBLEMS`, in the order of the frame's rows, then of ``flags``.

    ``frame`` has ``@row``, ``@key``, the flags' columns and what they describe. ``silenced`` names, for a flag's column, other columns
    whose truth makes it say nothing: a value that could not be read is not missing as well.
    """
    numbered = frame.with_row_index("@n")
    parts: list[pl.DataFrame] = []
    for place, flag in enumerate(flags):
        true = pl.col(flag.column)
        if others := silenced.get(flag.column):
            true = true & ~pl.any_horizontal(list(others))
        found = numbered.filter(true)
        if found.is_empty():
            continue
        parts.append(
            found.select(
                "@n",
                pl.lit(place, dtype=pl.UInt32).alias("@place"),
                "@row",
                "@key",
                pl.lit(flag.field).alias("field"),
                pl.lit(flag.source).alias("source"),
                pl.lit(flag.code).alias("code"),
                pl.lit(flag.weight.value).alias("weight"),
                flag.described.alias("value_class"),
                pl.lit(flag.expected).alias("expected"),
            )
        )
    if not parts:
        return no_problems()
    return pl.concat(parts).sort("@n", "@place").select(PROBLEMS.names())
