"""Reading on from a position: nothing that was committed is lost, whatever its order, its fraction of a second or its lack of a value."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import SourceError
from gateway.sources.sql import SqlSource
from tests.sources.conftest import SHANGHAI, code_of, drain, problems, source_of, values
from tests.sources.databases import Database, open_database

TEN_MINUTES = timedelta(minutes=10)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def stamp(database: Database, text: str) -> Any:
    """A time as the engine's time column takes it."""
    return text if database.kind == "sqlite" else local(text)


class FixedClock:
    def __init__(self, text: str = "2026-07-27T12:00:00+08:00") -> None:
        self.time = datetime.fromisoformat(text)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def test_a_first_reading_is_complete_and_tells_the_largest_cursor_value(database: Database) -> None:
    table = database.table(id="whole", changed="time")
    times = ["2026-07-27 09:30:00.000002", "2026-07-27 09:30:00.000010", "2026-07-27 09:29:59.999999"]
    database.insert(table, *((number, stamp(database, text)) for number, text in enumerate(times)))
    source = source_of(database, f"SELECT * FROM {table}", cursor="changed", overlap=TEN_MINUTES, clock=FixedClock())
    assert source.read(None).complete
    chunks = drain(source, size=1)
    assert values(chunks, "id") == [2, 0, 1]  # in the order of the cursor, so that every chunk's position holds
    last = "text:2026-07-27 09:30:00.000010" if database.kind == "sqlite" else "timestamp:2026-07-27T09:30:00.000010"
    assert chunks[-1].position == last
    assert [chunk.position for chunk in chunks] == sorted(str(chunk.position) for chunk in chunks)
    assert not source.read(last).complete


def test_rows_that_tie_with_the_position_are_read_again_and_a_microsecond_counts(database: Database) -> None:
    table = database.table(id="whole", changed="time")
    times = ["09:29:59.999999", "09:30:00.000000", "09:30:00.000000", "09:30:00.000001"]
    database.insert(table, *((number, stamp(database, f"2026-07-27 {text}")) for number, text in enumerate(times)))
    source = source_of(database, f"SELECT * FROM {table}", cursor="changed", clock=FixedClock())
    at = "text:2026-07-27 09:30:00.000000" if database.kind == "sqlite" else "timestamp:2026-07-27T09:30:00"
    assert sorted(values(drain(source, at), "id")) == [1, 2, 3]


def test_the_overlap_finds_what_was_stamped_earlier_and_committed_later(database: Database) -> None:
    table = database.table(id="whole", changed="time")
    database.insert(table, (1, stamp(database, "2026-07-27 09:30:00.000000")))
    source = source_of(database, f"SELECT * FROM {table}", cursor="changed", overlap=TEN_MINUTES, clock=FixedClock())
    position = drain(source)[-1].position
    database.insert(table, (2, stamp(database, "2026-07-27 09:20:00.000000")))
    database.insert(table, (3, stamp(database, "2026-07-27 09:19:59.900000")))
    again = drain(source, position)
    assert sorted(values(again, "id")) == [1, 2]
    assert again[-1].position == position
    database.run(f"DELETE FROM {table} WHERE id <> 2")
    assert drain(source, position)[-1].position == position  # a position never goes back


def test_rows_without_a_cursor_value_come_each_time_or_are_refused(database: Database) -> None:
    table = database.table(id="whole", changed="time")
    database.insert(table, (1, None), (2, stamp(database, "2026-07-27 09:30:00.000000")), (3, None))
    query = f"SELECT * FROM {table}"
    included = source_of(database, query, cursor="changed", clock=FixedClock())
    first = drain(included, size=1)
    assert sorted(values(first, "id")) == [1, 2, 3]
    assert sorted(values(drain(included, first[-1].position), "id")) == [1, 2, 3]
    refused = source_of(database, query, cursor="changed", null_cursor="refuse", clock=FixedClock())
    chunks = drain(refused)
    assert values(chunks, "id") == [2]
    assert [(column, code) for _, column, code in problems(chunks)] == [("changed", "required-missing")] * 2
    assert sorted(chunks[0].damaged["id"].to_list()) == [1, 3]


def test_a_table_of_rows_without_cursor_values_has_no_position(database: Database) -> None:
    table = database.table(id="whole", changed="time")
    database.insert(table, (1, None))
    source = source_of(database, f"SELECT * FROM {table}", cursor="changed", overlap=TEN_MINUTES)
    assert drain(source)[-1].position is None


