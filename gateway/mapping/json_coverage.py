"""How well a binding covers a JSON Schema, told before anything is sent: what is demanded and not bound, what can never fit, what may not.

Whether values fit is tried: each field's extreme and coded values go through the expressions that will write them, and the schema judges.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, FieldType
from gateway.errors import Finding, Severity
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.canonical import canonical_type
from gateway.mapping.columns import Cells, cell_column
from gateway.mapping.coverage import trial_values
from gateway.mapping.format_model import WhenEmpty
from gateway.mapping.json_model import JsonLeaf, JsonTemplate, pointer
from gateway.mapping.json_schema import JsonSchema, Place
from gateway.mapping.json_value import leaf_value

__all__ = ["json_coverage"]

_NO_KIND = {"date-invalid", "decimal-invalid", "integer-invalid", "schema-violation"}
"""A text that fails with one of these is no value of the place's kind: no longer or shorter text would be."""


def json_coverage(
    template: JsonTemplate, schema: JsonSchema, catalog: Catalog, library: Library, file: str
) -> Iterator[Finding]:
    """Errors and warnings about a binding whose paths and rules are all right by themselves."""
    arrays = {*template.repeat.values(), *([] if template.records is None else [template.records])}
    places = [leaf.steps for leaf in template.leaves]
    for path in _unbound(schema, (), [*places, *arrays], arrays):
        yield Finding(code="json-unbound", file=file, key="bind", facts={"path": path})
    for array in sorted(arrays):
        if not any(steps[: len(array)] == array for steps in places):
            yield Finding(code="coverage-repeat-unbound", file=file, key="repeat")
    for number, leaf in enumerate(template.leaves, start=1):
        place, parent = schema.at(leaf.steps, arrays), schema.at(leaf.steps[:-1], arrays)
        trial = _Trial(leaf, place, schema, catalog, library)
        findings = list(trial.findings())
        above = (leaf.steps[:length] for length in range(1, len(leaf.steps)))
        surely = all(steps in template.demanded or steps in arrays for steps in above)
        if surely and leaf.steps[-1] in parent.required():
            findings += trial.demanded()
        for code, key, severity, facts in findings:
            yield Finding(code=code, file=file, key=f"bind[{number}].{key}", severity=severity, facts=facts)


def _unbound(
    schema: JsonSchema, steps: tuple[str, ...], bound: list[tuple[str, ...]], arrays: set[tuple[str, ...]]
) -> Iterator[str]:
    """What must stand in the object at ``steps``, which stands, and what nothing is bound to."""
    below = {path[len(steps)] for path in bound if len(path) > len(steps) and path[: len(steps)] == steps}
    for name in schema.at(steps, arrays).required():
        if name not in below:
            yield pointer((*steps, name))
    for name in sorted(below):
        inner = (*steps, name)
        if any(len(path) > len(inner) and path[: len(inner)] == inner for path in bound):
            yield from _unbound(schema, inner, bound, arrays)


_Found = tuple[str, str, Severity, dict[str, object]]


class _Trial:
    """One leaf put to the test."""

    def __init__(self, leaf: JsonLeaf, place: Place, schema: JsonSchema, catalog: Catalog, library: Library) -> None:
        self._leaf = leaf
        self._place = place
        self._schema = schema
        self._field = None if leaf.column.field is None else catalog.field(leaf.column.field)
        self._library = library
        self._cells = Cells([leaf.column], catalog, library)

    def findings(self) -> Iterator[_Found]:
        """Whether the values fit the place."""
        path = self._leaf.column.heading
        if self._leaf.column.when_empty is WhenEmpty.BLANK and self._refused("") is not None:
            yield "json-blank", "empty", Severity.ERROR, {"path": path}
        failed, hopeless = self._failures()
        if failed:
            facts: dict[str, object] = {
                "path": path,
                "values": "、".join(failed),
                "codes": "、".join(sorted(set(failed.values()))),
            }
            code = "json-never-fits" if hopeless else "json-narrower"
            yield code, "to", Severity.ERROR if hopeless else Severity.WARNING, facts

    def demanded(self) -> Iterator[_Found]:
        """Whether the place is filled in every record."""
        facts: dict[str, object] = {"path": self._leaf.column.heading}
        if self._field is not None and self._leaf.column.when_empty is WhenEmpty.OMIT:
            yield "json-omitted", "empty", Severity.ERROR, facts
        blank = self._leaf.column.when_empty is WhenEmpty.BLANK
        if self._field is not None and not self._field.required and not blank:
            yield "json-may-be-empty", "field", Severity.WARNING, {**facts, "field": self._field.name}

    def _failures(self) -> tuple[dict[str, str], bool]:
        """Trial values that do not pass, as a person names them, each with its code; and whether no value ever will."""
        field = self._field
        frame = SOME_BATCH.frame()
        shown = ["constant" if self._leaf.column.batch is None else self._leaf.column.batch.value]
        if field is not None:
            trials = trial_values(field, self._library)
            shown = list(trials)
            frame = pl.DataFrame({field.name: pl.Series(list(trials.values()), dtype=canonical_type(field))})
        blank = pl.lit(None, dtype=pl.String)
        wide, bad, problems = self._cells.fill(frame.with_columns(blank.alias("@row"), blank.alias("@key")))
        codes = iter(problems["code"])
        failed: dict[str, str] = {}
        for name, text, wrong in zip(shown, wide[cell_column(0)], bad, strict=True):
            code = next(codes, "schema-violation") if wrong else None if text is None else self._refused(text)
            if code is not None:
                failed[name] = code
        free = field is not None and field.type is FieldType.TEXT and field.codelist is None
        return failed, len(failed) == len(shown) and (not free or bool(set(failed.values()) & _NO_KIND))

    def _refused(self, text: str) -> str | None:
        return next((one.code for one in self._schema.fits(self._place, leaf_value(self._leaf, text))), None)
