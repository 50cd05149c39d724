"""The mappings that come with the gateway: each reads its template, the two public rows among them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from gateway.catalog.identifiers import uscc_check_character
from gateway.mapping.headings import heading_key
from tests.mapping.record_samples import AUTHORITY, COMPANY, PERSON, PLACEHOLDER, local, mappings, plan, told

# Two rows as a provincial platform publishes them, personal names left out.
PUBLIC_LICENSE = json.loads(
    """{"XK_XDR_LB":"法人及非法人组织","XK_XDR_SHXYM":"91230500MA1B3N1N2M","XK_XDR_MC":"双鸭山智慧城市运营有限公司",
    "XK_WSH":"双环许可2019","XK_XKWS":"双环许可证书2019","XK_XKLB":"普通","XK_NR":"许可开展智慧城市建设","XK_JDRQ":"2019-09-01",
    "XK_YXQZ":"2019-09-05","XK_YXQZI":"2020-09-22","XK_XKJG":"双鸭山市","XK_XKJGDM":"00000000000000000X","XK_LYDW":"双鸭山市",
    "XK_LYDWDM":"00000000000000000X","XK_ZT":"1","CHECK_FLAG":"1","RESOURCE_ID":"DIR-20180903-101102-122","CREATE_DATE":1568180781000}"""
)
PUBLIC_PENALTY = json.loads(
    """{"CF_XDR_LB":"法人及非法人组织","CF_XDR_SHXYM":"91230500MA1B3N1N2M","COMP_NAME":"双鸭山智慧城市运营有限公司",
    "CF_WSH":"市场【2019】1号","CF_WFXW":"违反相关产品准入市场规定","CF_SY":"违反相关产品准入市场规定","CF_YJ":"依据《行业准入规定》",
    "CF_CFLB":"罚款","CF_NR":"罚款2000元","CF_NR_FK":0.2,"CF_JDRQ":"2019-10-10","CF_YXQ":"2019-10-17","CF_GSJZQ":"2020-10-17",
    "CF_CFJG":"双鸭山市公安局","CF_CFJGDM":"11230500001755309F","CF_SJLY":"双鸭山市公安局","CF_SJLYDM":"11230500001755309F",
    "CHECK_FLAG":"1","RESOURCE_ID":"DIR-20180902-164730-458"}"""
)

TRADER = "92230500MA1B3N1N2" + uscc_check_character("92230500MA1B3N1N2")

COUNTS = {
    "split-2018-permits-legal": 24,
    "split-2018-permits-person": 18,
    "split-2018-penalties-legal": 26,
    "split-2018-penalties-person": 20,
    "ministry-permits": 27,
    "ministry-penalties": 29,
    "credit-2018-permits": 28,
    "credit-2018-penalties": 30,
    "platform-2018-penalties": 30,
}

LICENSE_TAIL = {
    "行政许可决定文书名称": "道路运输经营许可决定书",
    "行政许可决定文书号": "黑森交许〔2019〕1号",
    "许可类别": "普通",
    "许可内容": "许可从事道路普通货物运输",
    "许可决定日期": "2019/09/01",
    "有效期自": "2019/09/05",
    "有效期至": "2099/12/31",
    "许可机关": "某局",
    "许可机关统一社会信用代码": AUTHORITY,
    "当前状态": "1",
    "数据来源单位": "某局",
    "数据来源单位统一社会信用代码": AUTHORITY,
}
PENALTY_TAIL = {
    "行政处罚决定书文号": "黑森交罚〔2023〕1号",
    "违法行为类型": "擅自从事道路货物运输",
    "违法事实": "车辆被查获",
    "处罚依据": "《道路运输条例》第六十三条",
    "处罚类别": "罚款；没收违法所得",
    "处罚内容": "罚款2000元，没收违法所得100元",
    "处罚决定日期": "2023/06/01",
    "处罚有效期": "2026/06/01",
    "公示截止期": "2024/06/01",
    "处罚机关": "某局",
    "处罚机关统一社会信用代码": AUTHORITY,
    "数据来源单位": "某局",
    "数据来源单位统一社会信用代码": AUTHORITY,
}
LEGAL = {"行政相对人名称": "某公司", "法定代表人": "王某", "法定代表人身份证号": PERSON}
PERSONAL = {"行政相对人名称": "李某", "证件类型": "身份证", "证件号码": PERSON}


def one(mapping: str, row: dict[str, object]) -> dict[str, object]:
    mapped = plan(mapping).map(local(mapping, row))
    assert told(mapped.problems) == []
    (record,) = mapped.records.to_dicts()
    return record


@pytest.mark.parametrize(("mapping", "count"), COUNTS.items())
def test_templates_have_their_columns(mapping: str, count: int) -> None:
    headings = mappings()[mapping].headings
    assert len(headings) == count
    assert len({heading_key(heading) for heading in headings}) == count


def test_no_two_templates_look_alike() -> None:
    keys = [tuple(map(heading_key, mapping.headings)) for mapping in mappings().values() if mapping.headings]
    assert len(set(keys)) == len(keys) == len(COUNTS)


def test_the_public_licence_row() -> None:
    """A careful gateway finds the placeholder that stands for a government body."""
    columns = mappings()["credit-2018-permits"].columns()
    frame = pl.DataFrame([{**dict.fromkeys(columns), **PUBLIC_LICENSE}]).with_columns(pl.lit("第 1 行").alias("@row"))
    mapped = plan("credit-2018-permits").map(frame)
    assert told(mapped.problems) == [
        ("第 1 行", "legal_representative", "required-missing"),
        ("第 1 行", "authority_code", "placeholder-code"),
        ("第 1 行", "source_unit_code", "placeholder-code"),
    ]
    named = frame.with_columns(
        pl.lit("王某").alias("XK_FRDB"), pl.lit(AUTHORITY).alias("XK_XKJGDM"), pl.lit(AUTHORITY).alias("XK_LYDWDM")
    )
    (record,) = plan("credit-2018-permits").map(named).records.to_dicts()
    assert (record["valid_from"], record["valid_to"]) == (date(2019, 9, 5), date(2020, 9, 22))


def test_the_public_penalty_row() -> None:
    """JSON's 0.2 is exactly 0.2 wanyuan; a penalty that ends a year before its publication is worth a notice."""
    columns = mappings()["platform-2018-penalties"].columns()
    row = {**dict.fromkeys(columns), **PUBLIC_PENALTY, "CF_FRDB": "王某", "@row": "第 1 行"}
    mapped = plan("platform-2018-penalties").map(pl.DataFrame([row]))
    assert [(p["field"], p["code"], p["weight"]) for p in mapped.problems.to_dicts()] == [
        ("valid_to", "order-violated", "notice")
    ]
    (record,) = mapped.records.to_dicts()
    assert record["subject_name"] == "双鸭山智慧城市运营有限公司"
    assert record["fine_amount"] == Decimal("0.2")


