"""What happens to the business database between two runs: defects are mended, decisions changed, deleted and added."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Final

from gateway.catalog.publicity import add_months
from gateway.demo.bureau import BUREAU, Bureau
from gateway.demo.business import PENALTIES, PERMITS, TABLES, Table, rows
from gateway.demo.database import insert, select, update
from gateway.demo.defects import Cells

__all__ = ["Changes", "change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What was done to one table, by row ID.

    ``corrected`` rows were to be refused and are good now: with ``added`` they are the new records. ``altered`` rows were good and still
    are, ``deleted`` ones were good and are gone.
    """

    corrected: tuple[int, ...]
    altered: tuple[int, ...]
    deleted: tuple[int, ...]
    added: tuple[int, ...]

    @property
    def new(self) -> int:
        """How many records the next run meets for the first time."""
        return len(self.corrected) + len(self.added)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """How many rows of a table are altered, deleted, added."""

    altered: int
    deleted: int
    added: int


_MEASURES: Final[Mapping[str, _Measure]] = {
    PERMITS.name: _Measure(altered=30, deleted=11, added=19),
    PENALTIES.name: _Measure(altered=10, deleted=4, added=6),
}
_RECENTLY = timedelta(days=10)


def change(path: Path, seed: int, today: date, *, bureau: Bureau = BUREAU) -> Mapping[str, Changes]:
    """Mend half of the rows that are to be refused, alter some 40 good ones, delete some 15, add some 25 of the last days.

    Every written row is stamped later than any before. The same seed does the same to the same database. Raises ValueError when a
    table has too few good rows.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        return {name: _change(connection, table, seed, today, bureau) for name, table in TABLES.items()}


def _change(connection: sqlite3.Connection, table: Table, seed: int, today: date, bureau: Bureau) -> Changes:
    random = Random(f"{seed}/{table.name}/changes")  # noqa: S311 - invented data, no secret
    measure = _MEASURES[table.name]
    stamp = _stamp(connection, table, today)
    good = random.sample(_good(connection, table), measure.altered + measure.deleted)
    altered, deleted = good[: measure.altered], good[measure.altered :]
    corrected = _correct(connection, table, stamp, random)
    for number in altered:
        cells = _altered(table, select(connection, table, number), random)
        update(connection, table, number, {**cells, "UPDATED_AT": stamp})
    remove = f"DELETE FROM {table.name} WHERE ID = ?"  # noqa: S608 - the table's own name
    connection.executemany(remove, [(number,) for number in deleted])
    added = _add(connection, table, measure.added, seed, today, bureau, stamp)
    return Changes(
        corrected=tuple(sorted(corrected)),
        altered=tuple(sorted(altered)),
        deleted=tuple(sorted(deleted)),
        added=added,
    )


def _stamp(connection: sqlite3.Connection, table: Table, today: date) -> str:
    """The first second of ``today``, or the one after the last change."""
    (last,) = connection.execute(f"SELECT MAX(UPDATED_AT) FROM {table.name}").fetchone()  # noqa: S608 - as above
    moment = max(datetime.combine(today, time()), datetime.fromisoformat(last) + timedelta(seconds=1))
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _good(connection: sqlite3.Connection, table: Table) -> list[int]:
    """The rows that nothing is said of and whose number no other row bears: what happens to them happens to one record."""
    query = f"""
        SELECT ID FROM {table.name}
        WHERE ID NOT IN (SELECT ID FROM DEMO_DEFECTS WHERE TABLE_NAME = ?)
        AND {table.key} NOT IN (SELECT {table.key} FROM {table.name} WHERE {table.key} IS NOT NULL GROUP BY 1 HAVING COUNT(*) > 1)
        ORDER BY ID
    """  # noqa: S608 - as above
    return [number for (number,) in connection.execute(query, (table.name,))]


def _correct(connection: sqlite3.Connection, table: Table, stamp: str, random: Random) -> list[int]:
    noted = connection.execute(
        "SELECT ID, RIGHT_CELLS FROM DEMO_DEFECTS"
        " WHERE TABLE_NAME = ? AND WEIGHT = 'reject' AND RIGHT_CELLS IS NOT NULL ORDER BY ID",
        (table.name,),
    ).fetchall()
    mended = random.sample(noted, (len(noted) + 1) // 2)
    for number, right in mended:
        update(connection, table, number, {**json.loads(right), "UPDATED_AT": stamp})
        connection.execute("DELETE FROM DEMO_DEFECTS WHERE TABLE_NAME = ? AND ID = ?", (table.name, number))
    return [number for number, _ in mended]


def _altered(table: Table, row: Cells, random: Random) -> Cells:
    """Cells that make another record of a good row, and a good one."""
    text = "XK_CONTENT" if table is PERMITS else "CF_CONTENT"
    alterations: list[Cells] = [{text: f"{row[text]!s}（更正）"}, {"LY_NAME": f"{row['LY_NAME']!s}（代章）"}]
    if row["VALID_TO"] is not None:
        alterations.append({"VALID_TO": add_months(date.fromisoformat(str(row["VALID_TO"])), 12).isoformat()})
    if table is PERMITS and row["ZT"] == "1":
        alterations.append({"ZT": "注销", "REMARK": "依申请注销"})
    return random.choice(alterations)


def _add(
    connection: sqlite3.Connection, table: Table, count: int, seed: int, today: date, bureau: Bureau, stamp: str
) -> tuple[int, ...]:
    # Not the largest ID that is left: the number of a deleted row must not come back on another decision.
    (last,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
    stamped = table.columns.index("UPDATED_AT")
    for chunk in rows(table, count, seed, today=today, first=last + 1, since=today - _RECENTLY, bureau=bureau):
        insert(connection, table, [(*row[:stamped], stamp, *row[stamped + 1 :]) for row in chunk])
    return tuple(range(last + 1, last + count + 1))
