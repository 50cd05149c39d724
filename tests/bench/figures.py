"""What was measured: how many records in how many seconds, beside a peer or a physical limit measured in the same minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Deadline", "Figure", "Meter", "OutOfTimeError", "Progress", "Rate", "in_a_row"]

_QUIET_SECONDS: Final = 10.0
_LIVELY_SECONDS: Final = 0.5


class OutOfTimeError(Exception):
    """The time that the whole measurement may take is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many records in so many seconds on the clock; ``cpu`` are the processor's seconds, of all threads together."""

    records: int
    seconds: float
    cpu: float = 0.0

    @property
    def per_second(self) -> float:
        """Records a second; 0 where nothing was measured."""
        return self.records / self.seconds if self.seconds else 0.0

    @property
    def cpu_microseconds(self) -> float:
        """What one record costs the processor: on a busy machine the steadier figure."""
        return 1e6 * self.cpu / self.records if self.records else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One stage beside what it is held against. ``unit`` is what is counted; ``peer`` names the other, empty where there is none."""

    stage: str
    own: Rate
    unit: str = "records"
    peer: str = ""
    peers: Rate | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the peer."""
        if self.peers is None or not self.peers.per_second:
            return None
        return self.own.per_second / self.peers.per_second

    def to_json(self) -> dict[str, object]:
        """The figure as a JSON object; rates are a second."""
        return {
            "stage": self.stage,
            "unit": self.unit,
            "count": self.own.records,
            "seconds": round(self.own.seconds, 6),
            "rate": round(self.own.per_second, 1),
            "cpu_microseconds": round(self.own.cpu_microseconds, 2),
            "peer": self.peer or None,
            "peer_rate": None if self.peers is None else round(self.peers.per_second, 1),
            "peer_cpu_microseconds": None if self.peers is None else round(self.peers.cpu_microseconds, 2),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
        }


@dataclass(slots=True)
class Meter:
    """Adds up one stage and its peer over many helpings, taken in turn so that both have the same noise around them."""

    stage: str
    peer: str = ""
    unit: str = "records"
    _own: list[Rate] = field(default_factory=list)
    _peers: list[Rate] = field(default_factory=list)

    @contextmanager
    def own(self, count: int) -> Iterator[None]:
        """Time the block as ``count`` records of the stage."""
        started, cpu = time.perf_counter(), time.process_time()
        yield
        self._own.append(Rate(records=count, seconds=time.perf_counter() - started, cpu=time.process_time() - cpu))

    @contextmanager
    def other(self, count: int) -> Iterator[None]:
        """Time the block as ``count`` records of the peer."""
        started, cpu = time.perf_counter(), time.process_time()
        yield
        self._peers.append(Rate(records=count, seconds=time.perf_counter() - started, cpu=time.process_time() - cpu))

    def figure(self) -> Figure:
        """The sum of it all."""
        peers = _sum(self._peers) if self._peers else None
        return Figure(stage=self.stage, own=_sum(self._own), unit=self.unit, peer=self.peer, peers=peers)


def _sum(helpings: Sequence[Rate]) -> Rate:
    return Rate(
        records=sum(one.records for one in helpings),
        seconds=sum(one.seconds for one in helpings),
        cpu=sum(one.cpu for one in helpings),
    )


def in_a_row(stage: str, figures: Sequence[Figure]) -> Figure:
    """What one record costs in all these stages together."""
    measured = [figure.own for figure in figures if figure.own.records]
    records = max((one.records for one in measured), default=0)
    seconds, cpu = (sum(getattr(one, name) / one.records for one in measured) for name in ("seconds", "cpu"))
    return Figure(stage=stage, own=Rate(records=records, seconds=seconds * records, cpu=cpu * records))


class Deadline:
    """When everything must be over."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left. Raises OutOfTimeError when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise OutOfTimeError
        return left


class Progress:
    """Says on standard error how far the work is: often in place on a terminal, now and then in lines of their own elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._said = time.monotonic()

    def tell(self, words: str, *, now: bool = False) -> None:
        """Show ``words``, unless something was shown a moment ago."""
        moment = time.monotonic()
        if now or moment - self._said >= (_LIVELY_SECONDS if self._terminal else _QUIET_SECONDS):
            self._said = moment
            sys.stderr.write(f"\r\x1b[K{words}" if self._terminal and not now else f"{self._clear()}{words}\n")
            sys.stderr.flush()

    def done(self) -> None:
        """Take the line back."""
        sys.stderr.write(self._clear())
        sys.stderr.flush()

    def _clear(self) -> str:
        return "\r\x1b[K" if self._terminal else ""
