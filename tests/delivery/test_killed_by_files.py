"""SIGKILL before every file that is written, named or moved, on either side, where packages and answers travel as files: one copy of each
batch, nothing lost, nothing doubled, once in the ledger."""

from __future__ import annotations

import asyncio
import csv
import io
import signal
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gateway.app import Gateway
from gateway.exchange.file_names import digest_line
from gateway.store import batches, quarantine
from gateway.store.states import State
from tests.delivery.dying import Work, work_until_killed
from tests.delivery.foreign import lay_foreign
from tests.delivery.test_by_files import collect, nodes, proved
from tests.delivery.test_killed import audited
from tests.faults.books import open_read
from tests.nodes import Folder, Nodes, permit, run_once

__all__ = ["nodes"]

pytestmark = pytest.mark.fault("F3", "F4", "F5", "F6", "S1", "S2", "S3")
LAST = 10
"""Neither side changes more files for one package."""
POINTS = [pytest.param(at, marks=pytest.mark.slow) if at % 3 else at for at in range(LAST)]


async def again(gateway: Gateway) -> Any:
    """A run by which whatever waits is tried now."""
    with gateway.database.begin() as conn:
        for batch in batches.open_batches(conn):
            if batch.state in {State.READY, State.WAITING, State.UNKNOWN}:
                batches.put_off(conn, batch.id, next_attempt_at=batch.created_at)
            elif batch.state is State.SENDING:
                # The dead process's lease has to end; the test does not wait for it.
                conn.exec_driver_sql("UPDATE batch SET lease_until = created_at WHERE id = ?", (batch.id,))
    return await run_once(gateway)


async def to_the_end(nodes: Nodes) -> None:
    """The normal code on both sides, as often as it takes."""
    for _ in range(8):
        with nodes.province.open() as province:
            await collect(province)
            assert proved(province)
        with nodes.bureau.open() as bureau:
            await collect(bureau)
            await again(bureau)
            assert proved(bureau)
            with bureau.database.read() as conn:
                if not batches.open_batches(conn):
                    break
    audited(nodes)


def packages(folder: Path) -> list[str]:
    """Every copy of a package in a folder and below it."""
    return sorted(path.name for path in folder.rglob("*.asice") if not path.name.endswith(".receipt.asice"))


@pytest.mark.parametrize("at", POINTS)
@pytest.mark.parametrize(("who", "work"), [("bureau", run_once), ("province", collect), ("bureau", collect)])
async def test_killed_between_two_files(nodes: Nodes, tmp_path: Path, who: str, work: Work, at: int) -> None:
    nodes.business.write([permit(number) for number in range(1, 7)])
    doomed: Folder = getattr(nodes, who)
    if work is collect:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        if who == "bureau":
            with nodes.province.open() as province:
                await collect(province)
    assert await work_until_killed(doomed.path, at, work) in {-signal.SIGKILL, 0}
    await to_the_end(nodes)
    put = packages(tmp_path / "exchange" / "outgoing")
    assert len(put) == len(set(put)) == 2, put


@pytest.mark.parametrize("at", POINTS)
@pytest.mark.parametrize("work", [run_once, collect])
async def test_killed_while_a_receivers_own_files_are_written_or_its_answer_is_taken_down(
    tmp_path: Path, work: Work, at: int
) -> None:
    nodes, place = lay_foreign(tmp_path, "credit-2018-split"), tmp_path / "exchange"
    nodes.business.write([permit(number) for number in range(1, 4)])
    if work is collect:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        answer(place)
    code = await work_until_killed(nodes.bureau.path, at, work)
    assert code in {-signal.SIGKILL, 0}
    for _ in range(3):
        with nodes.bureau.open() as bureau:
            await collect(bureau)
            await again(bureau)
        answer(place)
    with nodes.bureau.open() as bureau:
        await collect(bureau)
        assert proved(bureau)
        with bureau.database.read() as conn:
            (batch,) = batches.list_batches(conn, limit=10)
            (case,) = quarantine.cases(conn)
    assert (batch.state, batch.total) == (State.RECONCILED, 3)
    assert case.key == permit(2)["XK_WSH"]
    with closing(open_read(nodes.bureau.path / "var" / "gateway.db")) as journal:
        entries = journal.execute("SELECT count(*) FROM entry WHERE kind = 'batch.reconciled'").fetchone()
    assert entries == (1,)
    assert len(list(place.rglob("行政许可_法人_*.xlsx"))) == 1


def answer(place: Path) -> None:
    """The receiver answers every file that is whole, once: all but the second row."""
    for file in (place / "outgoing").glob("*.xlsx"):
        digest, told = file.with_name(f"{file.name}.sha256"), place / "incoming" / f"{file.stem}_反馈.csv"
        with suppress(FileNotFoundError):
            assert digest.read_bytes() == digest_line(file.name, file.read_bytes())
            if told.exists() or list(place.glob(f"incoming/*/{told.name}")):
                continue
            text = io.StringIO()
            rows = len(pl.read_excel(file, infer_schema_length=0))
            lines = [
                (row, "失败" if row == 3 else "成功", "", "重复" if row == 3 else "") for row in range(2, rows + 2)
            ]
            csv.writer(text).writerows([("行号", "结果", "代码", "说明"), *lines])
            told.write_bytes(text.getvalue().encode())
            told.with_name(f"{told.name}.sha256").write_bytes(digest_line(told.name, told.read_bytes()))


async def test_more_files_than_are_tried_are_not_written(nodes: Nodes, tmp_path: Path) -> None:
    nodes.business.write([permit(number) for number in range(1, 5)])
    for folder, work in ((nodes.bureau, run_once), (nodes.province, collect), (nodes.bureau, collect)):
        assert await work_until_killed(folder.path, LAST, work) == 0
    audited(nodes)
    (tmp_path / "other").mkdir()
    foreign = lay_foreign(tmp_path / "other", "credit-2018-split")
    foreign.business.write([permit(number) for number in range(1, 4)])
    assert await work_until_killed(foreign.bureau.path, LAST, run_once) == 0
    await asyncio.to_thread(answer, tmp_path / "other" / "exchange")
    assert await work_until_killed(foreign.bureau.path, LAST, collect) == 0
