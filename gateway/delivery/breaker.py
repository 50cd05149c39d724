"""A peer out of reach: no attempt is spent on it until a cheap question is answered, and then its backlog leaves at a limited rate.

Pure: what the table ``peer`` and the dispatcher keep goes in and comes out. The dispatcher uses it so, for each peer with due batches::

    breaker = breaker_of(peers.find_peer(conn, code))
    if breaker.is_open:                    # no batch is attempted
        if not breaker.probe_due(now, policy):
            continue
        reached, why = await courier.probe(peer)
    elif (pause := drain.wait(monotonic)) > 0:
        continue                           # and come back after ``pause`` seconds
    else:
        moved = await courier.deliver(route, peer)
        drain = drain.left(monotonic)
        reached, why = moved.reached, moved.code
    breaker, change = step(breaker, reached, now, policy, jitter, why=why)
    peers.save_peer(conn, row_of(code, breaker))
    if change is not None:                 # one event when it opens, one when it closes
        log.warning(f"peer.{change.value}", …)

One :class:`Drain` a peer whose breaker ``drains``, begun where there is none yet: after an outage, and in a process that was started
meanwhile. When the peer has no due batch any more both are over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gateway.clock import instant, parse_instant
from gateway.delivery.core import Retry, back_off
from gateway.store.peers import PeerRow

__all__ = ["Breaker", "Change", "Drain", "Policy", "breaker_of", "row_of", "step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """It opens after ``failures`` in a row; the pauses between probes follow the peer's own curve."""

    failures: int = 3
    retry: Retry


class Change(StrEnum):
    """What a person is told, once each."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What is known of a peer: failures in a row, and while it is out of reach since when, why, and when it is asked next.

    ``drains``: it has come back, and what waited for it is not gone yet.
    """

    failures: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    why: str = ""
    drains: bool = False

    @property
    def is_open(self) -> bool:
        """Whether no batch may be attempted."""
        return self.opened_at is not None

    def probe_due(self, now: datetime, policy: Policy) -> bool:
        """Whether the peer is to be asked now. A time beyond every pause was written before the clock was stepped back."""
        return self.is_open and not self._ahead(now, policy)

    def _ahead(self, now: datetime, policy: Policy) -> bool:
        return self.probe_at is not None and now < self.probe_at <= now + policy.retry.max * 1.2


def step(
    breaker: Breaker, reached: bool, now: datetime, policy: Policy, jitter: float, *, why: str = ""
) -> tuple[Breaker, Change | None]:
    """The breaker after an attempt or a probe, and what changed. ``why`` is the code of a failure, ``jitter`` in [0, 1)."""
    if reached:
        return Breaker(drains=breaker.drains or breaker.is_open), Change.CLOSED if breaker.is_open else None
    if breaker.is_open and breaker._ahead(now, policy):
        return breaker, None  # an attempt that began before it opened: it says nothing new
    failures = breaker.failures + 1
    if not breaker.is_open and failures < policy.failures:
        return replace(breaker, failures=failures, why=why), None
    opened = Breaker(
        failures=failures,
        opened_at=breaker.opened_at or now,
        probe_at=now + back_off(policy.retry, failures - policy.failures + 1, jitter),
        why=why,
    )
    return opened, None if breaker.is_open else Change.OPENED


def breaker_of(row: PeerRow) -> Breaker:
    """The breaker that the journal keeps."""
    return Breaker(
        failures=row.failures,
        opened_at=None if row.opened_at is None else parse_instant(row.opened_at),
        probe_at=None if row.probe_at is None else parse_instant(row.probe_at),
        why=row.why or "",
        drains=row.drains,
    )


def row_of(code: str, breaker: Breaker) -> PeerRow:
    """The breaker of the peer ``code`` as the journal keeps it."""
    return PeerRow(
        code=code,
        failures=breaker.failures,
        opened_at=None if breaker.opened_at is None else instant(breaker.opened_at),
        probe_at=None if breaker.probe_at is None else instant(breaker.probe_at),
        why=breaker.why or None,
        drains=breaker.drains,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Lets a peer that has just come back take its backlog at ``rate`` batches a minute, evenly; without a rate it holds nothing up.

    Instants are seconds of the monotonic clock.
    """

    rate: float | None = None
    next_at: float = 0.0

    @classmethod
    def begin(cls, rate: float, now: float) -> Drain:
        """The breaker has just closed: the first batch may leave at once."""
        return cls(rate=rate, next_at=now)

    def wait(self, now: float) -> float:
        """Seconds until the next batch may leave; 0 when it may leave now."""
        return 0.0 if self.rate is None else max(self.next_at - now, 0.0)

    def left(self, now: float) -> Drain:
        """After a batch has left. Time in which none left is not made up for."""
        return self if self.rate is None else replace(self, next_at=max(self.next_at, now) + 60.0 / self.rate)
