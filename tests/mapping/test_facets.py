"""Facets as column checks: the right code for the right value, each value told once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from gateway.mapping.facets import facet_checks, forbidden_characters, without_blanks
from gateway.mapping.schema import load_schema
from gateway.mapping.xsd_types import SimpleType, read_simple_type

ZOO = load_schema(Path(__file__).parent / "schemas", "zoo.xsd").source.types


def kind_of(name: str) -> SimpleType:
    return read_simple_type(ZOO[name])


def codes(kind: SimpleType, *values: str | None) -> list[list[str]]:
    """The codes that each value raises."""
    frame = pl.DataFrame({"v": pl.Series(values, dtype=pl.String)})
    checks = facet_checks(kind, pl.col("v"))
    wrong = frame.select(
        check.when.fill_null(value=False).alias(str(place)) for place, check in enumerate(checks)
    ).rows()
    return [[check.code for check, bad in zip(checks, row, strict=True) if bad] for row in wrong]


@pytest.mark.parametrize(
    ("name", "value", "raised"),
    [
        ("Short", "𠀀𠀁𠀂𠀃𠀄", []),  # five characters in twenty bytes
        ("Short", "𠀀𠀁𠀂𠀃𠀄𠀅", ["too-long"]),
        ("Short", "一", ["too-short"]),
        ("Exact", "一二", ["too-short"]),
        ("Exact", "一二三四", ["too-long"]),
        ("Token", "  一  二  ", []),
        ("Token", "　一二三四", ["too-long"]),  # an ideographic space is a character, not a blank
        ("Token", "   ", ["too-short"]),
        ("Normalized", "a\tb\n", []),
        ("Words", "罚 款", ["code-unknown"]),
        ("TokenWords", "a b", []),
        ("Code18", "91230500MA1B3N1N2I", ["pattern-mismatch"]),
        ("SlashDate", "2019/9/1", ["pattern-mismatch"]),
        ("BothPatterns", "ab", []),
        ("BothPatterns", "zz", ["pattern-mismatch"]),
        ("Amount", "一", ["decimal-invalid"]),
        ("Amount", "１２", ["decimal-invalid"]),
        ("Amount", "1.234", ["decimal-too-precise"]),
        ("Amount", "12345.60", ["decimal-out-of-range"]),
        ("Amount", "-0.5", ["decimal-out-of-range"]),
        ("Amount", "-0", []),
        ("Amount", "00099.900", []),
        ("Between", "-1.5", ["decimal-out-of-range"]),
        ("Between", "12.2499999999999999999999999999999999999999", []),
        ("Between", "12.250", ["decimal-out-of-range"]),
        ("Rates", "01.5", []),
        ("Rates", "1.51", ["code-unknown"]),
        ("Integer", "1.0", ["integer-invalid"]),
        ("UnsignedLong", "18446744073709551616", ["decimal-out-of-range"]),
        ("Month", "13", ["decimal-out-of-range"]),
        ("Byte", "-128", []),
        ("Byte", "-129", ["decimal-out-of-range"]),
        ("Upto", "-0.5", []),
        ("Upto", "0", ["decimal-out-of-range"]),
        ("Boolean", "True", ["pattern-mismatch"]),
        ("Date", "2019-02-29", ["date-invalid"]),
        ("Date", "2000-02-29Z", []),
        ("Date", "1900-02-29", ["date-invalid"]),
        ("ModernDate", "2014-12-31", ["date-invalid"]),
        ("DateTime", "2020-01-01T24:00:01", ["date-invalid"]),
        ("Time", "25:00:00", ["pattern-mismatch"]),
        ("DateOrWord", "罚金", ["pattern-mismatch"]),
        ("Numbers", "1 2 12", []),
        ("TwoNumbers", "1 2 12", ["pattern-mismatch"]),
        ("Ideographs", "许可a", ["pattern-mismatch"]),
        ("Long", "许" * 4001, ["pattern-mismatch"]),
        ("Name", "_许", []),
    ],
)
def test_a_value_raises_its_code(name: str, value: str, raised: list[str]) -> None:
    assert codes(kind_of(name), value) == [raised]


@pytest.mark.parametrize("name", ["Short", "Amount", "Date", "DateOrWord", "Time", "Ideographs", "Rates"])
def test_nothing_is_nothing_wrong(name: str) -> None:
    assert codes(kind_of(name), None) == [[]]


def test_bad_values_are_found_in_the_middle_of_a_column() -> None:
    found = codes(kind_of("Amount"), *["1"] * 500, "x", *["2.5"] * 500)
    assert [position for position, raised in enumerate(found) if raised] == [500]


def test_blanks_are_treated_as_the_type_says() -> None:
    value = pl.lit(" 一 \t二\n")
    kinds = {name: kind_of(name) for name in ("Plain", "Replaced", "Collapsed")}
    treated = pl.select(without_blanks(kind, value).alias(name) for name, kind in kinds.items()).row(0, named=True)
    assert treated == {"Plain": " 一 \t二\n", "Replaced": " 一  二 ", "Collapsed": "一 二"}


def test_what_no_document_can_carry_is_forbidden() -> None:
    texts = ["\x00", "\x0b", "\x1f", "\ufffe", "\uffff", "\t\n\r", "\x7f\x80", "\ud7ff\ue000\ufffd", "\U00010000"]
    found = pl.DataFrame({"v": texts}).select(forbidden_characters(pl.col("v")).when).to_series().to_list()
    assert found == [True] * 5 + [False] * 4
