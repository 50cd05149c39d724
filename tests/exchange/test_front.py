"""What stands between a batch and a receiver's table: names, drivers, limits, and feedback that cannot be right."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.errors import ExchangeError
from gateway.exchange.front_engine import open_engine, passing, state_of
from gateway.exchange.front_layout import look_up
from gateway.exchange.front_rows import Read, feedback_bytes, judge_rows, told_of, written_rows
from gateway.exchange.outcome import Later, Refused, Unknown
from gateway.exchange.secret import Secret
from gateway.package.batch import ParsedBatch, parse_batch
from gateway.package.container import open_package
from tests.exchange.conformance import KEYS, VERSIONS, Manner, post, settled
from tests.exchange.front import COLUMNS, FrontBench, layout_of
from tests.exchange.peer import closed_port
from tests.sources.databases import Kind, open_database

needs_ksycopg2 = pytest.mark.skipif(
    sys.version_info >= (3, 14) and importlib.util.find_spec("ksycopg2") is None,
    reason="ksycopg2, the driver of 金仓, has no wheel for Python 3.14: the extra kingbase leaves it out there",
)
"""Below 3.14 the driver has to be there: its absence fails."""


@pytest.fixture
def bench(tmp_path: Path):  # type: ignore[no-untyped-def]  # a generator of a bench on SQLite
    with open_database("sqlite", tmp_path) as database:
        yield FrontBench(database)


def batch_of(bench: FrontBench) -> ParsedBatch:
    return parse_batch(open_package(post(bench).outgoing.package).document)


@pytest.mark.parametrize(
    ("url", "module"),
    [
        ("dm+dmPython://u:p@127.0.0.1:5236", "dmPython"),
        pytest.param("kingbase+ksycopg2://u:p@127.0.0.1:54321/x", "ksycopg2", marks=needs_ksycopg2),
        ("postgresql+psycopg://u@127.0.0.1/x", "psycopg"),
        ("mysql+pymysql://u@127.0.0.1/x", "pymysql"),
    ],
)
def test_the_drivers_load_and_quote(url: str, module: str) -> None:
    importlib.import_module(module)
    engine = open_engine(Secret(url), peer="province", seconds=1)
    table = sa.Table(
        sa.sql.quoted_name("JH_表", quote=True), sa.MetaData(), sa.Column(sa.sql.quoted_name("Order", quote=True))
    )
    statement = str(sa.insert(table).values({"Order": "x"}).compile(dialect=engine.dialect))
    quote = "`" if "mysql" in url else '"'
    assert f"{quote}JH_表{quote}" in statement
    assert f"{quote}Order{quote}" in statement


def test_what_the_address_sets_stands_beside_our_limits(tmp_path: Path) -> None:
    with open_database("postgresql", tmp_path) as database:
        url = sa.make_url(database.url).update_query_dict({"options": "-csearch_path=elsewhere"})
        engine = open_engine(Secret(url.render_as_string(hide_password=False)), peer="province", seconds=7)
        with engine.connect() as conn:
            shown = [conn.exec_driver_sql(f"SHOW {one}").scalar() for one in ("search_path", "statement_timeout")]
    assert shown == ["elsewhere", "7s"]


@pytest.mark.parametrize(
    ("url", "code"), [("no url", "front-url-invalid"), ("nosuch+driver://x:secret@h/d", "front-driver-missing")]
)
def test_a_url_that_is_none_is_told_without_showing_it(url: str, code: str) -> None:
    with pytest.raises(ExchangeError) as refused:
        open_engine(Secret(url), peer="province", seconds=1)
    assert refused.value.code == code
    assert "secret" not in refused.value.say("en")


@pytest.mark.parametrize("url", ["postgresql+psycopg://u@127.0.0.1:{port}/x", "mysql+pymysql://u@127.0.0.1:{port}/x"])
async def test_nobody_listens(url: str, bench: FrontBench) -> None:
    engine = open_engine(Secret(url.format(port=closed_port())), peer="province", seconds=2)
    bench.transport._engine = engine
    posted = post(bench)
    assert await bench.transport.send(posted.outgoing) == Later(why="front-unreachable")
    assert await bench.transport.receipt(posted.outgoing.batch_id) == Later(why="front-unreachable")


def test_names_are_those_of_the_live_catalogue(bench: FrontBench) -> None:
    layout = layout_of(bench.table)
    with bench.engine.connect() as conn:
        inspector = sa.inspect(conn)
        live = look_up(inspector, replace(layout, rows=replace(layout.rows, table=bench.table.lower())))
        assert str(live.rows.name) == bench.table
        for columns, told in (
            (("order", "nothing", "void"), "nothing, void"),
            (('x"; DROP TABLE y --',), 'x"; DROP TABLE y --'),
        ):
            with pytest.raises(ExchangeError) as refused:
                look_up(inspector, layout_of(bench.table, columns=columns))
            assert (refused.value.code, refused.value.facts["columns"]) == ("front-column-missing", told)


async def test_what_the_database_refuses_shows_a_code_and_no_value(bench: FrontBench) -> None:
    with bench.database.engine.begin() as conn:
        conn.exec_driver_sql(
            f"CREATE TRIGGER no BEFORE INSERT ON \"{bench.table}\" BEGIN SELECT RAISE(ABORT, '甲公司1'); END"
        )
    answer = await bench.transport.send(post(bench).outgoing)
    assert isinstance(answer, Refused)
    assert answer.code == "front-refused"
    assert "甲公司" not in answer.detail
    assert "SQLITE_CONSTRAINT" in answer.detail
    assert bench.rows() == []


async def test_a_batch_for_other_columns_or_another_table_is_not_written(bench: FrontBench) -> None:
    batch = batch_of(bench)
    rows = written_rows(batch, COLUMNS, batch.header.catalog, "2026-11-22 15:00:00")
    assert [row["@key"] for row in rows] == list(KEYS)
    assert rows[0]["Order"] is None, "no text is no value"
    assert {rows[3][name] for name in COLUMNS} == {None}
    for columns, table in ((COLUMNS[:1], batch.header.catalog), (COLUMNS, "other")):
        with pytest.raises(ExchangeError, match="front-body-differs"):
            written_rows(batch, columns, table, "")


def test_what_the_rows_say(bench: FrontBench) -> None:
    batch = batch_of(bench)

    def rows(**changes: object) -> list[Read]:
        return [
            Read(key=key, version=str(VERSIONS[key]), status=changes.get(f"s{number}", 2), code="", message="")
            for number, key in enumerate(KEYS)
        ]

    assert judge_rows(batch, [], None) is None
    said = judge_rows(batch, rows(s0="3", s1=" 2 ", s2="2.0"), None)
    assert said is not None
    assert [one.final for one in said] == [False, True, True, True]
    assert [one.accepted for one in told_of(said)] == [False, True, True, True]
    open_one = judge_rows(batch, rows(s3=1), None)
    assert open_one is not None
    assert len(told_of(open_one)) == 3
    shuffled = judge_rows(batch, rows(s0="3")[::-1], None)
    assert shuffled is not None
    assert feedback_bytes("b", shuffled) == feedback_bytes("b", said), "the same words have the same digest"
    # A receiver with a table of its own may take its rows away when it has decided, and not before.
    told = [replace(row, version=None) for row in rows()]
    assert judge_rows(batch, [], told) is not None
    with pytest.raises(ExchangeError, match="front-rows-missing"):
        judge_rows(batch, [], told[:2])
    for status in (None, "4", "-1", "２", "2x", "", 22):
        with pytest.raises(ExchangeError, match="feedback-status-unknown"):
            judge_rows(batch, rows(s1=status), None)


async def test_a_flood_of_feedback_is_cut_by_the_database(bench: FrontBench) -> None:
    posted = post(bench)
    await bench.transport.send(posted.outgoing)
    with bench.database.engine.begin() as conn:
        conn.exec_driver_sql(f"UPDATE \"{bench.table}\" SET JH_STATUS = 3, JH_MESSAGE = printf('%.1000000c', 'x')")
        for number in range(50):
            conn.exec_driver_sql(
                f"INSERT INTO \"{bench.table}\" (JH_BATCH_ID, JH_KEY) VALUES ('{posted.outgoing.batch_id}', 'n{number}')"
            )
    assert await bench.transport.receipt(posted.outgoing.batch_id) == Unknown(why="feedback-record-unknown")
    with bench.database.engine.begin() as conn:
        conn.exec_driver_sql(f"DELETE FROM \"{bench.table}\" WHERE JH_KEY LIKE 'n%'")
    answer = await bench.transport.receipt(posted.outgoing.batch_id)
    assert len(getattr(answer, "receipt", b"")) < 20_000


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_what_passes_and_what_stays(kind: Kind, tmp_path: Path) -> None:
    with open_database(kind, tmp_path) as database, database.engine.connect() as conn:
        with pytest.raises(sa.exc.DBAPIError) as refused:
            conn.exec_driver_sql("SELECT * FROM no_such_table_here")
        assert not passing(refused.value)
        assert "no_such_table_here" not in state_of(refused.value)


async def test_lock_and_return(bench: FrontBench) -> None:
    """A database that is held by somebody else is tried later."""
    bench.engine = open_engine(Secret(bench.database.url), peer="province", seconds=0.05)
    bench.transport._engine = bench.engine
    posted = post(bench)
    with bench.database.engine.connect() as conn:
        conn.exec_driver_sql("BEGIN EXCLUSIVE")
        assert await bench.transport.send(posted.outgoing) == Later(why="front-unreachable")
        conn.rollback()
    await bench.behave(Manner.ACCEPT)
    assert await bench.copies(posted.outgoing.batch_id) == 0


@needs_ksycopg2
async def test_the_driver_of_kingbase_on_the_protocol_that_it_shares(tmp_path: Path) -> None:
    """No KingbaseES is at hand; its driver and our dialect are tried on PostgreSQL, whose protocol and catalogue it speaks."""
    with open_database("postgresql", tmp_path) as database:
        bench = FrontBench(database)
        url = sa.make_url(database.url).set(drivername="kingbase+ksycopg2").render_as_string(hide_password=False)
        bench.transport._engine = open_engine(Secret(url), peer="province", seconds=10)
        checked = await settled(bench, post(bench))
        assert (checked.receipt.figures.total, checked.receipt.figures.rejected) == (4, 0)
