"""What the catalogs demand, check by check, and the checks held against the catalog's own scalar functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.codelists import Code, CodeList
from gateway.catalog.model import Condition, CrossRule, Field, FieldType, Operator
from gateway.catalog.publicity import bounds
from gateway.mapping.canonical import canonical_schema
from gateway.mapping.check_codes import not_in_force, unknown_codes
from gateway.mapping.conditions import all_hold, any_alternative, in_words
from gateway.mapping.plan import RecordPlan
from tests.mapping.record_samples import (
    AUTHORITY,
    COMPANY,
    PERSON,
    PLACEHOLDER,
    catalog,
    library,
    licenses,
    penalties,
    plan,
)

COMPANY_KIND, TRADER, NATURAL = "法人及非法人组织", "个体工商户", "自然人"
GOOD = {
    "administrative-license": plan("credit-2018-permits").map(licenses({})).records.to_dicts()[0],
    "administrative-penalty": plan("credit-2018-penalties").map(penalties({})).records.to_dicts()[0],
}
CHECKING = {name: RecordPlan(None, catalog(name), library()) for name in GOOD}


def problems(name: str, **changes: object) -> list[tuple[str | None, str | None]]:
    """Field and code of every problem of the catalog's good record with ``changes``; a notice's code ends in ``!``."""
    record: Mapping[str, object] = {**GOOD[name], **changes}
    frame = pl.DataFrame([record], schema={**canonical_schema(catalog(name)), "@row": pl.String}, strict=True)
    rows = CHECKING[name].check(frame).problems.to_dicts()
    return [(row["field"], row["code"] + ("!" if row["weight"] == "notice" else "")) for row in rows]


def license_problems(**changes: object) -> list[tuple[str | None, str | None]]:
    return problems("administrative-license", **changes)


def penalty_problems(**changes: object) -> list[tuple[str | None, str | None]]:
    return problems("administrative-penalty", **changes)


def test_good_records_have_no_problems() -> None:
    assert license_problems() == []
    assert penalty_problems() == []


def test_who_needs_which_numbers() -> None:
    assert license_problems(subject_code=None) == [("subject_code", "required-missing")]
    natural = {
        "subject_kind": NATURAL,
        "subject_code": None,
        "legal_representative": None,
        "person_id_kind": "身份证",
        "person_id": PERSON,
    }
    assert license_problems(**natural) == []
    assert license_problems(**{**natural, "subject_code": COMPANY}) == [("subject_code", "must-be-empty")]
    assert license_problems(**{**natural, "person_id_kind": None}) == [("person_id_kind", "required-missing")]
    assert license_problems(person_id=PERSON) == [("person_id", "must-be-empty")]
    assert license_problems(legal_representative_id=PERSON) == [("legal_representative_id_kind", "required-missing")]


def test_identity_cards_are_checked_and_passports_are_not() -> None:
    wrong = {"legal_representative_id_kind": "身份证", "legal_representative_id": "110105194912310021"}
    assert license_problems(**wrong) == [("legal_representative_id", "identifier-invalid")]
    assert license_problems(**{**wrong, "legal_representative_id_kind": "护照号"}) == []


def test_other_identifiers() -> None:
    assert license_problems(subject_code=COMPANY[:-1] + "A") == [("subject_code", "identifier-invalid")]
    assert license_problems(subject_registration_number="230000000000001") == [
        ("subject_registration_number", "identifier-invalid")
    ]
    assert license_problems(subject_organisation_code="MA1B3N1N3") == [
        ("subject_organisation_code", "identifier-invalid")
    ]


def test_the_placeholder_is_an_exception_of_sole_traders_only() -> None:
    assert license_problems(subject_kind=TRADER, subject_code=PLACEHOLDER) == [("subject_code", "placeholder-code!")]
    assert license_problems(subject_code=PLACEHOLDER) == [("subject_code", "placeholder-code")]
    assert license_problems(authority_code=PLACEHOLDER) == [("authority_code", "placeholder-code")]


def test_lengths_count_characters() -> None:
    assert license_problems(content="林" * 4000, remarks="𠮷" * 512) == []
    assert license_problems(content="林" * 4001, remarks="𠮷" * 513) == [
        ("content", "too-long"),
        ("remarks", "too-long"),
    ]


CONTROLS = ["\x00", "\x08", "\x0b", "\x1f", "\x7f", "\x85"]
PRIVATE = ["\ue000", "\uf8ff", "\U000f0000", "\U0010ffff"]
NO_CHARACTERS = ["\ufdd0", "\ufffd", "\ufffe", "\uffff", "\U0001fffe", "\U000effff"]


@pytest.mark.parametrize("character", [*CONTROLS, *PRIVATE, *NO_CHARACTERS])
def test_forbidden_characters(character: str) -> None:
    assert license_problems(content=f"许可{character}内容") == [("content", "character-forbidden")]


@pytest.mark.parametrize(
    "character", ["\t", "\n", "\r", " ", "\xa0", "林", "\ufe10", "\u9fb4", "\u1e3f", "𠮷", "\U000323af", "\ufffc"]
)
def test_rare_but_official_characters_pass(character: str) -> None:
    assert license_problems(content=f"许可{character}内容") == []


def test_code_lists() -> None:
    assert license_problems(license_kind="其他-备案") == []
    assert license_problems(license_kind="其他-") == [("license_kind", "code-unknown")]
    assert license_problems(license_kind="其他") == [("license_kind", "code-unknown")]
    assert license_problems(status="9") == [("status", "code-unknown")]


def test_several_kinds_of_penalty_and_what_they_require() -> None:
    assert penalty_problems(penalty_kinds="警告;通报批评", fine_amount=None) == []
    assert penalty_problems(penalty_kinds="警告；罚款") == [("penalty_kinds", "code-unknown")]
    assert penalty_problems(penalty_kinds="警告;罚款", fine_amount=None) == [("fine_amount", "required-missing")]
    assert penalty_problems(penalty_kinds="警告;没收违法所得") == [("confiscated_amount", "required-missing")]
    assert penalty_problems(penalty_kinds="吊销许可证件") == [("revoked_licence", "required-missing")]
    assert penalty_problems(penalty_kinds="其他-罚款式教育", fine_amount=None) == []


def test_kinds_of_penalty_by_the_law_of_the_day() -> None:
    early = {"decided_on": date(2021, 7, 14), "publicity_until": date(2022, 1, 14)}
    late = {"decided_on": date(2021, 7, 15), "publicity_until": date(2022, 1, 15)}
    assert penalty_problems(penalty_kinds="罚款;通报批评", **late) == []
    assert penalty_problems(penalty_kinds="罚款;通报批评", **early) == [("penalty_kinds", "code-not-in-force")]
    old = {"penalty_kinds": "罚款;暂扣或者吊销执照", "revoked_licence": "道路运输证 1 号"}
    assert penalty_problems(**old, **early) == []
    assert penalty_problems(**old, **late) == [("penalty_kinds", "code-not-in-force")]


def test_amounts() -> None:
    assert penalty_problems(fine_amount=Decimal("999999999999.999999")) == []
    assert penalty_problems(fine_amount=Decimal(10) ** 12) == [("fine_amount", "decimal-out-of-range")]
    assert penalty_problems(fine_amount=Decimal("-0.000001")) == [("fine_amount", "decimal-out-of-range")]


def test_dates_in_order() -> None:
    assert license_problems(valid_from=date(2019, 8, 31)) == [("valid_from", "order-violated")]
    assert license_problems(valid_to=date(2019, 9, 4)) == [("valid_to", "order-violated")]
    assert license_problems(valid_from=None, valid_to=date(2019, 8, 31)) == [
        ("valid_from", "required-missing"),
        ("valid_to", "order-violated"),
    ]
    ended = {"valid_to": date(2023, 12, 1)}
    assert penalty_problems(**ended) == [("valid_to", "order-violated!")]


def test_a_document_named_like_its_number_is_worth_a_notice() -> None:
    assert license_problems(document_name=GOOD["administrative-license"]["document_number"]) == [
        ("document_name", "same-text!")
    ]


def test_publication_within_its_regime() -> None:
    assert penalty_problems(publicity_until=None) == []
    assert penalty_problems(publicity_until=date(2026, 6, 1)) == []
    assert penalty_problems(publicity_until=date(2026, 6, 2), valid_to=date(2027, 1, 1)) == [
        ("publicity_until", "publicity-out-of-regime")
    ]
    assert penalty_problems(publicity_until=date(2023, 8, 31)) == [("publicity_until", "publicity-out-of-regime!")]
    unknown = {"decided_on": date(2018, 1, 1), "publicity_until": date(2018, 1, 2)}
    assert penalty_problems(**unknown) == []


@given(st.dates(date(2018, 1, 1), date(2028, 12, 31)), st.integers(-1, 40 * 31))
@settings(max_examples=100, deadline=None)
def test_publication_agrees_with_the_catalog(decided_on: date, days: int) -> None:
    until = date.fromordinal(decided_on.toordinal() + days)
    found = bounds(decided_on, library().regimes)
    expected = []
    if found is not None and until > found[1]:
        expected.append(("publicity_until", "publicity-out-of-regime"))
    if found is not None and until < found[0]:
        expected.append(("publicity_until", "publicity-out-of-regime!"))
    told = penalty_problems(
        decided_on=decided_on, publicity_until=until, valid_to=date(2099, 1, 1), penalty_kinds="罚款"
    )
    assert [problem for problem in told if problem[1] and problem[1].startswith("publicity")] == expected


CODES = CodeList(
    id="kinds",
    entries=(
        Code(code="甲", zh="甲", en="a"),
        Code(code="乙", zh="乙", en="b", valid_to=date(2020, 1, 31)),
        Code(code="乙", zh="乙", en="b", valid_from=date(2022, 1, 1)),
        Code(code="丙.", zh="丙", en="c", valid_from=date(2020, 2, 1), valid_to=date(2021, 12, 31)),
        Code(code="戊", zh="戊", en="e", valid_to=date(2020, 6, 30)),
    ),
)


@given(
    st.lists(st.sampled_from(["甲", "乙", "丙.", "戊", "丙x", "其他-丁", "其他-", ""]), min_size=1, max_size=3),
    st.none()
    | st.sampled_from([date(2020, 1, 31), date(2020, 2, 1), date(2020, 6, 30), date(2020, 7, 1)])
    | st.sampled_from([date(2021, 12, 31), date(2022, 1, 1)]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_code_columns_agree_with_the_code_list(parts: list[str], day: date | None, several: bool) -> None:
    field = Field(
        name="kind",
        zh="",
        en="",
        type=FieldType.TEXT,
        codelist="kinds",
        open_prefix="其他-",
        separator=";" if several else None,
    )
    used = parts if several else parts[:1]
    timed = not_in_force(field, CODES, "day")
    assert timed is not None
    frame = pl.DataFrame({"kind": [";".join(used)], "day": pl.Series([day], dtype=pl.Date)})
    unknown, sometimes, then = frame.select(
        unknown_codes(field, CODES)[0].alias("unknown"), timed[0].alias("sometimes"), timed[1].alias("then")
    ).row(0)
    openly = [part.startswith("其他-") and part != "其他-" for part in used]
    all_known = all(is_open or part in CODES.values() for part, is_open in zip(used, openly, strict=True))
    assert unknown == (not all_known)
    if all_known and day is not None:
        in_force = all(is_open or CODES.in_force(part, day) for part, is_open in zip(used, openly, strict=True))
        assert (sometimes and then) == (not in_force)
    else:
        assert not (sometimes and then)


def test_a_list_of_codes_without_dates_needs_no_day() -> None:
    timeless = replace(CODES, entries=CODES.entries[:1])
    field = Field(name="kind", zh="", en="", type=FieldType.TEXT, codelist="kinds")
    assert not_in_force(field, timeless, "day") is None


def test_conditions() -> None:
    penalty = catalog("administrative-penalty")
    frame = pl.DataFrame(
        {
            "subject_kind": ["自然人", "个体工商户", None],
            "penalty_kinds": ["警告;没收违法所得", "没收", "不没收"],
            "revoked_licence": ["许可证", "无许可证", None],
            "remarks": ["x", None, None],
        }
    )

    def holds(operator: Operator, field: str, *values: str) -> list[bool]:
        condition = Condition(field=field, operator=operator, values=values)
        return frame.select(all_hold((condition,), penalty).alias("h"))["h"].to_list()

    assert holds(Operator.IS, "subject_kind", "自然人", "甲") == [True, False, False]
    assert holds(Operator.HAS, "penalty_kinds", "没收", "罚款") == [True, True, False]
    assert holds(Operator.HAS, "revoked_licence", "许可") == [True, False, False]
    assert holds(Operator.FILLED, "remarks") == [True, False, False]
    assert holds(Operator.EMPTY, "remarks") == [False, True, True]
    first = Condition(field="subject_kind", operator=Operator.IS, values=("自然人",))
    second = Condition(field="remarks", operator=Operator.EMPTY)
    either = frame.select(any_alternative(((first,), (second,)), penalty).alias("h"))["h"].to_list()
    both = frame.select(any_alternative(((first, second),), penalty).alias("h"))["h"].to_list()
    assert (either, both) == ([True, True, True], [False, False, False])
    assert in_words(((first, second), (second,))) == "subject_kind = 自然人 & remarks = ∅ | remarks = ∅"


def test_an_unknown_kind_of_rule_does_not_pass_silently() -> None:
    odd = replace(catalog("administrative-license"), rules=(CrossRule(id="x", kind="sum", fields=("status",)),))
    with pytest.raises(ValueError, match="no such kind"):
        RecordPlan(None, odd, library())


def test_the_unit_is_the_field_that_the_catalog_names() -> None:
    frame = pl.DataFrame([{**GOOD["administrative-license"], "authority_code": COMPANY}])
    assert CHECKING["administrative-license"].check(frame).records["@unit"].to_list() == [AUTHORITY]
