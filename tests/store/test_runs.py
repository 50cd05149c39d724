"""Runs and watermarks."""

from __future__ import annotations

import pytest

from gateway.errors import StoreError
from gateway.store import runs
from gateway.store.database import Database
from gateway.store.runs import Kind, RunState
from tests.store.samples import AT, EXCHANGE, RUN, SOURCE, later, open_run


def scheduled(database: Database, run_id: str, due_at: str, exchange: str = EXCHANGE) -> bool:
    with database.begin() as conn:
        return runs.open_run(
            conn,
            run_id=run_id,
            exchange=exchange,
            kind=Kind.SCHEDULED,
            due_at=due_at,
            at=later(1),
            mapping_digest="m" * 64,
        )


def test_a_tick_has_one_run(database: Database) -> None:
    assert scheduled(database, "first", AT)
    assert not scheduled(database, "second", AT)
    assert scheduled(database, "third", later(900))
    assert scheduled(database, "fourth", AT, exchange="penalties")
    with database.read() as conn:
        assert runs.find_run(conn, "second") is None
        assert [run.id for run in runs.open_runs(conn)] == ["first", "fourth", "third"]


def test_a_run_id_is_used_once(database: Database) -> None:
    """Not to be mistaken for a tick that is taken."""
    assert scheduled(database, "first", AT)
    with pytest.raises(StoreError, match="store-constraint"):
        scheduled(database, "first", later(900))


def test_runs_by_hand_are_not_ticks(database: Database) -> None:
    with database.begin() as conn:
        for name in ("a", "b"):
            assert runs.open_run(
                conn,
                run_id=name,
                exchange=EXCHANGE,
                kind=Kind.RESYNC,
                at=AT,
                mapping_digest="m" * 64,
                person="王芳",
                reason="省平台恢复备份",
            )
        found = runs.find_run(conn, "b")
    assert found is not None
    assert (found.kind, found.person, found.reason, found.due_at) == (Kind.RESYNC, "王芳", "省平台恢复备份", None)


def test_a_run_is_closed_once_with_its_figures(database: Database) -> None:
    figures = {"read": 5, "unchanged": 2, "quarantined": 1, "sealed": 2}
    with database.begin() as conn:
        open_run(conn)
        runs.close_run(conn, RUN, state=RunState.CLOSED, figures=figures, at=later(9))
    with database.read() as conn:
        found = runs.last_run(conn, EXCHANGE)
        assert runs.open_runs(conn) == []
    assert found is not None
    assert (found.state, found.closed_at, found.figures) == (RunState.CLOSED, later(9), figures)
    for missing in (RUN, "nobody"):
        with pytest.raises(StoreError, match="run-not-open"), database.begin() as conn:
            runs.close_run(conn, missing, state=RunState.FAILED, figures={}, at=later(10))


def test_the_last_run_is_the_one_that_started_last(database: Database) -> None:
    with database.begin() as conn:
        for number in (2, 3, 1):
            runs.open_run(
                conn, run_id=str(number), exchange=EXCHANGE, kind=Kind.MANUAL, at=later(number), mapping_digest="m" * 64
            )
        last = runs.last_run(conn, EXCHANGE)
        assert last is not None
        assert last.id == "3"
        assert [run.id for run in runs.list_runs(conn, EXCHANGE, limit=2)] == ["3", "2"]
        assert runs.last_run(conn, "penalties") is None


def test_a_watermark_moves_with_its_transaction(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        assert runs.position(conn, EXCHANGE, SOURCE) is None
        runs.advance(conn, exchange=EXCHANGE, source=SOURCE, position="2026-11-22 06:00:00", run_id=RUN, at=AT)
        runs.advance(conn, exchange=EXCHANGE, source="files", position="a.csv", run_id=RUN, at=AT)
    with pytest.raises(KeyError), database.begin() as conn:  # noqa: PT012  # the failure is inside the transaction
        runs.advance(conn, exchange=EXCHANGE, source=SOURCE, position="lost", run_id=RUN, at=AT)
        raise KeyError
    with database.begin() as conn:
        assert runs.position(conn, EXCHANGE, SOURCE) == "2026-11-22 06:00:00"
        runs.advance(conn, exchange=EXCHANGE, source=SOURCE, position="2026-11-23", run_id=RUN, at=later(1))
        assert runs.position(conn, EXCHANGE, SOURCE) == "2026-11-23"
        assert runs.position(conn, EXCHANGE, "files") == "a.csv"