@pytest.mark.parametrize("mapping", ["split-2018-permits-legal", "ministry-permits"])
@pytest.mark.parametrize(
    ("code", "kind"), [(COMPANY, "法人及非法人组织"), (TRADER, "个体工商户"), (PLACEHOLDER, "个体工商户")]
)
def test_the_kind_of_subject_is_told_by_its_code(mapping: str, code: str, kind: str) -> None:
    column = next(heading for heading in mappings()[mapping].headings if "代码_1" in heading)
    mapped = plan(mapping).map(local(mapping, {**LEGAL, **LICENSE_TAIL, column: code}))
    codes = [(p["code"], p["weight"]) for p in mapped.problems.to_dicts()]
    assert codes == ([("placeholder-code", "notice")] if code == PLACEHOLDER else [])
    (record,) = mapped.records.to_dicts()
    assert record["subject_kind"] == kind
    assert record["legal_representative_id_kind"] == "身份证"
    assert record["legal_representative_id"] == PERSON
    assert record["valid_to"] == date(2099, 12, 31)


def test_natural_persons_have_their_own_sheets() -> None:
    record = one("split-2018-permits-person", {**PERSONAL, **LICENSE_TAIL})
    assert (record["subject_kind"], record["person_id_kind"], record["person_id"]) == ("自然人", "身份证", PERSON)
    record = one(
        "split-2018-penalties-person",
        {**PERSONAL, **PENALTY_TAIL, "罚款金额 (万元)": "0.2", "没收违法所得、没收非法财物的金额 (万元)": "0.01"},
    )
    assert record["penalty_kinds"] == "罚款;没收违法所得"
    assert (record["fine_amount"], record["confiscated_amount"]) == (Decimal("0.2"), Decimal("0.01"))


