"""Records as content and digest and back, and digests that no later version may change."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.model import Catalog, Field, FieldType
from gateway.mapping.canonical import canonical_schema, decode, encode
from tests.mapping.record_samples import catalog

SMALL: Catalog = replace(
    catalog("administrative-penalty"),
    fields=(
        Field(name="name", zh="名称", en="name", type=FieldType.TEXT),
        Field(name="amount", zh="金额", en="amount", type=FieldType.DECIMAL, precision=38, scale=6),
        Field(name="decided_on", zh="日期", en="day", type=FieldType.DATE),
        Field(name="count", zh="件数", en="count", type=FieldType.INTEGER),
        Field(name="facts", zh="事实", en="facts", type=FieldType.TEXT),
    ),
)


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict(canonical_schema(SMALL)))


FULL: dict[str, object] = {
    "name": "某\n“公司”\\",
    "amount": Decimal("0.200000"),
    "decided_on": date(2019, 9, 1),
    "count": -7,
    "facts": None,
}


def test_content_is_a_json_object_of_canonical_texts() -> None:
    content, _ = encode(frame(FULL, dict.fromkeys(FULL)), SMALL)
    assert json.loads(content[0]) == {
        "name": "某\n“公司”\\",
        "amount": "0.2",
        "decided_on": "2019-09-01",
        "count": "-7",
    }
    assert content[1] == "{}"


def test_golden_digests() -> None:
    """These bytes are in databases and decide what counts as changed: they stay."""
    hashed = "amount\x1e0.2\x1fcount\x1e-7\x1fdecided_on\x1e2019-09-01\x1fname\x1e某\n“公司”\\\x1f"
    _, digests = encode(frame(FULL, {**FULL, "amount": Decimal(12)}, dict.fromkeys(FULL)), SMALL)
    assert [digest.hex() for digest in digests] == [
        "3fb57cf088c7f06fd6e66e8e8d4884f0607c9a86ce5ee0ab8c2aa30d4e04862d",
        "7aebb74a2dd12161262da36fb212c13a58b30124cc9156d589c1329b382ec725",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]
    assert digests[0] == hashlib.sha256(hashed.encode()).digest()


def test_an_added_field_that_is_empty_changes_no_digest() -> None:
    wider = replace(SMALL, fields=(Field(name="added", zh="新", en="new", type=FieldType.TEXT), *SMALL.fields))
    _, before = encode(frame(FULL), SMALL)
    _, after = encode(frame(FULL).with_columns(pl.lit(None, dtype=pl.String).alias("added")), wider)
    assert before == after


def test_any_change_changes_the_digest() -> None:
    changes: list[dict[str, object]] = [
        {},
        {"name": "某"},
        {"amount": Decimal("0.200001")},
        {"decided_on": date(2019, 9, 2)},
        {"count": 7},
        {"facts": "x"},
        {"name": None, "facts": FULL["name"]},
    ]
    _, digests = encode(frame(*({**FULL, **change} for change in changes)), SMALL)
    assert len(set(digests)) == len(changes)


def test_decode_takes_texts_of_older_and_newer_catalogs() -> None:
    decoded = decode(['{"name":"某","gone":"x"}', "{}"], SMALL)
    assert decoded.schema == canonical_schema(SMALL)
    assert decoded.row(0) == ("某", None, None, None, None)
    assert decode(pl.Series([], dtype=pl.String), SMALL).schema == canonical_schema(SMALL)
    assert decode([], SMALL).is_empty()


def test_decode_refuses_what_encode_never_wrote() -> None:
    with pytest.raises(pl.exceptions.PolarsError):
        decode(['{"decided_on":"2019-02-30"}'], SMALL)


VALUES = st.fixed_dictionaries(
    {
        "name": st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        "amount": st.none() | st.decimals(-(10**20), 10**20, places=6, allow_nan=False, allow_infinity=False),
        "decided_on": st.none() | st.dates(),
        "count": st.none() | st.integers(-(2**63), 2**63 - 1),
        "facts": st.none() | st.text('"\\\n\r\t\x00\x1e\x1f{}:,null', min_size=1, max_size=12),
    }
)


@given(st.lists(VALUES, min_size=1, max_size=10))
@settings(max_examples=150, deadline=None)
def test_round_trip(rows: list[dict[str, object]]) -> None:
    records = frame(*rows)
    content, digests = encode(records, SMALL)
    assert decode(content, SMALL).equals(records)
    assert decode(content.to_list(), SMALL).equals(records)
    assert [set(json.loads(text)) for text in content] == [{k for k, v in row.items() if v is not None} for row in rows]
    assert all(len(digest) == 32 for digest in digests)
    again, same = encode(decode(content, SMALL), SMALL)
    assert again.equals(content)
    assert same == digests
