"""What is peculiar to one engine, and how a lost or missing engine is told."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Generator
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gateway.errors import SourceError, SourceUnavailableError
from gateway.sources.port import ROW
from gateway.sources.sql import SqlSource
from tests.sources.conftest import SHANGHAI, code_of, drain, problems, source_of, values
from tests.sources.databases import Database, open_database


@pytest.fixture
def postgresql(tmp_path: Path) -> Generator[Database]:
    with open_database("postgresql", tmp_path) as opened:
        yield opened


@pytest.fixture
def mariadb(tmp_path: Path) -> Generator[Database]:
    with open_database("mariadb", tmp_path) as opened:
        yield opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Generator[Database]:
    with open_database("sqlite", tmp_path) as opened:
        yield opened


def silent_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mysql+pymysql"])
def test_a_server_that_is_away_may_be_tried_again_and_the_password_is_not_told(scheme: str) -> None:
    url = f"{scheme}://reader:s3cret%40word@127.0.0.1:{silent_port()}/credit"
    source = SqlSource(name="permits", url=url, query="SELECT 1 AS n", zone=SHANGHAI)
    with pytest.raises(SourceUnavailableError) as error:
        source.probe()
    assert code_of(error) == "source-unreachable"
    assert error.value.retryable
    assert "reader:***@127.0.0.1" in str(error.value)
    assert "s3cret" not in str(error.value) + repr(source) + str(error.value.__cause__)


def test_a_url_that_is_none_does_not_show_itself() -> None:
    for url in ["reader:s3cret@host", "", "postgresql://reader:s3cret@host:port/x"]:
        with pytest.raises(SourceError) as error:
            SqlSource(name="permits", url=url, query="SELECT 1", zone=SHANGHAI).probe()
        assert code_of(error) == "source-url-invalid"
        assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("url", ["oracle+oracledb://reader:s3cret@host/x", "mssql+pyodbc://reader:s3cret@host/x"])
def test_a_driver_that_is_not_installed_is_named(url: str) -> None:
    with pytest.raises(SourceError) as error:
        SqlSource(name="permits", url=url, query="SELECT 1", zone=SHANGHAI).probe()
    assert code_of(error) == "source-driver-missing"
    assert url.partition(":")[0] in str(error.value)


def test_a_connection_killed_in_the_middle_may_be_tried_again(postgresql: Database, mariadb: Database) -> None:
    for database in (postgresql, mariadb):
        table = database.table(id="whole", name="text")
        database.insert(table, *((number, "x" * 500) for number in range(5000)))
        number = {"postgresql": "pg_backend_pid()", "mariadb": "connection_id()"}[database.kind]
        kill = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}[database.kind]
        source = source_of(database, f"SELECT a.*, {number} AS own FROM {table} a CROSS JOIN {table} b")
        with closing(source.read(None, size=10).chunks) as chunks:
            database.run(kill.format(next(chunks).frame["own"][0]))
            with pytest.raises(SourceUnavailableError) as error:
                for _ in chunks:
                    pass
        assert code_of(error) == "source-unreachable"


def test_a_function_that_writes_is_stopped_by_the_engine(postgresql: Database, mariadb: Database) -> None:
    for database in (postgresql, mariadb):
        table = database.table(id="whole")
        writer = f"w_{table}"
        if database.kind == "postgresql":
            body = f"LANGUAGE sql AS $$ INSERT INTO {table} VALUES (1) RETURNING 1 $$"
            database.run(f"CREATE FUNCTION {writer}() RETURNS INTEGER {body}")
        else:
            body = f"MODIFIES SQL DATA BEGIN INSERT INTO {table} VALUES (1); RETURN 1; END"
            database.run(f"CREATE FUNCTION {writer}() RETURNS INTEGER {body}")
        try:
            with pytest.raises(SourceError) as error:
                drain(source_of(database, f"SELECT {writer}() AS n"))
            assert error.value.code in {"query-failed", "query-invalid"}
            assert drain(source_of(database, f"SELECT id FROM {table}")) == []
        finally:
            database.run(f"DROP FUNCTION {writer}")


def test_an_error_in_a_row_is_told_by_its_number_since_the_engine_may_quote_the_row(postgresql: Database) -> None:
    table = postgresql.table(id="whole", name="text")
    postgresql.insert(table, (1, "12"), (2, "张三"))
    with pytest.raises(SourceError) as error:
        drain(source_of(postgresql, f"SELECT CAST(name AS INTEGER) AS n FROM {table}"), size=1)
    assert code_of(error) == "query-failed"
    assert "22P02" in str(error.value)
    assert "张三" not in str(error.value)


def test_postgresql_times_outside_the_calendar_cost_their_own_rows(postgresql: Database) -> None:
    query = """SELECT * FROM (VALUES
        (1, DATE '0044-03-15 BC', TIMESTAMP '2026-07-27 09:30', NULL::timestamptz, 1.5::numeric),
        (2, DATE '2026-07-27', TIMESTAMP 'infinity', TIMESTAMPTZ '2026-07-27 01:30:00.000001+00', 'NaN'::numeric),
        (3, DATE '2026-07-27', TIMESTAMP '2026-07-27 09:30', TIMESTAMPTZ '2026-07-26 23:30-02', 2),
        (4, DATE '12026-07-27', TIMESTAMP '12026-07-27 09:30', NULL, 3)) AS v(id, d, t, z, n)"""
    (chunk,) = drain(source_of(postgresql, query))
    nine = datetime(2026, 7, 27, 9, 30)  # noqa: DTZ001 - told in local time
    assert chunk.frame.drop(ROW, "n").rows() == [(3, date(2026, 7, 27), nine, nine)]
    assert chunk.frame["n"].to_list() == [Decimal(2)]
    found = {(row, column) for row, column, _ in problems([chunk])}
    assert found == {("行 1", "d"), ("行 2", "t"), ("行 2", "n"), ("行 4", "d"), ("行 4", "t")}
    assert chunk.damaged["id"].to_list() == [1, 2, 4]
    assert chunk.damaged["z"].to_list() == [None, datetime(2026, 7, 27, 9, 30, 0, 1), None]  # noqa: DTZ001


def test_postgresql_values_without_a_type_of_ours_are_told_as_text(postgresql: Database) -> None:
    query = """SELECT true AS b, TIME '09:30' AS t, '{"乡": [1]}'::jsonb AS j, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS u,
        'abc'::bytea AS y, ARRAY[1, 2] AS a, 'x'::char(3) AS c, '10.0.0.1'::inet AS i, 1e20::numeric AS n, ''::text AS e"""
    (chunk,) = drain(source_of(postgresql, query))
    (row,) = chunk.frame.drop("n").rows()
    uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    assert row == ("true", "09:30:00", '{"乡": [1]}', uuid, "abc", "[1, 2]", "x  ", "10.0.0.1", "", "行 1")
    assert chunk.frame["n"].to_list() == [Decimal(10) ** 20]


def test_postgresql_text_of_an_unknown_encoding_is_taken_as_utf_8_row_by_row(postgresql: Database) -> None:
    name = f"ascii_{postgresql.table(id='whole')}"
    with postgresql.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        template = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.exec_driver_sql(f"CREATE DATABASE {name} {template}")
        try:
            url = postgresql.engine.url.set(database=name).render_as_string(hide_password=False)
            query = "SELECT * FROM (VALUES (1, E'\\xe4\\xb9\\xa1'), (2, E'\\xcf\\xe7'), (3, 'x')) AS v(id, name)"
            (chunk,) = drain(SqlSource(name="permits", url=url, query=query, zone=SHANGHAI))
            with pytest.raises(SourceError) as error:
                drain(SqlSource(name="permits", url=url, query=query.replace("name", "名称"), zone=SHANGHAI))
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name}")
    assert chunk.frame.rows() == [(1, "乡", "行 1"), (3, "x", "行 3")]
    assert problems([chunk]) == [("行 2", "name", "column-unreadable")]
    assert code_of(error) == "query-invalid"


def test_mariadb_zero_dates_cost_their_own_rows_the_first_and_the_last_too(mariadb: Database) -> None:
    table = mariadb.table(id="whole", decided="day", changed="time")
    rows = ["1, '0000-00-00', NULL", "2, '2026-07-27', '2026-07-27 09:30:00.5'", "3, NULL, '0000-00-00 00:00:00'"]
    mariadb.run("SET SESSION sql_mode = ''", *(f"INSERT INTO {table} VALUES ({row})" for row in rows))
    chunks = drain(source_of(mariadb, f"SELECT * FROM {table} ORDER BY id"), size=2)
    assert values(chunks, "id") == [2]
    assert values(chunks, "changed") == [datetime(2026, 7, 27, 9, 30, 0, 500000)]  # noqa: DTZ001
    assert problems(chunks) == [("行 1", "decided", "column-unreadable"), ("行 3", "changed", "column-unreadable")]


def test_mariadb_values_without_a_type_of_ours_are_told_as_text(mariadb: Database) -> None:
    query = """SELECT CAST('-30:15:00' AS TIME) AS t, CAST(18446744073709551615 AS UNSIGNED) AS u, _binary 'abc' AS y,
        _binary X'FF' AS z, CAST(0.1 AS DOUBLE) AS f, '' AS e, CAST(1 AS UNSIGNED) AS one"""
    (chunk,) = drain(source_of(mariadb, query))
    (row,) = chunk.damaged.rows()
    assert row == ("-30:15:00", "18446744073709551615", "abc", None, 0.1, "", 1, "行 1")
    assert problems([chunk]) == [("行 1", "z", "column-unreadable")]


def test_mariadb_timestamps_are_told_in_the_zone_of_the_source(mariadb: Database) -> None:
    table = mariadb.table(id="whole")
    mariadb.run(f"ALTER TABLE {table} ADD at TIMESTAMP(6) NULL", "SET SESSION time_zone = '+00:00'")
    with mariadb.engine.begin() as connection:
        connection.exec_driver_sql("SET SESSION time_zone = '+00:00'")
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES (1, '2026-07-26 23:30:00.25')")
    (chunk,) = drain(source_of(mariadb, f"SELECT at FROM {table}", cursor="at"))
    assert chunk.frame["at"].to_list() == [datetime(2026, 7, 27, 7, 30, 0, 250000)]  # noqa: DTZ001
    assert chunk.position == "timestamp:2026-07-27T07:30:00.250000"


def test_a_sqlite_file_that_is_missing_or_none_is_told_and_not_created(tmp_path: Path) -> None:
    missing, text = tmp_path / "missing.db", tmp_path / "text.db"
    text.write_text("this is no database" * 100)
    for file in (missing, text, tmp_path):
        with pytest.raises(SourceUnavailableError) as error:
            SqlSource(name="permits", url=f"sqlite:///{file}", query="SELECT 1", zone=SHANGHAI).probe()
        assert code_of(error) == "source-unreachable"
    assert not missing.exists()


def test_a_sqlite_file_may_have_any_name_and_is_never_written(tmp_path: Path) -> None:
    file = tmp_path / "许可 100%#1.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1);")
    before = file.read_bytes()
    file.chmod(0o400)
    query = "SELECT id FROM t"
    (chunk,) = drain(SqlSource(name="permits", url=f"sqlite:///{file}", query=query, zone=SHANGHAI))
    assert chunk.frame["id"].to_list() == [1]
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_a_sqlite_column_tells_each_cell_alike_whatever_else_is_in_the_chunk(sqlite: Database) -> None:
    table = sqlite.table(id="whole")
    sqlite.run(f"ALTER TABLE {table} ADD code")
    cells: list[Any] = [1, "1", 0.2, 12.0, 1e21, "0.20", None, b"abc", 2**62]
    sqlite.insert(table, *enumerate(cells))
    expected = ["1", "1", "0.2", "12", "1000000000000000000000", "0.20", None, "abc", "4611686018427387904"]
    source = source_of(sqlite, f"SELECT * FROM {table} ORDER BY id")
    (whole,) = drain(source)
    assert whole.frame["code"].to_list() == expected
    alone = drain(source, size=1)
    assert [type(value) for value in values(alone, "code")][:4] == [int, str, float, float]
    assert [chunk.frame["code"].dtype for chunk in alone][:3] == [pl.Int64(), pl.String(), pl.Float64()]
    assert values(alone, "code")[:3] == [1, "1", 0.2]


def test_sqlite_text_that_is_not_utf_8_costs_its_own_row_the_first_and_the_last_too(sqlite: Database) -> None:
    table = sqlite.table(id="whole", name="text")
    sqlite.insert(table, *((number, "乡") for number in range(10)))
    sqlite.run(f"UPDATE {table} SET name = CAST(X'CFE7' AS TEXT) WHERE id IN (0, 5, 9)")
    for size in (1, 3, 100):
        chunks = drain(source_of(sqlite, f"SELECT * FROM {table} ORDER BY id"), size=size)
        assert values(chunks, "id") == [1, 2, 3, 4, 6, 7, 8]
        assert [row for row, _, _ in problems(chunks)] == ["行 1", "行 6", "行 10"]
        assert [row for chunk in chunks for row in chunk.damaged["id"]] == [0, 5, 9]


def test_a_locked_sqlite_file_may_be_tried_again(sqlite: Database) -> None:
    table = sqlite.table(id="whole")
    sqlite.run("PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(sqlite.engine.url.database or "", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceUnavailableError) as error:
            source_of(sqlite, f"SELECT id FROM {table}").probe()
    assert code_of(error) == "source-unreachable"


def test_the_chunks_may_be_taken_in_several_threads(database: Database) -> None:
    table = database.table(id="whole")
    database.insert(table, *((number,) for number in range(30)))
    taken: list[int] = []
    with closing(source_of(database, f"SELECT id FROM {table}").read(None, size=10).chunks) as chunks:
        for _ in range(3):
            thread = threading.Thread(target=lambda: taken.extend(next(chunks).frame["id"].to_list()))
            thread.start()
            thread.join()
    assert sorted(taken) == list(range(30))


def test_a_limit_counts_the_statement_and_not_the_pauses_of_who_reads(sqlite: Database) -> None:
    table = sqlite.table(id="whole")
    sqlite.insert(table, *((number,) for number in range(3000)))
    clock = LeapingClock()
    source = source_of(sqlite, f"SELECT id FROM {table}", limit=timedelta(seconds=10), clock=clock)
    with closing(source.read(None, size=100).chunks) as chunks:
        for count, chunk in enumerate(chunks):
            clock.seconds += 60 * count
            assert len(chunk.frame) == 100


class LeapingClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 7, 27, 1, 30, tzinfo=SHANGHAI)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
