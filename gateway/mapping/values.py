"""Expressions of one column worked out once per different value instead of once per row.

A chunk holds few dates, kinds and authorities: its rows share them. A column is written as numbers into the list of its different
values, the expressions run over the list, and their results are picked by number. Columns whose values hardly repeat run as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

__all__ = ["ValueWork", "work_out"]

_SAMPLE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWork:
    """What makes one column. The first stage reads ``inputs``, each later one the column ``name`` that the stage before left.

    ``flags`` are boolean columns made in the stages. With one input, an empty value must stay empty and raise no flag;
    without any, the value is the same in every row.
    """

    name: str
    inputs: tuple[str, ...]
    stages: tuple[tuple[pl.Expr, ...], ...]
    flags: tuple[str, ...]


def work_out(frame: pl.DataFrame, works: Sequence[ValueWork]) -> tuple[pl.DataFrame, frozenset[str]]:
    """The columns of all ``works``, as long as ``frame``, and the names of the flags that are true anywhere: only those are kept."""
    lists = _repeating(frame, works)
    numbers = frame.select(
        pl.col(name).cast(pl.Enum(values)).to_physical().cast(pl.UInt32) for name, values in lists.items()
    )
    plans = [_lazy(work, lists.get(work.inputs[0]) if len(work.inputs) == 1 else None, frame) for work in works]
    results = pl.collect_all(plans)
    picked: list[pl.Expr] = []
    direct: list[pl.Series] = []
    raised: set[str] = set()
    for work, result in zip(works, results, strict=True):
        kept = [flag for flag in work.flags if result[flag].any()]
        raised.update(kept)
        for column in result.select(work.name, *kept):
            if len(work.inputs) == 1 and work.inputs[0] in lists:
                gathered = pl.lit(column).gather(pl.col(work.inputs[0]))
                picked.append((gathered.fill_null(value=False) if column.name in kept else gathered).alias(column.name))
            else:
                direct.append(column)
    return pl.concat([numbers.select(picked), pl.DataFrame(direct)], how="horizontal"), frozenset(raised)


def _repeating(frame: pl.DataFrame, works: Sequence[ValueWork]) -> dict[str, pl.Series]:
    """The different values of each text column that a work reads alone, where they are at most half as many as the rows."""
    names = {work.inputs[0] for work in works if len(work.inputs) == 1 and frame[work.inputs[0]].dtype == pl.String}
    if frame.is_empty() or not names:
        return {}
    # The first rows tell which columns are worth listing: a name or number of its own in every row is not.
    sample = frame.select(pl.col(sorted(names)).head(_SAMPLE))
    counts = sample.select(pl.all().n_unique()).row(0, named=True)
    likely = [name for name, count in counts.items() if 2 * count <= sample.height or sample.height < _SAMPLE]
    different = frame.select(pl.col(name).drop_nulls().unique().implode() for name in likely)
    lists = {column.name: column.item() for column in different}
    return {name: values for name, values in lists.items() if 0 < 2 * len(values) <= frame.height}


def _lazy(work: ValueWork, values: pl.Series | None, frame: pl.DataFrame) -> pl.LazyFrame:
    base = frame.lazy() if values is None else values.alias(work.inputs[0]).to_frame().lazy()
    for stage in work.stages:
        base = base.with_columns(stage)
    return base.select(work.name, *work.flags)
