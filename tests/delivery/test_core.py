"""What becomes of a batch, without any I/O: single decisions, and the laws that hold over every history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.core import GAVE_UP, Retry, Standing, back_off, step
from gateway.delivery.events import (
    Abandoned,
    Accept,
    Ask,
    Disputed,
    Due,
    Effect,
    EnterDispute,
    Event,
    Finding,
    KeepRefused,
    LeaseEnded,
    QuestionEnded,
    ReceiptCame,
    Retried,
    SealVoid,
    Send,
    SendEnded,
    Settle,
    Settled,
    Stopped,
    Tell,
)
from gateway.errors import StoreError
from gateway.exchange.outcome import (
    Acknowledged,
    Later,
    NeverReceived,
    NotReady,
    Outcome,
    ReceiptAnswer,
    Refused,
    Taken,
    Unknown,
)
from gateway.store.states import CLAIMABLE, FINAL, TRANSITIONS, State

MADE = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
NOW = MADE + timedelta(minutes=5)
RETRY = Retry(
    attempts=3,
    first=timedelta(seconds=10),
    factor=2,
    max=timedelta(minutes=1),
    give_up_after=timedelta(hours=1),
)
RECEIPT = Acknowledged(receipt=b"r", status=201, stored=False)


def standing(state: State, *, attempts: int = 1, asks: int = 0) -> Standing:
    return Standing(
        state=state, made_at=MADE, give_up_at=MADE + RETRY.give_up_after, attempts=attempts, asks=asks, next_at=MADE
    )


def happen(before: Standing, event: Event, now: datetime = NOW) -> tuple[Standing, tuple[Effect, ...]]:
    return step(before, event, now=now, retry=RETRY, jitter=0.5)


def sent(outcome: Outcome, attempt: int = 1, now: datetime = NOW) -> Standing:
    return happen(standing(State.SENDING, attempts=attempt), SendEnded(outcome), now)[0]


def asked(answer: ReceiptAnswer, attempt: int = 1, asks: int = 1, now: datetime = NOW) -> Standing:
    return happen(standing(State.UNKNOWN, attempts=attempt, asks=asks), QuestionEnded(answer), now)[0]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (RECEIPT, State.ACKNOWLEDGED),
        (Taken(retry_after=5), State.UNKNOWN),
        (Refused(status=403, code="route-forbidden"), State.REFUSED),
        (Later(why="connection-refused"), State.WAITING),
        (Unknown(why="answer-cut"), State.UNKNOWN),
    ],
)
def test_every_outcome_has_its_state(outcome: Outcome, state: State) -> None:
    assert sent(outcome).state is state


def test_a_refusal_is_never_tried_again_by_itself() -> None:
    refused = sent(Refused(status=422, code="schema-invalid", detail="x"))
    assert (refused.state, refused.code, refused.detail, refused.status, refused.next_at) == (
        State.REFUSED,
        "schema-invalid",
        "x",
        422,
        None,
    )


def test_doubt_is_resolved_by_asking_first() -> None:
    assert sent(Unknown(why="answer-cut")).state is State.UNKNOWN
    assert happen(standing(State.UNKNOWN), Due())[1] == (Ask(),)
    assert asked(NeverReceived()).state is State.SENDING
    assert asked(NotReady(retry_after=1)).state is State.UNKNOWN
    assert asked(Later(why="connection-refused")).state is State.UNKNOWN, (
        "no answer proves nothing about the first sending"
    )
    assert asked(Acknowledged(receipt=b"r", status=200, stored=True)).state is State.ACKNOWLEDGED


def test_whoever_was_sending_and_is_gone_leaves_doubt() -> None:
    for event in (LeaseEnded(), Stopped()):
        found, _ = happen(standing(State.SENDING), event)
        assert (found.state, found.next_at) == (State.UNKNOWN, NOW)
    claimed, effects = happen(standing(State.SENDING), Due())
    assert (claimed.state, effects) == (State.UNKNOWN, (Ask(),)), "a dead lease is claimed to ask, not to send"


def test_the_peer_may_ask_for_a_longer_pause_but_not_for_a_shorter_one() -> None:
    assert sent(Later(why="busy", status=503, retry_after=300)).next_at == NOW + timedelta(seconds=300)
    assert sent(Later(why="busy", status=503, retry_after=1)).next_at == NOW + timedelta(seconds=10)


@pytest.mark.parametrize("asked_for", [-5.0, float("nan"), float("-inf"), 1e300, float("inf")])
def test_no_answer_of_a_peer_puts_a_batch_out_of_sight_or_brings_it_on_early(asked_for: float) -> None:
    at = sent(Later(why="busy", status=503, retry_after=asked_for)).next_at
    assert at is not None
    assert timedelta(seconds=10) <= at - NOW <= RETRY.longest_pause


def test_trying_ends_by_number_and_by_time() -> None:
    by_number = sent(Later(why="connection-refused"), attempt=RETRY.attempts)
    assert (by_number.state, by_number.code, by_number.next_at) == (State.REFUSED, GAVE_UP, None)
    by_time = sent(Later(why="connection-refused"), now=MADE + RETRY.give_up_after)
    assert (by_time.state, by_time.code, by_time.detail) == (State.REFUSED, GAVE_UP, "connection-refused")


def test_asking_ends_by_its_own_number_and_by_time() -> None:
    later = Later(why="connection-refused")
    assert asked(later, attempt=RETRY.attempts).state is State.UNKNOWN, "sendings do not count against questions"
    assert asked(later, asks=RETRY.questions - 1).state is State.UNKNOWN
    assert asked(later, asks=RETRY.questions).code == GAVE_UP
    assert asked(NotReady(), asks=RETRY.questions).code == GAVE_UP
    assert asked(later, now=MADE + RETRY.give_up_after).code == GAVE_UP


def test_what_never_arrived_is_sent_again_as_often_as_it_may_be_sent() -> None:
    assert asked(NeverReceived(), attempt=RETRY.attempts - 1).attempts == RETRY.attempts
    ended = asked(NeverReceived(), attempt=RETRY.attempts)
    assert (ended.state, ended.code, ended.detail) == (State.REFUSED, GAVE_UP, "never-received")
    assert asked(NeverReceived(), now=MADE + timedelta(days=30)).state is State.SENDING, "the receiver waits for it"


def test_giving_up_tells_a_person_once() -> None:
    _, effects = happen(standing(State.SENDING, attempts=3), SendEnded(Later(why="connection-refused")))
    assert effects == (Tell(GAVE_UP),)


def test_a_receipt_that_comes_by_another_way_counts_wherever_bytes_may_have_left() -> None:
    for state in (State.WAITING, State.UNKNOWN, State.REFUSED, State.SENDING):
        found, effects = happen(standing(state), ReceiptCame(Finding.FIRST))
        assert (found.state, found.next_at, effects) == (State.ACKNOWLEDGED, None, (Accept(late=True), Settle()))
    for state in (State.READY, State.ABANDONED):
        found, effects = happen(standing(state), ReceiptCame(Finding.FIRST))
        assert (found.state, effects[0]) == (state, KeepRefused("receipt-unexpected"))


def test_a_receipt_that_contradicts_another_makes_a_dispute_until_the_batch_is_reconciled() -> None:
    found, effects = happen(standing(State.ACKNOWLEDGED), ReceiptCame(Finding.CONTRADICTS))
    assert found.state is State.DISPUTED
    assert effects[:2] == (KeepRefused("receipt-contradicts"), EnterDispute("receipt-contradicts"))
    for state in FINAL:
        found, effects = happen(standing(state), ReceiptCame(Finding.CONTRADICTS))
        assert (found.state, effects[0]) == (state, KeepRefused("receipt-contradicts"))
    assert happen(standing(State.ACKNOWLEDGED), ReceiptCame(Finding.SAME))[1] == ()


def test_a_batch_is_settled_or_disputed_once() -> None:
    assert happen(standing(State.ACKNOWLEDGED), Settled())[0].state is State.RECONCILED
    found, effects = happen(standing(State.ACKNOWLEDGED), Disputed("figures"))
    assert (found.state, effects) == (State.DISPUTED, (EnterDispute("figures"), Tell("figures")))
    for state in set(State) - {State.ACKNOWLEDGED}:
        for event in (Settled(), Disputed("figures")):
            assert happen(standing(state), event) == (standing(state), ())


def test_a_person_orders_another_try_of_what_was_refused() -> None:
    given_up = sent(Later(why="connection-refused"), attempt=RETRY.attempts)
    later = NOW + timedelta(days=9)
    again, effects = happen(given_up, Retried(), later)
    assert (again.state, again.next_at, again.asks, effects) == (State.WAITING, later, 0, ())
    assert again.give_up_at == later + RETRY.give_up_after
    sending, _ = happen(again, Due(), later)
    assert happen(sending, SendEnded(Later(why="connection-refused")), later)[0].code == GAVE_UP
    for state in (State.ACKNOWLEDGED, State.SENDING, *FINAL):
        assert happen(standing(state), Retried()) == (standing(state), ())


def test_a_person_gives_up_only_what_can_be_given_up() -> None:
    for state in State:
        if State.ABANDONED in TRANSITIONS[state]:
            found, effects = happen(standing(state), Abandoned())
            assert (found.state, effects) == (State.ABANDONED, (SealVoid(),))
        else:
            with pytest.raises(StoreError, match="transition-illegal"):
                happen(standing(state), Abandoned())


@given(st.integers(-1, 200), st.floats(0, 1, exclude_max=True))
def test_the_pause_grows_spreads_and_is_bounded(attempt: int, jitter: float) -> None:
    pause = back_off(RETRY, attempt, jitter)
    middle = min(timedelta(seconds=10) * 2 ** (min(max(attempt, 1), 20) - 1), RETRY.max)
    assert middle * 0.8 - timedelta(milliseconds=1) <= pause <= middle * 1.2


# Laws over every history.

pauses = st.none() | st.floats(allow_nan=True, allow_infinity=True)
laters = st.builds(Later, why=st.just("w"), status=st.sampled_from([None, 429, 503]), retry_after=pauses)
unknowns = st.builds(Unknown, why=st.just("w"))
outcomes = st.one_of(
    laters,
    unknowns,
    st.just(RECEIPT),
    st.builds(Taken, retry_after=pauses),
    st.just(Refused(status=403, code="route-forbidden")),
)
answers = st.one_of(
    laters, unknowns, st.just(RECEIPT), st.builds(NotReady, retry_after=pauses), st.just(NeverReceived())
)
events: st.SearchStrategy[Event] = st.one_of(
    st.just(Due()),
    st.builds(SendEnded, outcomes),
    st.builds(QuestionEnded, answers),
    st.sampled_from([LeaseEnded(), Stopped(), Settled(), Retried(), Disputed("d")]),
    st.builds(ReceiptCame, st.sampled_from(Finding)),
)
instants = st.datetimes(datetime(1971, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.sampled_from(State), st.lists(st.tuples(events, instants), max_size=30), st.floats(0, 1, exclude_max=True))
def test_whatever_happens_under_whatever_clock(
    start: State, history: list[tuple[Event, datetime]], jitter: float
) -> None:
    """Every change is in the table; a pause is never negative nor endless; nothing leaves a final state; every claim is counted."""
    here = standing(start, attempts=0)
    for event, now in history:
        there, effects = step(here, event, now=now, retry=RETRY, jitter=jitter)
        assert there.state is here.state or there.state in TRANSITIONS[here.state]
        if there.next_at is not None and there.next_at != here.next_at:
            assert timedelta() <= there.next_at - now <= RETRY.longest_pause
        assert there.attempts - here.attempts == effects.count(Send())
        assert Ask() not in effects or there.asks == here.asks + 1
        if there.state in CLAIMABLE - {State.SENDING}:
            assert there.next_at is not None, "what is taken up by itself has its time"
        if here.state in FINAL:
            assert there.state is here.state
        assert (Settle() in effects) == (here.state is not there.state and there.state is State.ACKNOWLEDGED)
        here = there


@given(st.lists(st.tuples(laters, answers.filter(lambda one: one is not RECEIPT), instants), min_size=1, max_size=20))
def test_a_peer_that_never_takes_it_is_given_up_under_whatever_clock(
    bad: list[tuple[Outcome, ReceiptAnswer, datetime]],
) -> None:
    """No clock makes an endless storm: within the numbers of sendings and questions the batch waits for a person."""
    here = standing(State.READY, attempts=0)
    for outcome, answer, now in islice(cycle(bad), 400):
        here, effects = happen(here, Due(), now)
        if Send() in effects:
            here, effects = happen(here, SendEnded(outcome if here.attempts % 2 else Unknown(why="w")), now)
        else:
            here, effects = happen(here, QuestionEnded(answer), now)
            if Send() in effects:
                here, _ = happen(here, SendEnded(Unknown(why="w")), now)
        if here.state is State.REFUSED:
            assert (here.attempts <= RETRY.attempts, here.asks <= RETRY.questions) == (True, True)
            return
    raise AssertionError(f"never given up: {here}")
