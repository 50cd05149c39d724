"""Why a record was refused: the place in it, the rule it breaks, the class of the value there, in words and without the value.

xmlschema names the element that is wrong; what is wrong with its text, the same facet checks say that judge whole
columns, so that a record is told off in the same words wherever it is caught.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import polars as pl
from lxml import etree
from xmlschema import XMLSchemaChildrenValidationError, XMLSchemaValidationError

from gateway.mapping.facets import facet_checks, forbidden_characters
from gateway.mapping.format_model import Format
from gateway.mapping.model import ProblemExpr
from gateway.mapping.problems import value_class
from gateway.mapping.safe_xml import parse_safely
from gateway.mapping.schema import Element
from gateway.mapping.xsd_types import SimpleType

__all__ = ["Explainer", "Explanation", "explain"]

# xmlschema keeps state on its schema objects while it validates.
_explaining = threading.Lock()
_MOST = 50
"""A record with more errors than this is not of this format at all; the first ones say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One thing wrong. ``target`` is the path below the record's element as bindings write it, or that element's own
    name; ``code``, ``expected`` and ``value_class`` are those of a record's problem.
    """

    target: str
    code: str
    expected: str = ""
    value_class: str = ""


def explain(fmt: Format, body: bytes) -> tuple[Explanation, ...]:
    """What is wrong with one record's bytes; empty when nothing is. Raises MappingError when it is no safe XML."""
    return Explainer(fmt).faults(parse_safely(body))


class Explainer:
    """Explains refused records of one format. Any thread may use it."""

    def __init__(self, fmt: Format) -> None:
        self._fmt = fmt

    def explain(self, record: etree._Element) -> tuple[Explanation, ...]:
        """What is wrong with ``record``, which libxml2 refused: never empty."""
        return self.faults(record) or (self._unclear((str(record.tag),)),)

    def faults(self, record: etree._Element) -> tuple[Explanation, ...]:
        """What is wrong with ``record``, each thing once."""
        root = self._fmt.schema.roots.get(record.tag)
        if root is None:
            return (
                Explanation(target=self._fmt.shown(str(record.tag)), code="schema-violation", expected=self._roots()),
            )
        found: dict[Explanation, None] = {}
        judged: set[tuple[str, ...]] = set()
        # A value too large for xmlschema's own types (xs:gYear "20200") stops its validation with an error of Python's.
        with _explaining, suppress(ValueError, ArithmeticError):
            for error in islice(self._fmt.schema.source.iter_errors(record), _MOST):
                found.update(dict.fromkeys(self._explained(error, record, root, judged)))
        # xmlschema lets pass some values that libxml2 does not (full-width digits in an integer, "1 2" for a decimal).
        told = found or self._sweep(record, (), root)
        own = self._fmt.shown(root.name)
        return tuple(replace(item, target=item.target or own) for item in told)

    def _sweep(self, element: etree._Element, steps: tuple[str, ...], declared: Element) -> Iterator[Explanation]:
        """What the facet checks say of every attribute and text in and below ``element``."""
        yield from self._attributes(element, steps, declared)
        yield from self._text(element, steps, declared)
        known = {child.name: child for child in declared.children()}
        for child in element:
            if child.tag in known:
                yield from self._sweep(child, (*steps, child.tag), known[child.tag])

    def _explained(
        self, error: XMLSchemaValidationError, record: etree._Element, root: Element, judged: set[tuple[str, ...]]
    ) -> Iterator[Explanation]:
        """One error of xmlschema's; ``judged`` are the places whose values were looked at already."""
        # xmlschema hands back what it was given, an element of lxml, and calls it one of ElementTree.
        element: Any = record if error.elem is None else error.elem
        steps = _steps(element, record)
        declared = _declared(root, steps)
        if isinstance(error, XMLSchemaChildrenValidationError):
            yield from self._children(error, element, steps, declared)
        elif declared is None:
            yield self._unclear(steps)
        elif steps not in judged:
            judged.add(steps)
            told = [*self._attributes(element, steps, declared), *self._text(element, steps, declared)]
            yield from told or [self._unclear(steps)]

    def _children(
        self,
        error: XMLSchemaChildrenValidationError,
        element: etree._Element,
        steps: tuple[str, ...],
        declared: Element | None,
    ) -> Iterator[Explanation]:
        """A child too many or out of place, or one missing. What is missing usually shows at the next child, which is innocent."""
        expected = [item.name for item in error.expected or () if isinstance(item.name, str)]
        present = {child.tag for child in element}
        known = {child.name: child for child in declared.children()} if declared is not None else {}
        missing = [name for name in expected if name in known and known[name].min_occurs and name not in present]
        if missing:
            # Several at one place are the branches of a choice.
            target = " | ".join(self._fmt.shown(*steps, name) for name in missing)
            yield Explanation(target=target, code="required-missing", value_class="empty")
        elif error.invalid_child is not None:
            wanted = " | ".join(self._fmt.shown(name) for name in expected)
            target = self._fmt.shown(*steps, str(error.invalid_tag))
            yield _told(target, "element-unexpected", wanted, error.invalid_child.text or "")
        else:
            wanted = " | ".join(self._fmt.shown(*steps, name) for name in expected)
            yield Explanation(target=wanted, code="required-missing", value_class="empty")

    def _attributes(self, element: etree._Element, steps: tuple[str, ...], declared: Element) -> Iterator[Explanation]:
        known = {attribute.name: attribute for attribute in declared.attributes}
        for name, attribute in known.items():
            target = self._fmt.shown(*steps, f"@{name}")
            value = element.get(name)
            if value is None:
                if attribute.required:
                    yield Explanation(target=target, code="required-missing", value_class="empty")
            elif attribute.fixed is not None and value != attribute.fixed:
                yield _told(target, "code-unknown", attribute.fixed, value)
            else:
                yield from _judged(target, attribute.type, value)
        for name in map(str, element.attrib):
            if name not in known:
                target = self._fmt.shown(*steps, f"@{name}")
                yield _told(target, "element-unexpected", "", element.get(name, ""))

    def _text(self, element: etree._Element, steps: tuple[str, ...], declared: Element) -> Iterator[Explanation]:
        text = element.text or ""
        if declared.type is not None and len(element) == 0:
            if declared.fixed is not None and text != declared.fixed:
                yield _told(self._fmt.shown(*steps), "code-unknown", declared.fixed, text)
            else:
                yield from _judged(self._fmt.shown(*steps), declared.type, text)

    def _unclear(self, steps: tuple[str, ...]) -> Explanation:
        """Refused, and nobody says more of it than where."""
        return Explanation(target=self._fmt.shown(*steps), code="schema-violation", expected=self._fmt.schema_file)

    def _roots(self) -> str:
        return " | ".join(self._fmt.shown(binding.root) for binding in self._fmt.bindings.values())


