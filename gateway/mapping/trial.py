"""One row's story: each field's local value, what each rule made of it, and every problem, for a person who tries a mapping.

Values of personal fields, and of whatever shares a column with one, are told by their class only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from gateway.catalog.model import Catalog, Disclosure
from gateway.mapping.field_plan import FieldPlan
from gateway.mapping.plan import RecordPlan
from gateway.mapping.problems import value_class

__all__ = ["FieldStory", "RowStory", "StepStory", "clear_columns", "clear_fields", "try_row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStory:
    """The value after one rule."""

    rule: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldStory:
    """One field. ``problems`` are rows of a PROBLEMS frame, for :func:`gateway.mapping.problems.problem_text`.

    ``local`` is the class of the local value; ``value`` is what the record holds, empty when nothing. Both and the steps show
    classes instead of values when ``masked``.
    """

    field: str
    zh: str
    en: str
    source: str
    local: str
    masked: bool
    steps: tuple[StepStory, ...]
    value: str
    problems: tuple[dict[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowStory:
    """One row. ``good`` tells whether it becomes a record; ``problems`` that belong to no mapped field stand apart."""

    row: str
    key: str | None
    good: bool
    fields: tuple[FieldStory, ...]
    problems: tuple[dict[str, str | None], ...]


def try_row(plan: RecordPlan, frame: pl.DataFrame) -> RowStory:
    """The story of the one row in ``frame`` (the source's columns and ``@row``). Raises ValueError unless it is exactly one."""
    if frame.height != 1:
        raise ValueError("one row is tried at a time")
    mapped = plan.map(frame)
    texts = plan.texts(frame)
    told = mapped.problems.to_dicts()
    personal = _personal_columns(plan)
    stories = tuple(_field_story(item, texts, told, masked=_is_masked(item, personal)) for item in plan.fields)
    good = mapped.records.height == 1
    named = {story.field for story in stories}
    return RowStory(
        row=texts["@row"].item(),
        key=(mapped.records if good else mapped.bad)["@key"].item(),
        good=good,
        fields=stories,
        problems=tuple(problem for problem in told if problem["field"] not in named),
    )


def clear_columns(plan: RecordPlan) -> frozenset[str]:
    """The source's columns whose values may be shown: mapped, and to no personal field. What is not mapped may hold anything."""
    return frozenset(plan.fields_by_column()) - _personal_columns(plan)


def clear_fields(catalog: Catalog) -> frozenset[str]:
    """The catalog's fields whose values may be shown."""
    return frozenset(
        item.name for item in catalog.fields if not item.personal and item.disclosure is not Disclosure.NEVER
    )


def _personal_columns(plan: RecordPlan) -> frozenset[str]:
    return frozenset(column for item in plan.fields if _is_personal(item) for column in item.mapping.columns)


def _is_personal(item: FieldPlan) -> bool:
    return item.field.personal or item.field.disclosure is Disclosure.NEVER


def _is_masked(item: FieldPlan, personal: frozenset[str]) -> bool:
    return _is_personal(item) or not personal.isdisjoint(item.mapping.columns)


def _field_story(
    item: FieldPlan, texts: pl.DataFrame, told: list[dict[str, str | None]], *, masked: bool
) -> FieldStory:
    steps: list[StepStory] = []
    now = texts
    for number, stage in enumerate(item.stages()):
        now = now.with_columns(stage)
        if item.steps:
            steps.append(StepStory(rule=item.steps[number].rule.name, value=_shown(now, item, masked=masked)))
    problems = tuple(problem for problem in told if problem["field"] == item.field.name)
    refused = any(problem["weight"] == "reject" for problem in problems)
    now = now.with_columns(item.filled(pl.lit(value=refused)).alias(item.field.name))
    return FieldStory(
        field=item.field.name,
        zh=item.field.zh,
        en=item.field.en,
        source=item.source,
        local=_class(texts.select(value_class(item.raw))),
        masked=masked,
        steps=tuple(steps),
        value=_shown(now, item, masked=masked),
        problems=problems,
    )


def _shown(now: pl.DataFrame, item: FieldPlan, *, masked: bool) -> str:
    value: object = now[item.field.name].item()
    match value:
        case None:
            return ""
        case str() if masked:
            return _class(now.select(value_class(pl.col(item.field.name))))
        case date() | Decimal() | int() if masked:
            return "…"
        case Decimal():
            return format(value.normalize(), "f")
        case _:
            return str(value)


def _class(described: pl.DataFrame) -> str:
    return str(described.item())
