"""How well a binding covers its schema, told before anything is sent: what is demanded and not bound, what can never fit, what may not.

The schema's demands are walked; whether values fit is not argued but tried: each field's extreme and coded values go
through the very expressions that will write and judge the records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Field, FieldType
from gateway.errors import Finding, Severity
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.canonical import canonical_type
from gateway.mapping.format_model import RECORDS, Binding, BoundLeaf, WhenEmpty, name_of, place_of
from gateway.mapping.leaf_plan import LeafPlan, compile_leaf
from gateway.mapping.outline import DEEPEST, Cluster, Node, Rows, constants_differ, outline_of, standings_of
from gateway.mapping.schema import Element, Group, Model, Wildcard, local_name, meant
from gateway.mapping.xsd_types import FREE_TEXT

__all__ = ["coverage", "trial_values"]

_WARNINGS = {"coverage-may-be-empty", "coverage-narrower"}
_NO_KIND = {"date-invalid", "decimal-invalid", "integer-invalid"}
"""A text that fails with one of these is no value of the target's kind: no longer or shorter text would be."""


def coverage(
    binding: Binding,
    root: Element,
    catalog: Catalog,
    library: Library,
    file: str,
    shown: Callable[[str], str] = local_name,
) -> Iterator[Finding]:
    """Errors and warnings about a binding whose paths and rules are all right by themselves; ``shown`` writes a name as bindings do."""
    places = {leaf.steps: f"bind[{number}]" for number, leaf in enumerate(binding.leaves, start=1)}
    bound = _Bound(leaves=[leaf.steps for leaf in binding.leaves], repeated=binding.repeat)
    for path, code, facts in _Demands(shown).unbound(root, bound, ""):
        yield Finding(code=code, file=file, key="bind", facts={"path": path, **facts})
    for steps in _never_repeated(binding):
        yield Finding(code="coverage-repeat-unbound", file=file, key=f"repeat.{binding.repeat[steps]}")
    outline = outline_of(root, binding.leaves, binding.repeat)
    standings = standings_of(outline)
    for path, other in _alike(outline, catalog, ""):
        facts = {"path": path, "other": other}
        yield Finding(code="coverage-places-alike", file=file, key="bind", severity=Severity.WARNING, facts=facts)
    for slot in outline.leaves():
        leaf = compile_leaf(slot, catalog, library.crosswalks)
        trial = _Trial(leaf=leaf, library=library, file=file, key=places[slot.leaf.steps])
        yield from trial.findings()
        if standings[slot.index].demanded:
            yield from trial.demanded(standings[slot.index].scope)
    # What is written into the rows of a part alone cannot be read back as something that stands once.
    sent = {leaf.field for leaf in binding.leaves if leaf.field is not None and _at_home(leaf, binding, catalog)}
    for field in catalog.fields:
        if field.name not in sent and field.required:
            yield Finding(
                code="coverage-field-unsent",
                file=file,
                key="bind",
                severity=Severity.WARNING,
                facts={"field": field.name, "zh": field.zh, "en": field.en},
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """What is bound in and below an element: the leaves' remaining steps, and the places that are repeated for a part."""

    leaves: Sequence[tuple[str, ...]]
    repeated: Collection[tuple[str, ...]] = ()

    def only(self, names: Collection[str]) -> _Bound:
        """What is bound below elements of these names."""
        return _Bound(
            leaves=[leaf for leaf in self.leaves if leaf and name_of(leaf[0]) in names],
            repeated=[path for path in self.repeated if path and name_of(path[0]) in names],
        )

    def places(self, name: str) -> Mapping[str, _Bound]:
        """What is bound below each element called ``name``, by the step that leads to it."""
        steps = dict.fromkeys(leaf[0] for leaf in self.leaves if leaf and name_of(leaf[0]) == name)
        return {
            step: _Bound(
                leaves=[leaf[1:] for leaf in self.leaves if leaf and leaf[0] == step],
                repeated=[path[1:] for path in self.repeated if path and path[0] == step],
            )
            for step in steps
        }


_Missing = tuple[str, str, Mapping[str, object]]


class _Demands:
    """The walk over what a schema demands; ``shown`` writes a name as it is to be written in a path."""

    def __init__(self, shown: Callable[[str], str]) -> None:
        self._shown = shown

    def unbound(self, element: Element, bound: _Bound, path: str) -> Iterator[_Missing]:
        """(path, code, facts) of everything that must stand in ``element``, which stands, and that no leaf is bound to."""
        if not bound.leaves and path.count("/") > DEEPEST:
            yield path.rstrip("/"), "coverage-unbound", {}
            return
        for attribute in element.attributes:
            if attribute.required and (f"@{attribute.name}",) not in bound.leaves:
                yield f"{path}@{self._shown(attribute.name)}", "coverage-unbound", {}
        # An element that holds only attributes may go without a text; one in which nothing is bound was forgotten.
        text = element.type if element.type is not FREE_TEXT else None
        if text is not None and () not in bound.leaves and not (bound.leaves and text.may_be_empty):
            yield path.rstrip("/") or self._shown(element.name), "coverage-unbound", {}
        if element.derived and not element.as_type:
            facts = {"name": self._shown(element.name), "types": "、".join(element.derived[:20])}
            yield path.rstrip("/") or self._shown(element.name), "coverage-type-abstract", facts
        group = element.content
        if group is not None and (group.min_occurs or _touched(group, bound)):
            yield from self._group(group, bound, path)

    def _group(self, group: Group, bound: _Bound, path: str) -> Iterator[_Missing]:
        names = meant(group, {name_of(steps[0]) for steps in bound.leaves if steps})
        least = group.min_occurs if group.model is Model.SEQUENCE else 0
        names_in = {element.name for element in group.elements()}
        rows = any(len(path) == 1 and path[0] in names_in for path in bound.repeated)
        # One element alone in the group is bound as often as the group must stand.
        places = {steps[0] for steps in bound.leaves if steps} if len(names_in) == 1 else ()
        if least > max(1, len(places)) and not rows:
            told = ", ".join(self._shown(element.name) for element in group.elements())
            yield f"{path}({told})", "coverage-group-demanded", {"least": group.min_occurs}
        if group.model is Model.CHOICE and not any(names.values()):
            told = " | ".join(self._shown(element.name) for element in group.elements())
            yield f"{path}({told})", "coverage-unbound", {}
        for place, member in enumerate(group.members):
            if isinstance(member, Wildcard):
                if member.required and group.model is not Model.CHOICE:
                    yield f"{path}*", "coverage-wildcard", {}
            elif names[place] or (member.min_occurs and group.model is not Model.CHOICE):
                inside = bound.only(names[place])
                if isinstance(member, Group):
                    yield from self._group(member, inside, path)
                else:
                    yield from self._element(member, inside.places(member.name), f"{path}{self._shown(member.name)}")

    def _element(self, element: Element, places: Mapping[str, _Bound], path: str) -> Iterator[_Missing]:
        """What is missing where ``element`` stands: in every place that is bound, or in the one that the schema wants."""
        rows = any(() in bound.repeated for bound in places.values())
        if element.min_occurs > max(1, len(places)) and not rows:
            yield path, "coverage-repeated", {}
        if element.abstract:
            yield path, "coverage-unbound", {}
            return
        for step, bound in (places or {element.name: _Bound(leaves=())}).items():
            number = f"[{place_of(step)}]" if place_of(step) > 1 else ""
            yield from self.unbound(element, bound, f"{path}{number}/")


def _touched(member: Element | Group, bound: _Bound) -> bool:
    """Whether a leaf is bound in or below ``member``."""
    names = {member.name} if isinstance(member, Element) else {element.name for element in member.elements()}
    return any(steps and name_of(steps[0]) in names for steps in bound.leaves)


def _alike(node: Node, catalog: Catalog, path: str) -> Iterator[tuple[str, str]]:
    """Pairs of places of one name that a reader cannot tell apart when the first of them is left out."""
    for rows in node.rows():
        first = next(iter(rows.node.members), None)
        if not rows.node.name and not (isinstance(first, Node) and first.required):
            # Where one group ends and the next begins shows in what always stands at its beginning.
            names = [f"{path}{local_name(one.name)}" for one in rows.node.elements()]
            yield names[0], names[-1]
    children = list(node.elements())
    for number, child in enumerate(children):
        surely = child.required or any(
            catalog.field(slot.leaf.field).required for slot in child.slots() if slot.leaf.field is not None
        )
        for later in children[number + 1 :]:
            if later.name == child.name and not surely and not constants_differ(child, later):
                name = local_name(child.name)
                yield f"{path}{name}[{child.place}]", f"{path}{name}[{later.place}]"
        yield from _alike(child, catalog, f"{path}{local_name(child.name)}/")


def _never_repeated(binding: Binding) -> Iterator[tuple[str, ...]]:
    """Places that are to be repeated and in which nothing is bound."""
    told: set[str] = set()
    for path, part in binding.repeat.items():
        # A group that is repeated has several places.
        places = [other for other, same in binding.repeat.items() if same == part]
        if part not in told and not any(leaf.steps[: len(one)] == one for leaf in binding.leaves for one in places):
            told.add(part)
            yield path


def _at_home(leaf: BoundLeaf, binding: Binding, catalog: Catalog) -> bool:
    """Whether a field stands as often in the document as in the record."""
    here = binding.part_at(leaf.steps)
    return (None if here == RECORDS else here) == catalog.field(leaf.field or "").part


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """One leaf put to the test."""

    leaf: LeafPlan
    library: Library
    file: str
    key: str

    def findings(self) -> Iterator[Finding]:
        """Whether the field's values fit the place."""
        blank = self.leaf.slot.leaf.when_empty is WhenEmpty.BLANK
        if blank and not self.leaf.slot.type.may_be_empty and not self.leaf.slot.nil:
            yield self._finding("coverage-blank", "empty")
        failed, hopeless = self._failures()
        if failed:
            facts = {"values": "、".join(failed), "codes": "、".join(sorted(set(failed.values())))}
            yield self._finding("coverage-never-fits" if hopeless else "coverage-narrower", "to", **facts)

    def demanded(self, scope: Node | Cluster | Rows | None) -> Iterator[Finding]:
        """Whether the place is filled wherever ``scope`` stands."""
        field = self.leaf.field
        if field is None:
            return
        others = scope is None or any(
            slot.leaf.field is not None and slot.index != self.leaf.slot.index for slot in scope.leaves()
        )
        # The only field of an optional part: without it the part is left out, and nothing is missing.
        if others and self.leaf.slot.leaf.when_empty is WhenEmpty.OMIT:
            yield self._finding("coverage-omitted", "empty")
        if others and not field.required and not self.leaf.slot.blank_is_nil:
            yield self._finding("coverage-may-be-empty", "field", field=field.name)

    def _failures(self) -> tuple[dict[str, str], bool]:
        """Trial values that do not pass, as a person names them, each with its code; and whether no value ever will."""
        field, fact = self.leaf.field, self.leaf.slot.leaf.batch
        if field is None:
            shown = ["constant" if fact is None else fact.value]
            frame = SOME_BATCH.frame()
        else:
            trials = trial_values(field, self.library)
            shown = list(trials)
            frame = pl.DataFrame({field.name: pl.Series(list(trials.values()), dtype=canonical_type(field))})
        problems = [*self.leaf.written.problems, *self.leaf.checks]
        wide = frame.with_columns(self.leaf.written.value.alias(self.leaf.column)).with_columns(
            problem.when.fill_null(value=False).alias(f"?{place}") for place, problem in enumerate(problems)
        )
        failed: dict[str, str] = {}
        for name, row in zip(shown, wide.iter_rows(named=True), strict=True):
            codes = [problem.code for place, problem in enumerate(problems) if row[f"?{place}"]]
            if codes:
                failed[name] = codes[0]
        free = field is not None and field.type is FieldType.TEXT and field.codelist is None
        hopeless = len(failed) == len(shown) and (not free or bool(set(failed.values()) & _NO_KIND))
        return failed, hopeless

    def _finding(self, code: str, key: str, **facts: object) -> Finding:
        return Finding(
            code=code,
            file=self.file,
            key=f"{self.key}.{key}",
            severity=Severity.WARNING if code in _WARNINGS else Severity.ERROR,
            facts={"path": self.leaf.target, **facts},
        )


def trial_values(field: Field, library: Library) -> Mapping[str, object]:
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
