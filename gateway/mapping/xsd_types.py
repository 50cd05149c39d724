"""Simple types of an XSD as plain values: every facet of the whole chain of derivation in one place.

xmlschema reads the schema; from then on the gateway works with these values. Facets keep the words of the schema
(``"0.01"``, not a float), because XML Schema Part 2 defines them on the value space of each type and only the check
that uses one knows which.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from xmlschema import names
from xmlschema.validators import XsdComplexType, XsdFacet, XsdList, XsdSimpleType, XsdUnion

__all__ = ["FREE_TEXT", "Bound", "Pattern", "Primitive", "SimpleType", "WhiteSpace", "read_simple_type"]

_LENGTHS: Final = {names.XSD_LENGTH, names.XSD_MIN_LENGTH, names.XSD_MAX_LENGTH}
_BOUNDS: Final = {
    names.XSD_MIN_INCLUSIVE: "≥",
    names.XSD_MIN_EXCLUSIVE: ">",
    names.XSD_MAX_INCLUSIVE: "≤",
    names.XSD_MAX_EXCLUSIVE: "<",
}
# xmlschema keeps the state of a validation on the schema itself, so two threads must not judge at once.
_judging = threading.Lock()


class WhiteSpace(StrEnum):
    """What an XML processor does to blanks before it looks at a value (Part 2 §4.3.6)."""

    PRESERVE = "preserve"
    REPLACE = "replace"
    COLLAPSE = "collapse"


class Primitive(StrEnum):
    """The kinds of value that are checked in whole columns; every other kind is judged value by value."""

    STRING = "string"
    DECIMAL = "decimal"
    INTEGER = "integer"  # decimal without a point; XSD derives it, for a check it is a kind of its own
    BOOLEAN = "boolean"
    DATE = "date"
    DATE_TIME = "dateTime"
    UNION = "union"
    OTHER = "other"  # duration, time, anyURI, lists …


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One end of a range. ``sign`` is ``≥``, ``>``, ``≤`` or ``<``; ``value`` is written as in the schema."""

    sign: str
    value: str

    @property
    def low(self) -> bool:
        """Whether it is the lower end."""
        return self.sign in {"≥", ">"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A regular expression as the schema has it."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleType:
    """A simple type with all that its ancestors say.

    ``name`` is the schema's own name for it or ``""``; ``builtin`` the nearest built-in type (``xs:token``).
    ``patterns`` holds one tuple for each step of derivation: a value matches one pattern of every step.
    ``enumeration`` is empty when there is none. ``members`` are a union's types. ``judge`` gives xmlschema's verdict
    on one text, for what columns cannot say; any thread may ask.
    """

    name: str
    builtin: str
    primitive: Primitive
    white_space: WhiteSpace
    min_length: int = 0
    max_length: int | None = None
    patterns: tuple[tuple[Pattern, ...], ...] = ()
    enumeration: tuple[str, ...] = ()
    bounds: tuple[Bound, ...] = ()
    total_digits: int | None = None
    fraction_digits: int | None = None
    members: tuple[SimpleType, ...] = ()
    item: SimpleType | None = None
    judge: Callable[[str], bool] = field(repr=False, compare=False)

    @property
    def may_be_empty(self) -> bool:
        """Whether an element of this type may stand there with nothing in it."""
        return self.judge("")


FREE_TEXT: Final = SimpleType(
    name="",
    builtin="xs:anyType",
    primitive=Primitive.STRING,
    white_space=WhiteSpace.PRESERVE,
    judge=lambda _: True,
)
"""What stands in an element that may hold text among its children, and needs none of them."""


@dataclass(slots=True, kw_only=True)
class _Facets:
    """What the walk from a type to its primitive gathers."""

    min_length: int = 0
    max_length: int | None = None
    patterns: list[tuple[Pattern, ...]] = field(default_factory=list)
    enumeration: tuple[str, ...] = ()
    bounds: list[Bound] = field(default_factory=list)
    total_digits: int | None = None
    fraction_digits: int | None = None

    def take(self, tag: str, facet: Any) -> None:
        """One facet. The walk goes upwards, so what a descendant said already is the narrower word and stays."""
        if tag == names.XSD_PATTERN:
            self.patterns.append(tuple(Pattern(text=text) for text in facet.regexps))
        elif tag == names.XSD_ENUMERATION:
            self.enumeration = self.enumeration or tuple(element.attrib["value"] for element in facet)
        elif tag in _BOUNDS:
            self._take_bound(Bound(sign=_BOUNDS[tag], value=facet.elem.attrib["value"].strip()))
        elif tag in _LENGTHS or tag in {names.XSD_TOTAL_DIGITS, names.XSD_FRACTION_DIGITS}:
            self._take_count(tag, int(facet.value))

    def _take_bound(self, bound: Bound) -> None:
        if all(bound.low != other.low for other in self.bounds):
            self.bounds.append(bound)

    def _take_count(self, tag: str, count: int) -> None:
        if tag in {names.XSD_LENGTH, names.XSD_MIN_LENGTH}:
            self.min_length = max(self.min_length, count)
        if tag in {names.XSD_LENGTH, names.XSD_MAX_LENGTH}:
            self.max_length = count if self.max_length is None else min(self.max_length, count)
        if tag == names.XSD_TOTAL_DIGITS:
            self.total_digits = count if self.total_digits is None else min(self.total_digits, count)
        if tag == names.XSD_FRACTION_DIGITS:
            self.fraction_digits = count if self.fraction_digits is None else min(self.fraction_digits, count)


def read_simple_type(source: XsdSimpleType | XsdComplexType) -> SimpleType:
    """xmlschema's type (of an attribute, or the content of a complex type with simple content) as a plain value."""
    facets = _Facets()
    builtin, integer = "", False
    step: Any = source
    while step is not None and not isinstance(step, XsdList | XsdUnion):
        if isinstance(step, XsdComplexType):
            step = step.content
            continue
        if step.name and step.name.startswith(f"{{{names.XSD_NAMESPACE}}}"):
            builtin = builtin or f"xs:{step.local_name}"
            integer = integer or step.name == names.XSD_INTEGER
        for tag, facet in step.facets.items():
            if tag is not None and isinstance(facet, XsdFacet):
                facets.take(tag, facet)
        step = step.base_type
    content: Any = source.content if isinstance(source, XsdComplexType) else source
    return SimpleType(
        name=source.local_name or "",
        builtin=builtin or ("xs:list" if isinstance(step, XsdList) else "xs:union"),
        primitive=_primitive(content, step, integer),
        # A union says nothing of blanks: each of its members does.
        white_space=WhiteSpace((not isinstance(step, XsdUnion) and content.white_space) or "preserve"),
        min_length=facets.min_length,
        max_length=facets.max_length,
        patterns=tuple(facets.patterns),
        enumeration=facets.enumeration,
        bounds=tuple(facets.bounds),
        total_digits=facets.total_digits,
        fraction_digits=facets.fraction_digits,
        members=tuple(read_simple_type(member) for member in step.member_types) if isinstance(step, XsdUnion) else (),
        item=read_simple_type(step.item_type) if isinstance(step, XsdList) else None,
        judge=_judge(content),
    )


def _primitive(content: XsdSimpleType, root: Any, integer: bool) -> Primitive:
    if isinstance(root, XsdUnion):
        return Primitive.UNION
    if isinstance(root, XsdList):
        return Primitive.OTHER
    name = content.primitive_type.local_name if hasattr(content, "primitive_type") else "string"
    if integer:
        return Primitive.INTEGER
    known = {Primitive.STRING, Primitive.DECIMAL, Primitive.BOOLEAN, Primitive.DATE, Primitive.DATE_TIME}
    if name in {"anySimpleType", "anyAtomicType"}:
        return Primitive.STRING
    return Primitive(name) if name in known else Primitive.OTHER


def _judge(content: XsdSimpleType) -> Callable[[str], bool]:
    def verdict(text: str) -> bool:
        with _judging:
            try:
                return content.text_is_valid(text)
            except (ValueError, ArithmeticError):
                # A year of five digits is legal and more than elementpath can hold: what cannot be judged is refused.
                return False

    return verdict
