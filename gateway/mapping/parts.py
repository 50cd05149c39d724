"""What a record holds several times, as frames: the rows of a part one under another, and put back into their records.

A canonical frame holds a part in one column, a list of structs. Columns are worked on flat: :func:`rows_of` lays the rows out with
``@parent``, the place of the record that each belongs to; :func:`joined` and :func:`nested` bring results back, one value a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

__all__ = ["NUMBER", "joined", "nested", "rows_of"]

NUMBER: Final = "@parent"


def rows_of(frame: pl.DataFrame, part: str) -> pl.DataFrame:
    """The rows of ``part``: ``@parent``, the columns of the part, and those of the record (or enclosing row) repeated."""
    numbered = frame.drop(NUMBER, strict=False).with_row_index(NUMBER)
    return numbered.filter(pl.col(part).list.len() > 0).explode(part).unnest(part)


def joined(rows: pl.DataFrame, text: str, height: int, *, separator: str = "") -> pl.Series:
    """The texts of each record's rows joined, in their order; null for a record without rows."""
    return _returned(rows.select(NUMBER, text), pl.col(text).str.join(separator), text, height)


def nested(rows: pl.DataFrame, columns: Sequence[str], part: str, height: int) -> pl.Series:
    """``columns`` of each record's rows as one list of structs, called ``part``; null for a record without rows."""
    packed = rows.select(NUMBER, pl.struct(columns).alias(part))
    return _returned(packed, pl.col(part), part, height)


def _returned(rows: pl.DataFrame, gathered: pl.Expr, name: str, height: int) -> pl.Series:
    records = pl.select(pl.int_range(height, dtype=pl.UInt32).alias(NUMBER))
    grouped = rows.group_by(NUMBER, maintain_order=True).agg(gathered.alias(name))
    return records.join(grouped, on=NUMBER, how="left", maintain_order="left")[name]
