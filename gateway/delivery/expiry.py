"""When certificates end, and who is told so: once at each of five days, so that nobody learns it from a peer that refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from gateway.clock import Clock, instant
from gateway.package.certificates import Certificate, days_left, fingerprint

__all__ = ["WARN_AT", "ExpiryWatch", "Named", "stage", "stage_of"]

WARN_AT: Final = (60, 30, 14, 7, 1)
"""Days before the end of a certificate."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A certificate and the key of the configuration that names it."""

    place: str
    certificate: Certificate


def stage(certificate: Certificate, now: datetime) -> int | None:
    """The warning that a certificate has reached: the smallest of :data:`WARN_AT` that is not below its days left, 0 once it has ended."""
    return stage_of(days_left(certificate, now))


def stage_of(left: int) -> int | None:
    """The same for so many days left, negative once it has ended."""
    return 0 if left < 0 else min((days for days in WARN_AT if left <= days), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryWatch:
    """Says in the log when a certificate reaches its next warning; at a start, every one that has reached one."""

    certificates: Callable[[], Sequence[Named]]
    clock: Clock
    _told: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Tell what is new since the last look."""
        now = self.clock.now()
        for one in self.certificates():
            reached, key_id = stage(one.certificate, now), fingerprint(one.certificate)
            if reached is None or self._told.get(key_id, max(WARN_AT) + 1) <= reached:
                continue
            self._told[key_id] = reached
            _log.log(
                40 if reached <= 1 else 30,
                "key.expires" if reached else "key.expired",
                place=one.place,
                key_id=key_id,
                until=instant(one.certificate.not_valid_after_utc),
                days=max(days_left(one.certificate, now), 0),
            )
