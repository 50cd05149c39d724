"""The schedule of an exchange: a cron expression in the node's time zone, and the instants at which it falls due.

The rule, for every zone and every change of its clocks: a tick falls due at the first instant at which the clock on the wall shows its time
*or a later one*. So a time that the clocks skip in spring falls due when they have jumped, a time that they show twice in autumn falls due the
first time only, and ticks that fall on one instant are one tick.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from gateway.catalog.calendar import WorkingDays
from gateway.clock import instant
from gateway.delivery.cron import Cron

__all__ = ["Schedule", "Tick", "Why"]

_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)
# 29 February skips eight years around 2100; working days may take one or two of those away. Beyond it there is nothing worth waiting for.
_HORIZON: Final = timedelta(days=40 * 366)


class Why(StrEnum):
    """What is special about a tick."""

    MOVED = "moved"  # the clocks skip its time; it falls due when they have jumped
    FIRST = "first"  # the clocks show its time twice; this is the first time
    ASSUMED = "assumed"  # whether the day is a working day is not announced yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One due time: ``at`` is the instant (UTC), ``wall`` the time on the wall that was asked for (without a zone)."""

    at: datetime
    wall: datetime
    why: tuple[Why, ...] = ()

    @property
    def due_at(self) -> str:
        """The instant as the run's row holds it; one exchange has one run for it."""
        return instant(self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When an exchange is due. ``working_days`` is None where every day counts; otherwise ticks on other days are dropped, none is added."""

    cron: Cron
    zone: ZoneInfo
    working_days: WorkingDays | None = None

    @property
    def promise(self) -> str:
        """Everything that decides when it falls due, as text: another text is another schedule."""
        return f"{self.cron.text} {self.zone.key}{'' if self.working_days is None else ' working-days'}"

    def after(self, moment: datetime) -> Tick | None:
        """The first tick later than ``moment`` (any zone); None when there is none within some forty years."""
        wall = _wall(moment, self.zone).replace(microsecond=0) + _SECOND
        for found in self._walls(wall):
            tick = self._tick(found)
            # While the clocks show an hour for the second time, its ticks are past already.
            if tick.at > moment:
                return tick
        return None

    def between(self, after: datetime, until: datetime, limit: int) -> tuple[Tick, ...]:
        """Up to ``limit`` ticks later than ``after`` and not later than ``until``, oldest first."""
        found: list[Tick] = []
        while len(found) < limit and (tick := self.after(after)) is not None and tick.at <= until:
            found.append(tick)
            after = tick.at
        return tuple(found)

    def newest(self, after: datetime, until: datetime) -> Tick | None:
        """The last tick later than ``after`` and not later than ``until``. By halving: a year of minutes costs some thirty steps."""
        newest = self.after(after)
        if newest is None or newest.at > until:
            return None
        while until - newest.at >= _SECOND:
            middle = newest.at + (until - newest.at) / 2
            tick = self.after(middle)
            if tick is not None and tick.at <= until:
                newest = tick
            else:
                until = middle
        return newest

    def _walls(self, wall: datetime) -> Iterator[datetime]:
        """Times on the wall from ``wall`` on, without those of days that do not count."""
        start = wall
        while (found := self.cron.next(wall)) is not None and found - start < _HORIZON:
            if self.working_days is None or self.working_days.is_working(found.date()):
                yield found
                wall = found + _SECOND
            else:
                wall = datetime.combine(found.date() + _DAY, time())

    def _tick(self, wall: datetime) -> Tick:
        at, why = _shown(wall, self.zone)
        if why is Why.MOVED and next(self._walls(landed := _wall(at, self.zone)), None) == landed:
            wall, why = landed, None  # a tick of its own stands where this one was moved to
        whys = [] if why is None else [why]
        if self.working_days is not None and self.working_days.assumed(wall.date()):
            whys.append(Why.ASSUMED)
        return Tick(at=at, wall=wall, why=tuple(whys))


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _shown(wall: datetime, zone: ZoneInfo) -> tuple[datetime, Why | None]:
    """The first instant (UTC) at which the clock shows ``wall`` or later, and whether a change of clocks has a part in it (PEP 495)."""
    by_old = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    by_new = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if by_old <= by_new:
        return by_old, Why.FIRST if by_old < by_new else None
    # A gap: the clocks jump after by_new and not later than by_old.
    before, jumped = by_new, by_old
    while jumped - before > _SECOND:
        middle = before + timedelta(seconds=(jumped - before) // _SECOND // 2)
        if _wall(middle, zone) < wall:
            before = middle
        else:
            jumped = middle
    return jumped, Why.MOVED
