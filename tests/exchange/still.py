"""Time and chance that stand still, so that a test says the same every time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

NOW = datetime(2026, 11, 22, 6, 2, 37, tzinfo=UTC)


class StillClock:
    """A clock whose sleep returns at once and is written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class StillIds:
    """Chance that always falls the same way: ``byte`` repeated."""

    def __init__(self, byte: int = 0x80) -> None:
        self._byte = byte

    def uuid(self, now: datetime) -> str:
        return "0193a5b0-0000-7000-8000-000000000000"

    def bytes(self, count: int) -> bytes:
        return bytes([self._byte]) * count


async def until(condition: Callable[[], bool]) -> None:
    """Give way to the other tasks until ``condition`` holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- the condition is plain state of another task, which sets no event
            await asyncio.sleep(0)
