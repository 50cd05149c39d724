"""What becomes of a batch, decided without I/O: where it stands and what happened go in, where it stands then and what to do come out.

:func:`step` is the only place where such a decision is made; the table of :mod:`gateway.store.states` is the only table of states. What
comes too late (the end of a sending that another worker has taken over, a second settling) changes nothing.

Trying ends by number *and* by time. Sendings and questions are counted apart: a question costs the receiver little, so it may be put
more often. Time ends nothing by itself: only a failure gives up, so a batch that slept through an outage still has its try. A clock
that was stepped is met by bounds: no pause is negative, none is longer than the curve or an hour, and every failure costs one of the
numbered tries, whatever the clock says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from tenacity import RetryCallState, Retrying, wait_exponential

from gateway.delivery.events import (
    Abandoned,
    Accept,
    Ask,
    AskVoided,
    Disputed,
    Due,
    Effect,
    EnterDispute,
    Event,
    Finding,
    KeepRefused,
    LeaseEnded,
    Overtaken,
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
from gateway.store.states import CLAIMED, FINAL, TRANSITIONS, State, check_transition

__all__ = ["GAVE_UP", "LONGEST_ASKED", "NUMBER_TAKEN", "Retry", "Standing", "back_off", "step"]

GAVE_UP = "gave-up"
LEASE_ENDED = "lease-ended"
STOPPED = "stopped"
CONTRADICTS = "receipt-contradicts"
UNEXPECTED = "receipt-unexpected"
NUMBER_TAKEN = "number-taken"
LONGEST_ASKED = timedelta(hours=1)
"""A peer that asks for a longer pause than this gets this one: no answer of a peer may put a batch out of sight."""

_QUESTIONS_PER_ATTEMPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How long to try: ``attempts`` in number *and* ``give_up_after`` the batch was made. ``factor`` is the growth of the pause."""

    attempts: int = 8
    first: timedelta = timedelta(seconds=30)
    factor: float = 2.0
    max: timedelta = timedelta(hours=1)
    give_up_after: timedelta = timedelta(hours=48)

    @property
    def questions(self) -> int:
        """How often one batch's receipt is asked for: enough to fill ``give_up_after`` at the usual settings."""
        return self.attempts * _QUESTIONS_PER_ATTEMPT

    @property
    def longest_pause(self) -> timedelta:
        """No pause is longer, by the curve or at a peer's wish: a time further away was written under another clock."""
        return max(self.max * 1.2, LONGEST_ASKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a batch stands, as far as it decides what comes next.

    ``attempts`` counts sendings, the one under way too; ``asks`` questions for the receipt, likewise. ``next_at`` is when the batch may
    be taken up again by itself, None where a person or another step has to come first. ``code``, ``detail`` and ``status`` (HTTP) say
    why it stands there, for a person. ``sequence`` is its number on the route; a ``void`` batch stands for one that was given up.
    """

    state: State
    made_at: datetime
    give_up_at: datetime
    attempts: int = 0
    asks: int = 0
    sequence: int = 0
    void: bool = False
    next_at: datetime | None = None
    code: str = ""
    detail: str = ""
    status: int | None = None


_Following = tuple[Standing, tuple[Effect, ...]]


def back_off(retry: Retry, attempt: int, jitter: float) -> timedelta:
    """The pause after the ``attempt``-th failure (1, 2, …), spread by ±20 % with ``jitter`` in [0, 1) so that peers are not hit in step."""
    curve = wait_exponential(
        multiplier=retry.first.total_seconds(), exp_base=retry.factor, max=retry.max.total_seconds()
    )
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = max(attempt, 1)
    return timedelta(seconds=curve(state) * (0.8 + 0.4 * jitter))


def step(standing: Standing, event: Event, *, now: datetime, retry: Retry, jitter: float) -> _Following:
    """Where the batch stands after ``event``, and what has to be done about it. ``jitter`` in [0, 1).

    Raises StoreError ``transition-illegal`` when a person gives up what cannot be given up.
    """
    match event:
        case Due():
            return _due(standing, now)
        case SendEnded(outcome=outcome):
            return (
                _late(standing) if standing.state is not State.SENDING else _sent(standing, outcome, now, retry, jitter)
            )
        case QuestionEnded(answer=answer):
            return (
                _late(standing) if standing.state is not State.UNKNOWN else _asked(standing, answer, now, retry, jitter)
            )
        case LeaseEnded():
            return _cut(standing, LEASE_ENDED, now) if standing.state is State.SENDING else _late(standing)
        case Stopped():
            return _cut(standing, STOPPED, now) if standing.state in {State.SENDING, State.UNKNOWN} else _late(standing)
        case ReceiptCame(finding=finding):
            return _receipt(standing, finding)
        case Settled():
            return _to(standing, State.RECONCILED) if standing.state is State.ACKNOWLEDGED else _late(standing)
        case Disputed(code=code):
            return _dispute(standing, code) if standing.state is State.ACKNOWLEDGED else _late(standing)
        case Overtaken():
            stands = standing.void and standing.state in {State.WAITING, State.REFUSED}
            return _dispute(standing, NUMBER_TAKEN) if stands else _late(standing)
        case Retried():
            return _retried(standing, now, retry)
        case Abandoned():
            check_transition("", standing.state, State.ABANDONED)
            return _to(standing, State.ABANDONED, SealVoid())
        case _:
            assert_never(event)


def _to(standing: Standing, state: State, *effects: Effect, code: str = "", status: int | None = None) -> _Following:
    """Into a state that nothing leaves by the passing of time alone."""
    return replace(standing, state=state, next_at=None, code=code, detail="", status=status), effects


def _late(standing: Standing) -> _Following:
    return standing, ()


def _due(standing: Standing, now: datetime) -> _Following:
    to = CLAIMED.get(standing.state)
    if to is None:
        return _late(standing)
    if to is State.SENDING:
        return replace(standing, state=to, attempts=standing.attempts + 1, next_at=None), (Send(),)
    return replace(standing, state=to, asks=standing.asks + 1, next_at=standing.next_at or now), (Ask(),)


def _cut(standing: Standing, code: str, now: datetime) -> _Following:
    """Nobody knows what the receiver has: ask as soon as there is somebody to ask."""
    return replace(standing, state=State.UNKNOWN, next_at=now, code=code, detail="", status=None), ()


def _sent(standing: Standing, outcome: Outcome, now: datetime, retry: Retry, jitter: float) -> _Following:
    pause = back_off(retry, standing.attempts, jitter)
    match outcome:
        case Acknowledged(status=status):
            return _to(standing, State.ACKNOWLEDGED, Accept(late=False), Settle(), status=status)
        case Refused(status=status, code=code, detail=detail):
            following, _ = _to(standing, State.REFUSED, status=status, code=code)
            return replace(following, detail=detail), (Tell(code),)
        case Taken(retry_after=asked):
            return _doubt(standing, now + _longer(pause, asked), "receipt-follows", 202), ()
        case Unknown(why=why, status=status):
            # The receiver may have it: the receipt is asked for before anything is sent again.
            return _doubt(standing, now + pause, why, status), ()
        case Later(why=why, status=status, retry_after=asked, code=told, expected=expected):
            # The bytes of the batch that was given up arrived all the same: the void batch in its place can never be taken.
            past = standing.void and expected is not None and expected > standing.sequence
            also: tuple[Effect, ...] = (AskVoided(),) if past else ()
            if standing.attempts >= retry.attempts or now >= standing.give_up_at:
                following, effects = _give_up(standing, told or why, status)
                return following, effects + also
            at = now + _longer(pause, asked)
            waiting = replace(standing, state=State.WAITING, next_at=at, code=told or why, detail="", status=status)
            return waiting, also
        case _:
            assert_never(outcome)


def _asked(standing: Standing, answer: ReceiptAnswer, now: datetime, retry: Retry, jitter: float) -> _Following:
    asked: float | None = None
    match answer:
        case Acknowledged(status=status):
            return _to(standing, State.ACKNOWLEDGED, Accept(late=True), Settle(), status=status)
        case NeverReceived():
            # Not bounded by time: the receiver is there and waits for the bytes.
            if standing.attempts >= retry.attempts:
                return _give_up(standing, "never-received", 404)
            sending = replace(standing, state=State.SENDING, attempts=standing.attempts + 1, next_at=None, code="")
            return replace(sending, detail="", status=None), (Send(),)
        case Refused(status=status, code=code, detail=detail):
            following, _ = _to(standing, State.REFUSED, status=status, code=code)
            # A void batch whose number is past: the bytes of the one that was given up arrived all the same.
            past: tuple[Effect, ...] = (AskVoided(),) if standing.void and code == "sequence-gap" else ()
            return replace(following, detail=detail), (Tell(code), *past)
        case NotReady(retry_after=asked):
            code, status = "receipt-follows", 202
        case Later(why=why, status=status, retry_after=asked, code=told):
            code = told or why
        case Unknown(why=why, status=status):
            code = why
        case _:
            assert_never(answer)
    if standing.asks >= retry.questions or now >= standing.give_up_at:
        return _give_up(standing, code, status)
    pause = back_off(retry, standing.asks, jitter)
    return _doubt(standing, now + _longer(pause, asked), code, status), ()


def _doubt(standing: Standing, at: datetime, code: str, status: int | None) -> Standing:
    return replace(standing, state=State.UNKNOWN, next_at=at, code=code, detail="", status=status)


def _longer(own: timedelta, asked: float | None) -> timedelta:
    """Our own curve, or what the peer asked for (seconds) when that is longer."""
    if asked is None or not math.isfinite(asked):
        return own
    return max(own, min(timedelta(seconds=max(min(asked, 1e9), 0.0)), LONGEST_ASKED))


def _give_up(standing: Standing, why: str, status: int | None) -> _Following:
    """The batch keeps its bytes and its number, and only a person takes it up again."""
    following, _ = _to(standing, State.REFUSED, code=GAVE_UP, status=status)
    return replace(following, detail=why), (Tell(GAVE_UP),)


def _receipt(standing: Standing, finding: Finding) -> _Following:
    match finding:
        case Finding.SAME:
            return _late(standing)
        case Finding.CONTRADICTS:
            if standing.state is not State.ACKNOWLEDGED:
                return standing, (KeepRefused(CONTRADICTS), Tell(CONTRADICTS))
            following, effects = _dispute(standing, CONTRADICTS)
            return following, (KeepRefused(CONTRADICTS), *effects)
        case Finding.FIRST:
            if State.ACKNOWLEDGED not in TRANSITIONS[standing.state]:
                # Before any byte left, or after a person gave the batch up: true or not, it cannot decide here.
                return standing, (KeepRefused(UNEXPECTED), Tell(UNEXPECTED))
            return _to(standing, State.ACKNOWLEDGED, Accept(late=True), Settle())
        case _:
            assert_never(finding)


def _dispute(standing: Standing, code: str) -> _Following:
    return _to(standing, State.DISPUTED, EnterDispute(code), Tell(code), code=code)


def _retried(standing: Standing, now: datetime, retry: Retry) -> _Following:
    """Another try of the same bytes, now. The time to give up starts again; sendings are counted on, so a batch that had used them up
    has this one."""
    if standing.state in FINAL or standing.state in {State.SENDING, State.ACKNOWLEDGED}:
        return _late(standing)
    state = State.WAITING if standing.state is State.REFUSED else standing.state
    again = replace(standing, state=state, next_at=now, asks=0, give_up_at=now + retry.give_up_after)
    return replace(again, code="", detail="", status=None), ()