def test_the_ministry_sheet_with_its_slips() -> None:
    amounts = {
        "处罚金额（万元）": "0.2",
        "没收违法所得、没收非法财务的金额（万元）": "0.01",
        "数据导出时间": "2023/07/01",
    }
    person = {"行政相对人名称": "李某", "自然人证件类型": "居民身份证", "自然人证件号码": PERSON}
    record = one("ministry-penalties", {**person, **PENALTY_TAIL, **amounts})
    assert (record["subject_kind"], record["person_id_kind"]) == ("自然人", "身份证")
    company = {**LEGAL, "行政相对人代码_1(统一社会信用代码)": COMPANY}
    record = one("ministry-penalties", {**company, **PENALTY_TAIL, **amounts})
    assert (record["subject_kind"], record["fine_amount"]) == ("法人及非法人组织", Decimal("0.2"))


def test_headings_may_be_written_with_other_brackets() -> None:
    frame = local("split-2018-penalties-legal", {**LEGAL, **PENALTY_TAIL, "罚款金额 (万元)": "0.2"})
    column = "行政相对人代码_1 (统一社会信用代码)"
    frame = frame.with_columns(pl.lit(COMPANY).alias(column), pl.lit("罚款").alias("处罚类别"))
    other = frame.rename({name: name.replace(" (", "（").replace(")", "）") for name in frame.columns})
    assert other.columns != frame.columns
    assert plan("split-2018-penalties-legal").map(other).records.height == 1


def test_the_bureaus_own_case_system_counts_in_yuan_and_codes() -> None:
    row: dict[str, object] = {
        "XDR_NAME": "某公司",
        "XDR_TYPE": "03",
        "XDR_USCC": f" {COMPANY.lower()}　",
        "XDR_ORG_CODE": "MA1B3N1N-2",
        "XDR_TAX_NO": "无",
        "FR_NAME": "王某",
        "CASE_DOC_NO": "黑森交罚〔２０２３〕1号",
        "WF_TYPE": "擅自从事道路货物运输",
        "WF_FACT": "车辆被查获\r\n已承认",
        "CF_BASIS": "《道路运输条例》",
        "CF_TYPE": "1，2",
        "CF_CONTENT": "警告，罚款2000元",
        "FINE_YUAN": "2,000.00",
        "JD_DATE": "2023年6月1日",
        "VALID_TO": "20260601",
        "JG_NAME": "某局",
        "JG_USCC": AUTHORITY,
        "LY_NAME": "某局",
        "LY_USCC": AUTHORITY,
    }
    record = one("penalties-local", row)
    assert record["subject_code"] == COMPANY
    assert record["subject_organisation_code"] == "MA1B3N1N2"
    assert record["subject_tax_number"] is None
    assert record["document_number"] == "黑森交罚〔2023〕1号"
    assert record["violation_facts"] == "车辆被查获\n已承认"
    assert record["penalty_kinds"] == "警告;罚款"
    assert record["fine_amount"] == Decimal("0.2")
    assert (record["decided_on"], record["valid_to"]) == (date(2023, 6, 1), date(2026, 6, 1))
