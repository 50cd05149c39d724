"""What wakes the node: at the ticks of its schedules, and every so often in between.

A ticker only: it decides nothing and remembers nothing. Each waking calls a *look*, which asks the journal what is due. APScheduler waits for
the next tick by the wall clock; the steady beat beside it goes by the loop's own clock, so that a wall clock that was set, or a machine
that slept, is noticed at the next beat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from gateway.delivery.schedule import Schedule

__all__ = ["Job", "OnError", "Ticker"]

Job = Callable[[], Awaitable[None]]
OnError = Callable[[str, Exception], None]
"""Told the job's name and what escaped from it; the job is called again at its next beat."""

_BEAT: Final = 30.0  # seconds: how late a tick can be noticed after the wall clock was set


class _Ticks(BaseTrigger):  # type: ignore[misc]  # APScheduler is not typed
    """The ticks of a schedule, always counted from now: after a leap of the clock there is no backlog to walk through."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        tick = self._schedule.after(now)
        return None if tick is None else tick.at


@dataclass(slots=True)
class _Beat:
    """One job, called when woken and at least every ``seconds``; never twice at a time."""

    name: str
    job: Job
    seconds: float
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Ticker:
    """Calls ``look`` at every tick, every ``beat`` seconds, and when told to; other jobs at their own pace.

    What escapes from a job is given to ``on_error``. Calls of one job never overlap: several wakings while it runs are one call afterwards.
    """

    def __init__(self, look: Job, *, on_error: OnError, beat: float = _BEAT) -> None:
        self._on_error = on_error
        self._look = _Beat("look", self._rearmed(look), beat)
        self._beats = [self._look]
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        # Nothing waits in its store, so nothing can misfire: a late waking is as good as any other.
        defaults = {"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)

    def at(self, schedule: Schedule) -> None:
        """Also look at every tick of this schedule."""
        self._scheduler.add_job(self._wake, _Ticks(schedule))

    def every(self, seconds: float, name: str, job: Job) -> None:
        """Call ``job`` every ``seconds``, first after so many, counted from the end of one call. To be said before :meth:`start`."""
        self._beats.append(_Beat(name, job, seconds))

    def look(self) -> None:
        """Look as soon as possible: somebody has given an order. From the loop's own thread."""
        self._look.woken.set()

    def start(self) -> None:
        """Begin, in the running loop; the first look is at once, since ticks may have been missed."""
        self._scheduler.start()
        self._tasks = [asyncio.create_task(self._keep(beat), name=f"beat {beat.name}") for beat in self._beats]
        self.look()

    async def stop(self) -> None:
        """Call no job any more, and wait for those that are running: none is cancelled."""
        self._stopping = True
        # APScheduler cancels coroutines that run; all that it ever runs is _wake.
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for beat in self._beats:
            beat.woken.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.result()

    async def _wake(self) -> None:
        # A coroutine, because APScheduler calls plain functions in another thread.
        self._look.woken.set()

    def _rearmed(self, look: Job) -> Job:
        """Before each look the ticks are counted anew, by the clock as it is now. Whatever falls due meanwhile, the look itself finds."""

        async def rearm_and_look() -> None:
            for job in self._scheduler.get_jobs():
                job.reschedule(job.trigger)
            await look()

        return rearm_and_look

    async def _keep(self, beat: _Beat) -> None:
        while True:
            # Not wait_for: Python 3.11 swallows a cancellation there that comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(beat.seconds):
                    await beat.woken.wait()
            beat.woken.clear()
            if self._stopping:
                return
            try:
                await beat.job()
            except Exception as error:  # whatever it is, the owner decides what becomes of the process
                self._on_error(beat.name, error)
