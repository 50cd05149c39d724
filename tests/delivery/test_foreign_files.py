"""A receiver with spreadsheets, from the source to the ledger: its templates go out, its answers come back, what it refuses finds its unit."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from gateway.exchange.file_names import digest_line
from gateway.orders import ORDERS
from gateway.store import batches, quarantine
from gateway.store.states import State
from tests.delivery.foreign import lay_foreign
from tests.delivery.test_by_files import collect
from tests.nodes import Nodes, permit, run_once

FORMATS: Mapping[str, tuple[str, int, str]] = {
    "credit-2018-split": ("行政许可_法人_*.xlsx", 24, "行政许可决定文书号"),
    "mot-sheets": ("ZHXYXT0000_XYDYJH1-0102_*.xls", 27, "行政许可决定文书号"),
}


@pytest.fixture(params=FORMATS)
def format_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def nodes(tmp_path: Path, format_id: str) -> Nodes:
    return lay_foreign(tmp_path, format_id)


def take(place: Path, pattern: str) -> tuple[str, pl.DataFrame]:
    """The receiver takes its file away: the only one of that name."""
    (file,) = (place / "outgoing").glob(pattern)
    sheet = pl.read_excel(file, infer_schema_length=0)
    digest = file.with_name(f"{file.name}.sha256")
    assert digest.read_text("utf-8").split()[1] == file.name
    digest.unlink()
    file.unlink()
    return file.stem, sheet


def answer(place: Path, stem: str, rows: list[tuple[object, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("行号", "结果", "代码", "说明"), *rows])
    path = place / "incoming" / f"{stem}_反馈.csv"
    path.write_bytes(text.getvalue().encode())
    path.with_name(f"{path.name}.sha256").write_bytes(digest_line(path.name, path.read_bytes()))


@pytest.mark.sends(catalog="administrative-license", format=("credit-2018-split", "mot-sheets"), mode="file")
async def test_sheets_go_out_and_answers_come_back(nodes: Nodes, format_id: str, tmp_path: Path) -> None:
    pattern, columns, key = FORMATS[format_id]
    place = tmp_path / "exchange"
    rows = [permit(number) for number in range(1, 5)]
    nodes.business.write(rows)
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        stem, sheet = take(place, pattern)
        assert (len(sheet.columns), len(sheet)) == (columns, 4)
        assert sheet[key].to_list() == [row["XK_WSH"] for row in rows]
        assert sheet["许可决定日期"].to_list()[0] == "2026/09/01"
        answer(place, stem, [(2, "成功", "", ""), (3, "失败", "E1", "重复"), (4, "成功", "", ""), (5, "成功", "", "")])
        assert len((await collect(bureau))["receipts"]) == 1
        with bureau.database.read() as conn:
            (batch,) = batches.list_batches(conn, limit=10)
            (case,) = quarantine.cases(conn)
        assert batch.state is State.RECONCILED
        assert case.reasons[0].expected == "E1 重复"
        # What vanished at the source is told by a list of its own.
        nodes.business.write(rows[:1])
        again = await run_once(bureau)
        assert again.vanished == 3
        stem, gone = take(place, f"撤销清单_*{Path(pattern).suffix}")
        assert sorted(gone["记录编号"].to_list()) == sorted(str(row["XK_WSH"]) for row in rows[1:])
        answer(place, stem, [(row, "成功", "", "") for row in (2, 3, 4)])
        assert len((await collect(bureau))["receipts"]) == 1


async def test_a_file_that_is_refused_waits_for_a_person(nodes: Nodes, format_id: str, tmp_path: Path) -> None:
    pattern, _, _ = FORMATS[format_id]
    place = tmp_path / "exchange"
    nodes.business.write([permit(1)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        stem, _ = take(place, pattern)
        answer(place, stem, [("", "失败", "E9", "模板不对")])
        with bureau.database.read() as conn:
            (batch,) = batches.list_batches(conn, limit=10)
        order = {"batch": batch.id, "person": "tester", "reason": "ask now"}
        await ORDERS["retry"](bureau, order, lambda _stage, _count: None)
        with bureau.database.read() as conn:
            (batch,) = batches.list_batches(conn, limit=10)
        assert batch.state is State.REFUSED
        assert batch.reason == "receiver-refused: E9 模板不对"
        # Mended on their side: the same bytes go again.
        await ORDERS["retry"](bureau, order, lambda _stage, _count: None)
        stem, _ = take(place, pattern)
        answer(place, stem, [(2, "成功", "", "")])
        assert len((await collect(bureau))["receipts"]) == 1
