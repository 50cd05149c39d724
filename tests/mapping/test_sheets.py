"""Formats of sheets: the receiver's headings to the letter, every cell a text, and what is written can be read as it was meant."""

from __future__ import annotations

import io
import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import fastexcel
import polars as pl
import pytest
from typer.testing import CliRunner

from gateway.checkup import check_mappings
from gateway.cli.main import app
from gateway.errors import Findings, MappingError
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.canonical import canonical_schema
from gateway.mapping.render_sheet import RenderedSheet, SheetPlan
from gateway.mapping.sheet_loader import load_sheet_format
from gateway.mapping.workbook import workbook
from gateway.mapping.workbook_xls import old_workbook
from gateway.mappings import Mappings
from tests.mapping.document_samples import LICENSE, MAPPINGS, PENALTY, library, records

PERSON = {
    "subject_kind": "自然人",
    "subject_name": "测试乙",
    "subject_code": None,
    "legal_representative": None,
    "person_id_kind": "身份证",
    "person_id": "11010519491231002X",
}
# The source mappings that read the very templates that these formats write.
READERS = [
    ("credit-2018-split", f"{LICENSE}.legal", "split-2018-permits-legal", 24, {}),
    ("credit-2018-split", f"{LICENSE}.person", "split-2018-permits-person", 18, PERSON),
    ("credit-2018-split", f"{PENALTY}.legal", "split-2018-penalties-legal", 26, {}),
    ("credit-2018-split", f"{PENALTY}.person", "split-2018-penalties-person", 20, PERSON),
    ("mot-sheets", LICENSE, "ministry-permits", 27, {}),
    ("mot-sheets", PENALTY, "ministry-penalties", 29, PERSON),
]


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return Mappings(MAPPINGS, "Asia/Shanghai")


def plan_of(mappings: Mappings, name: str, template: str) -> SheetPlan:
    fmt = mappings.sheet_format(name)
    return SheetPlan(fmt, next(one for one in fmt.templates if one.id == template), library())


def read(rendered: RenderedSheet) -> pl.DataFrame:
    assert rendered.data is not None, rendered.problems
    sheet = fastexcel.read_excel(rendered.data).load_sheet(0, dtypes="string")
    return sheet.to_polars()


@pytest.mark.parametrize(("name", "template", "reader", "width", "changes"), READERS)
def test_what_is_written_is_read_by_the_mapping_of_its_template(
    mappings: Mappings, name: str, template: str, reader: str, width: int, changes: dict[str, object]
) -> None:
    catalog = template.partition(".")[0]
    sent = records(catalog, changes, {**changes, "document_number": "第2号", "remarks": "=1+1"})
    rendered = plan_of(mappings, name, template).render(sent, SOME_BATCH)
    assert rendered.problems.is_empty(), rendered.problems
    assert rendered.keys == ("0", "1")
    sheet = read(rendered)
    mapping = mappings.source_mapping(reader)
    assert sheet.columns == list(mapping.headings)
    assert sheet.width == width
    mapped = mappings.record_plan(reader).map(sheet.with_row_index("@row").with_columns(pl.col("@row").cast(pl.String)))
    assert mapped.records.height == 2, mapped.problems
    for before, after in zip(sent.to_dicts(), mapped.records.to_dicts(), strict=True):
        # A legal representative's kind of document has no column in these sheets.
        assert {key: after[key] for key in canonical_schema(library().catalogs[catalog])} == {
            key: before[key] for key in canonical_schema(library().catalogs[catalog])
        }


def test_each_record_stands_in_the_template_of_its_kind(mappings: Mappings) -> None:
    both = records(LICENSE, {}, PERSON)
    for template, keys in ((f"{LICENSE}.legal", ("0",)), (f"{LICENSE}.person", ("1",))):
        assert plan_of(mappings, "credit-2018-split", template).render(both, SOME_BATCH).keys == keys


def test_the_ministry_s_sheet_is_an_old_workbook_with_its_own_slips(mappings: Mappings) -> None:
    rendered = plan_of(mappings, "mot-sheets", PENALTY).render(records(PENALTY, {}), SOME_BATCH)
    assert rendered.name == "ZHXYXT0000_XYDYJH1-0301_2026010203.xls"
    assert rendered.data is not None
    assert rendered.data.startswith(b"\xd0\xcf\x11\xe0"), "BIFF8 in a compound file"
    sheet = read(rendered)
    assert {"处罚金额（万元）", "没收违法所得、没收非法财务的金额（万元）"} <= set(sheet.columns)
    assert sheet.columns[-1] == "数据导出时间"
    row = sheet.row(0, named=True)
    assert (row["处罚决定日期"], row["处罚金额（万元）"], row["数据导出时间"]) == ("2019/10/10", "0.2", "2026/01/02")


