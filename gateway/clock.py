"""Time, sleep, ids and randomness, passed in as arguments so that every test is repeatable.

This is the only file that asks the system for the time or for random bytes.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "Ids", "RandomIds", "SystemClock", "instant", "parse_instant", "uuid7"]


class Clock(Protocol):
    """What may be asked of time."""

    def now(self) -> datetime:
        """The present instant, timezone-aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; a test's clock returns at once."""
        ...


class Ids(Protocol):
    """What may be asked of chance."""

    def uuid(self, now: datetime) -> str:
        """A new UUIDv7 (RFC 9562), lower case, ordered by ``now``."""
        ...

    def bytes(self, count: int) -> bytes:
        """``count`` unguessable bytes."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present instant in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        await asyncio.sleep(seconds)


class RandomIds:
    """Ids and bytes from the operating system."""

    def uuid(self, now: datetime) -> str:
        """A new UUIDv7."""
        return uuid7(now, secrets.token_bytes(10))

    def bytes(self, count: int) -> bytes:
        """``count`` unguessable bytes."""
        return secrets.token_bytes(count)


def uuid7(now: datetime, noise: bytes) -> str:
    """RFC 9562 §5.7 from an instant and ten random bytes; Python has its own only from 3.14."""
    milliseconds = int(now.timestamp() * 1000)
    raw = bytearray(milliseconds.to_bytes(6, "big") + noise[:10])
    raw[6] = (raw[6] & 0x0F) | 0x70
    raw[8] = (raw[8] & 0x3F) | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def instant(moment: datetime) -> str:
    """``YYYY-MM-DDThh:mm:ss.ffffffZ``, the one written form of an instant in tables and ledger entries."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> datetime:
    """The instant that :func:`instant` wrote. Raises ValueError on any other shape."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
