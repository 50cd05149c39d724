"""What becomes of a batch after an answer, without any I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.core import Next, Retry, after_question, after_send, back_off
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
from gateway.store.states import State

MADE = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
NOW = MADE + timedelta(minutes=5)
RETRY = Retry(
    attempts=3,
    first=timedelta(seconds=10),
    factor=2,
    max=timedelta(minutes=1),
    give_up_after=timedelta(hours=1),
)


def sent(outcome: Outcome, attempt: int = 1, now: datetime = NOW) -> Next:
    return after_send(outcome, attempt=attempt, made_at=MADE, now=now, retry=RETRY, jitter=0.5)


def asked(answer: ReceiptAnswer, attempt: int = 1, now: datetime = NOW) -> Next:
    return after_question(answer, attempt=attempt, made_at=MADE, now=now, retry=RETRY, jitter=0.5)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Acknowledged(receipt=b"r", status=201, stored=False), State.ACKNOWLEDGED),
        (Taken(retry_after=5), State.UNKNOWN),
        (Refused(status=403, code="route-forbidden"), State.REFUSED),
        (Later(why="connection-refused"), State.WAITING),
        (Unknown(why="answer-cut"), State.UNKNOWN),
    ],
)
def test_every_outcome_has_its_state(outcome: Outcome, state: State) -> None:
    assert sent(outcome).state is state


def test_a_refusal_is_never_tried_again_by_itself() -> None:
    assert sent(Refused(status=422, code="schema-invalid", detail="x")) == Next(
        state=State.REFUSED, code="schema-invalid", detail="x", status=422
    )


def test_doubt_is_resolved_by_asking_first() -> None:
    assert sent(Unknown(why="answer-cut")).state is State.UNKNOWN
    assert asked(NeverReceived()).state is State.SENDING
    assert asked(NotReady(retry_after=1)).state is State.UNKNOWN
    assert asked(Later(why="connection-refused")).state is State.UNKNOWN, (
        "no answer proves nothing about the first sending"
    )
    assert asked(Acknowledged(receipt=b"r", status=200, stored=True)).state is State.ACKNOWLEDGED


def test_the_peer_may_ask_for_a_longer_pause_but_not_for_a_shorter_one() -> None:
    assert sent(Later(why="busy", status=503, retry_after=300)).at == NOW + timedelta(seconds=300)
    assert sent(Later(why="busy", status=503, retry_after=1)).at == NOW + timedelta(seconds=10)


def test_trying_ends_by_number_and_by_time() -> None:
    by_number = sent(Later(why="connection-refused"), attempt=RETRY.attempts)
    assert (by_number.state, by_number.code, by_number.at) == (State.REFUSED, "gave-up", None)
    by_time = sent(Later(why="connection-refused"), now=MADE + RETRY.give_up_after)
    assert (by_time.state, by_time.code, by_time.detail) == (State.REFUSED, "gave-up", "connection-refused")


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_the_pause_grows_spreads_and_is_bounded(attempt: int, jitter: float) -> None:
    pause = back_off(RETRY, attempt, jitter)
    middle = min(timedelta(seconds=10) * 2 ** (min(attempt, 20) - 1), RETRY.max)
    assert middle * 0.8 - timedelta(milliseconds=1) <= pause <= middle * 1.2
