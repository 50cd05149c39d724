"""Problems are told in words: field labels, what is wrong, what is right, and never the value."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.model import FieldType
from gateway.mapping.problems import CODES, PROBLEMS, no_problems, problem_fix, problem_text, value_class
from gateway.texts import LANGUAGES, template
from tests.mapping.record_samples import PERSON, PLACEHOLDER, catalog, licenses, penalties, plan


def described(value: str | None) -> str:
    frame = pl.DataFrame({"v": pl.Series([value], dtype=pl.String)})
    return str(frame.select(value_class(pl.col("v"))).item())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "empty"),
        ("", "empty"),
        ("2019", "4 chars, digits"),
        ("２０", "2 chars, digits"),
        ("abC", "3 chars, letters"),
        ("91230500MA1B3N1N2M", "18 chars, digits and letters"),
        ("双鸭山𠮷", "4 chars, CJK"),
        ("2019-09-01", "10 chars, mixed"),
        ("第1号", "3 chars, mixed"),
        ("——", "2 chars, signs"),
    ],
)
def test_value_classes(value: str | None, expected: str) -> None:
    assert described(value) == expected


def test_dates_and_numbers_have_classes_too() -> None:
    frame = pl.DataFrame({"d": [None, 1], "n": pl.Series(["-12.5", None]).cast(pl.Decimal(38, 1))})
    days = frame.select(value_class(pl.col("d").cast(pl.Date), FieldType.DATE).alias("c"))["c"].to_list()
    assert days == ["empty", "date"]
    numbers = frame.select(value_class(pl.col("n"), FieldType.DECIMAL).alias("c"))["c"].to_list()
    assert numbers == ["number, 3 digits", "empty"]


@given(st.text(min_size=4, max_size=30))
@settings(max_examples=100, deadline=None)
def test_a_class_never_shows_the_value(value: str) -> None:
    words = {"empty", "chars", "digits", "letters", "and", "CJK", "signs", "mixed"}
    assert {word.strip(",") for word in described(value).split()} - words == {str(len(value))}


def test_every_code_has_its_sentences() -> None:
    for code in CODES:
        for language in LANGUAGES:
            assert template(code, language, "say"), (language, code)
            assert template(code, language, "fix"), (language, code)


def test_sentences_for_the_unit() -> None:
    row = {"XK_XDR_SHXYM": None, "XK_JDRQ": "去年", "XK_XKLB": "特别", "XK_YXQZI": "2019-01-01"}
    mapped = plan("credit-2018-permits").map(licenses(row))
    license_catalog = catalog("administrative-license")
    said = {(p["field"], p["code"]): problem_text(p, license_catalog) for p in mapped.problems.to_dicts()}
    assert said["subject_code", "required-missing"] == (
        "“行政相对人代码_1（统一社会信用代码）”（来源栏：XK_XDR_SHXYM）目前为空；行政相对人类别 = 法人及非法人组织、个体工商户时，此项必填。"
    )
    assert (
        said["decided_on", "date-invalid"]
        == "“许可决定日期”（来源栏：XK_JDRQ）不是可以认定的日期（现为 2 个字，汉字）。"
    )
    assert "许可决定日期 ≤ 有效期自 ≤ 有效期至" in said["valid_to", "order-violated"]
    fixes = {p["code"]: problem_fix(p, license_catalog) for p in mapped.problems.to_dicts()}
    assert "普通、特许、认可、核准、登记、其他-…" in fixes["code-unknown"]
    english = {p["code"]: problem_text(p, license_catalog, "en") for p in mapped.problems.to_dicts()}
    assert english["date-invalid"].startswith("“Date of the decision” (column XK_JDRQ) is not a date")
    assert "2 characters, Chinese characters" in english["date-invalid"]


def test_conditions_are_said_in_words() -> None:
    penalty = catalog("administrative-penalty")
    row = {"CF_NR_FK": None, "CF_FR_ZJHM": PERSON, "CF_XDR_SHXYM": PLACEHOLDER}
    said = [problem_text(p, penalty) for p in plan("credit-2018-penalties").map(penalties(row)).problems.to_dicts()]
    assert any("处罚类别 含 罚款时，此项必填" in sentence for sentence in said)
    assert any("法定代表人证件号码 已填时，此项必填" in sentence for sentence in said)
    assert any("只有行政相对人类别 = 个体工商户、确无代码时才可使用" in sentence for sentence in said)
    assert not any(PERSON in sentence or PLACEHOLDER in sentence for sentence in said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_left_with_holes(language: str) -> None:
    license_catalog = catalog("administrative-license")
    for code in CODES:
        for expected in ("", "subject_kind = 自然人 & remarks ≠ ∅"):
            problem = {
                "@row": "第 1 行",
                "@key": None,
                "field": "content",
                "source": "",
                "code": code,
                "weight": "reject",
                "value_class": "3 chars, digits and letters",
                "expected": expected,
            }
            for sentence in (
                problem_text(problem, license_catalog, language),
                problem_fix(problem, license_catalog, language),
            ):
                assert sentence
                assert not {"{", "}", "∅", "subject_kind", code} & set(sentence.split() + list(sentence))


def test_an_empty_frame_has_the_columns() -> None:
    assert no_problems().schema == PROBLEMS
