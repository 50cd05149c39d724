"""Why a record was refused, and what a format says, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import MappingError
from gateway.mapping.explain import Explanation, explain
from gateway.mapping.format_table import FormatRow, explain_format
from gateway.texts import LANGUAGES
from tests.mapping import licence_format as other
from tests.mapping.document_samples import LICENSE, PENALTY, bodies, credit_format, library

GOOD = (
    '<Licence xmlns="urn:other:licence" xmlns:c="urn:other:common" number="L-1"><Title>道路</Title><Kind>01</Kind>'
    '<Amount currency="CNY">1</Amount><Places>9</Places><Validity from="2024-02-29"/><Organisation><c:Name>某</c:Name>'
    '<c:Code c:scheme="x">y</c:Code></Organisation><Contact><Phone>1</Phone></Contact></Licence>'
)


def test_nothing_is_wrong_with_a_good_record(tmp_path: Path) -> None:
    assert explain(other.other_format(tmp_path), GOOD.encode()) == ()
    assert explain(credit_format(), bodies(LICENSE, {})[0].encode()) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("道路", "", ("Title", "too-short", "1", "empty")),
        ("道路", "道" * 31, ("Title", "too-long", "30", "31 chars, CJK")),
        (">01<", ">1<", ("Kind", "code-unknown", "01、02", "1 chars, digits")),
        (">1</Amount", ">一</Amount", ("Amount", "decimal-invalid", "1234.50", "1 chars, CJK")),
        (">1</Amount", ">1.234</Amount", ("Amount", "decimal-too-precise", "2", "5 chars, mixed")),
        (' currency="CNY"', "", ("Amount/@currency", "required-missing", "", "empty")),
        (">9<", ">256<", ("Places", "decimal-out-of-range", "≤ 255", "3 chars, digits")),
        # xmlschema takes full-width digits for an integer; libxml2 and we do not.
        (">9<", ">９<", ("Places", "integer-invalid", "0–9", "1 chars, digits")),
        ("2024-02-29", "2023-02-29", ("Validity/@from", "date-invalid", "yyyy-MM-dd", "10 chars, mixed")),
        ('number="L-1"', 'number="L-1" edition="3"', ("@edition", "code-unknown", "2", "1 chars, digits")),
        ('number="L-1"', 'number="L-1" colour="red"', ("@colour", "element-unexpected", "", "3 chars, letters")),
        ("<c:Name>某</c:Name>", "", ("Organisation/c:Name", "required-missing", "", "empty")),
        ("<Title>道路</Title>", "", ("Title", "required-missing", "", "empty")),
        ("<Phone>1</Phone>", "", ("Contact/Phone", "required-missing", "", "empty")),
        ("<Contact>", "<Colour>红</Colour><Contact>", ("Colour", "element-unexpected", "", "1 chars, CJK")),
        (' c:scheme="x"', "", ("Organisation/c:Code/@c:scheme", "required-missing", "", "empty")),
        ("<Phone>1</Phone>", "<Phone>1<x/></Phone>", ("Contact/Phone", "schema-violation", "licence.xsd", "")),
    ],
)  # fmt: skip
def test_the_place_the_rule_and_the_class_of_the_value_are_told(
    tmp_path: Path, old: str, new: str, expected: tuple[str, str, str, str]
) -> None:
    assert old in GOOD
    target, code, wanted, described = expected
    assert explain(other.other_format(tmp_path), GOOD.replace(old, new, 1).encode()) == (
        Explanation(target=target, code=code, expected=wanted, value_class=described),
    )


def test_none_of_the_branches_of_a_choice(tmp_path: Path) -> None:
    start, end = GOOD.index("<Organisation>"), GOOD.index("<Contact>")
    (found,) = explain(other.other_format(tmp_path), (GOOD[:start] + GOOD[end:]).encode())
    assert (found.target, found.code) == ("Organisation | c:Name", "required-missing")


def test_all_faults_of_a_record_are_told(tmp_path: Path) -> None:
    body = GOOD.replace("道路", "").replace(">01<", ">1<").replace("2024-02-29", "x")
    found = explain(other.other_format(tmp_path), body.encode())
    assert [(item.target, item.code) for item in found] == [
        ("Title", "too-short"),
        ("Kind", "code-unknown"),
        ("Validity/@from", "date-invalid"),
    ]


def test_an_element_that_is_no_record_of_the_format(tmp_path: Path) -> None:
    (found,) = explain(other.other_format(tmp_path), b'<Other xmlns="urn:other:licence"/>')
    assert (found.target, found.code, found.expected) == ("Other", "schema-violation", "Licence")
    with pytest.raises(MappingError):
        explain(other.other_format(tmp_path), b"<Licence")


def rows(catalog: str, language: str) -> dict[str, FormatRow]:
    return {row.target: row for row in explain_format(credit_format(), library().catalogs[catalog], language)}


def test_the_table_of_a_format_says_what_stands_where_and_why() -> None:
    table = rows(PENALTY, "zh-CN")
    assert list(table)[:2] == ["CF_XDR_MC", "CF_XDR_LB"]
    assert table["CF_NR_FK"] == FormatRow(
        target="CF_NR_FK",
        field="fine_amount",
        label="罚款金额（万元）",
        shape="至多 18 位数字，其中小数 6 位",
        rules="写足 6 位小数",
        demanded="条件必填：处罚类别 含 罚款",
        why="单位万元，六位小数",
        profile=True,
    )
    assert table["CF_JDRQ"].rules == "日期写作 yyyy/MM/dd"
    assert table["CF_SY"].demanded == "必填"
    assert rows(PENALTY, "en")["CF_SY"].demanded == "required"


def test_places_and_fields_that_do_not_meet_are_in_the_table_too(tmp_path: Path) -> None:
    table = explain_format(other.other_format(tmp_path), other.CATALOG)
    by_target = {row.target: row for row in table}
    assert by_target["Internal"].field == ""
    assert by_target["Internal"].why == "没有对应的字段，不写"
    assert by_target[""].field == "unit"
    assert by_target["Amount/@currency"].rules == "固定写“CNY”"
    assert by_target["Contact/Phone"].demanded == "所在的组有内容时必填"
    assert by_target["Kind"].profile


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_placeholder_stays_open(tmp_path: Path, language: str) -> None:
    tables = [explain_format(other.other_format(tmp_path), other.CATALOG, language)]
    tables += [explain_format(credit_format(), library().catalogs[name], language) for name in (LICENSE, PENALTY)]
    for row in (row for table in tables for row in table):
        shown = f"{row.rules}{row.demanded}{row.why}{row.shape if 'x' not in row.shape else ''}"
        assert "written-" not in shown
        assert "{" not in shown.replace("{4}", "")
