"""Which ticks of a schedule are due, and what becomes of those that were missed while nobody looked."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from gateway.delivery.schedule import Schedule, Tick

__all__ = ["GRACE", "CatchUp", "due_ticks"]

GRACE: Final = timedelta(seconds=60)
_INSTANT: Final = timedelta(microseconds=1)


class CatchUp(StrEnum):
    """What becomes of ticks that were missed (node down, exchange paused, run still under way)."""

    ONCE = "once"  # one run, for the newest of them
    ALL = "all"  # a run for each, oldest first
    SKIP = "skip"  # none: a tick that is older than GRACE has passed


def due_ticks(
    schedule: Schedule,
    *,
    since: datetime,
    last_due: datetime | None,
    now: datetime,
    catch_up: CatchUp,
    limit: int = 100,
) -> tuple[Tick, ...]:
    """The ticks to run now, oldest first, at most ``limit``; empty when there is nothing to do.

    ``since`` is when the schedule began to hold (earlier ticks were never promised), ``last_due`` the newest tick that has its run. Only
    ticks later than both and not later than ``now`` are due: a clock that was set back gives nothing until it has caught up, one that was set
    ahead by a year gives one run under ``once``.
    """
    start = since if last_due is None else max(since, last_due)
    if now <= start:
        return ()
    match catch_up:
        case CatchUp.ONCE:
            newest = schedule.newest(start, now)
        case CatchUp.SKIP:
            newest = schedule.newest(max(start, now - GRACE - _INSTANT), now)
        case CatchUp.ALL:
            return schedule.between(start, now, limit)
        case _:
            assert_never(catch_up)
    return () if newest is None else (newest,)
