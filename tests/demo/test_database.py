from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from gateway.demo.business import PENALTIES, PERMITS, Table
from gateway.demo.database import PENALTY_ROWS, PERMIT_ROWS, build, tally
from gateway.demo.defects import DEFECTS
from gateway.demo.published import PUBLISHED
from tests.demo.reading import TODAY, Read

Reading = Callable[[Path, Table], Read]


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def notes(path: Path, table: Table) -> list[tuple[int, str, str, str]]:
    query = "SELECT ID, DEFECT, CODE, WEIGHT FROM DEMO_DEFECTS WHERE TABLE_NAME = ?"
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, (table.name,)).fetchall()


def test_the_gateway_finds_what_was_put_in_and_nothing_else(database: Path, table: Table, reading: Reading) -> None:
    found = reading(database, table)
    expected: dict[int, set[tuple[str, str]]] = {}
    for number, _, code, weight in notes(database, table):
        expected.setdefault(number, set()).add((code, weight))
    assert {number: set(problems) for number, problems in found.problems.items()} == expected


def test_the_tally_is_what_the_gateway_counts(database: Path, table: Table, reading: Reading) -> None:
    counted, found = tally(database)[table.name], reading(database, table)
    assert counted.rows == (PERMIT_ROWS if table is PERMITS else PENALTY_ROWS) + 1
    assert counted.rejected == found.rows_by_code("reject")
    assert counted.noticed == found.rows_by_code("notice")
    assert counted.good == len(found.records)


@pytest.mark.parametrize(("seed", "today"), [(1, date(2026, 1, 5)), (2, TODAY), (3, date(2029, 7, 1))])
def test_building_says_what_it_built(tmp_path: Path, seed: int, today: date, table: Table, reading: Reading) -> None:
    path = tmp_path / "business.db"
    built = build(path, seed, today)
    assert built == tally(path)
    found = reading(path, table)
    assert built[table.name].rejected == found.rows_by_code("reject")
    assert built[table.name].noticed == found.rows_by_code("notice")


def test_some_three_in_a_hundred_are_defective_in_every_way(database: Path) -> None:
    noted = {(table.name, defect) for table in (PERMITS, PENALTIES) for _, defect, _, _ in notes(database, table)}
    assert noted >= {(defect.table, defect.id) for defect in DEFECTS}
    wrong = len({(table.name, note[0]) for table in (PERMITS, PENALTIES) for note in notes(database, table)})
    assert 0.025 < wrong / (PERMIT_ROWS + PENALTY_ROWS) < 0.035


def test_the_published_rows_are_found_as_they_are_known(database: Path, reading: Reading) -> None:
    (permit,) = [number for number, defect, _, _ in notes(database, PERMITS) if defect == "published"]
    (penalty,) = [number for number, defect, _, _ in notes(database, PENALTIES) if defect == "published"]
    found = reading(database, PERMITS)
    assert found.problems[permit] == [("placeholder-code", "reject")] * 2
    assert "双环许可2019" not in found.records
    found = reading(database, PENALTIES)
    assert found.problems[penalty] == [("order-violated", "notice")]
    assert "市场【2019】1号" in found.records


@pytest.mark.parametrize("table_", [PERMITS, PENALTIES], ids=lambda table: table.name)
def test_published_rows_name_columns_of_their_table(table_: Table) -> None:
    (row,) = [row for row in PUBLISHED if row.table == table_.name]
    assert set(row.cells) <= set(table_.columns)


def test_two_builds_are_alike(tmp_path: Path, database: Path) -> None:
    build(tmp_path / "again.db", 7, TODAY)
    build(tmp_path / "other.db", 8, TODAY)
    assert dump(tmp_path / "again.db") == dump(database)
    assert dump(tmp_path / "other.db") != dump(database)


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    path.write_text("theirs")
    with pytest.raises(FileExistsError):
        build(path, 1, TODAY)
    assert path.read_text() == "theirs"


def test_too_few_rows_for_every_defect_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too few rows in XZXK"):
        build(tmp_path / "small.db", 1, TODAY, permits=20, penalties=20)


def test_nothing_in_the_database_lies_in_the_future(database: Path, table: Table) -> None:
    with closing(sqlite3.connect(database)) as connection:
        (last,) = connection.execute(f"SELECT MAX(UPDATED_AT) FROM {table.name}").fetchone()
    assert last < TODAY.isoformat()
