"""A source that changes while it is read, or holds a row that poisons: each run sees one state of it, whole, and one row stops no other."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.delivery.run import Order
from gateway.delivery.statement import Statement
from gateway.errors import MappingError
from gateway.store import quarantine
from tests.faults.books import audit, journal, open_read
from tests.faults.tally import Tally
from tests.nodes import Nodes, lay_nodes, permit

MANY = 6_000
"""More than one chunk of a reading."""


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    laid = lay_nodes(tmp_path)
    laid.business.write([permit(number) for number in range(1, MANY + 1)])
    # A database that lets others write while it is read, as servers do.
    with closing(sqlite3.connect(laid.business.file)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
    return laid


async def run(bureau: Gateway, *, between: Callable[[], None] = lambda: None, full: bool = False) -> Statement:
    """One run; ``between`` happens once, between its first chunk of rows and its second."""
    waiting = [between]

    def tell(stage: str, _count: int) -> None:
        if stage == "read" and waiting:
            waiting.pop()()

    async with bureau.exchange("permits-to-province") as opened:
        statement = await bureau.runner.run(opened, Order(person="tester", reason="test", full=full), tell)
    assert statement is not None
    return statement


def many(nodes: Nodes) -> None:
    config = nodes.bureau.path / "config.toml"
    config.write_text(config.read_text("utf-8").replace("batch_size = 4", "batch_size = 2000"), "utf-8")


@pytest.mark.fault("F33", "S12")
async def test_rows_that_change_during_the_reading_go_with_the_next_run(nodes: Nodes, tally: Tally) -> None:
    """The first row, already read, and the last, not read yet: both as they were; then both as they are."""

    def change() -> None:
        with closing(sqlite3.connect(nodes.business.file)) as conn, conn:
            conn.execute("UPDATE permits SET XK_NR = '改' WHERE rowid IN (1, ?)", (MANY,))
            conn.execute("DELETE FROM permits WHERE rowid = ?", (MANY - 1,))

    async with nodes.province_listening():
        many(nodes)
        with nodes.bureau.open() as bureau:
            first = await run(bureau, between=change)
            assert (first.rows, first.sealed) == (MANY, MANY)
            with closing(open_read(journal(nodes.province))) as conn:
                assert conn.execute("SELECT count(*) FROM inbox_record WHERE content LIKE '%\"改\"%'").fetchone() == (
                    0,
                )
            second = await run(bureau)
            assert (second.rows, second.sealed, second.vanished) == (MANY - 1, 3, 1)
    tally.note(audit(nodes), 1)


@pytest.mark.fault("F32")
async def test_columns_that_change_during_the_reading(nodes: Nodes, tally: Tally) -> None:
    """The run ends with what it began with. The next one finds the column gone, and fails as a whole; it comes back, and nothing is lost."""

    def alter(statement: str) -> None:
        with closing(sqlite3.connect(nodes.business.file)) as conn, conn:
            conn.execute(statement)

    async with nodes.province_listening():
        many(nodes)
        with nodes.bureau.open() as bureau:
            first = await run(bureau, between=lambda: alter("ALTER TABLE permits RENAME COLUMN XK_NR TO XK_NEIRONG"))
            assert (first.rows, first.sealed, first.quarantined) == (MANY, MANY, 0)
            with pytest.raises(MappingError, match="column-missing"):
                await run(bureau)
            alter("ALTER TABLE permits RENAME COLUMN XK_NEIRONG TO XK_NR")
            assert (await run(bureau)).sealed == 0
    tally.note(audit(nodes), 1)


@pytest.mark.fault("F34", "S15")
async def test_one_poisoned_row_among_ten_thousand(nodes: Nodes, tally: Tally) -> None:
    """9 999 arrive, one waits with its reason, and the figures say so; nothing of it is cut, nulled or guessed."""
    poison = 7_321
    nodes.business.write(
        [permit(number, XK_JDRQ="2026-02-30" if number == poison else "2026-09-01") for number in range(1, 10_001)]
    )
    async with nodes.province_listening():
        many(nodes)
        with nodes.bureau.open() as bureau:
            statement = await run(bureau)
            assert (statement.rows, statement.quarantined, statement.sealed) == (10_000, 1, 9_999)
            assert (statement.answered.created, statement.answered.rejected) == (9_999, 0)
            assert dict(statement.quarantined_by) == {"date-invalid": 1}
            with bureau.database.read() as conn:
                (case,) = quarantine.cases(conn)
            assert json.loads(case.row)["XK_JDRQ"] == "2026-02-30"
            nodes.business.write([permit(number) for number in range(1, 10_001)])
            assert (await run(bureau)).answered.created == 1
    tally.note(audit(nodes), 1)
