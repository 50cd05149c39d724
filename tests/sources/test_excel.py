"""Workbooks as they come: any cell type in any column, sheets beside the one meant, bombs, broken files."""

from __future__ import annotations

import io
import zipfile
from contextlib import closing
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter

from gateway.errors import SourceError, SourceUnavailableError
from gateway.sources.cells import glance, walk
from gateway.sources.excel_file import ExcelSource
from gateway.sources.port import ROW
from gateway.sources.template import Template
from gateway.sources.workbook import Limits
from tests.sources.conftest import code_of, drain, problems, values

PERMIT = Template(id="permit", headings=("许可文书号", "相对人名称", "许可内容"))
MINISTRY = Template(id="ministry", headings=("许可文书号", "相对人名称", "许可内容", "决定日期", "数量"))
ASSETS = Path(__file__).parent / "assets"
Sheet = list[list[Any]]


def source_of(path: Path | str, *templates: Template, **options: Any) -> ExcelSource:
    return ExcelSource(name="files", path=str(path), templates=templates or (PERMIT,), **options)


def workbook(path: Path, *sheets: Sheet, hidden: int | None = None, column: int = 0, **named: Sheet) -> Path:
    """A workbook; a tuple is a formula with the value that Excel kept of it. ``column`` is where the rows begin."""
    with xlsxwriter.Workbook(path) as book:
        styles = {date: "yyyy/mm/dd", datetime: "yyyy/mm/dd hh:mm:ss", time: "hh:mm", timedelta: "[h]:mm"}
        formats = {kind: book.add_format({"num_format": text}) for kind, text in styles.items()}
        for number, (name, rows) in enumerate([*((f"表{i}", sheet) for i, sheet in enumerate(sheets)), *named.items()]):
            sheet = book.add_worksheet(name)
            if number == hidden:
                sheet.hide()
            for place, row in enumerate(rows):
                for cell, value in enumerate(row, column):
                    if isinstance(value, tuple):
                        sheet.write_formula(place, cell, value[0], None, value[1])
                    elif isinstance(value, str):
                        sheet.write_string(place, cell, value)
                    elif type(value) in formats:
                        sheet.write_datetime(place, cell, value, formats[type(value)])
                    elif value is not None:
                        sheet.write(place, cell, value)
    return path


HEADINGS: list[Any] = list(PERMIT.headings)


def test_rows_are_read_the_first_and_the_last_too(tmp_path: Path) -> None:
    rows = [
        ["公示表"],
        [],
        ["填报:", "林业局"],
        HEADINGS,
        ["甲1", "乙", "丙"],
        [],
        ["甲2", None, ""],
        ["甲3", "乙", "丙"],
    ]
    file = workbook(tmp_path / "p.xlsx", rows)
    for size in (1, 2, 100):
        chunks = drain(source_of(file), size=size)
        assert [row for chunk in chunks for row in chunk.frame.rows()] == [
            ("甲1", "乙", "丙", "p.xlsx 第 5 行"),
            ("甲2", None, None, "p.xlsx 第 7 行"),
            ("甲3", "乙", "丙", "p.xlsx 第 8 行"),
        ]
        assert {chunk.template for chunk in chunks} == {"permit"}
        assert problems(chunks) == []


def test_row_numbers_are_those_that_excel_shows_wherever_the_rows_begin(tmp_path: Path) -> None:
    file = workbook(
        tmp_path / "p.xlsx", [[], [], [], HEADINGS, ["甲", "乙", ("=1/0", "#DIV/0!")], ["丁", "戊", "己"]], column=3
    )
    chunks = drain(source_of(file))
    assert values(chunks, ROW) == ["p.xlsx 第 6 行"]
    assert problems(chunks) == [("p.xlsx 第 5 行", "许可内容", "column-unreadable")]
    assert chunks[0].damaged.rows() == [("甲", "乙", None, "p.xlsx 第 5 行")]


