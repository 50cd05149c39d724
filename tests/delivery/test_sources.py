"""Every kind of source feeds the whole way: other engines, cursor mode, files with the headings that units really use."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
import xlsxwriter

from gateway.delivery.statement import Statement
from gateway.errors import SourceError
from gateway.store import batches, quarantine, shares
from gateway.store.quarantine import Stage
from tests.delivery.test_exchange import held_there
from tests.nodes import BUREAU, COLUMNS, MAPPINGS, Nodes, lay_nodes, permit, run_once
from tests.sources.databases import KINDS, Database, open_database

LEGAL = {
    "行政相对人名称": "双鸭山智慧城市运营有限公司",
    "代码_1": "91230500MA1B3N1N2M",
    "法定代表人": "测试甲",
    "行政许可决定文书名称": "道路运输许可决定书",
    "许可类别": "普通",
    "许可内容": "㐀䶮客运经营",  # beyond GBK: an extension A character that GB 18030 carries
    "许可决定日期": "2026/9/1",
    "有效期自": "2026/9/5",
    "有效期至": "2029/9/4",
    "许可机关": "示例林业局交通运输局",
    "许可机关统一社会信用代码": BUREAU,
    "当前状态": "1",
    "数据来源单位": "示例林业局交通运输局",
    "数据来源单位统一社会信用代码": BUREAU,
}


def headings(mapping: str) -> list[str]:

    found: list[str] = tomllib.loads((MAPPINGS / "sources" / f"{mapping}.toml").read_text("utf-8"))["headings"]
    return found


def row(names: list[str], number: int, **changes: str) -> list[str]:
    """A row in the order of ``names``; a value belongs to the heading that begins with its key or holds it as a code's number."""
    values: Mapping[str, str] = {**LEGAL, "行政许可决定文书号": f"黑森交许〔2026〕{number}号", **changes}

    def cell(name: str) -> str:
        if name in values:
            return values[name]
        return values["代码_1"] if "代码_1" in name else ""

    return [cell(name) for name in names]


async def transferred(nodes: Nodes) -> tuple[Statement, dict[str, tuple[int, str]]]:
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            return await run_once(bureau), held_there(province)


def fill(database: Database, table: str, rows: list[dict[str, object]]) -> None:
    with database.engine.begin() as conn:
        conn.execute(sa.text(f"DELETE FROM {table}"))
        marks = ", ".join(f":{name}" for name in COLUMNS)
        for values in rows:
            conn.execute(sa.text(f"INSERT INTO {table} VALUES ({marks})"), {name: values.get(name) for name in COLUMNS})


@pytest.mark.parametrize("kind", KINDS)
async def test_databases_of_every_engine(kind: str, tmp_path: Path) -> None:
    """Full mode: what is no longer listed is withdrawn."""
    with open_database(kind, tmp_path) as database:  # type: ignore[arg-type]  # the parameter is one of KINDS
        days = {"XK_JDRQ", "XK_YXQZ", "XK_YXQZI"}
        table = database.table(**{name: "day" if name in days else "long" for name in COLUMNS})
        url = database.url
        source = f'kind = "sql"\nmapping = "credit-2018-permits"\nurl = "{url}"\nquery = "SELECT * FROM {table}"\n'
        nodes = lay_nodes(tmp_path, source)
        fill(database, table, [permit(1), permit(2), permit(3)])
        first, held = await transferred(nodes)
        assert (first.rows, first.sealed, first.answered.created) == (3, 3, 3)
        assert len(held) == 3
        fill(database, table, [permit(1), permit(3, XK_NR="改")])
        second, _ = await transferred(nodes)
        assert (second.vanished, second.unchanged, second.answered.updated, second.answered.withdrawn) == (1, 1, 1, 1)


async def test_cursor_mode_reads_what_is_new_and_never_withdraws(tmp_path: Path) -> None:
    file = tmp_path / "business.db"
    source = (
        f'kind = "sql"\nmapping = "credit-2018-permits"\nurl = "sqlite:///{file}"\nquery = "SELECT * FROM permits"\n'
        'mode = "cursor"\ncursor = "UPDATED_AT"\noverlap = "10m"\n'
    )
    nodes = lay_nodes(tmp_path, source)
    columns = (*COLUMNS, "UPDATED_AT")
    old = [permit(number, UPDATED_AT=f"2026-09-01 0{number}:00:00") for number in range(1, 5)]
    nodes.business.write(old, columns)
    first, _ = await transferred(nodes)
    assert (first.rows, first.sealed) == (4, 4)
    # Number 1 is gone, 5 was committed late with a time inside the overlap, 6 is new.
    late, new = permit(5, UPDATED_AT="2026-09-01 03:55:00"), permit(6, UPDATED_AT="2026-09-01 05:00:00")
    nodes.business.write([*old[1:], late, new], columns)
    second, held = await transferred(nodes)
    assert (second.rows, second.sealed, second.vanished) == (3, 2, 0), "4 again by the overlap, and the two new ones"
    assert len(held) == 6


