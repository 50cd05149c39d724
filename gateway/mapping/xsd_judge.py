"""libxml2's verdict on a single text: what columns ask, value by value, where no expression says exactly what XSD says.

The gate is libxml2, so its word counts. A type is written out again as a schema of its own, with all that its
ancestors say, and texts are held against that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from html import escape
from typing import Final

from lxml import etree

from gateway.mapping.safe_xml import parse_safely
from gateway.mapping.xsd_types import Pattern, Primitive, SimpleType, WhiteSpace

__all__ = ["matches", "verdict"]

_BOUNDS: Final = {"≥": "minInclusive", ">": "minExclusive", "≤": "maxInclusive", "<": "maxExclusive"}


def verdict(kind: SimpleType) -> Callable[[str], bool]:
    """Whether a text is a value of ``kind``: both processors must say so, since a receiver may use either. Any thread may ask."""
    accepts = _judge(_definition(kind))
    return lambda text: accepts(text) and kind.judge(text)


def matches(pattern: Pattern) -> Callable[[str], bool]:
    """Whether a text matches ``pattern``. Any thread may ask."""
    return _judge(f'<xs:restriction base="xs:string">{_pattern(pattern)}</xs:restriction>')


def _judge(definition: str) -> Callable[[str], bool]:
    text = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f'<xs:element name="v"><xs:simpleType>{definition}</xs:simpleType></xs:element></xs:schema>'
    )
    schema = etree.XMLSchema(parse_safely(text.encode()))
    element = etree.Element("v")
    # A schema object keeps the errors of its last validation: one thread at a time.
    judging = threading.Lock()

    def accepts(text: str) -> bool:
        with judging:
            try:
                element.text = text
            except ValueError:  # no XML character
                return False
            return bool(schema.validate(element))

    return accepts


def _definition(kind: SimpleType) -> str:
    """The inside of an ``xs:simpleType`` that says what ``kind`` and its ancestors say."""
    inner = _variety(kind)
    facets = _facets(kind)
    if facets:
        inner = f"<xs:restriction>{_nested(inner)}{facets}</xs:restriction>"
    for step in kind.patterns:
        inner = f"<xs:restriction>{_nested(inner)}{''.join(map(_pattern, step))}</xs:restriction>"
    return inner


def _variety(kind: SimpleType) -> str:
    if kind.members:
        return f"<xs:union>{''.join(_nested(_definition(member)) for member in kind.members)}</xs:union>"
    if kind.item is not None:
        return f"<xs:list>{_nested(_definition(kind.item))}</xs:list>"
    return f'<xs:restriction base="{kind.builtin}"/>'


def _facets(kind: SimpleType) -> str:
    said: list[tuple[str, object]] = []
    if kind.primitive is Primitive.STRING and kind.white_space is not WhiteSpace.PRESERVE:
        said.append(("whiteSpace", kind.white_space))
    if kind.min_length:
        said.append(("minLength", kind.min_length))
    if kind.max_length is not None:
        said.append(("maxLength", kind.max_length))
    if kind.total_digits is not None:
        said.append(("totalDigits", kind.total_digits))
    if kind.fraction_digits is not None:
        said.append(("fractionDigits", kind.fraction_digits))
    said += [(_BOUNDS[bound.sign], bound.value) for bound in kind.bounds]
    said += [("enumeration", value) for value in kind.enumeration]
    return "".join(f'<xs:{name} value="{escape(str(value))}"/>' for name, value in said)


def _pattern(pattern: Pattern) -> str:
    return f'<xs:pattern value="{escape(pattern.text)}"/>'


def _nested(definition: str) -> str:
    return f"<xs:simpleType>{definition}</xs:simpleType>"