def test_every_cell_is_told_by_its_own_type(tmp_path: Path) -> None:
    cells: list[tuple[Any, str | None]] = [
        (12, "12"),
        (0.2, "0.2"),
        (0.1 + 0.2, "0.3"),  # Excel shows 15 digits
        (-1234567.125, "-1234567.125"),
        (1e-7, "0.0000001"),
        (0, "0"),
        (999_999_999_999_999, "999999999999999"),
        (True, "true"),
        (False, "false"),
        ("true", "true"),
        ("0012", "0012"),
        ("123456789012345678", "123456789012345678"),
        ("1.50", "1.50"),
        (" 留空 ", " 留空 "),
        ("2026-07-27", "2026-07-27"),
        (date(2026, 7, 27), "2026-07-27"),
        (datetime(2026, 7, 27, 9, 30, 0, 500000), "2026-07-27 09:30:00.500000"),  # noqa: DTZ001 - Excel has no zones
        (time(9, 30), "09:30:00"),
        (("=A1&A2", "算得"), "算得"),
        (("=1+1", 2), "2"),
        (("=TRUE()", True), "true"),
    ]
    file = workbook(tmp_path / "p.xlsx", [HEADINGS, *(["甲", cell, "丙"] for cell, _ in cells)])
    chunks = drain(source_of(file))
    assert values(chunks, "相对人名称") == [expected for _, expected in cells]
    assert problems(chunks) == []


def test_a_column_of_dates_alone_is_typed_and_the_same_in_every_chunk(tmp_path: Path) -> None:
    day, moment = date(2026, 7, 27), datetime(2026, 7, 27, 9, 30)  # noqa: DTZ001 - Excel has no zones
    rows: Sheet = [["一", day, day], ["二", None, None], ["三", date(1900, 3, 1), moment]]
    chunks = drain(source_of(workbook(tmp_path / "p.xlsx", [HEADINGS, *rows])), size=1)
    assert {chunk.frame["相对人名称"].dtype for chunk in chunks} == {pl.Date()}
    assert values(chunks, "相对人名称") == [day, None, date(1900, 3, 1)]
    assert {chunk.frame["许可内容"].dtype for chunk in chunks} == {pl.Datetime("us")}
    assert values(chunks, "许可内容") == [datetime(2026, 7, 27), None, moment]  # noqa: DTZ001


def test_a_long_identifier_kept_as_a_number_has_lost_its_digits(tmp_path: Path) -> None:
    rows: Sheet = [
        ["甲0", 110101199003070011, "丙"],
        ["甲1", 1e15, "丙"],
        ["甲2", "110101199003070011", "丙"],
        ["甲3", -1e300, "丙"],
    ]
    chunks = drain(source_of(workbook(tmp_path / "p.xlsx", [HEADINGS, *rows])), size=3)
    assert values(chunks, "许可文书号") == ["甲2"]
    assert problems(chunks) == [(f"p.xlsx 第 {line} 行", "相对人名称", "column-unreadable") for line in (2, 3, 5)]
    assert "110101199003070" not in str(chunks[0].problems.to_dicts())


def test_dates_beside_a_number_far_below_zero_are_told_as_text(tmp_path: Path) -> None:
    """The reading library panics over such a number when it is asked for times."""
    day = date(2026, 7, 27)
    rows: Sheet = [[day, -1e300, -1e17], [day, day, -1e17], ["甲", "乙", "丙"]]
    chunks = drain(source_of(workbook(tmp_path / "p.xlsx", [HEADINGS, *rows])))
    assert values(chunks, "许可文书号") == ["甲"]
    assert chunks[0].damaged["许可文书号"].to_list() == ["2026-07-27"] * 2
    assert chunks[0].damaged["相对人名称"].to_list() == [None, "2026-07-27 00:00:00"]
    only = Template(id="only", headings=("数",))
    chunks = drain(source_of(workbook(tmp_path / "q.xlsx", [["数"], [-1e300], [1]]), only))
    assert values(chunks, "数") == ["1"]


def test_an_error_is_not_an_empty_cell(tmp_path: Path) -> None:
    errors = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"]
    rows: Sheet = [["甲", "乙", ("=X1", error)] for error in errors] + [["甲", "#N/A", ""]]
    chunks = drain(source_of(workbook(tmp_path / "p.xlsx", [HEADINGS, *rows])))
    assert chunks[0].frame.rows() == [("甲", "#N/A", None, "p.xlsx 第 9 行")]  # the text, which somebody typed
    assert [row for row, _, _ in problems(chunks)] == [f"p.xlsx 第 {line} 行" for line in range(2, 9)]


