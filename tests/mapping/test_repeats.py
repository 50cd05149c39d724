"""What is repeated, judged in columns, is judged as libxml2 and xmlschema judge it; what is written can be read back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.mapping.canonical import canonical_schema
from gateway.mapping.problems import problem_text
from tests.mapping.order_catalog import library
from tests.mapping.order_format import NAMESPACE, XSD, order_document

ORDERS = library().catalogs["orders"]
SCHEMA = {**canonical_schema(ORDERS), "@key": pl.String(), "@row": pl.String()}
LIBXML2 = etree.XMLSchema(etree.fromstring(XSD.encode()))

WORDS = st.sampled_from(["甲", "a<b", "long text", "", "  x "])
MAYBE = st.one_of(st.none(), WORDS.filter(bool))
DELIVERY = st.fixed_dictionaries({"delivered_on": st.one_of(st.none(), st.just(date(2026, 3, 5))), "place": MAYBE})
LINE = st.fixed_dictionaries(
    {
        "line": st.sampled_from([1, 2, 0, None]),
        "price": st.sampled_from([None, Decimal("1.50"), Decimal("1.55"), Decimal(-1)]),
        "deliveries": st.one_of(st.none(), st.lists(DELIVERY, min_size=1, max_size=3)),
    }
)
ORDER = st.fixed_dictionaries(
    {
        "number": MAYBE,
        "unit": MAYBE,
        "note": MAYBE,
        "lines": st.one_of(st.none(), st.lists(LINE, min_size=1, max_size=4)),
        "contacts": st.one_of(st.none(), st.lists(st.fixed_dictionaries({"contact": MAYBE}), min_size=1, max_size=4)),
    }
)


def frame(*orders: dict[str, Any]) -> pl.DataFrame:
    empty = dict.fromkeys(SCHEMA)
    rows = [{**empty, **order, "@key": str(place), "@row": str(place)} for place, order in enumerate(orders)]
    return pl.DataFrame(rows, schema=SCHEMA)


def naive(order: dict[str, Any]) -> ElementTree.Element:
    """The document as one would write it by hand, right or wrong."""

    def below(parent: ElementTree.Element, name: str, text: object = None, **attributes: object) -> ElementTree.Element:
        given = {key: str(value) for key, value in attributes.items() if value is not None}
        child = ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}", given)
        child.text = None if text is None else str(text)
        return child

    root = ElementTree.Element(f"{{{NAMESPACE}}}Order")
    if order["note"] is not None:
        below(root, "Remark", order["note"])
    if order["lines"]:
        lines = below(root, "Lines")
        for line in order["lines"]:
            one = below(lines, "Line", no=line["line"])
            if line["price"] is not None:
                below(one, "Price", f"{line['price'].normalize():f}")
            for delivery in line["deliveries"] or ():
                below(one, "Delivery", delivery["place"], on=delivery["delivered_on"])
    for contact in order["contacts"] or ():
        below(root, "Contact", contact["contact"])
    for scheme in ("unit", "number"):
        if order[scheme] is not None:
            below(root, "Ref", order[scheme], scheme=scheme)
    return root


@settings(max_examples=120, deadline=None)
@given(orders=st.lists(ORDER, min_size=1, max_size=5))
def test_columns_and_two_processors_come_to_one_verdict(orders: list[dict[str, Any]]) -> None:
    document = order_document()
    rendered = document.render(frame(*orders))
    bodies = dict(rendered.frame.select("@key", "body").iter_rows())
    refused = set(rendered.problems["@row"])
    assert set(bodies).isdisjoint(refused)
    for place, order in enumerate(orders):
        text = ElementTree.tostring(naive(order))
        element = etree.fromstring(text)
        # A contact that says nothing is an empty element by hand; its binding refuses it.
        said = all(contact["contact"] is not None for contact in order["contacts"] or ())
        valid = LIBXML2.validate(element) and said
        assert valid == (document.format.schema.source.is_valid(element) and said)
        assert (str(place) in bodies) == valid, rendered.problems.filter(pl.col("@row") == str(place))
        if valid:
            # Canonical XML: no difference of namespaces declared or tags left empty.
            assert ElementTree.canonicalize(bodies[str(place)], rewrite_prefixes=True) == ElementTree.canonicalize(
                text, rewrite_prefixes=True
            )
    for problem in rendered.problems.iter_rows(named=True):
        assert problem_text(problem, ORDERS)


@settings(max_examples=80, deadline=None)
@given(orders=st.lists(ORDER, min_size=1, max_size=5))
def test_what_is_written_is_read_back(orders: list[dict[str, Any]]) -> None:
    document = order_document()
    sent = frame(*orders)
    rendered = document.render(sent)
    read = document.read([body.encode() for body in rendered.frame["body"]], rendered.frame["@key"].to_list())
    assert read.problems.is_empty(), read.problems
    kept = sent.filter(pl.col("@key").is_in(rendered.frame["@key"].to_list()))
    for before, after in zip(kept.iter_rows(named=True), read.records.iter_rows(named=True), strict=True):
        wanted = {**{key: before[key] for key in after}, "unit": before["unit"], "@row": before["@key"]}
        assert after == {key: _read_as(key, value) for key, value in wanted.items()}


def _read_as(key: str, value: Any) -> Any:
    """What a reader makes of a text: blanks around a token go."""
    return " ".join(value.split()) if key in {"unit", "number"} and value is not None else value


def test_rows_are_counted() -> None:
    line = {"line": 1, "price": None, "deliveries": None}
    delivery = {"delivered_on": date(2026, 3, 5), "place": None}
    contact = {"contact": "甲"}
    rendered = order_document().render(
        frame(
            {"lines": [line], "contacts": [contact]},
            {"lines": [line] * 4, "contacts": [contact]},
            {"lines": [line, {**line, "deliveries": [delivery] * 3}], "contacts": [contact]},
            {"contacts": [contact] * 4},
            {"lines": None, "contacts": None},
            {"lines": [line, line], "contacts": [contact] * 3},
        )
    )
    assert [(one["@row"], one["source"], one["code"]) for one in rendered.problems.iter_rows(named=True)] == [
        ("2", "Lines/Line/Delivery/@on", "rows-many"),
        ("0", "Lines/Line/@no", "rows-few"),
        ("1", "Lines/Line/@no", "rows-many"),
        ("3", "Contact", "schema-violation"),
        ("4", "Contact", "required-missing"),
    ]
    assert rendered.frame["@key"].to_list() == ["5"]


def test_elements_of_one_name_are_told_apart_by_what_is_constant_in_them() -> None:
    document = order_document()
    for given_on in ({"unit": "U"}, {"number": "N"}, {"unit": "U", "number": "N"}):
        (body,) = document.render(frame({**given_on, "contacts": [{"contact": "甲"}]})).frame["body"]
        (record,) = document.read([body.encode()]).records.to_dicts()
        assert {key: record[key] for key in ("unit", "number") if record[key] is not None} == given_on


def test_a_row_too_deep_to_be_wanted_is_told_and_the_rest_is_read() -> None:
    contacts = "".join(f"<Contact>{name}</Contact>" for name in "甲乙")
    body = f'<Order xmlns="{NAMESPACE}"><Title>x</Title>{contacts}<Nobody>n</Nobody></Order>'
    read = order_document().read([body.encode()])
    assert read.records["contacts"].to_list() == [[{"contact": "甲"}, {"contact": "乙"}]]
    assert sorted((one["source"], one["code"]) for one in read.problems.iter_rows(named=True)) == [
        ("Nobody", "element-not-taken"),
        ("Title", "element-not-taken"),
    ]
