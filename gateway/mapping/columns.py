"""The columns of a receiver's sheet or table, filled from canonical records: every cell a text, every problem told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Condition, FieldType, Weight
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.canonical import canonical_schema, canonical_text
from gateway.mapping.conditions import all_hold
from gateway.mapping.facets import forbidden_characters
from gateway.mapping.format_model import WhenEmpty
from gateway.mapping.leaf_plan import batch_column
from gateway.mapping.model import Compiled, ProblemExpr, RuleContext
from gateway.mapping.problems import value_class
from gateway.mapping.rules import compile_rules
from gateway.mapping.sheet_model import SheetColumn
from gateway.mapping.telling import Flag, tell

__all__ = ["Cells", "ColumnsPlan", "Filled", "cell_column"]


def cell_column(place: int) -> str:
    """Where the texts of the column at ``place`` (from 0) stand."""
    return f"@cell:{place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """``good`` has ``@key`` and a :func:`cell_column` for each column, null where it is empty; ``problems`` (schema
    :data:`gateway.mapping.problems.PROBLEMS`) say why others are not in it."""

    good: pl.DataFrame
    problems: pl.DataFrame


class Cells:
    """Columns compiled over the canonical columns of a catalog. Any thread may use them."""

    def __init__(self, columns: Sequence[SheetColumn], catalog: Catalog, library: Library) -> None:
        self._compiled = [_compiled(column, catalog, library) for column in columns]
        self._flags = [
            _flag(column, place, number, problem, catalog)
            for place, (column, compiled) in enumerate(zip(columns, self._compiled, strict=True))
            for number, problem in enumerate((*compiled.problems, *_demands(column, place)))
        ]

    def fill(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series, pl.DataFrame]:
        """``frame`` (with ``@row``, ``@key``, the catalog's columns and the batch's) and a :func:`cell_column` for each column; which rows
        are wrong; and why."""
        texts = [
            compiled.value.cast(pl.String).alias(cell_column(place)) for place, compiled in enumerate(self._compiled)
        ]
        wide = frame.with_columns(texts).with_columns(when.alias(flag.column) for flag, when in self._flags)
        flags = [flag for flag, _ in self._flags]
        never = pl.int_range(pl.len()) < 0  # a literal would be one row for all of them
        bad = wide.select(pl.any_horizontal([never, *(flag.column for flag in flags)]).alias("@bad")).to_series()
        return wide, bad, tell(wide.filter(bad), flags, {})


class ColumnsPlan:
    """The compiled way from a catalog's records to the ``columns`` of one template, which takes those for which ``when`` holds.

    Any thread may use it.
    """

    def __init__(
        self, columns: Sequence[SheetColumn], when: Sequence[Condition], catalog: Catalog, library: Library
    ) -> None:
        self.columns = tuple(columns)
        self._when = tuple(when)
        self._catalog = catalog
        self._cells = Cells(columns, catalog, library)

    def belongs(self) -> pl.Expr:
        """Whether a record belongs into the template."""
        return all_hold(self._when, self._catalog)

    def fill(self, records: pl.DataFrame, facts: BatchFacts) -> Filled:
        """The cells of those of ``records`` (canonical, with ``@key`` and perhaps ``@row``) that belong into the template."""
        row = pl.col("@row") if "@row" in records.columns else pl.lit(None, dtype=pl.String)
        taken = records.filter(self.belongs()).select(row.alias("@row"), "@key", *canonical_schema(self._catalog))
        batch = facts.frame(taken.height).row(0, named=True)
        wide = taken.with_columns(pl.lit(value).alias(name) for name, value in batch.items())
        wide, bad, problems = self._cells.fill(wide)
        cells = [cell_column(place) for place in range(len(self.columns))]
        return Filled(good=wide.filter(~bad).select("@key", *cells), problems=problems)


def _compiled(column: SheetColumn, catalog: Catalog, library: Library) -> Compiled:
    crosswalks = library.crosswalks
    if column.field is not None:
        field = catalog.field(column.field)
        if not column.rules:
            return Compiled(value=canonical_text(pl.col(field.name), field), type=FieldType.TEXT)
        context = RuleContext(type=field.type, target=field, crosswalks=crosswalks)
        return compile_rules(column.rules, pl.col(field.name), context)
    if column.batch is not None:
        context = RuleContext(type=column.batch.type, crosswalks=crosswalks)
        return compile_rules(column.rules, pl.col(batch_column(column.batch)), context)
    return compile_rules(column.rules, pl.lit(None, dtype=pl.String), RuleContext(crosswalks=crosswalks))


def _demands(column: SheetColumn, place: int) -> list[ProblemExpr]:
    """What the cell's own text must be."""
    cell = pl.col(cell_column(place))
    found = [forbidden_characters(cell)]
    if column.when_empty is WhenEmpty.REJECT:
        found.append(ProblemExpr(code="required-missing", when=cell.is_null()))
    if column.max_length is not None:
        long = cell.str.len_chars() > column.max_length
        found.append(ProblemExpr(code="too-long", when=long, expected=str(column.max_length)))
    return found


def _flag(column: SheetColumn, place: int, number: int, problem: ProblemExpr, catalog: Catalog) -> tuple[Flag, pl.Expr]:
    described = pl.lit("")
    if column.field is not None:
        described = value_class(pl.col(column.field), catalog.field(column.field).type)
    flag = Flag(
        column=f"?{place}:{number}",
        field=column.field or "",
        source=column.heading,
        code=problem.code,
        weight=Weight.REJECT,
        expected=problem.expected,
        described=described,
    )
    return flag, problem.when.fill_null(value=False)
