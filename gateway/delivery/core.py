"""What to do next with a batch, decided without I/O: an outcome, the attempts so far and the time go in, the next state comes out.

Retries over minutes and restarts belong to the journal (``next_attempt_at``); tenacity only computes the curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from tenacity import RetryCallState, Retrying, wait_exponential

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

__all__ = ["Next", "Retry", "after_question", "after_send", "back_off"]

GAVE_UP = "gave-up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How long to try: ``attempts`` in number *and* ``give_up_after`` the batch was made. ``factor`` is the growth of the pause."""

    attempts: int = 8
    first: timedelta = timedelta(seconds=30)
    factor: float = 2.0
    max: timedelta = timedelta(hours=1)
    give_up_after: timedelta = timedelta(hours=48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """Where the batch goes. ``at`` is when it may be taken up again (None: not by itself); ``code`` says why, for a person."""

    state: State
    at: datetime | None = None
    code: str = ""
    detail: str = ""
    status: int | None = None


def back_off(retry: Retry, attempt: int, jitter: float) -> timedelta:
    """The pause after the ``attempt``-th failure (1, 2, …), spread by ±20 % with ``jitter`` in [0, 1) so that peers are not hit in step."""
    curve = wait_exponential(
        multiplier=retry.first.total_seconds(), exp_base=retry.factor, max=retry.max.total_seconds()
    )
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    return timedelta(seconds=curve(state) * (0.8 + 0.4 * jitter))


def after_send(
    outcome: Outcome, *, attempt: int, made_at: datetime, now: datetime, retry: Retry, jitter: float
) -> Next:
    """The state after one attempt to hand over the package. ``attempt`` counts this one too."""
    match outcome:
        case Acknowledged(status=status):
            return Next(state=State.ACKNOWLEDGED, status=status)
        case Refused(status=status, code=code, detail=detail):
            return Next(state=State.REFUSED, code=code, detail=detail, status=status)
        case Taken(retry_after=pause):
            at = now + _pause(pause, retry, attempt, jitter)
            return Next(state=State.UNKNOWN, at=at, code="receipt-follows", status=202)
        case Unknown(why=why, status=status):
            # The receiver may have it: the receipt is asked for before anything is sent again.
            return Next(state=State.UNKNOWN, at=now + back_off(retry, attempt, jitter), code=why, status=status)
        case Later(why=why, status=status, retry_after=pause, code=code):
            at = now + _pause(pause, retry, attempt, jitter)
            following = Next(state=State.WAITING, at=at, code=code or why, status=status)
            return _bounded(following, attempt=attempt, made_at=made_at, now=now, retry=retry)
        case _:
            assert_never(outcome)


def after_question(
    answer: ReceiptAnswer, *, attempt: int, made_at: datetime, now: datetime, retry: Retry, jitter: float
) -> Next:
    """The state after asking for the receipt of a batch whose fate is unknown. SENDING means: send the identical bytes now."""
    asked: float | None = None
    match answer:
        case Acknowledged(status=status):
            return Next(state=State.ACKNOWLEDGED, status=status)
        case NeverReceived():
            return Next(state=State.SENDING)
        case NotReady(retry_after=asked):
            code, status = "receipt-follows", 202
        case Later(why=why, status=status, retry_after=asked, code=told):
            code = told or why
        case Unknown(why=why, status=status):
            code = why
        case _:
            assert_never(answer)
    following = Next(state=State.UNKNOWN, at=now + _pause(asked, retry, attempt, jitter), code=code, status=status)
    return _bounded(following, attempt=attempt, made_at=made_at, now=now, retry=retry)


def _pause(asked: float | None, retry: Retry, attempt: int, jitter: float) -> timedelta:
    """Our own curve, or what the peer asked for when that is longer."""
    own = back_off(retry, attempt, jitter)
    return own if asked is None else max(own, timedelta(seconds=asked))


def _bounded(following: Next, *, attempt: int, made_at: datetime, now: datetime, retry: Retry) -> Next:
    """``following``, or given up: the batch keeps its bytes and its number, and only a person takes it up again."""
    if attempt >= retry.attempts or now - made_at >= retry.give_up_after:
        return Next(state=State.REFUSED, code=GAVE_UP, detail=following.code, status=following.status)
    return following