def test_a_row_that_holds_an_error_alone_is_no_empty_row(tmp_path: Path) -> None:
    file = workbook(
        tmp_path / "p.xlsx", [HEADINGS, [None, None, ("=X1", "#REF!")], ["甲", "乙", "丙"], [None, " ", ""]]
    )
    chunks = drain(source_of(file))
    assert values(chunks, "许可文书号") == ["甲"]
    assert problems(chunks) == [("p.xlsx 第 2 行", "许可内容", "column-unreadable")]


def test_the_sheets_that_fit_are_read_and_notes_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    file = workbook(
        tmp_path / "p.xlsx", [["填写说明"], ["一、…"]], [HEADINGS, ["甲", "乙", "丙"]], [], [HEADINGS, ["隐", "乙", "丙"]],
        [["备注"], *[[]] * 3, HEADINGS[::-1], ["丙", "乙", "丁"]], hidden=3,
    )  # fmt: skip
    chunks = drain(source_of(file))
    assert values(chunks, "许可文书号") == ["甲", "丁"]
    assert values(chunks, ROW) == ["p.xlsx「表1」 第 2 行", "p.xlsx「表4」 第 6 行"]


def test_a_sheet_that_nearly_fits_is_not_passed_over(tmp_path: Path) -> None:
    near = ["许可文书号", "相对人名称", "许可内容", "决定日期", "数 目"]
    file = workbook(tmp_path / "p.xlsx", [list(MINISTRY.headings), ["甲"]], [near, ["乙"]])
    with pytest.raises(SourceError) as error:
        drain(source_of(file, MINISTRY, Template(id="other", headings=("甲", "乙"))))
    assert code_of(error) == "template-wrong"
    assert (error.value.facts["missing"], error.value.facts["unexpected"]) == ("数量", "数 目")


def test_a_workbook_that_fits_nothing_is_refused_by_its_nearest_sheet(tmp_path: Path) -> None:
    file = workbook(tmp_path / "p.xlsx", [["说明"]], [["许可文书号", "名称", "许可内容"], ["甲", "乙", "丙"]], [["x"]])
    with pytest.raises(SourceError) as error:
        source_of(file).probe()
    assert code_of(error) == "template-wrong"
    assert error.value.facts["missing"] == "相对人名称"