@pytest.mark.parametrize(
    ("kind", "cells", "overlap", "expected", "again"),
    [
        ("whole", [1, 2**40, 2**62], 0, f"integer:{2**62}", [2]),
        ("whole", [10, 20, 30], 10, "integer:30", [1, 2]),
        ("day", ["2026-07-24", "2026-07-26", "2026-07-27"], timedelta(hours=1), "date:2026-07-27", [1, 2]),
        ("text", ["a", "b", "乡"], 0, "text:乡", [2]),
    ],
)
def test_a_cursor_may_be_a_number_a_date_or_a_text(
    database: Database, kind: str, cells: list[Any], overlap: Any, expected: str, again: list[int]
) -> None:
    if kind == "day":
        cells = cells if database.kind == "sqlite" else [date.fromisoformat(cell) for cell in cells]
        expected = expected if database.kind != "sqlite" else expected.replace("date:", "text:")
    table = database.table(id="whole", mark=kind)
    database.insert(table, *enumerate(cells))
    source = source_of(database, f"SELECT * FROM {table}", cursor="mark", overlap=overlap, clock=FixedClock())
    position = drain(source)[-1].position
    assert position == expected
    assert values(drain(source, position), "id") == again


def test_a_decimal_cursor_keeps_its_digits(database: Database) -> None:
    table = database.table(id="whole", mark="amount")
    database.insert(table, (1, 0.1), (2, 0.25), (3, 0.5))
    source = source_of(database, f"SELECT * FROM {table}", cursor="mark")
    position = drain(source)[-1].position
    assert position == ("real:0.5" if database.kind == "sqlite" else "decimal:0.500000")
    assert values(drain(source, "real:0.25" if database.kind == "sqlite" else "decimal:0.250000"), "id") == [2, 3]


def test_a_row_from_the_future_does_not_hide_those_that_follow(database: Database) -> None:
    table = database.table(id="whole", changed="time")
    database.insert(
        table, (1, stamp(database, "2026-07-27 09:30:00.000000")), (2, stamp(database, "2099-12-31 00:00:00.000000"))
    )
    clock = FixedClock("2026-07-27T12:00:00+08:00")
    source = source_of(database, f"SELECT * FROM {table}", cursor="changed", overlap=TEN_MINUTES, clock=clock)
    position = drain(source)[-1].position
    assert position in {"timestamp:2026-07-27T12:00:00", "text:2026-07-27 12:00"}
    database.insert(table, (3, stamp(database, "2026-07-27 11:55:00.000000")))
    assert values(drain(source, position), "id") == [3, 2]


def test_an_overlap_that_does_not_fit_the_cursor_is_told_in_the_first_reading(database: Database) -> None:
    table = database.table(id="whole", name="text", changed="time")
    database.insert(table, (1, "乡", stamp(database, "2026-07-27 09:30:00")))
    wrong: list[tuple[str, Any]] = [("id", TEN_MINUTES), ("name", TEN_MINUTES), ("changed", 5), ("name", 5)]
    for cursor, overlap in wrong:
        with pytest.raises(SourceError) as error:
            drain(source_of(database, f"SELECT * FROM {table}", cursor=cursor, overlap=overlap))
        assert code_of(error) == "cursor-overlap-unusable"


def test_a_position_that_was_not_written_here_is_refused(database: Database) -> None:
    source = source_of(database, "SELECT 1 AS n", cursor="n")
    for position in ["", "7", "integer:", "integer:x", "decimal:x", "timestamp:2026-13-01", "date:1", "list:1"]:
        with pytest.raises(SourceError) as error:
            source.read(position)
        assert code_of(error) == "position-unreadable"


def test_a_cursor_column_that_changed_its_type_is_told(database: Database) -> None:
    table = database.table(id="whole", changed="time")
    database.insert(table, (1, stamp(database, "2026-07-27 09:30:00")))
    source = source_of(database, f"SELECT * FROM {table}", cursor="id")
    if (
        database.kind == "sqlite"
    ):  # every cell has its own type: those of another one than the position's come each time
        assert values(drain(source, "text:2026"), "id") == [1]
        return
    with pytest.raises(SourceError) as error:
        drain(source, "timestamp:2026-07-27T09:30:00")
    assert code_of(error) == "cursor-type-changed"


def test_a_column_that_orders_nothing_is_no_cursor(database: Database) -> None:
    table = database.table(id="whole")
    database.insert(table, (1,))
    flag = {"sqlite": "x'ff'", "postgresql": "true", "mariadb": "TIME '09:30'"}[database.kind]
    source = source_of(database, f"SELECT id, {flag} AS flag FROM {table}", cursor="flag")
    if database.kind == "sqlite":
        assert problems(drain(source)) == [("行 1", "flag", "column-unreadable")]
        return
    with pytest.raises(SourceError) as error:
        drain(source)
    assert code_of(error) == "cursor-type-unusable"


