"""How well a binding covers its schema, told before anything is sent: what is demanded and not bound, what can never fit, what may not.

The schema's demands are walked; whether values fit is not argued but tried: each field's extreme and coded values go
through the very expressions that will write and judge the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Field, FieldType
from gateway.errors import Finding, Severity
from gateway.mapping.canonical import canonical_type
from gateway.mapping.format_model import Binding, WhenEmpty
from gateway.mapping.leaf_plan import LeafPlan, compile_leaf
from gateway.mapping.outline import Cluster, Node, outline_of, standings_of
from gateway.mapping.schema import Element, Group, Model, Wildcard, local_name

__all__ = ["coverage"]

_WARNINGS = {"coverage-may-be-empty", "coverage-narrower"}
_NO_KIND = {"date-invalid", "decimal-invalid", "integer-invalid"}
"""A text that fails with one of these is no value of the target's kind: no longer or shorter text would be."""


def coverage(binding: Binding, root: Element, catalog: Catalog, library: Library, file: str) -> Iterator[Finding]:
    """Errors and warnings about a binding whose paths and rules are all right by themselves."""
    places = {leaf.steps: f"bind[{number}]" for number, leaf in enumerate(binding.leaves, start=1)}
    for path, code in _unbound(root, [leaf.steps for leaf in binding.leaves], ""):
        yield Finding(code=code, file=file, key="bind", facts={"path": path})
    outline = outline_of(root, binding.leaves)
    standings = standings_of(outline)
    for slot in outline.slots():
        leaf = compile_leaf(slot, catalog, library.crosswalks)
        trial = _Trial(leaf=leaf, library=library, file=file, key=places[slot.leaf.steps])
        yield from trial.findings()
        if standings[slot.index].demanded:
            yield from trial.demanded(standings[slot.index].scope)
    bound = {leaf.field for leaf in binding.leaves}
    for field in catalog.fields:
        if field.name not in bound and field.required:
            yield Finding(
                code="coverage-field-unsent",
                file=file,
                key="bind",
                severity=Severity.WARNING,
                facts={"field": field.name, "zh": field.zh, "en": field.en},
            )


def _unbound(element: Element, bound: Sequence[tuple[str, ...]], path: str) -> Iterator[tuple[str, str]]:
    """(path, code) of everything that must stand in ``element``, which stands, and that no leaf is bound to."""
    for attribute in element.attributes:
        if attribute.required and (f"@{attribute.name}",) not in bound:
            yield f"{path}@{local_name(attribute.name)}", "coverage-unbound"
    # An element that holds only attributes may go without a text; one in which nothing is bound was forgotten.
    if element.type is not None and () not in bound and not (bound and element.type.may_be_empty):
        yield path.rstrip("/") or local_name(element.name), "coverage-unbound"
    group = element.content
    if group is not None and (group.min_occurs or _touched(group, bound)):
        yield from _unbound_in(group, bound, path)


def _unbound_in(group: Group, bound: Sequence[tuple[str, ...]], path: str) -> Iterator[tuple[str, str]]:
    members = group.members
    if group.model is Model.CHOICE:
        members = tuple(member for member in members if not isinstance(member, Wildcard) and _touched(member, bound))
        if not members:
            names = " | ".join(local_name(element.name) for element in group.elements())
            yield f"{path}({names})", "coverage-unbound"
    for member in members:
        if isinstance(member, Wildcard):
            if member.required:
                yield f"{path}*", "coverage-wildcard"
        elif member.min_occurs or _touched(member, bound):
            if isinstance(member, Group):
                yield from _unbound_in(member, bound, path)
                continue
            here = f"{path}{local_name(member.name)}"
            if member.min_occurs > 1:
                yield here, "coverage-repeated"
            if member.abstract:
                yield here, "coverage-unbound"
            else:
                below = [steps[1:] for steps in bound if steps and steps[0] == member.name]
                yield from _unbound(member, below, f"{here}/")


