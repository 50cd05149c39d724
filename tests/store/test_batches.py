"""Batches: numbers without a gap, claims with a lease and a fence, and no move but the legal ones."""

from __future__ import annotations

import itertools
import threading
from dataclasses import fields, replace

import pytest
from sqlalchemy import Connection, update

from gateway.errors import StoreError
from gateway.store import attempts, batches
from gateway.store.batches import Claim
from gateway.store.database import Database
from gateway.store.states import CLAIMABLE, FINAL, TRANSITIONS, State
from gateway.store.tables import batch
from tests.store.samples import (
    AT,
    EXCHANGE,
    LEASE,
    ROUTE,
    RUN,
    abandon,
    batch_id,
    later,
    new_batch,
    open_run,
    package,
    ready_batch,
    void_batch,
)

OTHER_ROUTE = "11230000MB1234567X/administrative-penalty/11230000001234567A"


def claim(conn: Connection, at: float = 1, *, owner: str = "worker", route: str = ROUTE) -> Claim | None:
    return batches.claim(conn, owner=owner, at=later(at), lease_seconds=LEASE, route=route)


def claimed(conn: Connection, at: float = 1) -> Claim:
    found = claim(conn, at)
    assert found is not None
    return found


def state(conn: Connection, number: int = 1) -> State:
    found = batches.find_batch(conn, batch_id(number))
    assert found is not None
    return found.state


def force(conn: Connection, number: int, to: State) -> None:
    """Put a batch into any state, past the table of transitions."""
    conn.execute(update(batch).where(batch.c.id == batch_id(number)).values(state=to.value, lease_until=None))


def test_a_batch_comes_back_as_it_was_stored(database: Database) -> None:
    new = new_batch(1)
    with database.begin() as conn:
        open_run(conn)
        batches.add_batch(conn, new, package(1))
    with database.read() as conn:
        found = batches.find_batch(conn, new.id)
        assert found is not None
        assert {item.name: getattr(found, item.name) for item in fields(new)} == {
            item.name: getattr(new, item.name) for item in fields(new)
        }
        assert (found.state, found.attempts, found.fence, found.figures) == (State.READY, 0, 0, {})
        assert batches.package_bytes(conn, new.id) == package(1)
        assert batches.find_batch(conn, "nobody") is None
        with pytest.raises(StoreError, match="batch-missing"):
            batches.package_bytes(conn, "nobody")


