"""Since when a schedule holds, and which tick had its run last."""

from __future__ import annotations

from gateway.store import runs, timetable
from gateway.store.database import Database
from gateway.store.runs import Kind, RunState
from tests.store.samples import AT, EXCHANGE, later, open_run


def begin(database: Database, schedule: str | None, at: str, exchange: str = EXCHANGE) -> str | None:
    with database.begin() as conn:
        timetable.begin(conn, exchange, schedule, at)
        return timetable.since(conn, exchange, schedule or "")


def test_the_same_schedule_keeps_its_beginning(database: Database) -> None:
    assert begin(database, "a", later(10)) == later(10)
    assert begin(database, "a", later(20)) == later(10)
    assert begin(database, "a", later(30), exchange="other") == later(30)


def test_another_schedule_starts_anew(database: Database) -> None:
    begin(database, "a", later(10))
    with database.read() as conn:
        assert timetable.since(conn, EXCHANGE, "b") is None
    assert begin(database, "b", later(20)) == later(20)
    assert begin(database, "a", later(30)) == later(30)


def test_a_schedule_that_was_taken_away_starts_anew(database: Database) -> None:
    begin(database, "a", later(10))
    assert begin(database, None, later(20)) is None
    assert begin(database, "a", later(30)) == later(30)


def test_a_beginning_in_the_future_is_corrected(database: Database) -> None:
    begin(database, "a", later(1000))
    assert begin(database, "a", later(10)) == later(10)


def test_the_last_tick_that_had_its_run(database: Database) -> None:
    with database.begin() as conn:
        assert timetable.last_due(conn, EXCHANGE) is None
        open_run(conn)  # by hand: not a tick
        assert timetable.last_due(conn, EXCHANGE) is None
        for number, (exchange, seconds) in enumerate([(EXCHANGE, 1800), (EXCHANGE, 900), ("other", 2700)]):
            assert runs.open_run(
                conn,
                run_id=f"run-{number}",
                exchange=exchange,
                kind=Kind.SCHEDULED,
                due_at=later(seconds),
                at=AT,
                mapping_digest="m" * 64,
            )
        runs.close_run(conn, "run-0", state=RunState.FAILED, figures={}, at=AT)
        assert timetable.last_due(conn, EXCHANGE) == later(1800)
        assert timetable.last_due(conn, EXCHANGE, until=later(1799)) == later(900)
        assert timetable.last_due(conn, EXCHANGE, until=later(899)) is None