def test_postgresql_instants_are_kept_in_utc_and_read_on_exactly(tmp_path: Path) -> None:
    with open_database("postgresql", tmp_path) as database:
        table = database.table(id="whole")
        database.run(f"ALTER TABLE {table} ADD at TIMESTAMPTZ")
        database.run(f"INSERT INTO {table} VALUES (1, '2026-07-27 09:30:00.000001+08'), (2, '2026-07-27 01:30:00+00')")
        source = source_of(database, f"SELECT * FROM {table}", cursor="at", clock=FixedClock())
        chunks = drain(source)
        assert values(chunks, "at") == [local("2026-07-27T09:30:00"), local("2026-07-27T09:30:00.000001")]
        assert chunks[-1].position == "instant:2026-07-27T01:30:00.000001Z"
        assert values(drain(source, chunks[-1].position), "id") == [1]
        overlapping = source_of(database, source.query, cursor="at", overlap=TEN_MINUTES, clock=FixedClock())
        assert values(drain(overlapping, chunks[-1].position), "id") == [2, 1]


def test_sqlite_texts_that_tell_no_time_come_but_do_not_move_the_position(tmp_path: Path) -> None:
    with open_database("sqlite", tmp_path) as database:
        table = database.table(id="whole", changed="time")
        database.insert(table, (1, "2026-07-27 09:30:00"), (2, "待定"), (3, ""), (4, "2026-07-27T09:29:00"))
        source = source_of(
            database, f"SELECT * FROM {table}", cursor="changed", overlap=TEN_MINUTES, clock=FixedClock()
        )
        chunks = drain(source)
        assert values(chunks, "id") == [3, 1, 4, 2]
        assert chunks[-1].position == "text:2026-07-27T09:29:00"  # T sorts after a space
        assert values(drain(source, chunks[-1].position), "id") == [1, 4, 2]


def test_sqlite_cells_of_another_type_come_each_time(tmp_path: Path) -> None:
    with open_database("sqlite", tmp_path) as database:
        table = database.table(id="whole")
        database.run(f"ALTER TABLE {table} ADD mark")
        database.insert(table, (1, 10), (2, 20.5), (3, "2026"), (4, 30))
        source = source_of(database, f"SELECT * FROM {table}", cursor="mark")
        assert [chunk.position for chunk in drain(source, size=1)] == [
            "integer:10",
            "real:20.5",
            "integer:30",
            "integer:30",
        ]
        assert values(drain(source, "integer:30"), "id") == [4, 3]
        assert drain(source, "integer:30")[-1].position == "integer:30"
        assert values(drain(source, "text:2026"), "id") == [1, 2, 4, 3]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Events as (what, when it happens, row * 100 + stamp): writers that commit at once, to rows they share, and writers of a row each
    that commit five ticks after they took their stamp; between them readings. What happens in one tick happens in any order."""
    events = []
    for at in range(12):
        if draw(st.booleans()):
            events.append(("write", at, at % 3 * 100 + at))
        if draw(st.booleans()):
            events.append(("write", at + 5, (3 + at) * 100 + at))
        if draw(st.booleans()):
            events.append(("read", at, 0))
    return sorted(draw(st.permutations(events)), key=lambda event: event[1])


@pytest.mark.parametrize("cursor", ["time", "whole"])
@given(history=histories(), size=st.integers(1, 4), unstamped=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_interleaving_within_the_overlap_ends_with_everything_seen(
    tmp_path: Path, cursor: str, history: list[tuple[str, int, int]], size: int, unstamped: bool
) -> None:
    """A tick is a tenth of a second, so that stamps differ in their fraction; five ticks is what the overlap reaches back."""
    origin = local("2026-07-27T09:29:58")
    overlap: timedelta | int = timedelta(milliseconds=500) if cursor == "time" else 5
    file = tmp_path / "local.db"
    clock = FixedClock()
    source = SqlSource(
        name="s", url=f"sqlite:///{file}", query="SELECT * FROM t", zone=SHANGHAI, cursor="changed", overlap=overlap,
        clock=clock,
    )  # fmt: skip
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.executescript(
            "PRAGMA synchronous = OFF; DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER, name TEXT, changed)"
        )
        seen: dict[int, str] = {}
        held: dict[int, str] = {}
        position: str | None = None
        for count, (kind, at, what) in enumerate([*history, ("read", 20, 0)]):
            clock.time = (origin + timedelta(milliseconds=100 * at)).replace(tzinfo=SHANGHAI)
            if kind == "write":
                row, begin = divmod(what, 100)
                mark: Any = begin
                if cursor == "time":
                    mark = (origin + timedelta(milliseconds=100 * begin)).isoformat(sep=" ")
                held[row] = f"version {count}"
                writer.execute("DELETE FROM t WHERE id = ?", (row,))
                writer.execute(
                    "INSERT INTO t VALUES (?, ?, ?)", (row, held[row], None if unstamped and row == 0 else mark)
                )
                continue
            for chunk in drain(source, position, size=size):
                seen |= dict(zip(chunk.frame["id"].to_list(), chunk.frame["name"].to_list(), strict=True))
                position = chunk.position
        assert seen == held
