"""The rule that turns local codes and words into the catalog's own, by a table in the mapping or a crosswalk of the library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import polars as pl

from gateway.catalog.model import FieldType
from gateway.mapping.model import Compiled, ProblemExpr, RuleContext
from gateway.mapping.rule_kind import Parameter, ParameterKind, Parameters, RuleKind
from gateway.mapping.rules_text import WHITE_SPACE, filled_or_null

__all__ = ["CODE_RULES", "listed"]

_SHOWN = 12


def listed(values: list[str]) -> str:
    """Allowed values as an expectation: all of a short list, the beginning of a long one."""
    return "、".join(values[:_SHOWN]) + ("…" if len(values) > _SHOWN else "")


def _lookup(value: pl.Expr, parameters: Parameters, context: RuleContext) -> Compiled:
    table = _table(parameters, context)
    text = value.str.strip_chars(WHITE_SPACE)
    outcome, other = parameters.outcome("unmapped")
    if "separator" in parameters:
        return _each(value, text, table, parameters, outcome, other)
    found = _prefixed(text, table) if parameters.text("match", "whole") == "prefix" else _whole(text, table)
    known = found.is_not_null()
    match outcome:
        case "keep":
            found = pl.coalesce(found, filled_or_null(text))
        case "value":
            found = pl.coalesce(found, pl.when(value.is_not_null()).then(pl.lit(other)))
    return Compiled(value=found, type=FieldType.TEXT, problems=_problems(outcome, table, value.is_not_null() & ~known))


def _each(
    value: pl.Expr,
    text: pl.Expr,
    table: Mapping[str, str],
    parameters: Parameters,
    outcome: str,
    other: str | None,
) -> Compiled:
    """Several codes in one value: every part is looked up; one unknown part refuses the value when ``unmapped`` says so."""
    separator = parameters.text("separator")
    part = pl.element().str.strip_chars(WHITE_SPACE)
    found = _prefixed(part, table) if parameters.text("match", "whole") == "prefix" else _whole(part, table)
    match outcome:
        case "keep":
            found = pl.coalesce(found, part)
        case "value":
            found = pl.coalesce(found, pl.lit(other))
    parts = text.str.split(separator).list.eval(pl.when(part != "").then(found).otherwise(pl.lit("")))
    unknown = (parts.list.len() != parts.list.drop_nulls().list.len()).fill_null(value=False)
    kept = parts.list.eval(pl.element().filter(pl.element() != "")).list.join(separator)
    return Compiled(
        value=pl.when(~unknown).then(filled_or_null(kept)),
        type=FieldType.TEXT,
        problems=_problems(outcome, table, unknown),
    )


def _table(parameters: Parameters, context: RuleContext) -> Mapping[str, str]:
    if "table" in parameters:
        return parameters.table("table")
    return context.crosswalks[parameters.text("crosswalk")]


def _whole(text: pl.Expr, table: Mapping[str, str]) -> pl.Expr:
    return text.replace_strict(list(table), list(table.values()), default=None, return_dtype=pl.String)


def _prefixed(text: pl.Expr, table: Mapping[str, str]) -> pl.Expr:
    """The longest key of ``table`` that the text begins with decides."""
    keys = sorted(table, key=len, reverse=True)
    start = text.str.extract(f"^({'|'.join(re.escape(key) for key in keys)})", 1)
    return _whole(start, table)


def _problems(outcome: str, table: Mapping[str, str], unknown: pl.Expr) -> tuple[ProblemExpr, ...]:
    if outcome != "reject":
        return ()
    return (ProblemExpr(code="code-unknown", when=unknown, expected=listed(list(table))),)


_TEXT = Parameter(kind=ParameterKind.TEXT)

CODE_RULES: Final = (
    RuleKind(
        name="lookup",
        compile=_lookup,
        parameters={
            "table": Parameter(kind=ParameterKind.TABLE),
            "crosswalk": _TEXT,
            "unmapped": Parameter(kind=ParameterKind.OUTCOME, required=True),
            "match": Parameter(kind=ParameterKind.TEXT, choices=("whole", "prefix")),
            "separator": _TEXT,
        },
        one_of=("table", "crosswalk"),
    ),
)