def _steps(element: etree._Element, record: etree._Element) -> tuple[str, ...]:
    """The names from the record's element, exclusive, down to ``element``."""
    steps: list[str] = []
    here: etree._Element | None = element
    while here is not None and here is not record:
        steps.insert(0, str(here.tag))
        here = here.getparent()
    return tuple(steps)


def _declared(root: Element, steps: tuple[str, ...]) -> Element | None:
    """What the schema says at ``steps``."""
    here: Element | None = root
    for step in steps:
        here = next((child for child in here.children() if child.name == step), None) if here is not None else None
    return here


def _judged(target: str, kind: SimpleType, text: str) -> Iterator[Explanation]:
    """Every check that ``text`` fails."""
    checks, columns = _compiled(kind)
    *verdicts, described = pl.DataFrame({"text": [text]}, schema={"text": pl.String}).select(columns).row(0)
    for check, wrong in zip(checks, verdicts, strict=True):
        if wrong:
            yield Explanation(target=target, code=check.code, expected=check.expected, value_class=described)


@lru_cache(maxsize=1024)
def _compiled(kind: SimpleType) -> tuple[tuple[ProblemExpr, ...], list[pl.Expr]]:
    """The checks of ``kind`` over the column ``text``, their verdicts as columns, and the class of the text behind them."""
    value = pl.col("text")
    checks = (forbidden_characters(value), *facet_checks(kind, value))
    verdicts = [check.when.fill_null(value=False).alias(str(place)) for place, check in enumerate(checks)]
    return checks, [*verdicts, value_class(value).alias("class")]


def _told(target: str, code: str, expected: str, text: str) -> Explanation:
    described = pl.select(value_class(pl.lit(text))).item()
    return Explanation(target=target, code=code, expected=expected, value_class=described)