def test_the_edition_of_2015_in_its_order(mappings: Mappings) -> None:
    sheet = read(plan_of(mappings, "credit-2015", LICENSE).render(records(LICENSE, {}), SOME_BATCH))
    assert " ".join(sheet.columns) == (
        "XK_WSH XK_XMMC XK_SPLB XK_NR XK_XDR XK_XDR_SHXYM XK_XDR_ZDM XK_XDR_GSDJ XK_XDR_SWDJ XK_XDR_SFZ XK_FR XK_JDRQ XK_JZQ "
        "XK_XZJG XK_ZT DFBM SJC BZ"
    )
    row = sheet.row(0, named=True)
    assert (row["XK_ZT"], row["XK_JZQ"], row["XK_XDR_SFZ"]) == ("0", "2099/12/31", None)
    penalty = read(plan_of(mappings, "credit-2015", PENALTY).render(records(PENALTY, {}), SOME_BATCH))
    assert penalty.columns[:5] == ["CF_WSH", "CF_CFMC", "CF_CFLB1", "CF_CFLB2", "CF_SY"]
    assert len(penalty.columns) == 20


EFFECT: dict[str, object] = {
    "effect_number": "F1",
    "subject_name": "甲公司",
    "subject_kind": "法人及非法人组织",
    "subject_code": "91230500MA1B3N1N2M",
    "action_kind": "2",
    "behaviour": "超限运输",
    "measure": "限制评优",
    "department": "甲局",
    "starts_on": date(2026, 1, 2),
    "ends_on": date(2026, 2, 3),
    "effect": "已整改",
}


def test_feedback_stands_in_the_columns_of_the_two_tables(mappings: Mappings) -> None:
    schema = {**canonical_schema(library().catalogs["joint-action-effect"]), "@key": pl.String()}
    person = {"subject_kind": "自然人", "subject_code": None, "person_id_kind": "护照号", "person_id": "E1"}
    rows = [{**dict.fromkeys(schema), **EFFECT, **change, "@key": key} for key, change in (("a", {}), ("b", person))]
    frame = pl.DataFrame(rows, schema=schema)
    legal = read(plan_of(mappings, "mot-feedback", "joint-action-effect.legal").render(frame, SOME_BATCH))
    assert " ".join(legal.columns) == (
        "统一社会信用代码 奖惩对象 守信/失信行为 执行部门名称 开始时间 结束时间 执行措施 执行内容 所在领域 奖惩类型代码 "
        "成效 状态 数据导出时间"
    )
    natural = read(plan_of(mappings, "mot-feedback", "joint-action-effect.person").render(frame, SOME_BATCH))
    assert natural.columns[:3] == ["身份证件类型代码", "身份证件号码", "姓名"]
    assert natural["身份证件类型代码"].to_list() == ["02"]


def test_a_record_that_a_column_refuses_stays_out_and_is_named(mappings: Mappings) -> None:
    plan = plan_of(mappings, "credit-2018-split", f"{LICENSE}.legal")
    rendered = plan.render(records(LICENSE, {"content": None}, {}, {"content": "a\x07"}), SOME_BATCH)
    assert rendered.keys == ("1",)
    assert [(one["@row"], one["source"], one["code"]) for one in rendered.problems.iter_rows(named=True)] == [
        ("0", "许可内容", "required-missing"),
        ("2", "许可内容", "character-forbidden"),
    ]
    nothing = plan.render(records(LICENSE, {"content": None}), SOME_BATCH)
    assert (nothing.data, nothing.keys) == (None, ())


def test_an_amount_is_written_as_it_is(mappings: Mappings) -> None:
    plan = plan_of(mappings, "mot-sheets", PENALTY)
    sheet = read(plan.render(records(PENALTY, {"fine_amount": Decimal("123456789012.000001")}), SOME_BATCH))
    assert sheet["处罚金额（万元）"].to_list() == ["123456789012.000001"]


WRITERS = [pytest.param(workbook, id="xlsx"), pytest.param(old_workbook, id="xls")]
NASTY = ["=1+1", "http://a/b", "0001", "1e5", "2026-01-02", "<&>\"'", "甲\n乙", " x ", "@a", "+1", "-1", "𠀀"]


