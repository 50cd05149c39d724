"""Several rows of a source are one record, which keeps its parts through store, document and back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.loader import load_catalogs
from gateway.errors import Findings
from gateway.mapping.canonical import canonical_schema, decode, encode
from gateway.mapping.plan import Mapped
from gateway.texts import LANGUAGES
from tests.mapping.order_catalog import CATALOG, library, plan, rows, write_mappings

ORDERS = library().catalogs["orders"]
LINE_1, LINE_2 = {"LINE": "1", "PRICE": "9.50"}, {"LINE": "2", "PRICE": "3"}


def told(mapped: Mapped) -> list[tuple[str, str, str, str]]:
    return [(row["@row"], row["field"], row["source"], row["code"]) for row in mapped.problems.iter_rows(named=True)]


def test_rows_of_one_key_are_one_record() -> None:
    mapped = plan().map(
        rows(
            {**LINE_1, "DELIVERED": "2026-03-05", "PLACE": "甲", "CONTACT": "李"},
            {**LINE_1, "DELIVERED": "2026-03-06", "CONTACT": "王"},
            {**LINE_2, "CONTACT": "李"},
            {"NO": "A2", "NOTE": "无行"},
        )
    )
    assert mapped.problems.is_empty(), told(mapped)
    first, second = mapped.records.to_dicts()
    assert (first["number"], first["@row"], first["@key"]) == ("A1", "1", "A1")
    assert first["contacts"] == [{"contact": "李"}, {"contact": "王"}]
    assert [(line["line"], line["price"]) for line in first["lines"]] == [(1, Decimal("9.50")), (2, Decimal("3.00"))]
    delivered = [{"delivered_on": date(2026, 3, 5), "place": "甲"}, {"delivered_on": date(2026, 3, 6), "place": None}]
    assert [line["deliveries"] for line in first["lines"]] == [delivered, None]
    assert (second["@row"], second["lines"], second["contacts"]) == ("4", None, None)


def test_rows_that_contradict_each_other_spoil_their_record_alone() -> None:
    mapped = plan().map(
        rows(
            {**LINE_1, "NOTE": "一"},
            {**LINE_2, "NOTE": "二"},
            {"NO": "A2", **LINE_1},
            {"NO": "A2", "LINE": "1", "PRICE": "10"},
            {"NO": "A3", **LINE_1},
            {"NO": "A3", **LINE_1},
        )
    )
    assert told(mapped) == [("1", "note", "NOTE", "rows-disagree"), ("3", "price", "PRICE", "rows-disagree")]
    assert mapped.bad.rows() == [("1", "A1", "11230500001755309F"), ("3", "A2", "11230500001755309F")]
    assert mapped.records["@key"].to_list() == ["A3"]
    assert mapped.records["lines"].list.len().to_list() == [1]


def test_one_bad_row_holds_its_record_back_and_is_named() -> None:
    mapped = plan().map(
        rows(
            LINE_1,
            {"LINE": "2", "PRICE": "dear"},
            {**LINE_1, "NO": "A2", "DELIVERED": "2026-03-01"},
            {"NO": "A3", "PRICE": "1"},
            {"NO": "", **LINE_1},
        )
    )
    assert told(mapped) == [
        ("1", "price", "PRICE @ 2", "decimal-invalid"),
        ("3", "delivered_on", "DELIVERED", "order-violated"),
        ("4", "line", "LINE", "required-missing"),
        ("5", "number", "NO", "key-missing"),
    ]
    assert mapped.records.is_empty()
    assert [row for row, _, _ in mapped.bad.rows()] == ["1", "3", "4", "5"]


def test_what_stands_once_is_told_once() -> None:
    mapped = plan().map(rows({**LINE_1, "DAY": "soon"}, {**LINE_2, "DAY": "soon"}))
    assert told(mapped) == [("1", "ordered_on", "DAY", "date-invalid")]


def test_a_receiver_checks_the_rows_of_parts_too() -> None:
    good = plan().map(rows({**LINE_1, "DELIVERED": "2026-03-05"}, LINE_2)).records
    bad = plan().map(rows({"NO": "A2", **LINE_1, "DELIVERED": "2026-03-05"})).records
    line = {**bad["lines"][0][0], "deliveries": [{"delivered_on": date(2026, 3, 1), "place": "长" * 11}]}
    bad = bad.with_columns(
        pl.Series("lines", [[line]], dtype=canonical_schema(ORDERS)["lines"]), pl.lit("9").alias("@row")
    )
    checked = plan().check(pl.concat([good, bad]).drop("@key", "@unit"))
    assert checked.records["@key"].to_list() == ["A1"]
    assert checked.records.select(good.columns).equals(good)
    assert checked.bad.rows() == [("9", "A2", "11230500001755309F")]
    assert [(row, field, code) for row, field, _, code in told(checked)] == [
        ("9", "delivered_on", "order-violated"),
        ("9", "place", "too-long"),
    ]


LINES = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(["", "2026-03-05", "2026-03-06"]),
        st.sampled_from(["", '甲"\\\n', "乙"]),
    ),
    max_size=6,
    unique=True,
)


@settings(max_examples=40, deadline=None)
@given(orders=st.lists(LINES, min_size=1, max_size=4))
def test_content_comes_back_as_it_was_stored(orders: list[list[tuple[int, str, str]]]) -> None:
    changes = [
        {"NO": f"B{number}", "LINE": str(line), "PRICE": f"{line}.5", "DELIVERED": day, "CONTACT": contact}
        for number, lines in enumerate(orders)
        for line, day, contact in lines
    ]
    records = plan().map(rows({"NO": "Z", "NOTE": "x"}, *changes)).records
    contents, digests = encode(records, ORDERS)
    back = decode(contents, ORDERS)
    assert back.equals(records.select(back.columns))
    assert encode(back, ORDERS)[1] == digests
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('within = "lines"', 'within = "rows"', ("parts.deliveries.within", "catalog-part-unknown")),
        ('part = "contacts"', 'part = "persons"', ("fields.contact.part", "catalog-part-unknown")),
        ('key = ["contact"]', 'key = ["line"]', ("parts.contacts.key[1]", "catalog-part-key")),
        ('key = ["number"]', 'key = ["line"]', ("key[1]", "catalog-field-in-part")),
        ("[parts.contacts]", "[parts.note]", ("parts.note", "catalog-part-name")),
        (
            '[fields.place]\n',
            '[fields.place]\nrequired_when = [{ contact.filled = true }]\n',
            ("fields.place.required_when[1].contact", "catalog-condition-part"),
        ),
        (
            'kind = "order"\nfields = ["ordered_on", "delivered_on"]',
            'kind = "differs"\nfields = ["contact", "place"]',
            ("rules.in-order.fields[1]", "catalog-condition-part"),
        ),
    ],
)  # fmt: skip
def test_a_mistake_about_parts_is_named(tmp_path: Path, old: str, new: str, expected: tuple[str, str]) -> None:
    assert old in CATALOG
    with pytest.raises(Findings) as refused:
        load_catalogs(write_mappings(tmp_path, CATALOG.replace(old, new)))
    found = [(finding.key, finding.code) for finding in refused.value.findings]
    assert expected in found
    for finding in refused.value.findings:
        for language in LANGUAGES:
            assert "{" not in finding.say(language) + finding.fix(language)
