"""What every engine must do alike: everything is read, once, in one snapshot, and nothing is written."""

from __future__ import annotations

from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from gateway.errors import SourceError, SourceUnavailableError
from gateway.sources.port import PROBLEMS, ROW
from tests.sources.conftest import code_of, drain, problems, source_of, values
from tests.sources.databases import Database


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_every_row_comes_once_the_first_and_the_last_too(database: Database, size: int) -> None:
    table = database.table(id="whole", name="text")
    database.insert(table, *((number, f"企业{number}") for number in range(1, 22)))
    chunks = drain(source_of(database, f"SELECT * FROM {table} ORDER BY id"), size=size)
    assert sorted(values(chunks, "id")) == list(range(1, 22))
    assert values(chunks, ROW) == [f"行 {number}" for number in range(1, 22)]
    assert all(len(chunk.frame) <= size for chunk in chunks)
    assert len(chunks) == -(-21 // size)
    assert {chunk.position for chunk in chunks} == {None}


def test_a_reading_without_a_cursor_is_complete_even_with_a_position(database: Database) -> None:
    table = database.table(id="whole")
    assert source_of(database, f"SELECT id FROM {table}").read("integer:7").complete
    assert drain(source_of(database, f"SELECT id FROM {table}")) == []


def test_values_keep_the_types_that_the_engine_gives(database: Database) -> None:
    table = database.table(id="whole", name="text", amount="amount", decided="day", changed="time")
    moment = datetime(2026, 7, 27, 9, 30, 0, 123456)  # noqa: DTZ001 - a column without zone
    row: tuple[Any, ...] = (1, "许可", Decimal("0.200000"), date(2026, 7, 27), moment)
    if database.kind == "sqlite":
        row = (1, "许可", 0.2, "2026-07-27", "2026-07-27 09:30:00.123456")
    database.insert(table, row, (2, None, None, None, None))
    (chunk,) = drain(source_of(database, f"SELECT * FROM {table} ORDER BY id"))
    assert chunk.frame.drop(ROW).rows() == [row, (2, None, None, None, None)]
    own = [pl.Decimal(38, 6), pl.Date(), pl.Datetime("us")]
    expected = [pl.Float64(), pl.String(), pl.String()] if database.kind == "sqlite" else own
    assert chunk.frame.dtypes == [pl.Int64(), pl.String(), *expected, pl.String()]
    assert chunk.problems.schema == PROBLEMS
    assert chunk.problems.is_empty()


def test_a_query_may_hold_percent_signs_colons_comments_and_a_closing_semicolon(database: Database) -> None:
    table = database.table(id="whole", name="text")
    database.insert(table, (1, "100% :id 12:30"), (2, "x"))
    query = f"""-- permits; all of them
        WITH mine AS (SELECT * FROM {table} /* ; ) */ WHERE name LIKE '%% :id %' OR name LIKE '%:id%')
        SELECT id, name, ':id; (' AS mark FROM mine ; -- end"""
    (chunk,) = drain(source_of(database, query))
    assert chunk.frame.rows() == [(1, "100% :id 12:30", ":id; (", "行 1")]


@pytest.mark.parametrize(
    "name", ["更新时间", 'a"b`c', "t; DROP TABLE t", "select", "Mixed Case", "pg_catalog", "c" * 63, "50%", ":p"]
)
def test_a_cursor_column_may_have_any_name(database: Database, name: str) -> None:
    table = database.table(**{"id": "whole", name: "whole"})
    database.insert(table, (1, 10), (2, 20))
    source = source_of(database, f"SELECT * FROM {table}", cursor=name)
    source.probe()
    assert drain(source)[-1].position == "integer:20"
    assert values(drain(source, "integer:20"), "id") == [2]


def test_a_cursor_that_the_query_does_not_have_is_named_with_those_it_has(database: Database) -> None:
    table = database.table(id="whole", updated="time")
    for cursor in ["created", "updated; DROP", '"updated"', "xmin", "rowid"]:
        with pytest.raises(SourceError) as error:
            source_of(database, f"SELECT * FROM {table}", cursor=cursor).probe()
        assert code_of(error) == "cursor-column-unknown"
        assert error.value.facts["columns"] == "id、updated"
    source_of(database, f"SELECT * FROM {table}", cursor="UPDATED").probe()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT 1; DROP TABLE {table}", "query-not-one"),
        ("SELECT 1;;", "query-not-one"),
        ("DELETE FROM {table}", "query-not-select"),
        ("", "query-not-select"),
        ("SELECT 'abc", "query-not-closed"),
        ("SELECT 1) q; DELETE FROM {table}; --", "query-not-closed"),
        ("SELECT 1) q UNION SELECT * FROM (SELECT 2", "query-not-closed"),
        ("SELECT missing FROM {table}", "query-invalid"),
        ("SELECT * FROM no_such_table", "query-invalid"),
        ("WITH gone AS (DELETE FROM {table} RETURNING *) SELECT * FROM gone", "query-invalid"),
    ],
)
def test_a_query_that_is_not_one_select_is_refused(database: Database, query: str, code: str) -> None:
    table = database.table(id="whole")
    database.insert(table, (1,))
    source = source_of(database, query.format(table=table))
    with pytest.raises(SourceError) as error:
        source.probe()
    assert code_of(error) == code
    with pytest.raises(SourceError) as error:
        drain(source)
    assert code_of(error) == code
    assert values(drain(source_of(database, f"SELECT * FROM {table}")), "id") == [1]


