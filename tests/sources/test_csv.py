"""Text files as they come: any of two encodings, titles above the headings, broken lines, wrong files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import SourceError, SourceUnavailableError
from gateway.sources.csv_file import CsvSource
from gateway.sources.port import ROW
from gateway.sources.template import Template
from tests.sources.conftest import code_of, drain, problems, values

PERMIT = Template(id="permit", headings=("许可文书号", "相对人名称", "许可内容"))
PENALTY = Template(id="penalty", headings=("处罚文书号", "相对人名称", "处罚内容", "罚款金额(万元)"))
HEADINGS = "许可文书号,相对人名称,许可内容\n"


def source_of(path: Path | str, *templates: Template, **options: Any) -> CsvSource:
    return CsvSource(name="files", path=str(path), templates=templates or (PERMIT,), **options)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_rows_are_read_the_first_and_the_last_too(tmp_path: Path, encoding: str, separator: Any, ending: str) -> None:
    lines = ["许可文书号,相对人名称,许可内容", "甲1,双鸭山智慧城市运营有限公司,采伐", "甲2,个体户,", "甲3,,运输"]
    file = write(tmp_path / "permits.csv", ending.join(lines).replace(",", separator), encoding)
    for size in (1, 2, 100):
        chunks = drain(source_of(file, separator=separator), size=size)
        assert [row for chunk in chunks for row in chunk.frame.rows()] == [
            ("甲1", "双鸭山智慧城市运营有限公司", "采伐", "permits.csv 第 2 行"),
            ("甲2", "个体户", None, "permits.csv 第 3 行"),
            ("甲3", None, "运输", "permits.csv 第 4 行"),
        ]
        assert {chunk.template for chunk in chunks} == {"permit"}
        assert {chunk.position for chunk in chunks} == {None}
        assert problems(chunks) == []


def test_the_encoding_is_told_by_the_lines_and_one_damaged_line_does_not_turn_it(tmp_path: Path) -> None:
    rows = [f"{number},中文名称{number},内容" for number in range(20)]
    for encoding, strange in (("utf-8", b"x,\xc3\x28,y\n"), ("gb18030", b"x,\xff\xff,y\n")):
        file = tmp_path / f"{encoding}.csv"
        text = (HEADINGS + "\n".join(rows) + "\n").encode(encoding)
        file.write_bytes(text.replace(b"\n5,", b"\n" + strange + b"5,"))
        chunks = drain(source_of(file))
        assert values(chunks, "相对人名称") == [f"中文名称{number}" for number in range(20)]
        assert problems(chunks) == [(f"{encoding}.csv 第 7 行", "相对人名称", "column-unreadable")]
        assert chunks[0].damaged.rows() == [("x", None, "y", f"{encoding}.csv 第 7 行")]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_every_damaged_row_costs_itself_alone_the_first_and_the_last_too(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "p.csv"
    good = "甲,名称,内容\n".encode(encoding)
    bad = b"1,\xff\xfe\xff,y\n"
    file.write_bytes(HEADINGS.encode(encoding) + bad + good + good + bad + good + bad.rstrip(b"\n"))
    chunks = drain(source_of(file, encoding=encoding))
    assert values(chunks, ROW) == [f"p.csv 第 {line} 行" for line in (3, 4, 6)]
    assert [row for row, _, _ in problems(chunks)] == [f"p.csv 第 {line} 行" for line in (2, 5, 7)]
    assert chunks[0].damaged["许可文书号"].to_list() == ["1", "1", "1"]


def test_characters_that_gb_18030_moved_are_read_to_the_newest_edition(tmp_path: Path) -> None:
    moved = bytes.fromhex("A8BC A6D9 A6DA A6F3 FE59 FEA0 FE51 FE91")
    kept = bytes.fromhex("AAA1 8135F437")
    file = tmp_path / "p.csv"
    file.write_bytes(HEADINGS.encode("gb18030") + b"1," + moved + b"," + kept + b"\n")
    (chunk,) = drain(source_of(file))
    assert chunk.frame["相对人名称"][0] == "\u1e3f\ufe10\ufe12\ufe19\u9fb4\u9fbb\U00020087\U000241fe"
    assert chunk.frame["许可内容"][0] == "\ue000\u1e3f"  # a private character stays, for the record's checks to see


def test_headings_are_recognised_below_titles_and_in_any_spelling_and_order(tmp_path: Path) -> None:
    text = (
        "行政许可信息公示表,,,\n\n填报单位：林业局,,填报日期：2026-07-27,\n"
        '"罚款金额\n（万元）",＊处罚文书号, 相对人 名称 ,处罚内容(必填),,\n0.2,甲1,名称,内容,,\n'
    )
    (chunk,) = drain(source_of(write(tmp_path / "p.csv", text), PERMIT, PENALTY))
    assert chunk.frame.columns == [*PENALTY.headings, ROW]
    assert chunk.frame.rows() == [("甲1", "名称", "内容", "0.2", "p.csv 第 6 行")]
    assert chunk.template == "penalty"
    assert source_of(tmp_path, PERMIT, PENALTY).columns() == (
        *PERMIT.headings,
        *PENALTY.headings[:1],
        *PENALTY.headings[2:],
    )


def test_headings_below_the_tenth_row_are_not_looked_for(tmp_path: Path) -> None:
    for above, found in ((9, True), (10, False)):
        file = write(tmp_path / f"{above}.csv", "说明\n" * above + HEADINGS + "甲,乙,丙\n")
        if found:
            assert values(drain(source_of(file)), ROW) == ["9.csv 第 11 行"]
        else:
            with pytest.raises(SourceError) as error:
                drain(source_of(file))
            assert code_of(error) == "template-not-found"


def test_a_wrong_template_is_refused_with_what_is_missing_and_what_is_too_much(tmp_path: Path) -> None:
    file = write(tmp_path / "p.csv", "许可文书号,相对人,许可内容,备注\n甲,乙,丙,丁\n")
    for act in (drain, CsvSource.probe):
        with pytest.raises(SourceError) as error:
            act(source_of(file, PENALTY, PERMIT))
        assert code_of(error) == "template-wrong"
        told = {"missing": "相对人名称", "unexpected": "相对人、备注", "likeness": 50}
        assert error.value.facts == {"file": "p.csv", "nearest": "permit", **told}
        assert not error.value.retryable


def test_a_record_is_not_told_as_if_it_were_headings(tmp_path: Path) -> None:
    file = write(tmp_path / "p.csv", "甲1,张三,110101199003070011\n")
    with pytest.raises(SourceError) as error:
        drain(source_of(file))
    assert code_of(error) == "template-not-found"
    assert error.value.facts["headings"] == "许可文书号、相对人名称、许可内容"
    assert "张三" not in str(error.value)


def test_repeated_headings_and_equal_templates_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "p.csv", "许可文书号,相对人名称,许可内容, 许可文书号\n甲,乙,丙,丁\n")
    with pytest.raises(SourceError) as error:
        drain(source_of(file))
    assert code_of(error) == "template-heading-repeated"
    file = write(tmp_path / "p.csv", HEADINGS + "甲,乙,丙\n")
    twin = Template(id="twin", headings=("许可内容", "相对人名称", "许可文书号"))
    with pytest.raises(SourceError) as error:
        drain(source_of(file, PERMIT, twin))
    assert code_of(error) == "template-ambiguous"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "source-file-empty"),
        (HEADINGS.encode(), "source-file-without-rows"),
        (HEADINGS.encode() + b",,\n \n"[:3], "source-file-without-rows"),
        (b"\n\n", "template-not-found"),
        (HEADINGS.encode("utf-16"), "csv-encoding-unknown"),
        (HEADINGS.encode("utf-16-le"), "csv-encoding-unknown"),
        (b"PK\x03\x04" + bytes(range(256)) * 4, "csv-encoding-unknown"),
        (b"\xff\xff\n" * 5, "csv-encoding-unknown"),
    ],
)
def test_a_file_without_rows_or_sense_is_told(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "p.csv"
    file.write_bytes(content)
    with pytest.raises(SourceError) as error:
        drain(source_of(file))
    assert code_of(error) == code


def test_rows_of_another_width_cost_themselves_alone(tmp_path: Path) -> None:
    lines = ["甲1,乙", "甲2,乙,丙", "甲3,乙,丙,丁", "甲4,乙,丙,,", "", ",,", "甲5,乙,丙", "甲6,乙"]
    chunks = drain(source_of(write(tmp_path / "p.csv", HEADINGS + "\n".join(lines))))
    assert values(chunks, "许可文书号") == ["甲2", "甲4", "甲5"]
    assert values(chunks, ROW) == [f"p.csv 第 {line} 行" for line in (3, 5, 8)]
    assert problems(chunks) == [(f"p.csv 第 {line} 行", "", "row-malformed") for line in (2, 4, 9)]
    assert chunks[0].problems["value_class"].to_list() == ["too-few-cells", "too-many-cells", "too-few-cells"]
    assert chunks[0].problems["expected"].to_list() == ["3"] * 3
    assert chunks[0].damaged.drop(ROW).rows() == [(None, None, None)] * 3


def test_a_cell_may_have_line_breaks_and_separators_in_quotes(tmp_path: Path) -> None:
    text = HEADINGS + '甲1,"名称,\n第二行""引""\n\n末行",丙\n甲2,乙,丙\n'
    chunks = drain(source_of(write(tmp_path / "p.csv", text)))
    assert values(chunks, "相对人名称") == ['名称,\n第二行"引"\n\n末行', "乙"]
    assert values(chunks, ROW) == ["p.csv 第 2 行", "p.csv 第 6 行"]


def test_a_quote_that_is_never_closed_swallows_no_other_row(tmp_path: Path) -> None:
    many = [f"甲{number},乙,丙" for number in range(2000)]
    many[0] = '甲0,"乙,丙'
    many[1000] = '甲1000,乙,"丙'
    many[1500] = '甲1500,"乙"丙,丁'
    many[-1] = '甲1999,乙,"丙'
    chunks = drain(source_of(write(tmp_path / "p.csv", HEADINGS + "\n".join(many))))
    bad = {0, 1000, 1500, 1999}
    assert values(chunks, "许可文书号") == [f"甲{number}" for number in range(2000) if number not in bad]
    assert [row for row, _, _ in problems(chunks)] == [f"p.csv 第 {number + 2} 行" for number in sorted(bad)]
    assert {kind for chunk in chunks for kind in chunk.problems["value_class"]} == {"quotes-not-paired"}


def test_a_line_without_end_costs_itself_alone_and_is_not_held_whole(tmp_path: Path) -> None:
    long = "乙" * (3 << 20)
    text = HEADINGS + f'甲1,乙,丙\n甲2,{long},丙\n甲3,"乙,丙\n甲4,{long},丙\n甲5,乙,丙\n'
    chunks = drain(source_of(write(tmp_path / "p.csv", text)))
    assert values(chunks, "许可文书号") == ["甲1", "甲5"]
    assert [row for row, _, _ in problems(chunks)] == [f"p.csv 第 {line} 行" for line in (3, 4, 5)]


def test_a_last_line_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    whole = (HEADINGS + "甲1,乙,丙\n甲2,乙,内容\n").encode("utf-8")
    for cut in (4, 6, 9):  # within a character, within a cell, before the last cell
        file = tmp_path / "p.csv"
        file.write_bytes(whole[:-cut])
        chunks = drain(source_of(file))
        assert values(chunks, "许可文书号")[0] == "甲1"
        assert len(values(chunks, ROW)) + len(problems(chunks)) == 2


def test_files_of_a_folder_or_pattern_are_read_by_name_and_unfinished_ones_left(tmp_path: Path) -> None:
    for name in ("b.csv", "a.CSV", "c.txt", "d.xlsx", "~$a.csv", ".e.csv", "f.csv.part", "g.csv"):
        write(tmp_path / name, HEADINGS + f"{name},乙,丙\n")
    (tmp_path / "h.csv").mkdir()
    folder = source_of(tmp_path, complete=True)
    assert values(drain(folder), "许可文书号") == ["a.CSV", "b.csv", "c.txt", "g.csv"]
    assert not folder.read(None).complete  # three files are still being written
    pattern = source_of(tmp_path / "[ab]*", complete=True)
    assert values(drain(pattern), ROW) == ["a.CSV 第 2 行", "b.csv 第 2 行"]
    assert pattern.read(None).complete
    assert not source_of(tmp_path / "b.csv").read(None).complete  # unless the operator says so
    for nothing in (tmp_path / "missing.csv", tmp_path / "x*", tmp_path / ".e.csv"):
        with pytest.raises(SourceUnavailableError) as error:
            source_of(nothing).read(None)
        assert code_of(error) == "source-files-missing"
        assert error.value.retryable


def test_a_wrong_file_in_a_folder_is_named_before_any_row_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", HEADINGS + "甲,乙,丙\n")
    write(tmp_path / "b.csv", "x,y,z\n1,2,3\n")
    with closing(source_of(tmp_path).read(None).chunks) as chunks, pytest.raises(SourceError) as error:
        next(chunks)
    assert code_of(error) == "template-not-found"
    assert error.value.facts["file"] == "b.csv"


def test_a_file_changed_while_it_is_read_is_no_state_it_ever_had(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", HEADINGS + "甲,乙,丙\n" * 50)
    with closing(source_of(file).read(None, size=10).chunks) as chunks:
        next(chunks)
        with file.open("ab") as late:
            late.write("甲,乙,丙\n".encode())
        with pytest.raises(SourceUnavailableError) as error:
            list(chunks)
    assert code_of(error) == "source-file-changed"


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "loop.csv"
    source = source_of(file)
    write(file, HEADINGS + "甲,乙,丙\n")
    reading = source.read(None)
    file.unlink()
    with pytest.raises(SourceUnavailableError) as error:
        next(reading.chunks)
    assert code_of(error) == "source-file-unreadable"


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff\r\x00"), max_size=8)


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8), size=st.integers(1, 5))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_what_a_writer_writes_is_read(tmp_path: Path, encoding: Any, rows: Sequence[Sequence[str]], size: int) -> None:
    file = tmp_path / "p.csv"
    with file.open("w", encoding=encoding, newline="") as opened:
        csv.writer(opened, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
            [PERMIT.headings, ["首", "", ""], *rows]
        )
    chunks = drain(source_of(file, encoding=encoding), size=size)
    found = [row for chunk in chunks for row in chunk.frame.drop(ROW).rows()]
    moved = str.maketrans("\ue7c7", "\u1e3f") if encoding == "gb18030" else {}
    expected = [tuple(cell.translate(moved) or None for cell in row) for row in rows if any(row)]
    assert found[0] == ("首", None, None)
    private = [row for row in expected if any("\ue000" <= c <= "\uf8ff" for cell in row for c in cell or "")]
    if not private:
        assert found[1:] == expected
    assert len(found) == len(expected) + 1
    assert problems(chunks) == []
