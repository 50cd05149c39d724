from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.demo.business import PENALTIES, PERMITS, Table
from gateway.demo.changes import change
from gateway.demo.database import build, tally
from tests.demo.reading import TODAY, Read

Reading = Callable[[Path, Table], Read]


def table_rows(path: Path, table: Table) -> dict[int, tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0]: row for row in connection.execute(f"SELECT * FROM {table.name}")}


def keys(path: Path, table: Table, numbers: tuple[int, ...]) -> set[object]:
    rows = table_rows(path, table)
    return {rows[number][table.columns.index(table.key)] for number in numbers}


def test_the_report_is_what_the_rows_show(database: Path, table: Table) -> None:
    before = table_rows(database, table)
    done = change(database, 7, TODAY)[table.name]
    after = table_rows(database, table)
    assert set(done.added) == after.keys() - before.keys()
    assert set(done.deleted) == before.keys() - after.keys()
    written = {number for number in before.keys() & after.keys() if before[number] != after[number]}
    assert {*done.corrected, *done.altered} == written
    assert not set(done.corrected) & set(done.altered)


def test_the_report_is_what_the_next_run_finds(database: Path, table: Table, reading: Reading) -> None:
    before = reading(database, table)
    done = change(database, 7, TODAY)[table.name]
    after = reading(database, table)
    shared = before.records.keys() & after.records.keys()
    assert len(after.records.keys() - before.records.keys()) == done.new
    assert len(before.records.keys() - after.records.keys()) == len(done.deleted)
    assert sum(before.records[key] != after.records[key] for key in shared) == len(done.altered)
    assert before.problems.keys() - after.problems.keys() == set(done.corrected)
    assert after.problems.keys() <= before.problems.keys()


def test_the_tally_follows_the_change(database: Path, table: Table, reading: Reading) -> None:
    before = tally(database)[table.name]
    done = change(database, 7, TODAY)[table.name]
    after, found = tally(database)[table.name], reading(database, table)
    assert after.rejected == found.rows_by_code("reject")
    assert after.noticed == found.rows_by_code("notice")
    assert after.good == len(found.records)
    assert after.rows == before.rows + len(done.added) - len(done.deleted)
    assert after.good == before.good + done.new - len(done.deleted)


def test_about_as_much_happens_as_a_week_brings(database: Path) -> None:
    done = change(database, 7, TODAY)
    assert sum(len(changes.altered) for changes in done.values()) == 40
    assert sum(len(changes.deleted) for changes in done.values()) == 15
    assert sum(len(changes.added) for changes in done.values()) == 25
    assert all(len(changes.corrected) > 5 for changes in done.values())


def test_a_cursor_meets_every_written_row(database: Path, table: Table) -> None:
    stamped = table.columns.index("UPDATED_AT")
    last = max(str(row[stamped]) for row in table_rows(database, table).values())
    for seed in (1, 2):
        done = change(database, seed, TODAY)[table.name]
        rows = table_rows(database, table)
        written = {number for number, row in rows.items() if str(row[stamped]) > last}
        assert written == {*done.corrected, *done.altered, *done.added}
        last = max(str(row[stamped]) for row in rows.values())


def test_a_number_is_never_given_to_a_second_decision(database: Path, table: Table) -> None:
    given: set[object] = set()
    for seed in range(12):
        done = change(database, seed, TODAY)[table.name]
        fresh = keys(database, table, done.added)
        assert len(fresh) == len(done.added)
        assert not fresh & given
        given |= fresh


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_changes_come_one_after_another(tmp_path: Path, seed: int, table: Table, reading: Reading) -> None:
    path = tmp_path / "business.db"
    build(path, seed, TODAY)
    for _ in range(3):
        before = reading(path, table)
        done = change(path, seed, TODAY)[table.name]
        after = reading(path, table)
        shared = before.records.keys() & after.records.keys()
        assert sum(before.records[key] != after.records[key] for key in shared) == len(done.altered)
        assert len(after.records) == len(before.records) + done.new - len(done.deleted)


def test_the_same_seed_does_the_same(tmp_path: Path, database: Path) -> None:
    other = tmp_path / "other.db"
    build(other, 7, TODAY)
    assert change(database, 5, TODAY) == change(other, 5, TODAY)
    assert [table_rows(database, table) for table in (PERMITS, PENALTIES)] == [
        table_rows(other, table) for table in (PERMITS, PENALTIES)
    ]
