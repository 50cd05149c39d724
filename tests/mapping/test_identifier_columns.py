"""The column expressions against the scalar functions of the catalog: one verdict, whatever the text."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.identifiers import (
    ORGANISATION_ALPHABET,
    USCC_ALPHABET,
    is_identifier,
    organisation_check_character,
    registration_check_digit,
    resident_check_character,
    uscc_check_character,
)
from gateway.catalog.model import Identifier
from gateway.mapping.identifier_columns import is_valid


def verdicts(kind: Identifier, values: list[str | None]) -> list[bool]:
    frame = pl.DataFrame({"value": pl.Series(values, dtype=pl.String)})
    return frame.select(is_valid(kind, pl.col("value"))).to_series().to_list()


def right_or_almost(kind: Identifier) -> st.SearchStrategy[str]:
    """Right values, and values one character away from right."""
    digits = st.text("0123456789", min_size=14, max_size=14)
    match kind:
        case Identifier.USCC:
            body = st.text(USCC_ALPHABET, min_size=17, max_size=17)
            numbered = st.tuples(body, st.text("0123456789", min_size=6, max_size=6)).map(
                lambda both: both[0][:2] + both[1] + both[0][8:]
            )
            right = (numbered | body).map(lambda text: text + uscc_check_character(text))
        case Identifier.ORGANISATION:
            eight = st.text(ORGANISATION_ALPHABET, min_size=8, max_size=8)
            right = eight.map(lambda text: text + organisation_check_character(text))
        case Identifier.RESIDENT:
            born = st.dates().map(lambda day: f"{day:%Y%m%d}".zfill(8)) | st.just("19990230") | st.just("20210431")
            first = st.sampled_from(["110105", "810000", "820000", "830000", "232700", "990000", "00000０"])
            seventeen = st.tuples(first, born, st.text("0123456789", min_size=3, max_size=3)).map("".join)
            right = seventeen.filter(str.isascii).map(lambda text: text + resident_check_character(text))
        case Identifier.REGISTRATION:
            right = digits.map(lambda text: text + registration_check_digit(text))
    wrong = st.tuples(right, st.integers(0, 17), st.sampled_from("0123456789XxIO０林 ")).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
    )
    return right | wrong


@pytest.mark.parametrize("kind", list(Identifier))
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_columns_agree_with_the_catalog(kind: Identifier, data: st.DataObject) -> None:
    values: list[str | None] = [
        *data.draw(st.lists(right_or_almost(kind), min_size=1, max_size=30)),
        *data.draw(st.lists(st.text(max_size=20), max_size=5)),
        None,
        "",
    ]
    expected = [value is not None and is_identifier(kind, value) for value in values]
    assert verdicts(kind, values) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Identifier.USCC, "91230500MA1B3N1N2M"),
        (Identifier.USCC, "11230500001755309F"),
        (Identifier.ORGANISATION, "MA1B3N1N2"),
        (Identifier.RESIDENT, "11010519491231002X"),
        (Identifier.RESIDENT, "440524188001010014"),
        (Identifier.RESIDENT, "81000019900101" + "001" + resident_check_character("81000019900101001")),
    ],
)
def test_published_values_are_right(kind: Identifier, value: str) -> None:
    assert verdicts(kind, [value]) == [True]


def test_a_region_is_written_in_digits() -> None:
    seventeen = "91A30500MA1B3N1N2"
    assert verdicts(Identifier.USCC, [seventeen + uscc_check_character(seventeen)]) == [False]


def test_a_birthday_that_never_was_is_refused() -> None:
    seventeen = "11010519990230001"
    assert verdicts(Identifier.RESIDENT, [seventeen + resident_check_character(seventeen)]) == [False]
