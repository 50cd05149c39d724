"""A process that ticks while its clock is set: ``python -m tests.delivery.leaping CLOCK LEAP BEAT`` under libfaketime.

Prints how many seconds the loop was held up at most, and how many wakings by APScheduler came after the leap.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.delivery.cron import parse_cron
from gateway.delivery.schedule import Schedule
from gateway.delivery.ticker import Ticker


class Counting(Ticker):
    """Counts the wakings at ticks, apart from the beats."""

    ticks = 0

    async def _wake(self) -> None:
        self.ticks += 1
        await super()._wake()


async def main(set_clock: Callable[[], object], beat: float) -> None:
    async def look() -> None:
        return

    def on_error(name: str, error: Exception) -> None:
        raise AssertionError(name) from error

    ticker = Counting(look, on_error=on_error, beat=beat)
    ticker.at(Schedule(cron=parse_cron("* * * * * *"), zone=ZoneInfo("Asia/Shanghai")))
    ticker.start()
    before, last, held_up, leapt = datetime.now(UTC), time.monotonic(), 0.0, False
    while not (leapt and ticker.ticks):
        await asyncio.sleep(0.01)
        if not leapt and ticker.ticks:
            set_clock()
            leapt, ticker.ticks = True, 0
            assert abs((datetime.now(UTC) - before).days) > 300, "the clock was not set"
        held_up, last = max(held_up, time.monotonic() - last), time.monotonic()
    await ticker.stop()
    sys.stdout.write(f"{held_up} {ticker.ticks}\n")


if __name__ == "__main__":
    asyncio.run(main(partial(Path(sys.argv[1]).write_text, sys.argv[2]), float(sys.argv[3])))
