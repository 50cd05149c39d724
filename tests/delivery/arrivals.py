"""What a receiver holds of a row, against the row: by the text of the bindings and readers of other people, not by the gateway's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lxml import etree

from tests.delivery.rows_of_catalogs import Row
from tests.ways import bindings_of

__all__ = ["Texts", "assert_arrived", "elements", "leaves", "plain", "tree"]

Texts = Mapping[str, str]
"""The filled places of one record; dates without marks between their figures, numbers without zeros at their end."""

_DAY = re.compile(r"(\d{4})[-/](\d{2})[-/](\d{2})")
_NUMBER = re.compile(r"\d+\.\d+")


def plain(value: object) -> str:
    """A value as receivers' shapes of it agree."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date | datetime):
        return value.strftime("%Y%m%d")
    text = str(value)
    if day := _DAY.fullmatch(text):
        return "".join(day.groups())
    return f"{Decimal(text).normalize():f}" if _NUMBER.fullmatch(text) else text


def expected(name: str, binding: str, row: Row) -> Texts:
    """The places of a record in the format ``name``, by the binding's text."""
    found: dict[str, str] = {}
    text = bindings_of(name)[binding]
    inside = text.get("repeat", {}).get("records", "")
    for one in text["bind"]:
        value = row.get(one.get("field", ""))
        for rule in one.get("rules", ()):
            if rule["rule"] == "lookup" and value is not None:
                value = rule["table"][value]
            if rule["rule"] == "constant" and one["to"].startswith(inside):
                value = rule["value"]
        if value is not None:
            found[one["to"]] = plain(value)
    return found


def takes(name: str, binding: str, row: Row) -> bool:
    """Whether the binding is for such records."""
    when: Mapping[str, Sequence[str]] = bindings_of(name)[binding].get("when", {})
    return all(row.get(field) in values for field, values in when.items())


def assert_arrived(name: str, binding: str, rows: Iterable[Row], arrived: Iterable[Texts]) -> None:
    """Every row that the binding takes has arrived once and as it stands, and nothing else."""
    wanted = [expected(name, binding, row) for row in rows if takes(name, binding, row)]
    assert wanted
    key = sorted(wanted[0])
    ours = {one["to"] for one in bindings_of(name)[binding]["bind"] if "batch" in one}
    held = [{place: text for place, text in one.items() if place not in ours} for one in arrived]

    def order(one: Texts) -> list[str]:
        return [one.get(place, "") for place in key]

    there, sent = sorted(held, key=order), sorted(wanted, key=order)
    told = [
        (sorted(one.items() - two.items()), sorted(two.items() - one.items()))
        for one, two in zip(there, sent, strict=False)
    ]
    assert there == sent, (name, binding, len(there), len(sent), told)


def elements(body: bytes) -> tuple[str, Texts]:
    """A record's XML, one level deep: its root's name, and what stands in it."""
    root = etree.fromstring(body)
    return etree.QName(root).localname, {etree.QName(one).localname: plain(one.text) for one in root if one.text}


def tree(data: bytes) -> Mapping[str, Any]:
    """A document of XML as objects within objects: what holds text stands as the text. Elements of one name are not looked for."""
    return _inner(etree.fromstring(data))


def _inner(element: etree._Element) -> dict[str, Any]:
    return {etree.QName(one).localname: _inner(one) if len(one) else one.text for one in element}


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The filled places of a JSON object, by path."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, f"{place}/{name}" if place else name)
    elif isinstance(value, list):
        yield place, ";".join(map(plain, value))  # the separator of our catalogs
    elif value is not None:
        yield place, plain(value)
