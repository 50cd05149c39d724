"""Which exchanges are to run now: what their schedules ask for, what a stop cut off, what failed because a source did not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.clock import Clock, instant, parse_instant
from gateway.delivery.holds import Holds, Work
from gateway.delivery.run import Order
from gateway.delivery.schedule import Schedule
from gateway.delivery.ticks import CatchUp, due_ticks
from gateway.store import pauses, runs, timetable
from gateway.store.database import Database
from gateway.store.pauses import Scope
from gateway.store.runs import Kind

__all__ = ["BELIEVED", "Plan", "Planner"]

CUT_OFF: Final = frozenset({"interrupted", "run-stopped"})
"""How a run ends that a stop of the node cut off."""
_AGAIN: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
BELIEVED: Final = timedelta(days=1)
"""A tick that had its run further ahead than this was noted under a clock that ran wild; waiting for that day would be silence."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When an exchange runs by itself, and what becomes of ticks that were missed."""

    schedule: Schedule
    catch_up: CatchUp


class Planner:
    """Says what is due. ``plans`` are the exchanges that have a schedule, by name; the others are ``unplanned``."""

    def __init__(
        self, *, database: Database, plans: Mapping[str, Plan], unplanned: Sequence[str], holds: Holds, clock: Clock
    ) -> None:
        self._database = database
        self._plans = plans
        self._unplanned = unplanned
        self._holds = holds
        self._clock = clock
        self._again: dict[str, datetime] = {}
        self._failures: dict[str, int] = {}

    def begin(self) -> None:
        """Note since when the schedules hold, and which runs a stop cut off: they are due again at once, under no tick of their own."""
        at = self._clock.now()
        with self._database.begin() as conn:
            for name in self._unplanned:
                timetable.begin(conn, name, None, instant(at))
            for name, plan in self._plans.items():
                timetable.begin(conn, name, plan.schedule.promise, instant(at))
                last = runs.last_run(conn, name)
                if last is not None and last.kind is Kind.SCHEDULED and last.figures.get("error") in CUT_OFF:
                    self._again[name] = at

    def due(self, exchange: str) -> tuple[Order, ...]:
        """The runs that ``exchange`` is to make now, oldest first."""
        plan, now = self._plans[exchange], self._clock.now()
        if self._holds.on(Work.RUN):
            return ()
        with self._database.read() as conn:
            # What falls due meanwhile is missed, and caught up as the schedule says when it goes on.
            if pauses.find(conn, Scope.EXCHANGE, exchange) is not None:
                return ()
            since = timetable.since(conn, exchange, plan.schedule.promise)
            last = timetable.last_due(conn, exchange, until=instant(now + BELIEVED))
        ticks = due_ticks(
            plan.schedule,
            since=now if since is None else parse_instant(since),
            last_due=None if last is None else parse_instant(last),
            now=now,
            catch_up=plan.catch_up,
        )
        if ticks:
            self._again.pop(exchange, None)
            return tuple(Order(kind=Kind.SCHEDULED, due_at=tick.due_at) for tick in ticks)
        again = self._again.get(exchange)
        if again is None or again > now:
            return ()
        del self._again[exchange]
        return (Order(kind=Kind.SCHEDULED),)

    def exchanges(self) -> tuple[str, ...]:
        """The exchanges that have a schedule."""
        return tuple(self._plans)

    def failed(self, exchange: str) -> None:
        """The source did not answer: the run is tried again a few times before its next tick."""
        count = self._failures.get(exchange, 0)
        self._failures[exchange] = count + 1
        if count < len(_AGAIN):
            self._again[exchange] = self._clock.now() + _AGAIN[count]
            _log.warning("run.again", exchange=exchange, at=instant(self._again[exchange]))

    def done(self, exchange: str) -> None:
        """A run ended well."""
        self._failures.pop(exchange, None)