async def test_a_csv_of_the_2018_template_in_gb18030(tmp_path: Path) -> None:
    """A title above the headings, other brackets in them, a row of the wrong width, a last line without an end."""
    names = headings("split-2018-permits-legal")
    file = tmp_path / "许可.csv"
    with file.open("w", encoding="gb18030", newline="") as written:
        writer = csv.writer(written)
        writer.writerow(["行政许可信息（法人及非法人组织）"])
        writer.writerow([name.replace(" (", "（").replace(")", "）") for name in names])
        writer.writerow(row(names, 1))
        writer.writerow(row(names, 2)[:5])
        written.write(",".join(row(names, 3)))
    nodes = lay_nodes(
        tmp_path, f'kind = "csv"\nmapping = "split-2018-permits-legal"\npath = "{file}"\ncomplete = true\n'
    )
    statement, held = await transferred(nodes)
    assert (statement.rows, statement.quarantined, statement.sealed, statement.answered.created) == (3, 1, 2, 2)
    assert set(held) == {"黑森交许〔2026〕1号", "黑森交许〔2026〕3号"}


async def test_a_workbook_of_the_ministry_sheet(tmp_path: Path) -> None:
    """Dates as Excel keeps them; the first and the last row count."""
    names = headings("ministry-permits")
    file = tmp_path / "permits.xlsx"
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet("数据")
        date_format = book.add_format({"num_format": "yyyy/mm/dd"})
        for column, name in enumerate(names):
            sheet.write(0, column, name)
        for line in range(1, 4):
            for column, cell in enumerate(row(names, line)):
                if names[column] == "许可决定日期":
                    sheet.write_number(line, column, 46266, date_format)  # 2026-09-01
                else:
                    sheet.write(line, column, cell)
    nodes = lay_nodes(tmp_path, f'kind = "excel"\nmapping = "ministry-permits"\npath = "{file}"\n')
    statement, held = await transferred(nodes)
    assert (statement.rows, statement.sealed, statement.answered.created) == (3, 3, 3)
    assert len(held) == 3


async def test_two_exchanges_may_share_a_route(tmp_path: Path) -> None:
    """One catalog from two sources to one peer: a batch that one exchange left behind is settled as its own by the other's run."""
    names = headings("split-2018-permits-legal")
    for part, numbers in (("a", (1, 2)), ("b", (3,))):
        with (tmp_path / f"{part}.csv").open("w", encoding="utf-8", newline="") as written:
            csv.writer(written).writerows(
                [names, *(row(names, number, 行政许可决定文书名称=f"黑森交许〔2026〕{number}号") for number in numbers)]
            )
    kind = 'kind = "csv"\nmapping = "split-2018-permits-legal"\n'
    nodes = lay_nodes(
        tmp_path, f'{kind}path = "{tmp_path}/a.csv"\n\n[sources.others]\n{kind}path = "{tmp_path}/b.csv"\n'
    )
    catalog = nodes.province.path / "mappings" / "catalogs" / "administrative-license.toml"
    before, mark, after = catalog.read_text("utf-8").partition("[rules.name-is-not-number]")
    catalog.write_text(before + mark + after.replace('"notice"', '"reject"', 1), "utf-8")

    def both(gateway_folder: Path) -> None:
        config = gateway_folder / "config.toml"
        text = config.read_text("utf-8")
        again = (
            text[text.index("[exchanges.permits-to-province]") :]
            .replace("permits-to", "others-to")
            .replace('"permits"', '"others"')
        )
        config.write_text(f"{text}\n{again}", "utf-8")

    both(nodes.bureau.path)
    with nodes.bureau.open() as bureau:
        assert (await run_once(bureau)).open == 2, "the province is not there yet"
        with bureau.database.begin() as conn:
            (waiting,) = batches.open_batches(conn)
            batches.put_off(conn, waiting.id, next_attempt_at=waiting.created_at)
    async with nodes.province_listening():
        both(nodes.bureau.path)
        with nodes.bureau.open() as bureau:
            other = await run_once(bureau, "others-to-province")
            assert (other.sealed, other.answered.rejected) == (1, 1)
            with bureau.database.read() as conn:
                assert batches.open_batches(conn) == []
                assert shares.outcomes(conn, "permits-to-province") == {"rejected": 2}
                cases = {
                    (case.exchange, case.source, case.key) for case in quarantine.cases(conn, stage=Stage.RECEIVER)
                }
    assert {(exchange, source) for exchange, source, _ in cases} == {
        ("permits-to-province", "permits"),
        ("others-to-province", "others"),
    }
    assert len(cases) == 3


async def test_another_template_is_refused_with_its_columns_named(tmp_path: Path) -> None:
    names = headings("split-2018-permits-legal")
    file = tmp_path / "penalties.csv"
    with file.open("w", encoding="utf-8", newline="") as written:
        csv.writer(written).writerow([name for name in names if name != "许可类别"] + ["处罚类别"])
    nodes = lay_nodes(tmp_path, f'kind = "csv"\nmapping = "split-2018-permits-legal"\npath = "{file}"\n')
    with pytest.raises(SourceError) as caught:
        await transferred(nodes)
    assert "许可类别" in caught.value.say("zh-CN")
    assert "处罚类别" in caught.value.say("zh-CN")