def test_numbers_go_up_by_one_on_each_route(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        assert batches.next_in_route(conn, ROUTE) == (1, None)
        ready_batch(conn, 1)
        ready_batch(conn, 2)
        ready_batch(conn, 3, route=OTHER_ROUTE, sequence=1)
        assert batches.next_in_route(conn, ROUTE) == (3, batch_id(2))
        assert batches.next_in_route(conn, OTHER_ROUTE) == (2, batch_id(3))


@pytest.mark.parametrize("sequence", [0, 1, 3])
def test_a_number_that_is_not_the_next_is_refused(database: Database, sequence: int) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
    with pytest.raises(StoreError) as refused, database.begin() as conn:
        ready_batch(conn, 9, sequence=sequence)
    assert refused.value.facts == {"route": ROUTE, "expected": 2, "found": sequence}


def test_the_database_itself_holds_a_number_once(database: Database) -> None:
    """Two daemons that count at the same instant: the second commit fails."""
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        ready_batch(conn, 2)
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        conn.execute(update(batch).where(batch.c.id == batch_id(2)).values(sequence=1))


def test_other_bytes_than_announced_are_refused(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
    with pytest.raises(StoreError, match="package-differs"), database.begin() as conn:
        batches.add_batch(conn, new_batch(1), b"other bytes")


def test_figures_that_do_not_add_up_are_refused(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        batches.add_batch(conn, replace(new_batch(1), total=4), package(1))


def test_an_abandoned_number_is_taken_again_before_the_route_goes_on(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        first = ready_batch(conn, 1)
        ready_batch(conn, 2)
        abandon(conn, first)
        with pytest.raises(StoreError) as hole:
            batches.next_in_route(conn, ROUTE)
        assert (hole.value.code, hole.value.facts["sequence"]) == ("route-has-hole", 1)
        void = void_batch(conn, 100, first)
        assert batches.next_in_route(conn, ROUTE) == (3, batch_id(2))
        assert claimed(conn).batch_id == void, "the void batch goes first"


def test_a_void_batch_stands_for_an_abandoned_one_only(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        first = ready_batch(conn, 1)
        with pytest.raises(StoreError, match="sequence-wrong"):
            void_batch(conn, 100, first)


def test_a_void_batch_can_be_abandoned_too(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        first = ready_batch(conn, 1)
        abandon(conn, first)
        second = void_batch(conn, 100, first)
        abandon(conn, second)
        with pytest.raises(StoreError, match="route-has-hole"):
            batches.next_in_route(conn, ROUTE)
        third = void_batch(conn, 101, second)
        assert batches.next_in_route(conn, ROUTE) == (2, third)


def test_lists(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        for number in (1, 2, 3):
            ready_batch(conn, number)
        batches.add_batch(conn, new_batch(4, route=OTHER_ROUTE, sequence=1, exchange="penalties"), package(4))
        force(conn, 2, State.ACKNOWLEDGED)
        force(conn, 3, State.RECONCILED)

        def numbers(found: list[batches.Batch]) -> list[int]:
            return [int(one.id[-2:], 16) for one in found]

        assert numbers(batches.open_batches(conn)) == [1, 2, 4]
        assert numbers(batches.open_batches(conn, exchange="penalties")) == [4]
        assert numbers(batches.open_batches(conn, route=ROUTE)) == [1, 2]
        assert numbers(batches.list_batches(conn, limit=3)) == [4, 3, 2]
        assert numbers(batches.list_batches(conn, states=[State.RECONCILED], route=ROUTE, limit=9)) == [3]
        assert numbers(batches.of_run(conn, RUN)) == [1, 2, 3, 4]
        assert batches.count_by_state(conn, EXCHANGE) == {State.READY: 1, State.ACKNOWLEDGED: 1, State.RECONCILED: 1}


# Claims.


def test_a_claim_takes_the_first_batch_and_nobody_else_gets_it(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        ready_batch(conn, 2)
        assert claim(conn) == Claim(
            batch_id=batch_id(1),
            route=ROUTE,
            sequence=1,
            fence=1,
            found=State.READY,
            state=State.SENDING,
            lease_until=later(61),
        )
        assert claim(conn, owner="other") is None, "the second batch must not overtake"
        assert claim(conn, 60.9) is None


@pytest.mark.parametrize("blocking", sorted(set(State) - CLAIMABLE))
def test_the_next_batch_waits_for_whoever_has_no_answer(database: Database, blocking: State) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        ready_batch(conn, 2)
        force(conn, 1, blocking)
        found = claim(conn)
    if blocking is State.REFUSED:
        assert found is None
    else:
        assert found is not None
        assert found.batch_id == batch_id(2)


def test_a_claim_by_name_is_for_the_same_batch(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        ready_batch(conn, 2)
        for name in (batch_id(2), "nobody"):
            assert batches.claim(conn, owner="w", at=AT, lease_seconds=LEASE, batch_id=name) is None
        assert batches.claim(conn, owner="w", at=AT, lease_seconds=LEASE, batch_id=batch_id(1)) is not None
        with pytest.raises(ValueError, match="either"):
            batches.claim(conn, owner="w", at=AT, lease_seconds=LEASE)


def test_a_batch_that_waits_is_claimed_when_it_is_due(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        first = claimed(conn)
        batches.move(conn, first.batch_id, State.WAITING, at=later(2), fence=first.fence, next_attempt_at=later(30))
        assert claim(conn, 29.9) is None
        again = claimed(conn, 30)
        assert (again.state, again.fence) == (State.SENDING, 2)


def test_sending_under_a_dead_lease_is_unknown(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        first = claimed(conn)
        attempts.start_attempt(conn, first.batch_id, fence=first.fence, at=later(1))
    with database.begin() as conn:
        found = claimed(conn, 61)
        assert (found.state, found.fence, state(conn)) == (State.UNKNOWN, 2, State.UNKNOWN)
        (attempt,) = attempts.list_attempts(conn, found.batch_id)
        assert (attempt.outcome, attempt.code, attempt.ended_at) == ("unknown", "lease-ended", later(61))


def test_an_unknown_batch_is_asked_about_then_sent_again(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        first = claimed(conn)
        batches.move(conn, first.batch_id, State.UNKNOWN, at=later(2), fence=first.fence, next_attempt_at=later(10))
        assert claim(conn, 9) is None
        asking = claimed(conn, 10)
        assert asking.state is State.UNKNOWN
        assert claim(conn, 20, owner="other") is None, "one asks at a time"
        batches.put_off(conn, asking.batch_id, next_attempt_at=later(40), fence=asking.fence)
        assert claim(conn, 39) is None
        again = claimed(conn, 40)
        assert batches.move(conn, again.batch_id, State.SENDING, at=later(41), fence=again.fence) is State.UNKNOWN
        assert claim(conn, 50) is None, "the lease goes on"
        assert attempts.start_attempt(conn, again.batch_id, fence=again.fence, at=later(42)) == 1


def test_a_longer_send_keeps_its_lease(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        first = claimed(conn)
        batches.extend_lease(conn, first.batch_id, fence=first.fence, at=later(50), lease_seconds=LEASE)
        assert claim(conn, 100) is None
        assert claimed(conn, 110).state is State.UNKNOWN
        with pytest.raises(StoreError, match="fence-lost"):
            batches.extend_lease(conn, first.batch_id, fence=first.fence, at=later(111), lease_seconds=LEASE)


def test_a_worker_that_slept_past_its_lease_changes_nothing(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        asleep = claimed(conn)
        awake = claimed(conn, 61)
        batches.move(conn, awake.batch_id, State.SENDING, at=later(62), fence=awake.fence)
        for to in TRANSITIONS[State.SENDING]:
            with pytest.raises(StoreError, match="fence-lost"):
                batches.move(conn, asleep.batch_id, to, at=later(63), fence=asleep.fence)
        with pytest.raises(StoreError, match="fence-lost"):
            attempts.start_attempt(conn, asleep.batch_id, fence=asleep.fence, at=later(63))
        assert state(conn) is State.SENDING
        batches.move(conn, awake.batch_id, State.ACKNOWLEDGED, at=later(64), fence=awake.fence)


def test_leases_end_with_the_process_that_held_them(database: Database) -> None:
    """Whoever starts with the state folder's lock in hand knows that nobody else is at work."""
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        ready_batch(conn, 2, route=OTHER_ROUTE, sequence=1)
        sending, asking = claimed(conn), claim(conn, route=OTHER_ROUTE)
        assert asking is not None
        attempts.start_attempt(conn, sending.batch_id, fence=sending.fence, at=later(1))
        batches.move(conn, asking.batch_id, State.UNKNOWN, at=later(2), fence=asking.fence, next_attempt_at=later(2))
        asking = claim(conn, 3, route=OTHER_ROUTE)
        assert asking is not None
    with database.begin() as conn:
        assert batches.end_leases(conn, at=later(4)) == 1
        assert batches.end_leases(conn, at=later(4)) == 0
        (attempt,) = attempts.list_attempts(conn, sending.batch_id)
        assert (attempt.outcome, attempt.code, attempt.ended_at) == ("unknown", "lease-ended", later(4))
        for dead in (sending, asking):
            with pytest.raises(StoreError, match="fence-lost"):
                batches.count_ask(conn, dead.batch_id, fence=dead.fence)
        for route in (ROUTE, OTHER_ROUTE):
            found = claim(conn, 4, route=route)
            assert found is not None
            assert (found.found, found.state) == (State.UNKNOWN, State.UNKNOWN)


def test_a_time_beyond_every_pause_holds_nothing_up(database: Database) -> None:
    """The clock was years ahead when the lease and the next attempt were written, and has been set right since."""
    year = 365 * 86_400
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        ahead = claimed(conn, year)
        assert claim(conn, year - 1) is None, "a small step changes nothing"
        right = claimed(conn, 1)
        assert (right.fence, right.state) == (ahead.fence + 1, State.UNKNOWN)
        batches.put_off(conn, right.batch_id, next_attempt_at=later(year), fence=right.fence)
        assert claim(conn, 1) is None, "without a bound every time is believed"
        again = batches.claim(conn, owner="w", at=later(1), lease_seconds=LEASE, route=ROUTE, longest_pause=3_600)
        assert again is not None
        batches.put_off(conn, again.batch_id, next_attempt_at=later(3_000), fence=again.fence)
        assert (
            batches.claim(conn, owner="w", at=later(1), lease_seconds=LEASE, route=ROUTE, longest_pause=3_600) is None
        )


def test_questions_are_counted_under_the_fence_and_anew_at_a_persons_word(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        name = ready_batch(conn, 1)
        first = claimed(conn)
        batches.count_ask(conn, name, fence=first.fence)
        batches.count_ask(conn, name, fence=first.fence)
        with pytest.raises(StoreError, match="fence-lost"):
            batches.count_ask(conn, name, fence=first.fence + 1)
        assert batches.lock(conn, name).asks == 2
        batches.renew(conn, name, give_up_at=later(9))
        found = batches.lock(conn, name)
        assert (found.asks, found.give_up_at, found.fence) == (0, later(9), first.fence)
        with pytest.raises(StoreError, match="batch-missing"):
            batches.lock(conn, "nobody")


def test_a_person_stops_whoever_works_on_the_batch(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        first = claimed(conn)
        batches.move(conn, first.batch_id, State.UNKNOWN, at=later(2), fence=first.fence)
        asking = claimed(conn, 3)
        abandon(conn, first.batch_id)
        with pytest.raises(StoreError, match="fence-lost"):
            batches.move(conn, asking.batch_id, State.SENDING, at=later(4), fence=asking.fence)
        found = batches.find_batch(conn, first.batch_id)
        assert found is not None
        assert (found.person, found.reason, found.closed_at) == ("王芳", "发错了目录", AT)
        assert (found.lease_owner, found.lease_until) == (None, None)


def test_two_workers_at_once_get_one_claim(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        for number in (1, 2, 3):
            ready_batch(conn, number)
    start, found = threading.Barrier(4), []

    def work(owner: str) -> None:
        start.wait(10)
        with database.begin() as conn:
            found.append(claim(conn, owner=owner))

    threads = [threading.Thread(target=work, args=(f"worker {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.sequence for one in found if one is not None] == [1]
    assert len(found) == 4


# Moves.


def test_the_store_refuses_every_other_move(sqlite_database: Database) -> None:
    with sqlite_database.begin() as conn:
        open_run(conn)
        name = ready_batch(conn, 1)
        for here, to in itertools.product(State, State):
            if to not in TRANSITIONS[here]:
                force(conn, 1, here)
                with pytest.raises(StoreError) as refused:
                    batches.move(conn, name, to, at=AT, person="王芳", reason="试")
                assert (refused.value.code, state(conn)) == ("transition-illegal", here)


def test_the_store_makes_every_legal_move(database: Database) -> None:
    figures = {"total": 3, "created": 3}
    with database.begin() as conn:
        open_run(conn)
        for number, (here, to) in enumerate([(a, b) for a in State for b in sorted(TRANSITIONS[a])], start=1):
            name = ready_batch(conn, number, route=f"route {number}", sequence=1)
            force(conn, number, here)
            assert batches.move(conn, name, to, at=later(5), person="王芳", reason="试", figures=figures) is here
            found = batches.find_batch(conn, name)
            assert found is not None
            assert (found.state, found.figures, found.fence) == (to, figures, 1)
            assert (found.closed_at is not None) == (to in FINAL)
            assert found.next_attempt_at == (later(5) if to in {State.WAITING, State.UNKNOWN} else AT)


@pytest.mark.parametrize(("person", "reason"), [(None, None), ("王芳", None), ("王芳", ""), ("", "发错了")])
def test_nobody_abandons_without_a_name_and_a_reason(
    database: Database, person: str | None, reason: str | None
) -> None:
    with database.begin() as conn:
        open_run(conn)
        name = ready_batch(conn, 1)
        with pytest.raises(StoreError, match="abandon-unexplained"):
            batches.move(conn, name, State.ABANDONED, at=AT, person=person, reason=reason)


def test_a_batch_that_does_not_exist_is_named(database: Database) -> None:
    with database.begin() as conn, pytest.raises(StoreError, match="batch-missing"):
        batches.move(conn, "nobody", State.SENDING, at=AT)


def test_a_person_orders_another_time(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        name = ready_batch(conn, 1)
        batches.put_off(conn, name, next_attempt_at=later(100))
        assert claim(conn, 99) is None
        batches.put_off(conn, name, next_attempt_at=later(10))
        first = claimed(conn, 10)
        with pytest.raises(StoreError, match="put-off-illegal"):
            batches.put_off(conn, name, next_attempt_at=later(20))
        batches.move(conn, name, State.WAITING, at=later(11), fence=first.fence)
        with pytest.raises(StoreError, match="fence-lost"):
            batches.put_off(conn, name, next_attempt_at=later(20), fence=first.fence + 1)
