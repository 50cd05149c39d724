"""What the schedule of an exchange holds in store: the next ticks, those that were missed, and what will become of these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.delivery.schedule import Schedule, Tick
from gateway.delivery.ticks import CatchUp, due_ticks

__all__ = ["MOST", "Outlook", "look_ahead"]

MOST: Final = 1000
"""So many missed ticks are counted at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """``coming`` are the next ticks; ``missed`` those without a run, oldest first (see MOST); ``due`` those of them that get one now."""

    coming: tuple[Tick, ...]
    missed: tuple[Tick, ...] = ()
    due: tuple[Tick, ...] = ()


def look_ahead(
    schedule: Schedule,
    *,
    since: datetime | None,
    last_due: datetime | None,
    now: datetime,
    catch_up: CatchUp,
    count: int,
) -> Outlook:
    """The outlook at ``now`` with ``count`` coming ticks. ``since`` is None while the schedule has not begun to hold: nothing was missed.

    A ``last_due`` that lies ahead had its run under a clock that was ahead: what comes, comes after it.
    """
    coming: list[Tick] = []
    start = now if last_due is None else max(now, last_due)
    while len(coming) < count and (tick := schedule.after(coming[-1].at if coming else start)) is not None:
        coming.append(tick)
    if since is None:
        return Outlook(coming=tuple(coming))
    start = since if last_due is None else max(since, last_due)
    return Outlook(
        coming=tuple(coming),
        missed=schedule.between(start, now, MOST),
        due=due_ticks(schedule, since=since, last_due=last_due, now=now, catch_up=catch_up),
    )
