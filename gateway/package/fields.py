"""The body of a record whose format has no schema of records: named texts, in the order of the receiver's sheet or table.

``<Fields xmlns="urn:credit-exchange:fields:1" template="…"><Field name="…">text</Field>…</Fields>``; ``schemas/fields-1.xsd`` says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.errors import PackageError
from gateway.package.elements import read_elements

__all__ = ["FIELDS", "Fields", "read_fields"]

FIELDS: Final = "urn:credit-exchange:fields:1"
_MOST: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What one record shows. ``texts`` are in the order of the template's columns; a column that is not among them has no value."""

    template: str
    texts: Mapping[str, str]


def read_fields(body: bytes) -> Fields:
    """The fields in a record's ``body``. Raises PackageError with a ``document-…`` code, ``fields-repeated``."""
    root = read_elements(body, document="Fields", namespace=FIELDS, elements=_MOST + 1)
    root.called("Fields")
    if set(root.attributes) != {"template"} or root.text.strip(" \n\t"):
        raise PackageError("document-structure", document="Fields", element="Fields", expected="@template")
    texts: dict[str, str] = {}
    for child in root.children:
        child.called("Field")
        name = child.leaf("name")["name"]
        if name in texts:
            raise PackageError("fields-repeated", field=name[:64])
        texts[name] = child.text
    return Fields(template=root.attributes["template"], texts=MappingProxyType(texts))
