"""When a service outside is asked again: nothing but arithmetic over what is remembered of it.

A service that fails is asked less and less often, but never given up; what it owes is counted from the oldest entry that it has not vouched
for, not from the last question.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import instant, parse_instant
from gateway.store.outside import Outside

__all__ = ["failed", "may_be_asked", "succeeded", "waiting"]

_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(minutes=15)


def may_be_asked(state: Outside, now: datetime, every: timedelta) -> bool:
    """Whether enough time has passed since the last success, and since the last failure. A clock that was set back counts as enough."""
    at = None if state.at is None else parse_instant(state.at)
    if state.waiting_since is None and at is not None and at <= now < at + every:
        return False
    next_at = None if state.next_at is None else parse_instant(state.next_at)
    return next_at is None or not now < next_at <= now + _LONGEST_PAUSE


def waiting(state: Outside, since: datetime, now: datetime) -> Outside:
    """About to be asked for what is owed since ``since``; who was never asked before owes nothing of before ``now``."""
    if state.waiting_since is not None:
        return state
    owed = now if state.at is None else min(since, now)
    return replace(state, waiting_since=instant(owed))


def failed(state: Outside, why: str, now: datetime) -> Outside:
    """It did not vouch; ``why`` is a code."""
    pause = min(_FIRST_PAUSE * 2 ** min(state.failures, 8), _LONGEST_PAUSE)
    return replace(state, failures=state.failures + 1, next_at=instant(now + pause), why=why)


def succeeded(state: Outside, size: int, now: datetime) -> Outside:
    """It vouches for the checkpoint over ``size`` entries: nothing is owed any more."""
    return replace(state, size=size, at=instant(now), waiting_since=None, failures=0, next_at=None, why=None)