def test_an_old_workbook_is_read_by_the_same_rules() -> None:
    """``assets/permits.xls`` was written with xlwt 1.3: a title, headings in row 3, an empty row, a long number."""
    chunks = drain(source_of(ASSETS / "permits.xls", MINISTRY))
    rows = [row for chunk in chunks for row in chunk.frame.rows()]
    assert rows == [
        ("甲1", "名称一", "采伐", date(2026, 7, 27), "12", "permits.xls 第 4 行"),
        ("甲2", "名称二", None, date(2026, 7, 28), "0.2", "permits.xls 第 5 行"),
        ("甲末", "名称末", "运输", date(2026, 12, 31), "-3", "permits.xls 第 8 行"),
    ]
    assert problems(chunks) == [("permits.xls 第 7 行", "相对人名称", "column-unreadable")]
    assert chunks[0].damaged.rows() == [("甲3", None, "true", None, "1", "permits.xls 第 7 行")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "source-file-empty"),
        (b"<html><table></table></html>", "workbook-unreadable"),
        (b"PK\x03\x04 and nothing more", "workbook-unreadable"),
        (bytes.fromhex("D0CF11E0A1B11AE1") + b"\0" * 4096, "workbook-unreadable"),
    ],
)
def test_a_file_that_is_no_workbook_is_told(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "p.xlsx"
    file.write_bytes(content)
    with pytest.raises(SourceError) as error:
        source_of(file).probe()
    assert code_of(error) == code


def test_a_damaged_workbook_is_told_wherever_it_is_damaged(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "whole.xlsx", [HEADINGS, *(["甲", "乙", str(n)] for n in range(40))]).read_bytes()
    file = tmp_path / "p.xlsx"
    old = (ASSETS / "permits.xls").read_bytes()
    read = 0
    for content, step in ((whole, 97), (old, 211)):
        for cut in range(8, len(content), step):
            for damaged in (content[:cut], content[:cut] + bytes([content[cut] ^ 0xFF]) + content[cut + 1 :]):
                file.write_bytes(damaged)
                try:
                    drain(source_of(file, PERMIT, MINISTRY))
                    read += 1
                except SourceError as error:
                    assert error.code in {"workbook-unreadable", "template-not-found", "source-file-without-rows"}  # noqa: PT017 - some are read
    assert read < 60


def test_a_workbook_without_rows_is_told(tmp_path: Path) -> None:
    for number, rows in enumerate([[HEADINGS], [HEADINGS, [], [" ", None, ""]]]):
        with pytest.raises(SourceError) as error:
            source_of(workbook(tmp_path / f"{number}.xlsx", rows)).probe()
        assert code_of(error) == "source-file-without-rows"
    aside: Sheet = [[None, *HEADINGS], *[[]] * 100, [None, "甲", "乙", "丙"], ["左边的注"]]
    far = source_of(workbook(tmp_path / "far.xlsx", aside))
    assert values(drain(far), ROW) == ["far.xlsx 第 102 行"]
    assert values(drain(far), "许可内容") == ["丙"]


def inflated(path: Path, sheet: bytes) -> Path:
    """A workbook whose first sheet's XML is ``sheet``."""
    workbook(path, [HEADINGS])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["xl/worksheets/sheet1.xml"] = sheet
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(file=1000), "file bytes"),
        (Limits(member=3000), "bytes"),
        (Limits(total=9000), "inflated bytes"),
        (Limits(members=5), "members"),
        (Limits(cells=100), "cells"),
    ],
)
def test_a_workbook_over_a_limit_is_not_opened(tmp_path: Path, limits: Limits, word: str) -> None:
    file = workbook(tmp_path / "p.xlsx", [HEADINGS, *([f"甲{n}", "乙", f"丙{n}"] for n in range(50))])
    assert len(values(drain(source_of(file)), ROW)) == 50
    with pytest.raises(SourceError) as error:
        source_of(file, limits=limits).probe()
    assert code_of(error) == "workbook-too-large"
    assert word in str(error.value.facts["what"])


def test_a_bomb_is_stopped_while_it_inflates(tmp_path: Path) -> None:
    bomb = inflated(tmp_path / "p.xlsx", b"<worksheet><sheetData>" + b" " * (64 << 20) + b"</sheetData></worksheet>")
    assert bomb.stat().st_size < 200_000
    with pytest.raises(SourceError) as error:
        source_of(bomb).probe()
    assert code_of(error) == "workbook-too-large"
    assert "ratio" in str(error.value.facts["what"])


def sheet_xml(rows: str, start: str = '<worksheet xmlns="urn:x">') -> bytes:
    return f"{start}<sheetData>{rows}</sheetData></worksheet>".encode()


def test_a_glance_at_the_cells_sees_what_the_parser_sees() -> None:
    rows = "".join(
        f'<row r="{row}">' + "".join(
            f'<c r="{letters}{row}" s="1"{kind}><v>&lt;c r="ZZ9" t="e"&gt;</v></c>'
            for letters, kind in (("A", ""), ("B", ' t="e"'), ("AB", ' t="s"'))
        ) + "</row>"
        for row in (1, 2, 40, 1_000)
    )  # fmt: skip
    whole = sheet_xml(rows)
    parsed = walk([whole])
    assert (parsed.rows, parsed.columns) == (1_000, 28)
    assert parsed.errors == {(0, 1), (1, 1), (39, 1), (999, 1)}
    for size in (1, 7, 64, len(whole)):
        assert glance(whole[at : at + size] for at in range(0, len(whole), size)) == parsed


