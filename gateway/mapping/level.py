"""One level of a document: the record itself, or the rows of one of its parts, each with leaves that are columns of one frame.

Every leaf's text is made in a column, judged there against the facets of its type and the demands of its place. The levels below are
written first; their text is one more column of the level above.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Weight
from gateway.mapping.facets import forbidden_characters
from gateway.mapping.leaf_plan import LeafPlan, compile_leaf
from gateway.mapping.model import ProblemExpr
from gateway.mapping.outline import Node, Rows
from gateway.mapping.parts import NUMBER, joined, rows_of
from gateway.mapping.presence import count_column, gaps
from gateway.mapping.problems import no_problems, value_class
from gateway.mapping.render_xml import XmlWriter, escaped, rows_column, unsafe
from gateway.mapping.telling import Flag, tell

__all__ = ["Level", "Written", "laid_below", "problem_flag", "raised_flags"]

_TEXT, _ONE = "@xml", "@one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """``texts`` are the elements of a level's rows, row by row, null where one may not go out; ``problems`` say why.

    ``leaves`` has the columns of the level's leaves, row by row; ``below`` are the levels within it, in their order, each with the row of
    this level that each of its rows belongs to.
    """

    texts: pl.Series
    problems: pl.DataFrame
    leaves: pl.DataFrame
    below: tuple[tuple[pl.Series, Written], ...] = ()


class Level:
    """The leaves of ``node`` that stand once in it, compiled, and the levels of what is repeated in it.

    ``part`` is None for the record itself. ``records`` marks a whole document's own level, whose rows are the records.
    """

    def __init__(self, node: Node, part: str | None, catalog: Catalog, library: Library, writer: XmlWriter) -> None:
        leaves = (compile_leaf(slot, catalog, library.crosswalks) for slot in node.slots())
        self.node = node
        self.part = part
        self.leaves: tuple[LeafPlan, ...] = tuple(sorted(leaves, key=lambda leaf: leaf.slot.index))
        self.rows: tuple[Rows, ...] = tuple(node.rows())
        self.inner = tuple(Level(rows.node, rows.part, catalog, library, writer) for rows in self.rows)
        self._writer = writer
        self._writing = list(_writing_flags(self.leaves))
        self._judging = [*_judging_flags(self.leaves), *self._gap_flags()]

    def all(self) -> Iterator[Level]:
        """This level and those below it."""
        yield self
        for level in self.inner:
            yield from level.all()

    def write(self, frame: pl.DataFrame, *, declared: bool) -> Written:
        """The elements of the rows of ``frame``: canonical columns (a part as its list), ``@row`` and ``@key``.

        ``declared`` says that the element stands by itself and names the namespaces that it uses.
        """
        below = [level._below(frame) for level in self.inner]
        written = self.finish(frame, [(columns, one.problems) for columns, _, one in below], declared=declared)
        return replace(written, below=tuple((parents, one) for _, parents, one in below))

    def finish(
        self, frame: pl.DataFrame, below: Sequence[tuple[pl.DataFrame, pl.DataFrame]], *, declared: bool
    ) -> Written:
        """The elements around what the levels below have written: for each of them its columns and its problems."""
        wide = pl.concat([frame, *(columns for columns, _ in below)], how="horizontal").lazy()
        wide = wide.with_columns(
            *(leaf.written.value.alias(leaf.column) for leaf in self.leaves),
            *(when.alias(flag.column) for flag, when in self._writing),
        )
        made = wide.collect()
        # Few columns ever hold a sign that XML must escape: looking first costs less than escaping all.
        found = (
            made.select(unsafe(pl.col(leaf.column)).any() for leaf in self.leaves).row(0, named=True)
            if self.leaves
            else {}
        )
        judging = [*self._judging, *_character_flags(leaf for leaf in self.leaves if found[leaf.column])]
        # Lazily, so that what several checks of one text share is worked out once.
        made = made.lazy().with_columns(when.alias(flag.column) for flag, when in judging).collect()
        raised = raised_flags(made, [flag for flag, _ in (*self._writing, *judging)])
        problems = [told for _, told in below]
        good = [pl.col(f"{rows_column(rows.part)}:good") for rows in self.rows]
        if raised:
            bad = pl.any_horizontal([flag.column for flag in raised])
            problems.append(tell(made.filter(bad), raised, _silenced(raised)))
            good.append(~bad)
        texts = {
            leaf.slot.index: escaped(pl.col(leaf.column)) if found[leaf.column] else pl.col(leaf.column)
            for leaf in self.leaves
        }
        element = self._writer.expression(self.node, texts, declared=declared)
        if good:
            element = pl.when(pl.all_horizontal(good)).then(element)
        return Written(
            # Beside the columns: constants alone would make one row for all.
            texts=made.with_columns(element.alias(_TEXT))[_TEXT],
            problems=pl.concat(problems) if problems else no_problems(),
            leaves=made,
        )

    def elements(self, leaves: pl.DataFrame, *, declared: bool) -> pl.Series:
        """The elements of rows of which nothing is asked any more: ``leaves`` has the texts of the leaves in their columns, and for each
        level below what :func:`laid_below` makes."""
        texts = {leaf.slot.index: escaped(pl.col(leaf.column)) for leaf in self.leaves}
        return leaves.with_columns(self._writer.expression(self.node, texts, declared=declared).alias(_TEXT))[_TEXT]

    def _below(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series, Written]:
        """The rows of this level's part written for each row of ``frame``: columns of their text, count and soundness; the row of ``frame``
        that each belongs to; and they themselves."""
        part = self.part or ""
        rows = rows_of(frame, part)
        written = self.write(rows, declared=False)
        bad = rows.filter(written.texts.is_null())[NUMBER].unique()
        good = pl.select(~pl.int_range(frame.height, dtype=pl.UInt32).is_in(bad.implode()))
        columns = laid_below(part, rows[NUMBER], written.texts, frame.height)
        return columns.with_columns(good.to_series().alias(f"{rows_column(part)}:good")), rows[NUMBER], written

    def _gap_flags(self) -> Iterable[tuple[Flag, pl.Expr]]:
        by_index = {leaf.slot.index: leaf for leaf in self.leaves}
        texts = {index: pl.col(leaf.column) for index, leaf in by_index.items()}
        for place, gap in enumerate(gaps(self.node, texts)):
            leaf = by_index.get(gap.slot.index)
            described = pl.lit("") if leaf is None else value_class(pl.col(leaf.column))
            field = gap.slot.leaf.field or ""
            flag, when = problem_flag(field, gap.named, f"!gap:{place}", gap.problem, described)
            yield flag, when


def laid_below(part: str, parents: pl.Series, elements: pl.Series, height: int) -> pl.DataFrame:
    """The columns by which the ``elements`` of the rows of ``part`` stand in ``height`` rows of the level above: their text, and their number.
    ``parents`` is the row above that each belongs to."""
    made = pl.DataFrame(
        [parents.alias(NUMBER), elements.alias(_TEXT), pl.Series(_ONE, [1] * len(parents), dtype=pl.UInt32)]
    )
    counts = pl.DataFrame([pl.Series(NUMBER, range(height), dtype=pl.UInt32)]).join(
        made.group_by(NUMBER).agg(pl.col(_ONE).sum()), on=NUMBER, how="left", maintain_order="left"
    )
    return pl.DataFrame(
        [joined(made, _TEXT, height).alias(rows_column(part)), counts[_ONE].fill_null(0).alias(count_column(part))]
    )


def _writing_flags(leaves: Iterable[LeafPlan]) -> Iterator[tuple[Flag, pl.Expr]]:
    """What the rules of the binding refuse, told of the catalog's value."""
    for leaf in leaves:
        for place, problem in enumerate(leaf.written.problems):
            described = pl.lit("") if leaf.field is None else value_class(pl.col(leaf.field.name), leaf.field.type)
            yield _flag(leaf, f"!{leaf.slot.index}:{place}", problem, described)