def test_rows_written_during_a_reading_belong_to_the_next_one(database: Database) -> None:
    table = database.table(id="whole", name="text")
    database.insert(table, *((number, "old") for number in range(100)))
    source = source_of(database, f"SELECT * FROM {table}")
    with closing(source.read(None, size=10).chunks) as chunks:
        first = next(chunks)
        database.run(f"UPDATE {table} SET name = 'new'", f"INSERT INTO {table} VALUES (100, 'new')")
        rest = list(chunks)
    assert values([first, *rest], "name") == ["old"] * 100
    assert values(drain(source), "name") == ["new"] * 101


def test_a_column_altered_during_a_reading_does_not_change_it(database: Database) -> None:
    table = database.table(id="whole", name="text")
    database.insert(table, *((number, "x") for number in range(100)))
    source = source_of(database, f"SELECT * FROM {table}")
    wait = {"sqlite": "", "postgresql": "SET lock_timeout = '100ms'", "mariadb": "SET lock_wait_timeout = 1"}
    with closing(source.read(None, size=10).chunks) as chunks:
        first = next(chunks)
        alter = [statement for statement in (wait[database.kind], f"ALTER TABLE {table} ADD late INTEGER") if statement]
        if database.kind == "sqlite":
            database.run(*alter)
        else:
            with pytest.raises(sa.exc.OperationalError):  # these engines hold the change back until the reading ends
                database.run(*alter)
        rest = list(chunks)
    assert {tuple(chunk.frame.columns) for chunk in [first, *rest]} == {("id", "name", ROW)}
    assert len(values([first, *rest], "id")) == 100
    if database.kind != "sqlite":
        database.run(f"ALTER TABLE {table} ADD late INTEGER")
    assert source.columns() == ("id", "name", "late")


def test_a_reading_that_is_left_early_gives_its_connection_back(database: Database) -> None:
    table = database.table(id="whole")
    database.insert(table, *((number,) for number in range(2000)))
    crossed = (
        f"SELECT a.id FROM {table} a CROSS JOIN {table} b CROSS JOIN {table} c"  # 8,000,000,000 rows: streamed or never
    )
    source = source_of(database, crossed, limit=timedelta(seconds=20))
    with closing(source.read(None, size=100).chunks) as chunks:
        assert len(next(chunks).frame) == 100
    database.run(f"DROP TABLE {table}")  # would wait for a transaction still open


def test_a_statement_that_takes_too_long_is_stopped_and_may_be_tried_again(database: Database) -> None:
    table = database.table(id="whole")
    database.insert(table, *((number,) for number in range(2000)))
    crossed = f"SELECT count(*) AS n FROM {table} a, {table} b, {table} c WHERE a.id + b.id = -c.id - 1"
    with pytest.raises(SourceUnavailableError) as error:
        drain(source_of(database, crossed, limit=timedelta(milliseconds=200)))
    assert code_of(error) == "source-too-slow"
    assert error.value.retryable


def test_two_columns_of_one_name_are_refused(database: Database) -> None:
    table = database.table(id="whole")
    if database.kind == "sqlite":
        assert source_of(database, f"SELECT id, id FROM {table}").columns() == ("id", "id:1")
        return
    with pytest.raises(SourceError) as error:
        source_of(database, f"SELECT id, id FROM {table}").probe()
    assert code_of(error) == {"postgresql": "query-columns-repeated", "mariadb": "query-invalid"}[database.kind]


def test_a_column_called_as_ours_is_refused(database: Database) -> None:
    with pytest.raises(SourceError) as error:
        source_of(database, f"SELECT 1 AS {database.quote(ROW)}").probe()
    assert code_of(error) == "query-column-reserved"


def test_a_problem_never_shows_the_value(database: Database) -> None:
    table = database.table(id="whole", changed="time")
    if database.kind == "mariadb":
        database.run("SET SESSION sql_mode = ''", f"INSERT INTO {table} VALUES (1, '2026-02-00'), (2, '2026-02-01')")
    elif database.kind == "postgresql":
        database.run(f"INSERT INTO {table} VALUES (1, 'infinity'), (2, '2026-02-01')")
    else:
        database.run(f"INSERT INTO {table} VALUES (1, CAST(X'C328' AS TEXT)), (2, '2026-02-01')")
    chunks = drain(source_of(database, f"SELECT * FROM {table} ORDER BY id"), size=1)
    assert values(chunks, "id") == [2]
    assert problems(chunks) == [("行 1", "changed", "column-unreadable")]
    assert chunks[0].damaged.drop(ROW).rows() == [(1, None)]
    (problem,) = pl.concat([chunk.problems for chunk in chunks]).to_dicts()
    assert problem["weight"] == "reject"
    assert problem["@key"] is None
    assert not {"infinity", "2026-02-00", "(", "C3"} & set(problem["value_class"].split())