@pytest.mark.parametrize(
    "rows",
    [
        '<row><c t="e"><v>1</v></c><c><v>1</v></c></row>',  # no places
        "<row r='2'><c r='B2' t='e'><v>1</v></c></row>",
        '<row r="2"><c r = "B2" t="e"><v>1</v></c></row>',
        '<row r="2"><c r="&#66;2" t="e"><v>1</v></c></row>',
        '<x:row r="2"><x:c r="B2" t="e"><x:v>1</x:v></x:c></x:row>',
    ],
)
def test_what_a_glance_does_not_understand_the_parser_reads(rows: str) -> None:
    whole = sheet_xml(rows, '<worksheet xmlns:x="urn:x">')
    assert glance([whole]) is None
    assert len(walk([whole]).errors) == 1
    utf_16 = whole.decode().encode("utf-16")
    assert glance([utf_16]) is None
    assert len(walk([utf_16]).errors) == 1


@pytest.mark.parametrize("place", ["XFD1048576", "A9999999", "AAAAA1"])
def test_a_cell_far_out_does_not_blow_the_sheet_up(tmp_path: Path, place: str) -> None:
    cells = f'<row r="1"><c r="A1"><v>1</v></c></row><row r="2"><c r="{place}"><v>1</v></c></row>'
    xml = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
    with pytest.raises(SourceError) as error:
        source_of(inflated(tmp_path / "p.xlsx", xml.encode())).probe()
    assert code_of(error) == "workbook-too-large"


def test_a_workbook_with_a_doctype_a_stray_path_or_a_name_twice_is_refused(tmp_path: Path) -> None:
    entity = b'<!DOCTYPE w [<!ENTITY a "aaaa">]><worksheet><sheetData/></worksheet>'
    files = [inflated(tmp_path / "doctype.xlsx", entity)]
    for number, name in enumerate(["/etc/passwd", "../up.xml", "C:/x", "a\\b", "XL/workbook.xml"]):
        file = workbook(tmp_path / f"{number}.xlsx", [HEADINGS, ["甲", "乙", "丙"]])
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, b"x")
        files.append(file)
    for file in files:
        with pytest.raises(SourceError) as error:
            source_of(file).probe()
        assert code_of(error) == "workbook-unreadable"


def test_members_over_the_same_bytes_are_refused(tmp_path: Path) -> None:
    """A member whose bytes are another member's local header and content, both named in the central directory."""
    file = workbook(tmp_path / "p.xlsx", [HEADINGS, ["甲", "乙", "丙"]])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as small:
        small.writestr("inner.bin", b"x" * 1000)
        inner = small.getinfo("inner.bin")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("outer.bin", packed.getvalue()[: 30 + len("inner.bin") + 1000])
        inner.header_offset = archive.getinfo("outer.bin").header_offset + 30 + len("outer.bin")
        archive.filelist.append(inner)
    with pytest.raises(SourceError) as error:
        source_of(file).probe()
    assert code_of(error) == "workbook-unreadable"


def test_files_are_read_by_name_and_a_wrong_one_is_named_first(tmp_path: Path) -> None:
    for name in ("b", "a", "~$c"):
        workbook(tmp_path / f"{name}.xlsx", [HEADINGS, [name, "乙", "丙"]])
    source = source_of(tmp_path, complete=True)
    assert values(drain(source), "许可文书号") == ["a", "b"]
    assert not source.read(None).complete
    assert source.columns() == PERMIT.headings
    workbook(tmp_path / "c.xlsx", [["x"]])
    with closing(source.read(None).chunks) as chunks, pytest.raises(SourceError) as error:
        next(chunks)
    assert error.value.facts["file"] == "c.xlsx"


def test_a_workbook_replaced_while_it_is_read_is_told(tmp_path: Path) -> None:
    rows = [HEADINGS, *(["甲", "乙", str(n)] for n in range(20))]
    workbook(tmp_path / "a.xlsx", rows)
    file = workbook(tmp_path / "b.xlsx", rows)
    with closing(source_of(tmp_path).read(None, size=10).chunks) as chunks:
        next(chunks)
        workbook(file, rows[:5])
        with pytest.raises(SourceUnavailableError) as error:
            list(chunks)
    assert code_of(error) == "source-file-changed"
