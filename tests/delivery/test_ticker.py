"""The ticker in a real loop, and in a process whose clock is set while it runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.delivery.cron import parse_cron
from gateway.delivery.schedule import Schedule
from gateway.delivery.ticker import Job, OnError, Ticker
from tests.faketime import environment, needs_faketime

ROOT = Path(__file__).parent.parent.parent
SECONDLY = Schedule(cron=parse_cron("* * * * * *"), zone=ZoneInfo("Asia/Shanghai"))
LONG = 60.0  # a beat that does not come during a test


def unexpected(name: str, error: Exception) -> None:
    raise AssertionError(name) from error


@asynccontextmanager
async def ticking(look: Job, *, on_error: OnError = unexpected, beat: float = LONG) -> AsyncIterator[Ticker]:
    ticker = Ticker(look, on_error=on_error, beat=beat)
    ticker.start()
    try:
        yield ticker
    finally:
        await ticker.stop()


class Looks:
    """Counts looks, and lets a test wait for the next one."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._changed:
            self.count += 1
            self._changed.notify_all()

    async def until(self, reached: Callable[[int], bool]) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: reached(self.count))


async def test_the_first_look_is_at_once_and_orders_wake_it() -> None:
    looks = Looks()
    async with ticking(looks) as ticker:
        await looks.until(lambda count: count == 1)
        ticker.look()
        await looks.until(lambda count: count == 2)


async def test_a_tick_wakes_the_look_and_not_before_its_time() -> None:
    looks = Looks()
    async with ticking(looks) as ticker:
        await looks.until(lambda count: count == 1)
        before = datetime.now(UTC)
        ticker.at(SECONDLY)
        await looks.until(lambda count: count == 2)
        assert datetime.now(UTC).replace(microsecond=0) > before, "a whole second has begun meanwhile"


async def test_there_are_looks_without_any_tick() -> None:
    looks = Looks()
    async with ticking(looks, beat=0.01):
        await looks.until(lambda count: count > 3)


async def test_a_job_has_its_own_pace_and_its_errors_are_told() -> None:
    looks, told = Looks(), asyncio.Queue[tuple[str, str]]()

    async def failing() -> None:
        raise OSError("disk full")

    ticker = Ticker(looks, on_error=lambda name, error: told.put_nowait((name, str(error))), beat=LONG)
    ticker.every(0.01, "publish", failing)
    ticker.start()
    async with asyncio.timeout(5):
        assert [await told.get(), await told.get()] == [("publish", "disk full")] * 2
    await ticker.stop()
    assert looks.count == 1


async def test_calls_do_not_overlap_and_stop_waits_for_the_one_that_runs() -> None:
    began, may_end = asyncio.Event(), asyncio.Event()
    running, ended = 0, 0

    async def look() -> None:
        nonlocal running, ended
        running += 1
        assert running == 1
        began.set()
        await may_end.wait()
        running -= 1
        ended += 1

    ticker = Ticker(look, on_error=unexpected, beat=LONG)
    ticker.start()
    await began.wait()
    for _ in range(5):
        ticker.look()
    stopping = asyncio.create_task(ticker.stop())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not stopping.done()
    may_end.set()
    await stopping
    assert ended == 1, "neither cancelled nor called again after stop"


async def test_wakings_during_a_call_are_one_call_afterwards() -> None:
    calls, may_go = 0, asyncio.Semaphore(0)
    began = asyncio.Queue[int]()

    async def look() -> None:
        nonlocal calls
        calls += 1
        began.put_nowait(calls)
        await may_go.acquire()

    async with ticking(look) as ticker:
        assert await began.get() == 1
        for _ in range(5):
            ticker.look()
        may_go.release()
        assert await began.get() == 2
        may_go.release()
        for _ in range(5):
            await asyncio.sleep(0)
        assert calls == 2
        may_go.release()


async def test_a_ticker_that_never_started_can_be_stopped() -> None:
    await Ticker(Looks(), on_error=unexpected).stop()


@needs_faketime
@pytest.mark.parametrize(("leap", "beat"), [("+400d", "60"), ("+400d", "0.1"), ("-400d", "0.1")])
def test_after_a_leap_of_the_clock_ticks_go_on_without_a_backlog(tmp_path: Path, leap: str, beat: str) -> None:
    """With a tick every second the child's clock is set by a year and more: it must go on ticking in the new time. Back, the beat notices."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    child = [shutil.which("timeout") or "timeout", "20", sys.executable, "-m", "tests.delivery.leaping"]
    done = subprocess.run(
        [*child, str(clock), leap, beat],
        cwd=ROOT,
        env={**os.environ, **environment(clock)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    backlog, ticks = done.stdout.split()
    assert float(backlog) < 3
    assert int(ticks) >= 1
