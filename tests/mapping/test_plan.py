"""Rows in, records and problems out: nothing lost, nothing guessed, every problem of every row."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import MappingError
from gateway.mapping.canonical import canonical_schema
from gateway.mapping.plan import RecordPlan
from gateway.mapping.problems import PROBLEMS
from tests.mapping.record_samples import (
    AUTHORITY,
    COMPANY,
    PERSON,
    PLACEHOLDER,
    catalog,
    library,
    licenses,
    local,
    mappings,
    penalties,
    plan,
    told,
)


def test_a_good_row_becomes_a_record() -> None:
    mapped = plan("credit-2018-permits").map(licenses({}))
    assert mapped.problems.is_empty()
    assert mapped.bad.is_empty()
    assert mapped.records.columns == [*canonical_schema(catalog("administrative-license")), "@row", "@key", "@unit"]
    assert mapped.problems.schema == PROBLEMS
    (record,) = mapped.records.to_dicts()
    assert record["subject_name"] == "双鸭山智慧城市运营有限公司"
    assert record["decided_on"] == date(2019, 9, 1)
    assert record["valid_to"] == date(2020, 9, 22)
    assert record["license_kind"] == "普通"
    assert record["subject_association_number"] is None
    assert (record["@row"], record["@key"], record["@unit"]) == ("第 1 行", "黑森交许〔2019〕1号", AUTHORITY)


def test_the_first_and_the_last_row_are_rows_like_others() -> None:
    bad = {"XK_JDRQ": "2019-02-30"}
    mapped = plan("credit-2018-permits").map(licenses(bad, {}, {}, bad))
    assert mapped.records["@row"].to_list() == ["第 2 行", "第 3 行"]
    assert mapped.bad["@row"].to_list() == ["第 1 行", "第 4 行"]
    assert told(mapped.problems) == [
        ("第 1 行", "decided_on", "date-invalid"),
        ("第 4 行", "decided_on", "date-invalid"),
    ]


def test_a_row_with_several_problems_tells_all_of_them_once() -> None:
    row = {
        "XK_XDR_MC": None,
        "XK_XDR_LB": "公司",
        "XK_XDR_SHXYM": "91230500MA1B3N1N20",
        "XK_JDRQ": "去年",
        "XK_YXQZ": "2021-01-01",
        "XK_XKJG": "局" * 201,
        "XK_NR": "\ue5e5",
    }
    mapped = plan("credit-2018-permits").map(licenses(row, {}))
    assert mapped.records.height == 1
    assert mapped.bad.height == 1
    assert told(mapped.problems) == [
        ("第 1 行", "subject_name", "required-missing"),
        ("第 1 行", "subject_kind", "code-unknown"),
        ("第 1 行", "subject_code", "identifier-invalid"),
        ("第 1 行", "content", "character-forbidden"),
        ("第 1 行", "decided_on", "date-invalid"),
        ("第 1 行", "valid_to", "order-violated"),
        ("第 1 行", "authority_name", "too-long"),
    ]


def test_problems_name_the_local_column_and_never_the_value() -> None:
    mapped = plan("credit-2018-permits").map(licenses({"XK_XDR_SHXYM": "91230500MA1B3N1N20", "XK_JDRQ": "二〇一九年"}))
    code, decided = mapped.problems.to_dicts()
    assert (code["source"], code["value_class"]) == ("XK_XDR_SHXYM", "18 chars, digits and letters")
    assert (decided["source"], decided["value_class"], decided["weight"]) == ("XK_JDRQ", "5 chars, CJK", "reject")
    assert "91230500" not in str(mapped.problems.rows())


def test_a_notice_does_not_hold_a_record_back() -> None:
    number = "黑森交许〔2019〕7号"
    mapped = plan("credit-2018-permits").map(licenses({"XK_XKWS": number, "XK_WSH": number}))
    assert mapped.records.height == 1
    assert mapped.bad.is_empty()
    assert [(row["code"], row["weight"], row["@key"]) for row in mapped.problems.to_dicts()] == [
        ("same-text", "notice", number)
    ]


def test_a_spoilt_key_is_no_key() -> None:
    rows: list[dict[str, object]] = [{"XK_WSH": None}, {"XK_WSH": "第1号\ue000"}, {"XK_WSH": "号" * 65}]
    mapped = plan("credit-2018-permits").map(licenses(*rows))
    assert [code for _, _, code in told(mapped.problems)] == ["key-missing", "character-forbidden", "too-long"]
    assert mapped.bad["@key"].to_list() == [None, None, None]
    assert mapped.problems["@key"].to_list() == [None, None, None]
    assert mapped.bad["@unit"].to_list() == [AUTHORITY] * 3


def test_native_columns_pass() -> None:
    frame = penalties({}, {"CF_NR_FK": None, "CF_CFLB": "警告"}).with_columns(
        pl.Series("CF_JDRQ", [date(2023, 6, 1), date(2023, 6, 1)]),
        pl.Series("CF_YXQ", [datetime.fromisoformat("2026-06-01 12:00:00"), datetime.fromisoformat("2026-06-01")]),
        pl.Series("CF_NR_FK", [0.2, None], dtype=pl.Float64),
        pl.Series("CF_NR_WFFF", [None, None]),
    )
    mapped = plan("credit-2018-penalties").map(frame)
    assert mapped.problems.is_empty()
    assert mapped.records["fine_amount"].to_list() == [Decimal("0.2"), None]
    assert mapped.records["valid_to"].to_list() == [date(2026, 6, 1)] * 2


def test_values_that_the_source_had_damaged_are_told() -> None:
    frame = licenses({}, {}).with_columns(pl.Series("XK_FR_ZJHM", [110105194912310021.0, None]))
    mapped = plan("credit-2018-permits").map(frame)
    assert mapped.records.height == 1
    assert [(row["field"], row["code"], row["value_class"]) for row in mapped.problems.to_dicts()] == [
        ("legal_representative_id", "column-unreadable", "unreadable")
    ]


def test_a_vanished_column_stops_the_run() -> None:
    with pytest.raises(MappingError) as caught:
        plan("credit-2018-permits").map(licenses({}).drop("XK_JDRQ", "BZ"))
    assert caught.value.code == "column-missing"
    assert caught.value.facts["columns"] == ["XK_JDRQ", "BZ"]
    assert caught.value.facts["mapping"] == "credit-2018-permits"


def test_columns_without_a_mapping_are_never_read() -> None:
    frame = licenses({}).with_columns(pl.lit("2018").alias("CREATE_DATE"), pl.lit("x").alias("subject_name"))
    mapped = plan("credit-2018-permits").map(frame)
    assert mapped.records["subject_name"].to_list() == ["双鸭山智慧城市运营有限公司"]
    assert "CREATE_DATE" not in mapped.records.columns


def test_what_a_mapping_says_of_empty_values() -> None:
    row = {
        "XDR_NAME": "某公司",
        "XDR_TYPE": "02",
        "XDR_USCC": COMPANY,
        "FR_NAME": "王某",
        "WS_NAME": "决定书",
        "WS_NO": "1号",
        "XK_TYPE": "1",
        "XK_CONTENT": "内容",
        "JD_DATE": "2019-09-01",
        "VALID_FROM": "2019-09-01",
        "VALID_TO": " ",
        "JG_NAME": "某局",
        "JG_USCC": AUTHORITY,
        "ZT": "在用",
        "LY_NAME": "某局",
        "LY_USCC": AUTHORITY,
    }
    late = {**row, "VALID_TO": "长期", "WS_NO": "2号"}
    mapped = plan("permits-local").map(local("permits-local", row, late))
    assert mapped.records["valid_to"].to_list() == [date(2099, 12, 31)]
    assert mapped.records["remarks"].to_list() == [None]
    assert told(mapped.problems) == [("第 2 行", "valid_to", "date-invalid")]


def test_an_empty_frame_gives_empty_frames() -> None:
    mapped = plan("credit-2018-permits").map(licenses({}).clear())
    assert mapped.records.height == mapped.problems.height == mapped.bad.height == 0
    assert mapped.problems.schema == PROBLEMS


def test_check_alone_gives_the_same_verdict() -> None:
    made = plan("credit-2018-permits").map(licenses({}, {"XK_XKWS": "黑森交许〔2019〕2号"}))
    receiver = RecordPlan(None, catalog("administrative-license"), library())
    checked = receiver.check(made.records)
    assert checked.records.equals(made.records)
    assert checked.problems.drop("source").equals(made.problems.drop("source"))
    spoilt = made.records.with_columns(pl.lit(" \u3000").alias("subject_name"), pl.lit("3").alias("status"))
    assert [code for _, _, code in told(receiver.check(spoilt).problems)] == [
        "required-missing",
        "code-unknown",
        "required-missing",
        "same-text",
        "code-unknown",
    ]
    with pytest.raises(ValueError, match="only checks"):
        receiver.map(licenses({}))


def test_check_takes_a_frame_that_lacks_columns_and_rows_names() -> None:
    checked = plan("credit-2018-permits").check(pl.DataFrame({"subject_name": ["某公司"], "document_number": ["1号"]}))
    assert checked.records.is_empty()
    assert checked.bad["@row"].to_list() == [""]
    assert checked.bad["@key"].to_list() == ["1号"]
    assert ("", "decided_on", "required-missing") in told(checked.problems)


def test_a_mapping_for_another_catalog_is_refused() -> None:
    with pytest.raises(MappingError) as caught:
        RecordPlan(mappings()["credit-2018-permits"], catalog("administrative-penalty"), library())
    assert caught.value.code == "mapping-other-catalog"


def test_the_digest_covers_mapping_catalog_and_crosswalks() -> None:
    mapping, license_catalog = mappings()["credit-2018-permits"], catalog("administrative-license")
    base = RecordPlan(mapping, license_catalog, library()).digest
    assert base == RecordPlan(mapping, license_catalog, library()).digest
    other = {
        "codelists/crosswalks/license-kinds.csv",
        "codelists/license-kinds.csv",
        "catalogs/administrative-license.toml",
    }
    for path in other:
        changed = replace(library(), files={**library().files, path: "0" * 64})
        assert RecordPlan(mapping, license_catalog, changed).digest != base
    unused = replace(library(), files={**library().files, "codelists/penalty-kinds.csv": "0" * 64})
    assert RecordPlan(mapping, license_catalog, unused).digest == base
    assert RecordPlan(replace(mapping, digest="0" * 64), license_catalog, library()).digest != base
    assert RecordPlan(None, license_catalog, library()).digest not in {base, ""}


KINDS = ["法人及非法人组织", "自然人", "个体工商户", "身份证", "护照", "1"]
NUMBERS = [COMPANY, PERSON, PLACEHOLDER, "2019-09-01", "2019-02-30"]
CELLS = st.sampled_from(["", " ", "\x01", "长" * 70, *KINDS, *NUMBERS]) | st.text(max_size=6)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(mappings()["credit-2018-permits"].headings), CELLS), min_size=1, max_size=12
    )
)
@settings(max_examples=25, deadline=None)
def test_rows_do_not_depend_on_their_neighbours(changes: list[dict[str, object]]) -> None:
    """Whether values repeat (worked out once for all) or not, each row fares as it would alone; none is lost or doubled."""
    frame = licenses(*changes, *changes, *changes)
    together = plan("credit-2018-permits").map(frame)
    assert together.records.height + together.bad.height == frame.height
    assert set(together.bad["@row"]) == set(together.problems.filter(pl.col("weight") == "reject")["@row"])
    for number in range(len(changes)):
        alone = plan("credit-2018-permits").map(frame.slice(number, 1))
        row = pl.col("@row") == frame["@row"][number]
        assert together.records.filter(row).equals(alone.records)
        assert together.problems.filter(row).equals(alone.problems)
        assert together.bad.filter(row).equals(alone.bad)
