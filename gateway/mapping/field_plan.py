"""One field's way from its local columns to its canonical value, compiled step by step: a rule is a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from gateway.catalog.model import Field
from gateway.mapping.canonical import canonical_value
from gateway.mapping.model import Compiled, EmptyPolicy, FieldMapping, Rule, RuleContext
from gateway.mapping.rules import compile_rule
from gateway.mapping.rules_text import blank_to_null

__all__ = ["FieldPlan", "Step", "compile_field", "intake_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rule compiled over the value before it, which stands in the column named like the field."""

    rule: Rule
    compiled: Compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPlan:
    """The steps of one field. ``start`` is the local value as text; ``raw`` the first filled one of
    its columns, for describing it."""

    field: Field
    mapping: FieldMapping
    start: pl.Expr
    raw: pl.Expr
    steps: tuple[Step, ...]

    @property
    def source(self) -> str:
        """The local column, or columns, as a problem names them."""
        return " + ".join(self.mapping.columns)

    def stages(self) -> tuple[tuple[pl.Expr, ...], ...]:
        """The steps as columns to be made one after another: the value, and a boolean column for each problem."""
        if not self.steps:
            return ((self.start.alias(self.field.name),),)
        return tuple(
            (
                step.compiled.value.alias(self.field.name),
                *(
                    problem.when.alias(self.flag_name(number, place))
                    for place, problem in enumerate(step.compiled.problems)
                ),
            )
            for number, step in enumerate(self.steps)
        )

    def flag_name(self, step: int, problem: int) -> str:
        """The name of the boolean column of a step's problem."""
        return f"!{self.field.name}:{step}:{problem}"

    def filled(self, refused: pl.Expr) -> pl.Expr:
        """The value after the last rule, with the mapping's own value where it is empty and not ``refused``."""
        value = pl.col(self.field.name)
        if self.mapping.empty.policy is not EmptyPolicy.VALUE:
            return value
        given = canonical_value(pl.lit(self.mapping.empty.value, dtype=pl.String), self.field)
        return pl.when(value.is_null() & ~refused).then(given).otherwise(value)


def intake_name(column: str) -> str:
    """The name under which a local column's text stands beside the canonical columns."""
    return f"@in:{column}"


def compile_field(
    mapping: FieldMapping, field: Field, crosswalks: Mapping[str, Mapping[str, str]], time_zone: str
) -> FieldPlan:
    """The steps of ``mapping``; the first reads the columns named by :func:`intake_name`, the others the field's own column.

    The mapping was read by the loader: rules that do not fit each other or the field raise ValueError.
    """
    columns = tuple(blank_to_null(pl.col(intake_name(column))) for column in mapping.columns)
    nothing = pl.lit(None, dtype=pl.String)
    start = columns[0] if columns else nothing
    context = RuleContext(target=field, columns=columns, crosswalks=crosswalks, time_zone=time_zone)
    steps: list[Step] = []
    value = start
    for rule in mapping.rules:
        compiled = compile_rule(rule, value, context)
        steps.append(Step(rule=rule, compiled=compiled))
        context = replace(context, type=compiled.type)
        value = pl.col(field.name)
    if context.type is not field.type:
        raise ValueError(f"{field.name} is {field.type}, its rules end in {context.type}")
    raw = pl.coalesce(columns) if columns else start
    return FieldPlan(field=field, mapping=mapping, start=start, raw=raw, steps=tuple(steps))