@pytest.mark.parametrize("write", WRITERS)
def test_every_cell_is_a_text_in_either_kind_of_workbook(write: object) -> None:
    assert callable(write)
    data = write([("一", ["a", "b"], [[text, None] for text in NASTY])])
    sheet = fastexcel.read_excel(io.BytesIO(data).getvalue()).load_sheet("一", dtypes="string").to_polars()
    assert sheet["a"].to_list() == NASTY
    assert write([("一", ["a", "b"], [[text, None] for text in NASTY])]) == data, "the same rows, the same bytes"
    with pytest.raises(MappingError) as refused:
        write([("一", ["a"], [["x" * 32_768]])])
    assert refused.value.code == "sheet-too-large"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    return tmp_path / "mappings"


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        ("format.toml", 'type = "xls"', 'type = "ods"', "catalog-choice-unknown"),
        ("format.toml", 'id = "mot-sheets"', 'id = "sheets"', "format-id-not-folder"),
        ("format.toml", "receiver = ", "receivers = ", "catalog-key-unknown"),
        (f"bindings/{PENALTY}.toml", "{yyyyMMddHH}", "{yyMMdd}", "sheet-file-mark"),
        (f"bindings/{PENALTY}.toml", 'file = "', 'file = "a/', "sheet-file-name"),
        (f"bindings/{PENALTY}.toml", 'field = "subject_name"', 'field = "subject"', "binding-field-unknown"),
        (f"bindings/{PENALTY}.toml", 'to = "备注"', 'to = "违法事实"', "binding-path-twice"),
        (f"bindings/{PENALTY}.toml", 'field = "remarks"\nempty = "omit"', 'field = "remarks"', "binding-empty-missing"),
        (f"bindings/{PENALTY}.toml", 'shape = "yyyy/MM/dd"', 'shape = "yy"', "mapping-parameter-wrong"),
        (
            f"bindings/{PENALTY}.toml",
            'catalog = "',
            'when = { subject_kind = ["人"] }\ncatalog = "',
            "catalog-code-unknown",
        ),
    ],
)
def test_a_mistake_in_a_format_of_sheets_is_told(folder: Path, file: str, old: str, new: str, code: str) -> None:
    path = folder / "formats" / "mot-sheets" / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(Findings) as refused:
        load_sheet_format(folder / "formats" / "mot-sheets", library())
    found = {finding.code for finding in refused.value.findings}
    assert code in found
    assert code in {finding.code for finding in check_mappings(Mappings(folder, "Asia/Shanghai"))}
    for finding in refused.value.findings:
        assert finding.say("en") != finding.say("zh-CN")


def test_a_receiver_is_told_that_sheets_cannot_be_received(mappings: Mappings) -> None:
    with pytest.raises(MappingError) as refused:
        mappings.format("mot-sheets")
    assert refused.value.code == "format-of-sheets"


def test_the_command_line_explains_and_writes_sheets(tmp_path: Path) -> None:
    explained = CliRunner().invoke(
        app, ["mapping", "explain", "credit-2018-split", "--mappings", str(MAPPINGS), "--json"]
    )
    assert len(json.loads(explained.stdout)[f"{LICENSE}.legal"]["columns"]) == 24
    shown = CliRunner().invoke(
        app, ["mapping", "explain", "mot-sheets", "--mappings", str(MAPPINGS)], env={"COLUMNS": "200"}
    )
    assert "没收非法财务" in shown.stdout
    heading = ",".join(Mappings(MAPPINGS, "Asia/Shanghai").source_mapping("permits-local").columns())
    row = {
        "XDR_NAME": "示例公司", "XDR_TYPE": "02", "XDR_USCC": "91230500MA1B3N1N2M", "FR_NAME": "示例人", "WS_NAME": "决定书", "WS_NO": "1号",
        "XK_TYPE": "01", "XK_CONTENT": "准予", "JD_DATE": "2026-07-06", "VALID_FROM": "2026-07-06", "JG_NAME": "示例局",
        "JG_USCC": "11230700001001013H", "ZT": "有效", "LY_NAME": "示例局", "LY_USCC": "11230700001001013H",
    }  # fmt: skip
    file = tmp_path / "rows.csv"
    file.write_text(f"{heading}\n{','.join(row.get(name, '') for name in heading.split(','))}\n", "utf-8")
    words = ["mapping", "write", "permits-local", "--rows", str(file), "--format", "credit-2018-split"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--mappings", str(MAPPINGS)])
    assert result.exit_code == 0, result.output
    (made,) = (tmp_path / "out").iterdir()
    assert made.name.startswith("行政许可_法人_")
    assert fastexcel.read_excel(made).load_sheet(0).to_polars().height == 1


@pytest.mark.parametrize("name", ["credit-2018-split", "mot-sheets", "mot-subjects", "mot-feedback"])
def test_a_column_for_a_number_holds_no_kind_and_one_for_a_kind_no_number(mappings: Mappings, name: str) -> None:
    for template in mappings.sheet_format(name).templates:
        for column in template.columns:
            if column.heading.endswith(("号", "号码", "证号")) and (column.field or "").endswith("_kind"):
                raise AssertionError(f"{template.id}: {column.heading} holds {column.field}")
            if "类型" in column.heading or "类别" in column.heading:
                assert not (column.field or "").endswith("_id"), (template.id, column.heading)
