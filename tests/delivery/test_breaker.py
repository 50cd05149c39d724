"""A peer out of reach: opened once, asked by the curve, closed once; and a backlog that leaves evenly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.breaker import Breaker, Change, Drain, Policy, breaker_of, row_of, step
from gateway.delivery.core import Retry
from gateway.store.database import Database
from gateway.store.peers import PeerRow, all_peers, find_peer, save_peer
from tests.delivery.organisation import Desk

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
POLICY = Policy(failures=3, retry=Retry(attempts=3, first=timedelta(seconds=10), factor=2, max=timedelta(minutes=1)))
LONGEST = timedelta(seconds=72)


def fail(breaker: Breaker, now: datetime) -> tuple[Breaker, Change | None]:
    return step(breaker, False, now, POLICY, 0.5, why="peer-unreachable")


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(3):
        breaker, _ = fail(breaker, NOW)
    return breaker


def test_it_opens_at_the_third_failure_in_a_row_and_says_so_once() -> None:
    breaker, change = fail(Breaker(), NOW)
    assert (breaker.is_open, change) == (False, None)
    breaker, _ = fail(breaker, NOW)
    assert step(breaker, True, NOW, POLICY, 0.5) == (Breaker(), None), "an answer in between: from the beginning"
    breaker, change = fail(breaker, NOW)
    assert (breaker.is_open, breaker.opened_at, breaker.why, change) == (True, NOW, "peer-unreachable", Change.OPENED)
    assert breaker.probe_at == NOW + timedelta(seconds=10)
    assert fail(breaker, NOW) == (breaker, None), "what was under way when it opened says nothing new"


def test_probes_follow_the_curve_and_the_first_answer_closes_it() -> None:
    breaker, now, pauses = opened(), NOW, []
    for _ in range(5):
        assert breaker.probe_at is not None
        now = breaker.probe_at
        assert not breaker.probe_due(now - timedelta(microseconds=1), POLICY)
        assert breaker.probe_due(now, POLICY)
        breaker, change = fail(breaker, now)
        assert (change, breaker.opened_at) == (None, NOW)
        assert breaker.probe_at is not None
        pauses.append((breaker.probe_at - now).total_seconds())
    assert pauses == [20, 40, 60, 60, 60]
    assert step(breaker, True, now, POLICY, 0.5) == (Breaker(drains=True), Change.CLOSED)
    assert step(Breaker(drains=True), True, now, POLICY, 0.5) == (Breaker(drains=True), None)
    assert step(Breaker(), True, now, POLICY, 0.5) == (Breaker(), None)


def test_a_closed_breaker_has_nothing_to_ask() -> None:
    assert not Breaker(failures=2).probe_due(NOW, POLICY)


def test_a_clock_that_was_set_back_by_years_does_not_keep_it_open() -> None:
    breaker, then = opened(), NOW - timedelta(days=900)
    assert breaker.probe_due(then, POLICY)
    breaker, change = fail(breaker, then)
    assert (change, breaker.probe_due(then, POLICY)) == (None, False), "asked once, not in a storm"


def test_it_is_known_over_a_restart(desk: Desk) -> None:
    database: Database = desk.database
    with database.begin() as conn:
        assert breaker_of(find_peer(conn, "A")) == Breaker()
        save_peer(conn, row_of("A", opened()))
        save_peer(conn, row_of("B", Breaker(failures=1, why="peer-cut")))
    with database.read() as conn:
        assert breaker_of(find_peer(conn, "A")) == opened()
        assert [row.code for row in all_peers(conn)] == ["A", "B"]
    with database.begin() as conn:
        save_peer(conn, row_of("A", Breaker()))
        assert find_peer(conn, "A") == PeerRow(code="A")


instants = st.datetimes(datetime(1971, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(st.tuples(st.booleans(), instants), max_size=60), st.floats(0, 1, exclude_max=True))
def test_under_whatever_clock_opening_and_closing_take_turns(
    history: list[tuple[bool, datetime]], jitter: float
) -> None:
    breaker, told = Breaker(), []
    for reached, now in history:
        before = breaker
        breaker, change = step(breaker, reached, now, POLICY, jitter)
        if change is not None:
            told.append(change)
        assert breaker.is_open == (not reached and (before.is_open or before.failures + 1 >= POLICY.failures))
        if breaker.is_open and not breaker.probe_due(now, POLICY):
            assert breaker.probe_at is not None
            assert timedelta() < breaker.probe_at - now <= LONGEST
        assert breaker_of(row_of("A", breaker)) == breaker
    assert told == [Change.OPENED, Change.CLOSED] * (len(told) // 2) + [Change.OPENED] * (len(told) % 2)


@given(st.lists(st.floats(0, 30), max_size=50), st.sampled_from([1.0, 30.0, 60.0, 600.0]))
def test_a_backlog_leaves_no_faster_than_its_rate(idle: list[float], rate: float) -> None:
    now = 100.0
    drain, leaving = Drain.begin(rate, now), []
    for pause in idle:
        now += pause
        now += drain.wait(now)
        assert drain.wait(now) == 0
        leaving.append(now)
        drain = drain.left(now)
    for first, second in pairwise(leaving):
        assert second - first >= 60 / rate - 1e-6, "time in which none left is not made up for"
    assert not leaving or leaving[0] == 100.0 + idle[0], "the first leaves at once"


def test_without_an_outage_nothing_is_held_up() -> None:
    assert Drain().left(5.0).wait(5.0) == 0