def _judging_flags(leaves: Iterable[LeafPlan]) -> Iterator[tuple[Flag, pl.Expr]]:
    """What the schema refuses, told of the text that would stand in the document."""
    for leaf in leaves:
        for place, problem in enumerate(leaf.checks):
            yield _flag(leaf, f"?{leaf.slot.index}:{place}", problem, value_class(pl.col(leaf.column)))


def _character_flags(leaves: Iterable[LeafPlan]) -> Iterator[tuple[Flag, pl.Expr]]:
    for leaf in leaves:
        text = pl.col(leaf.column)
        yield _flag(leaf, f"?{leaf.slot.index}:c", forbidden_characters(text), value_class(text))


def _flag(leaf: LeafPlan, column: str, problem: ProblemExpr, described: pl.Expr) -> tuple[Flag, pl.Expr]:
    return problem_flag(leaf.field.name if leaf.field is not None else "", leaf.target, column, problem, described)


def problem_flag(
    field: str, source: str, column: str, problem: ProblemExpr, described: pl.Expr
) -> tuple[Flag, pl.Expr]:
    """A column that is true where ``problem`` is, and what a true in it means."""
    flag = Flag(
        column=column,
        field=field,
        source=source,
        code=problem.code,
        weight=Weight.REJECT,
        expected=problem.expected,
        described=described,
    )
    return flag, problem.when.fill_null(value=False)


def raised_flags(wide: pl.DataFrame, flags: Sequence[Flag]) -> list[Flag]:
    """The flags that are true anywhere."""
    truths = wide.select(pl.col([flag.column for flag in flags]).any()).row(0, named=True) if flags else {}
    return [flag for flag in flags if truths[flag.column]]


def _silenced(raised: Sequence[Flag]) -> Mapping[str, Sequence[str]]:
    """A value that its rule refused is gone: it is not missing as well."""
    refused: dict[str, list[str]] = {}
    for flag in raised:
        if flag.column.startswith("!") and not flag.column.startswith("!gap"):
            refused.setdefault(flag.field, []).append(flag.column)
    return {flag.column: refused.get(flag.field, []) for flag in raised if flag.column.startswith("!gap")}
