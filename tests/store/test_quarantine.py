"""Quarantine: one case for one fault of one row, as long as it lasts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection

from gateway.errors import StoreError
from gateway.store import quarantine
from gateway.store.database import Database
from gateway.store.quarantine import Case, Noted, ReasonCount, Stage, UnitCount
from tests.store.samples import AT, EXCHANGE, RUN, SOURCE, bad_row, digest, later, open_run


@pytest.fixture
def runs(database: Database) -> list[str]:
    names = [RUN, "second", "third"]
    with database.begin() as conn:
        for name in names:
            open_run(conn, name)
    return names


def note(
    conn: Connection, found: Sequence[Case], run_id: str = RUN, *, stage: Stage = Stage.SOURCE, at: str = AT
) -> Noted:
    return quarantine.note(conn, found, exchange=EXCHANGE, source=SOURCE, stage=stage, run_id=run_id, at=at)


def keys(conn: Connection) -> list[str | None]:
    return [case.key for case in quarantine.cases(conn)]


@pytest.mark.usefixtures("runs")
def test_a_case_comes_back_as_it_was_noted(database: Database) -> None:
    case = bad_row("黑交许〔2026〕1号", "required-missing", "too-long", row='{"许可":"𠮷"}')
    with database.begin() as conn:
        assert note(conn, [case]) == Noted(opened=1, seen_again=0, replaced=0)
        (found,) = quarantine.cases(conn)
        assert (found.key, found.locator, found.unit, found.row) == (case.key, case.locator, case.unit, case.row)
        assert (found.reasons, found.row_digest, found.stage) == (case.reasons, digest(case.row), Stage.SOURCE)
        assert (found.opened_run, found.last_run, found.opened_at, found.closed_at) == (RUN, RUN, AT, None)
        assert quarantine.find_case(conn, found.id) == found
        with pytest.raises(StoreError, match="case-missing"):
            quarantine.find_case(conn, found.id + 1)
        assert note(conn, []) == Noted(opened=0, seen_again=0, replaced=0)


def test_the_same_fault_of_the_same_record_is_the_same_case(database: Database, runs: list[str]) -> None:
    with database.begin() as conn:
        note(conn, [bad_row("a", "too-long")])
        moved = bad_row("a", "too-long", locator="第 9 行", row='{"now":"other"}')
        assert note(conn, [moved], runs[1], at=later(9)) == Noted(opened=0, seen_again=1, replaced=0)
        (found,) = quarantine.cases(conn)
    assert (found.opened_run, found.last_run, found.opened_at) == (RUN, runs[1], AT)
    assert (found.locator, found.row, found.row_digest) == ("第 9 行", moved.row, moved.row_digest)


def test_the_order_of_reasons_does_not_matter(database: Database, runs: list[str]) -> None:
    with database.begin() as conn:
        note(conn, [bad_row("a", "too-long", "code-unknown")])
        assert note(conn, [bad_row("a", "code-unknown", "too-long")], runs[1]).seen_again == 1


def test_another_fault_replaces_the_case(database: Database, runs: list[str]) -> None:
    with database.begin() as conn:
        note(conn, [bad_row("a", "too-long"), bad_row("b", "too-long")])
        assert note(conn, [bad_row("a", "code-unknown")], runs[1], at=later(9)) == Noted(
            opened=1, seen_again=0, replaced=1
        )
        assert [(case.key, case.reasons[0].code) for case in quarantine.cases(conn)] == [
            ("b", "too-long"),
            ("a", "code-unknown"),
        ]
        old = quarantine.find_case(conn, 1)
    assert (old.closed_at, old.closed_why) == (later(9), "replaced")


@pytest.mark.usefixtures("runs")
def test_two_rows_of_one_key_may_fail_differently(database: Database) -> None:
    with database.begin() as conn:
        note(conn, [bad_row("a", "too-long")])
        assert note(conn, [bad_row("a", "code-unknown", locator="第 2 行")]) == Noted(
            opened=1, seen_again=0, replaced=0
        )


def test_a_row_without_a_key_is_known_by_place_and_content(database: Database, runs: list[str]) -> None:
    first, other = bad_row(None, "key-missing", row="{}"), bad_row(None, "key-missing", row='{"other":1}')
    with database.begin() as conn:
        assert note(conn, [first, other]).opened == 2
        assert note(conn, [first], runs[1]).seen_again == 1
        assert note(conn, [bad_row(None, "key-missing", locator="第 2 行")], runs[1]).opened == 1


@pytest.mark.usefixtures("runs")
def test_stages_exchanges_and_sources_are_apart(database: Database) -> None:
    case = bad_row("a", "too-long")
    with database.begin() as conn:
        for stage in Stage:
            assert note(conn, [case], stage=stage).opened == 1
        quarantine.note(conn, [case], exchange=EXCHANGE, source="other", stage=Stage.SOURCE, run_id=RUN, at=AT)
        quarantine.note(conn, [case], exchange="other", source=SOURCE, stage=Stage.SOURCE, run_id=RUN, at=AT)
        assert quarantine.count_open(conn) == 5
        assert quarantine.count_open(conn, exchange=EXCHANGE) == 4
        assert quarantine.count_open(conn, exchange=EXCHANGE, source=SOURCE) == 3
        assert quarantine.count_open(conn, exchange=EXCHANGE, source=SOURCE, stage=Stage.FORMAT) == 1


@pytest.mark.usefixtures("runs")
def test_a_mended_row_closes_its_case(database: Database) -> None:
    many = [str(number) for number in range(1_203)]
    with database.begin() as conn:
        assert quarantine.close_keys(conn, many, exchange=EXCHANGE, source=SOURCE, stage=Stage.SOURCE, at=AT) == 0
        note(conn, [bad_row("3", "too-long"), bad_row("1202", "too-long"), bad_row("x", "too-long")])
        note(conn, [bad_row("3", "too-long")], stage=Stage.RECEIVER)
        assert quarantine.close_keys(conn, many, exchange=EXCHANGE, source=SOURCE, stage=Stage.SOURCE, at=later(2)) == 2
        assert [(case.key, case.stage) for case in quarantine.cases(conn)] == [("x", "source"), ("3", "receiver")]
        assert quarantine.find_case(conn, 1).closed_why == "mended"
        assert note(conn, [bad_row("3", "too-long")]).opened == 1, "the same fault later is a new case"


def test_what_a_whole_reading_did_not_meet_has_vanished(database: Database, runs: list[str]) -> None:
    with database.begin() as conn:
        note(conn, [bad_row("a", "too-long"), bad_row("b", "too-long"), bad_row(None, "key-missing")])
        note(conn, [bad_row("a", "too-long")], stage=Stage.FORMAT)
        note(conn, [bad_row("b", "too-long")], runs[1])
        closed = quarantine.close_missing(
            conn, exchange=EXCHANGE, source=SOURCE, stage=Stage.SOURCE, run_id=runs[1], at=later(5)
        )
        assert closed == 2
        assert sorted(str(key) for key in keys(conn)) == ["a", "b"]
        assert quarantine.find_case(conn, 1).closed_why == "vanished"


@pytest.mark.usefixtures("runs")
def test_a_person_closes_a_case_and_says_why(database: Database) -> None:
    with database.begin() as conn:
        note(conn, [bad_row("a", "too-long"), bad_row("b", "too-long")])
        assert quarantine.close_cases(conn, [1], why="王芳：来源已注销", at=later(5)) == 1
        assert quarantine.close_cases(conn, [1, 77], why="again", at=later(6)) == 0
        closed = quarantine.find_case(conn, 1)
        assert (closed.closed_why, closed.closed_at) == ("王芳：来源已注销", later(5))
        assert keys(conn) == ["b"]


@pytest.mark.usefixtures("runs")
def test_figures_by_reason_and_by_unit(database: Database) -> None:
    with database.begin() as conn:
        note(
            conn,
            [
                bad_row("a", "too-long", "code-unknown", unit="u1"),
                bad_row("b", "too-long", unit="u1"),
                bad_row("c", "code-unknown", unit="u2"),
                bad_row("d", "too-long", unit=None),
                bad_row("gone", "too-long", unit="u3"),
            ],
        )
        quarantine.close_keys(conn, ["gone"], exchange=EXCHANGE, source=SOURCE, stage=Stage.SOURCE, at=AT)
        assert quarantine.by_reason(conn) == [
            ReasonCount(code="too-long", field="subject_code", weight="reject", cases=3),
            ReasonCount(code="code-unknown", field="subject_code", weight="reject", cases=2),
        ]
        assert [(one.code, one.cases) for one in quarantine.by_reason(conn, unit="u2")] == [("code-unknown", 1)]
        assert quarantine.by_reason(conn, exchange="other") == []
        assert quarantine.by_unit(conn)[0] == UnitCount(unit="u1", cases=2)
        assert {(one.unit, one.cases) for one in quarantine.by_unit(conn, exchange=EXCHANGE)} == {
            ("u1", 2),
            ("u2", 1),
            (None, 1),
        }


@pytest.mark.usefixtures("runs")
def test_cases_are_found_by_unit_stage_and_reason(database: Database) -> None:
    with database.begin() as conn:
        note(conn, [bad_row("a", "too-long", "code-unknown", unit="u2"), bad_row("b", "too-long", unit="u1")])
        note(conn, [bad_row("c", "code-unknown", unit="u1")], stage=Stage.FORMAT)

        def found(**wanted: str) -> list[str | None]:
            stage = Stage(wanted.pop("stage")) if "stage" in wanted else None
            return [case.key for case in quarantine.cases(conn, stage=stage, **wanted)]

        assert found() == ["b", "c", "a"], "unit by unit"
        assert found(unit="u1") == ["b", "c"]
        assert found(code="code-unknown") == ["c", "a"]
        assert found(code="code-unknown", unit="u2") == ["a"]
        assert found(stage="format") == ["c"]
        assert found(exchange="other") == []
        assert found(source=SOURCE, exchange=EXCHANGE, code="too") == []


def test_the_history_of_a_record_is_its_cases_and_no_others(database: Database, runs: list[str]) -> None:
    with database.begin() as conn:
        note(conn, [bad_row("a", "too-long"), bad_row("b", "too-long"), bad_row(None, "key-missing")])
        note(conn, [bad_row("a", "code-unknown"), bad_row(None, "key-missing")], runs[1], at=later(9))
        note(conn, [bad_row("a", "too-long")], runs[1], stage=Stage.FORMAT)
        first = quarantine.find_case(conn, 1)
        found = quarantine.history(conn, first)
        assert [(case.key, case.stage, case.closed_why) for case in found] == [
            ("a", "format", None),
            ("a", "source", None),
            ("a", "source", "replaced"),
        ]
        (without_key,) = [case for case in quarantine.cases(conn) if case.key is None]
        assert quarantine.history(conn, without_key) == [without_key]
