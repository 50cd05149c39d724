"""A format as a table that a person reads: what stands where in the document, from which field, written how, demanded when, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.catalog.model import Catalog, Condition, Field, Operator
from gateway.mapping.format_model import Format, WhenEmpty
from gateway.mapping.model import Rule
from gateway.mapping.outline import Node, Slot, outline_of, standings_of
from gateway.mapping.schema import Element
from gateway.mapping.xsd_types import Primitive, SimpleType
from gateway.texts import DEFAULT_LANGUAGE, say_text

__all__ = ["FormatRow", "explain_format"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRow:
    """One line of the table, in words. ``target`` is "" for a catalog field that the format does not carry, ``field``
    is "" for a place that stays empty or is filled without a field. ``profile`` marks what no published standard
    confirms.
    """

    target: str
    field: str
    label: str
    shape: str
    rules: str
    demanded: str
    why: str
    profile: bool


def explain_format(fmt: Format, catalog: Catalog, language: str = DEFAULT_LANGUAGE) -> tuple[FormatRow, ...]:
    """The rows in document order, then the fields of the catalog that are not sent. Raises KeyError without a binding."""
    binding = fmt.bindings[catalog.id]
    root = fmt.schema.roots[binding.root]
    table = _Table(fmt, catalog, outline_of(root, binding.leaves, binding.repeat), language)
    sent = {leaf.field for leaf in binding.leaves}
    unsent = (table.unsent(field) for field in catalog.fields if field.name not in sent)
    return (*table.element(root, table.outline, ()), *unsent)


class _Table:
    def __init__(self, fmt: Format, catalog: Catalog, outline: Node, language: str) -> None:
        self.outline = outline
        self._fmt = fmt
        self._catalog = catalog
        self._standings = standings_of(outline)
        self._language = language

    def element(self, element: Element, node: Node | None, steps: tuple[str, ...]) -> Iterator[FormatRow]:
        """The rows of an element; ``node`` is None where nothing is bound in it."""
        bound = {slot.name: slot for slot in node.own()} if node is not None else {}
        for attribute in element.attributes:
            path = (*steps, f"@{attribute.name}")
            yield self._row(path, attribute.type, attribute.note, bound.get(attribute.name))
        if element.type is not None:
            yield self._row(steps, element.type, element.note, bound.get(""))
        below = {child.name: child for child in node.elements()} if node is not None else {}
        for child in element.children() if node is not None else ():
            yield from self.element(child, below.get(child.name), (*steps, child.name))

    def unsent(self, field: Field) -> FormatRow:
        """A field that has no place in the document."""
        return FormatRow(
            target="",
            field=field.name,
            label=self._label(field),
            shape="",
            rules="",
            demanded="",
            why=self._say("format-field-not-sent"),
            profile=False,
        )

    def _row(self, steps: tuple[str, ...], kind: SimpleType, note: str, slot: Slot | None) -> FormatRow:
        target, shape = self._fmt.shown(*steps), self._shape(kind)
        if slot is None:
            why = self._say("format-place-not-written")
            return FormatRow(
                target=target, field="", label=note, shape=shape, rules="", demanded="", why=why, profile=False
            )
        leaf = slot.leaf
        field = self._catalog.field(leaf.field) if leaf.field is not None else None
        return FormatRow(
            target=target,
            field=field.name if field is not None else "",
            label=self._label(field) if field is not None else note,
            shape=shape,
            rules="；".join(self._rule(rule) for rule in leaf.rules),
            demanded=self._demanded(slot, field) if field is not None else "",
            why=leaf.why,
            profile=leaf.profile or (field is not None and field.profile),
        )

    def _demanded(self, slot: Slot, field: Field) -> str:
        standing = self._standings[slot.index]
        if standing.demanded or slot.leaf.when_empty is WhenEmpty.REJECT:
            return self._say("format-demanded" if standing.scope is None else "format-demanded-within")
        if field.required_when:
            return self._say("format-demanded-when", conditions=self._conditions(field.required_when))
        return ""

    def _conditions(self, alternatives: Sequence[Sequence[Condition]]) -> str:
        together = (self._say("sign-and").join(map(self._condition, conditions)) for conditions in alternatives)
        return self._say("sign-or").join(together)

    def _condition(self, condition: Condition) -> str:
        label, values = self._label(self._catalog.field(condition.field)), "、".join(condition.values)
        match condition.operator:
            case Operator.FILLED:
                return f"{label} {self._say('sign-filled')}"
            case Operator.EMPTY:
                return f"{label} {self._say('sign-empty')}"
            case Operator.IS:
                return f"{label} = {values}"
            case Operator.HAS:
                return f"{label} {self._say('sign-has')} {values}"

    def _shape(self, kind: SimpleType) -> str:
        """What the schema says of a value, in words."""
        if kind.enumeration:
            return self._say("shape-one-of", values="、".join(kind.enumeration))
        if kind.patterns:
            return self._say("shape-pattern", pattern=" | ".join(pattern.text for pattern in kind.patterns[0]))
        if kind.primitive is Primitive.STRING and kind.max_length is not None:
            return self._say("shape-text", least=kind.min_length, most=kind.max_length)
        if kind.primitive is Primitive.DECIMAL and kind.total_digits is not None:
            return self._say("shape-decimal", digits=kind.total_digits, fraction=kind.fraction_digits or 0)
        return kind.builtin

    def _rule(self, rule: Rule) -> str:
        return self._say(f"written-{rule.name}", **rule.parameters)

    def _label(self, field: Field) -> str:
        return field.zh if self._language == DEFAULT_LANGUAGE else field.en

    def _say(self, code: str, **facts: object) -> str:
        return say_text(code, self._language, facts)
