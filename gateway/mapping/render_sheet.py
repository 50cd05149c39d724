"""Records as a receiver's sheet: the columns of one template filled from canonical records, every cell a text, every problem told."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, FieldType, Weight
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.canonical import canonical_schema, canonical_text
from gateway.mapping.conditions import all_hold
from gateway.mapping.facets import forbidden_characters
from gateway.mapping.format_model import WhenEmpty
from gateway.mapping.leaf_plan import batch_column
from gateway.mapping.model import Compiled, ProblemExpr, RuleContext
from gateway.mapping.problems import value_class
from gateway.mapping.rules import compile_rules
from gateway.mapping.sheet_model import SheetColumn, SheetFormat, SheetTemplate, SheetType
from gateway.mapping.telling import Flag, tell
from gateway.mapping.workbook import workbook
from gateway.mapping.workbook_xls import old_workbook

__all__ = ["RenderedSheet", "SheetPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedSheet:
    """``data`` is the file called ``name`` with the records ``keys``, in their order, one a row; None when no record may go out.

    ``problems`` (schema :data:`gateway.mapping.problems.PROBLEMS`) say why others may not.
    """

    name: str
    data: bytes | None
    keys: tuple[str, ...]
    problems: pl.DataFrame


class SheetPlan:
    """The compiled way from a catalog's records to one template. Any thread may use it."""

    def __init__(self, fmt: SheetFormat, template: SheetTemplate, library: Library) -> None:
        self.format = fmt
        self.template = template
        self.catalog: Catalog = library.catalogs[template.catalog]
        self._columns = [_compiled(column, self.catalog, library) for column in template.columns]
        self._flags = [
            _flag(column, place, number, problem, self.catalog)
            for place, (column, compiled) in enumerate(zip(template.columns, self._columns, strict=True))
            for number, problem in enumerate((*compiled.problems, *_demands(column, place)))
        ]

    def render(self, records: pl.DataFrame, facts: BatchFacts) -> RenderedSheet:
        """The sheet of those of ``records`` (canonical, with ``@key`` and perhaps ``@row``) that belong into the template.

        Raises MappingError ``sheet-too-large``.
        """
        row = pl.col("@row") if "@row" in records.columns else pl.lit(None, dtype=pl.String)
        taken = records.filter(all_hold(self.template.when, self.catalog)).select(
            row.alias("@row"), "@key", *canonical_schema(self.catalog)
        )
        batch = facts.frame(taken.height).row(0, named=True)
        wide = taken.with_columns(pl.lit(value).alias(name) for name, value in batch.items())
        texts = [compiled.value.cast(pl.String).alias(f"@cell:{place}") for place, compiled in enumerate(self._columns)]
        wide = wide.with_columns(texts).with_columns(when.alias(flag.column) for flag, when in self._flags)
        flags = [flag for flag, _ in self._flags]
        bad = pl.any_horizontal([pl.lit(value=False), *(flag.column for flag in flags)])
        good = wide.filter(~bad)
        return RenderedSheet(
            name=self.template.file_name(self.format.type, facts.created_at),
            data=self._file(good) if not good.is_empty() else None,
            keys=tuple(good["@key"]),
            problems=tell(wide.filter(bad), flags, {}),
        )

    def _file(self, good: pl.DataFrame) -> bytes:
        headings = [column.heading for column in self.template.columns]
        rows = good.select(f"@cell:{place}" for place in range(len(headings))).iter_rows()
        sheet = (self.template.sheet, headings, rows)
        return old_workbook([sheet]) if self.format.type is SheetType.XLS else workbook([sheet])


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
    cell = pl.col(f"@cell:{place}")
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
