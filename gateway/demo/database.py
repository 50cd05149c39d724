"""The business database as a SQLite file: built from good rows, two published ones and some 3 % of defects, later changed.

The tables are what a bureau would have. Beside them stands ``DEMO_DEFECTS``: which row is wrong in which way and what its cells should
hold, so that a statement's figures can be compared with what is known to be there. No source reads it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Final

from gateway.catalog.model import Weight
from gateway.demo.bureau import BUREAU, Bureau
from gateway.demo.business import PENALTIES, PERMITS, TABLES, Table, rows
from gateway.demo.defects import DEFECTS, Cells, Defect
from gateway.demo.desk import Cell
from gateway.demo.published import PUBLISHED

__all__ = ["PENALTY_ROWS", "PERMIT_ROWS", "Tally", "build", "insert", "select", "tally", "update"]

PERMIT_ROWS: Final = 2_000
PENALTY_ROWS: Final = 600
_DEFECTIVE = 0.025  # a table has more where its part of the catalogue is longer: every defect is met
_WHOLE = 20  # the first twentieth of a table stays whole: a number given twice was given there first
_TRIES = 20_000

# SQLite keeps what it is given; the declared types are those that a bureau's table would have.
_TYPES: Final[Mapping[str, str]] = {
    "ID": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "JD_DATE": "DATE",
    "VALID_FROM": "DATE",
    "VALID_TO": "DATE",
    "PUBLIC_END": "DATE",
    "FINE_YUAN": "DECIMAL(14, 2)",
    "CONFISCATE_YUAN": "DECIMAL(14, 2)",
    "UPDATED_AT": "DATETIME",
}
_TEXT: Final = "VARCHAR(4000)"
_NOTES: Final = """
CREATE TABLE DEMO_DEFECTS (
    TABLE_NAME TEXT NOT NULL, ID INTEGER NOT NULL, DEFECT TEXT NOT NULL, CODE TEXT NOT NULL, WEIGHT TEXT NOT NULL, RIGHT_CELLS TEXT
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one table holds: its rows, the rows to be refused by code, the notices to be told by code."""

    rows: int
    rejected: Mapping[str, int]
    noticed: Mapping[str, int]

    @property
    def good(self) -> int:
        """The rows that become records."""
        return self.rows - sum(self.rejected.values())


def build(
    path: Path,
    seed: int,
    today: date,
    *,
    permits: int = PERMIT_ROWS,
    penalties: int = PENALTY_ROWS,
    bureau: Bureau = BUREAU,
) -> Mapping[str, Tally]:
    """Build the database and say what is in it, by table.

    Raises FileExistsError when there is a file already, ValueError when so few rows are asked for that a defect finds none to fit.
    """
    with path.open("xb"):
        pass  # claimed: another program's database is never written into
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(_NOTES)
        for table, count in ((PERMITS, permits), (PENALTIES, penalties)):
            columns = ", ".join(f"{column} {_TYPES.get(column, _TEXT)}" for column in table.columns)
            connection.execute(f"CREATE TABLE {table.name} ({columns})")
            for chunk in rows(table, count, seed, today=today, bureau=bureau):
                insert(connection, table, chunk)
            _spoil(connection, table, count, Random(f"{seed}/{table.name}/defects"))  # noqa: S311 - invented data, no secret
            _add_published(connection, table)
    return tally(path)


def tally(path: Path) -> Mapping[str, Tally]:
    """What the database holds now, by table."""
    with closing(sqlite3.connect(path)) as connection:
        return {name: _tally(connection, table) for name, table in TABLES.items()}


def insert(connection: sqlite3.Connection, table: Table, chunk: Iterable[tuple[Cell, ...]]) -> None:
    """Add rows in the order of ``table.columns``."""
    places = ", ".join("?" * len(table.columns))
    connection.executemany(f"INSERT INTO {table.name} VALUES ({places})", chunk)  # noqa: S608 - the table's own name


def select(connection: sqlite3.Connection, table: Table, number: int) -> Cells:
    """The row with the ID ``number``."""
    found = connection.execute(f"SELECT * FROM {table.name} WHERE ID = ?", (number,)).fetchone()  # noqa: S608 - as above
    return dict(zip(table.columns, found, strict=True))


def update(connection: sqlite3.Connection, table: Table, number: int, cells: Cells) -> None:
    """Put ``cells`` over the row with the ID ``number``."""
    names = ", ".join(f"{column} = ?" for column in cells)
    connection.execute(f"UPDATE {table.name} SET {names} WHERE ID = ?", (*cells.values(), number))  # noqa: S608 - as above


def _spoil(connection: sqlite3.Connection, table: Table, count: int, random: Random) -> None:
    """Every defect of the table once, then any of them until enough rows are wrong; the rows right before are noted."""
    whole = max(2, count // _WHOLE)
    spoilt: set[int] = set()
    for defect in _chosen(table, count, random):
        number, row = _fitting(connection, table, defect, range(whole + 1, count + 1), spoilt, random)
        spoilt.add(number)
        # Half of the whole part lies between the two, so that the earlier one is also of an earlier day.
        earlier = select(connection, table, random.randrange(1, whole // 2 + 1))
        cells = defect.cells(row, earlier)
        right = json.dumps({column: row[column] for column in cells}, ensure_ascii=False)
        update(connection, table, number, cells)
        _note(connection, table, number, defect.id, defect.code, defect.weight, right)
        for code in defect.also:
            _note(connection, table, number, defect.id, code, Weight.NOTICE, right)


def _chosen(table: Table, count: int, random: Random) -> Iterator[Defect]:
    defects = [defect for defect in DEFECTS if defect.table == table.name]
    yield from defects
    yield from random.choices(defects, k=max(0, round(count * _DEFECTIVE) - len(defects)))


def _fitting(
    connection: sqlite3.Connection, table: Table, defect: Defect, numbers: range, taken: set[int], random: Random
) -> tuple[int, Cells]:
    for _ in range(_TRIES if numbers else 0):
        number = random.choice(numbers)
        if number not in taken and defect.fits(row := select(connection, table, number)):
            return number, row
    raise ValueError(f"too few rows in {table.name}: none fits {defect.id}")


def _add_published(connection: sqlite3.Connection, table: Table) -> None:
    for published in PUBLISHED:
        if published.table == table.name:
            insert(connection, table, [tuple(published.cells.get(column) for column in table.columns)])
            (number,) = connection.execute("SELECT last_insert_rowid()").fetchone()
            _note(connection, table, number, "published", published.code, published.weight, None)


def _note(
    connection: sqlite3.Connection, table: Table, number: int, defect: str, code: str, weight: Weight, right: str | None
) -> None:
    note = (table.name, number, defect, code, weight.value, right)
    connection.execute("INSERT INTO DEMO_DEFECTS VALUES (?, ?, ?, ?, ?, ?)", note)


def _tally(connection: sqlite3.Connection, table: Table) -> Tally:
    (count,) = connection.execute(f"SELECT COUNT(*) FROM {table.name}").fetchone()  # noqa: S608 - the table's own name
    by_code = "SELECT CODE, COUNT(*) FROM DEMO_DEFECTS WHERE TABLE_NAME = ? AND WEIGHT = ? GROUP BY CODE ORDER BY CODE"
    rejected, noticed = (
        dict(connection.execute(by_code, (table.name, weight.value)).fetchall())
        for weight in (Weight.REJECT, Weight.NOTICE)
    )
    return Tally(rows=count, rejected=rejected, noticed=noticed)