def _touched(member: Element | Group, bound: Sequence[tuple[str, ...]]) -> bool:
    """Whether a leaf is bound in or below ``member``."""
    names = {member.name} if isinstance(member, Element) else {element.name for element in member.elements()}
    return any(steps and steps[0] in names for steps in bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """One leaf put to the test."""

    leaf: LeafPlan
    library: Library
    file: str
    key: str

    def findings(self) -> Iterator[Finding]:
        """Whether the field's values fit the place."""
        if self.leaf.slot.leaf.when_empty is WhenEmpty.BLANK and not self.leaf.slot.type.may_be_empty:
            yield self._finding("coverage-blank", "empty")
        failed, hopeless = self._failures()
        if failed:
            facts = {"values": "、".join(failed), "codes": "、".join(sorted(set(failed.values())))}
            yield self._finding("coverage-never-fits" if hopeless else "coverage-narrower", "to", **facts)

    def demanded(self, scope: Node | Cluster | None) -> Iterator[Finding]:
        """Whether the place is filled wherever ``scope`` stands."""
        field = self.leaf.field
        if field is None:
            return
        if self.leaf.slot.leaf.when_empty is WhenEmpty.OMIT:
            yield self._finding("coverage-omitted", "empty")
        others = scope is None or any(
            slot.leaf.field is not None and slot.index != self.leaf.slot.index for slot in scope.slots()
        )
        if others and not field.required:
            yield self._finding("coverage-may-be-empty", "field", field=field.name)

    def _failures(self) -> tuple[dict[str, str], bool]:
        """Trial values that do not pass, as a person names them, each with its code; and whether no value ever will."""
        field = self.leaf.field
        trials = {"constant": None} if field is None else _trials(field, self.library)
        kind = pl.String() if field is None else canonical_type(field)
        name = "constant" if field is None else field.name
        frame = pl.DataFrame({name: pl.Series(list(trials.values()), dtype=kind)})
        problems = [*self.leaf.written.problems, *self.leaf.checks]
        wide = frame.with_columns(self.leaf.written.value.alias(self.leaf.column)).with_columns(
            problem.when.fill_null(value=False).alias(f"?{place}") for place, problem in enumerate(problems)
        )
        failed: dict[str, str] = {}
        for shown, row in zip(trials, wide.iter_rows(named=True), strict=True):
            codes = [problem.code for place, problem in enumerate(problems) if row[f"?{place}"]]
            if codes:
                failed[shown] = codes[0]
        free = field is not None and field.type is FieldType.TEXT and field.codelist is None
        hopeless = len(failed) == len(trials) and (not free or bool(set(failed.values()) & _NO_KIND))
        return failed, hopeless

    def _finding(self, code: str, key: str, **facts: object) -> Finding:
        return Finding(
            code=code,
            file=self.file,
            key=f"{self.key}.{key}",
            severity=Severity.WARNING if code in _WARNINGS else Severity.ERROR,
            facts={"path": self.leaf.target, **facts},
        )


def _trials(field: Field, library: Library) -> Mapping[str, object]:
    """Values that a field may hold, chosen where a target may be too narrow, by the words in which a finding names them."""
    match field.type:
        case FieldType.DATE:
            return {day.isoformat(): day for day in (date(2019, 10, 10), date(2099, 12, 31))}
        case FieldType.INTEGER:
            return {str(number): number for number in (0, 1, 1_000_000)}
        case FieldType.DECIMAL:
            scale = field.scale or 0
            most = "9" * ((field.precision or 38) - scale) + ("." + "9" * scale if scale else "")
            least = f"{Decimal(1).scaleb(-scale):f}"
            return {text: Decimal(text) for text in ("1", least, most)}
        case FieldType.TEXT:
            return dict(_text_trials(field, library))


def _text_trials(field: Field, library: Library) -> Iterator[tuple[str, str]]:
    if field.codelist is not None:
        codes = library.codelists[field.codelist].values()
        yield from ((code, code) for code in codes)
        if field.open_prefix:
            yield f"{field.open_prefix}…", f"{field.open_prefix}甲"
        if field.separator:
            yield f"…{field.separator}…", field.separator.join(codes[:2])
        return
    # A character of the plainest kind: whether a pattern wants digits or words is the data's business, how long it may
    # be is ours.
    yield "1", "1"
    if field.max_length is not None:
        yield f"1 × {field.max_length}", "1" * field.max_length
