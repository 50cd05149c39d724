"""What the node itself holds back for a while, and why: one event when it begins, one when it ends.

A hold is not a pause: nobody ordered it. The disk is nearly full, the clock is in doubt, no anchor was had for too long. Whoever begins a
unit of work asks here first; work in progress goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Lock

import structlog

from gateway.clock import Clock, instant
from gateway.errors import DeliveryError

__all__ = ["Hold", "Holds", "Work"]

_log = structlog.get_logger()


class Work(StrEnum):
    """Units of work that can be held back."""

    INTAKE = "intake"  # taking a peer's batch
    RUN = "run"  # reading a source and sealing
    SENDING = "sending"
    SIGNING = "signing"  # checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One reason to wait. ``code`` has its sentence under ``hold-<code>`` in the texts, filled with ``facts``."""

    code: str
    since: datetime
    stops: frozenset[Work]
    facts: Mapping[str, object]


class Holds:
    """The holds of this process. Safe to ask from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._held: dict[str, Hold] = {}

    def begin(self, code: str, stops: frozenset[Work], /, **facts: object) -> None:
        """Hold ``stops`` back; does nothing when this hold lasts already."""
        with self._lock:
            if code in self._held:
                return
            self._held[code] = Hold(code=code, since=self._clock.now(), stops=stops, facts=facts)
        _log.error("hold.begun", code=code, stops=sorted(stops), **facts)

    def end(self, code: str, /) -> None:
        """Let go; does nothing when there is no such hold."""
        with self._lock:
            if self._held.pop(code, None) is None:
                return
        _log.warning("hold.ended", code=code)

    def on(self, work: Work) -> Hold | None:
        """The oldest hold on this work."""
        with self._lock:
            found = [hold for hold in self._held.values() if work in hold.stops]
        return min(found, key=lambda hold: hold.since, default=None)

    def check(self, work: Work) -> None:
        """Raises DeliveryError ``held-back`` while the work must wait."""
        hold = self.on(work)
        if hold is not None:
            raise DeliveryError("held-back", work=work.value, hold=hold.code, since=instant(hold.since))

    def all(self) -> tuple[Hold, ...]:
        """Every hold, oldest first."""
        with self._lock:
            return tuple(sorted(self._held.values(), key=lambda hold: hold.since))
