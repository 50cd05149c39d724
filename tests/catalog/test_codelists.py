"""Code lists and crosswalks: dates, overlaps, and every way of spoiling a CSV."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest

from gateway.catalog.codelists import CodeList, may_hold, parse_codelist, parse_crosswalk
from gateway.catalog.model import Field, FieldType
from gateway.errors import Finding

HEADING = "code,zh,en,valid_from,valid_to,note\n"


def parse(text: str | bytes) -> tuple[CodeList, list[tuple[str, str]]]:
    findings: list[Finding] = []
    data = text.encode() if isinstance(text, str) else text
    codelist = parse_codelist("kinds", "kinds.csv", data, findings)
    return codelist, [(finding.code, finding.key) for finding in findings]


def crosswalk(text: str, *targets: str) -> tuple[Mapping[str, str], list[tuple[str, str]]]:
    findings: list[Finding] = []
    pairs = parse_crosswalk("c.csv", text.encode(), findings, allowed=lambda target: target in targets)
    return pairs, [(finding.code, finding.key) for finding in findings]


def test_a_code_is_in_force_from_its_first_to_its_last_day() -> None:
    codelist, findings = parse(HEADING + "甲,甲,A,,2021-07-14,\n乙,乙,B,2021-07-15,,\n丙,丙,C,,,\n")
    assert findings == []
    assert codelist.values() == ("甲", "乙", "丙")
    assert codelist.in_force("甲", date(2021, 7, 14))
    assert not codelist.in_force("甲", date(2021, 7, 15))
    assert not codelist.in_force("乙", date(2021, 7, 14))
    assert codelist.in_force("乙", date(2021, 7, 15))
    assert codelist.in_force("丙", date(1900, 1, 1))
    assert not codelist.in_force("丁", date(2021, 7, 15))


def test_a_code_may_come_back() -> None:
    codelist, findings = parse(HEADING + "甲,甲,A,2010-01-01,2015-01-01,\n甲,甲,A,2020-01-01,,\n")
    assert findings == []
    assert codelist.values() == ("甲",)
    assert codelist.in_force("甲", date(2012, 1, 1))
    assert not codelist.in_force("甲", date(2017, 1, 1))
    assert codelist.in_force("甲", date(2021, 1, 1))


def test_what_a_spreadsheet_writes_is_read() -> None:
    text = '\ufeffcode,zh,en,valid_from,valid_to,note\r\n1,有效,Valid,2021/7/5,2021/12/31,"甲, 乙\r\n丙"\r\n,,,,,\r\n'
    codelist, findings = parse(text)
    assert findings == []
    (entry,) = codelist.entries
    assert (entry.valid_from, entry.valid_to, entry.note) == (date(2021, 7, 5), date(2021, 12, 31), "甲, 乙\r\n丙")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("catalog-csv-heading", "row 1")]),
        ("code,zh,en\n甲,甲,A\n", [("catalog-csv-heading", "row 1")]),
        ("zh,code,en,valid_from,valid_to,note\n", [("catalog-csv-heading", "row 1")]),
        (HEADING, [("codelist-without-codes", "row 2")]),
        (HEADING + "甲,甲,A,,\n", [("catalog-csv-width", "row 2")]),
        (HEADING + "甲,甲,A,,,,\n", [("catalog-csv-width", "row 2")]),
        (HEADING + "甲 ,甲,A,,,\n", [("catalog-csv-blank", "row 2")]),
        (HEADING + "甲\u3000,甲,A,,,\n", [("catalog-csv-blank", "row 2")]),
        (HEADING + ",甲,A,,,\n", [("catalog-cell-empty", "row 2")]),
        (HEADING + "甲,,A,,,\n", [("catalog-cell-empty", "row 2")]),
        (HEADING + "甲,甲,,,,\n", [("catalog-cell-empty", "row 2")]),
        (HEADING + "甲,甲,A,2021-02-30,,\n", [("catalog-date-invalid", "row 2")]),
        (HEADING + "甲,甲,A,20210715,,\n", [("catalog-date-invalid", "row 2")]),
        (HEADING + "甲,甲,A,2021-7/15,,\n", [("catalog-date-invalid", "row 2")]),
        (HEADING + "甲,甲,A,２０２１-07-15,,\n", [("catalog-date-invalid", "row 2")]),
        (HEADING + "甲,甲,A,2021-07-15,2021-07-14,\n", [("codelist-dates-reversed", "row 2")]),
        (HEADING + "甲,甲,A,,,\n乙,乙,B,,,\n甲,甲,A,,,\n", [("codelist-overlap", "row 4")]),
        (HEADING + "甲,甲,A,,2021-07-15,\n甲,甲,A,2021-07-15,,\n", [("codelist-overlap", "row 3")]),
        (HEADING + '甲,甲,"A,,,\n', [("catalog-csv-invalid", "row 2")]),
        ((HEADING + "甲,甲,A,,,\n").encode("gbk"), [("catalog-encoding", "line 2")]),
        (
            HEADING + "甲,,A,2021-99-01,,\n甲,甲,A,,,\n,甲,A,,,\n",
            [
                ("catalog-cell-empty", "row 2"),
                ("catalog-date-invalid", "row 2"),
                ("catalog-cell-empty", "row 4"),
                ("codelist-overlap", "row 3"),
            ],
        ),
    ],
)
def test_every_mistake_is_found(text: str | bytes, expected: list[tuple[str, str]]) -> None:
    assert parse(text)[1] == expected


def test_a_crosswalk() -> None:
    pairs, findings = crosswalk("from,to,note\n01,甲,\n1,甲,去掉了首位0\n", "甲")
    assert findings == []
    assert dict(pairs) == {"01": "甲", "1": "甲"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from,to\n01,甲\n", [("catalog-csv-heading", "row 1")]),
        ("from,to,note\n,甲,\n", [("catalog-cell-empty", "row 2")]),
        ("from,to,note\n01,,\n", [("catalog-cell-empty", "row 2")]),
        ("from,to,note\n01,甲,\n01,乙,\n", [("crosswalk-twice", "row 3")]),
        ("from,to,note\n01,丙,\n02,甲,\n", [("crosswalk-target-unknown", "row 2")]),
    ],
)
def test_mistakes_in_a_crosswalk(text: str, expected: list[tuple[str, str]]) -> None:
    assert crosswalk(text, "甲", "乙")[1] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("甲", True),
        ("甲;乙", True),
        ("其他-丙", True),
        ("甲;其他-丙", True),
        ("丙", False),
        ("其他-", False),
        ("其他", False),
        ("甲;丙", False),
        ("甲,乙", False),
    ],
)
def test_what_an_open_field_of_several_values_may_hold(text: str, expected: bool) -> None:
    codelist, _ = parse(HEADING + "甲,甲,A,,,\n乙,乙,B,,,\n")
    field = Field(name="kinds", zh="类别", en="Kinds", type=FieldType.TEXT, separator=";", open_prefix="其他-")
    assert may_hold(field, codelist, text) == expected


def test_a_closed_field_holds_one_code() -> None:
    codelist, _ = parse(HEADING + "甲,甲,A,,,\n乙,乙,B,,,\n")
    field = Field(name="kind", zh="类别", en="Kind", type=FieldType.TEXT)
    assert may_hold(field, codelist, "甲")
    assert not may_hold(field, codelist, "甲;乙")
    assert not may_hold(field, codelist, "其他-丙")
