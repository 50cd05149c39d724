"""Whether our clock can be believed: held against the clocks of the peers that answer us.

A clock that is far off would sign checkpoints with wrong times and start runs at wrong hours. It counts as off only when *every* peer that
answered says so: one peer with a wrong clock, or one that lies, cannot stop us as long as another one agrees with us. While nobody
answers, the last judgement stands; before anybody has, we believe our own clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

__all__ = ["ClockWatch", "is_off"]

_log = structlog.get_logger()


def is_off(skews: Iterable[timedelta], limit: timedelta) -> bool:
    """Whether these differences (theirs minus ours, one a peer) show that our clock is off: there are some, and all are beyond ``limit``."""
    beyond = [abs(skew) > limit for skew in skews]
    return bool(beyond) and all(beyond)


class ClockWatch:
    """Remembers what each peer's clock showed last. While ``held``, no checkpoint is signed and no run is started.

    Times of peers come to the second and with the answer's travel, so a ``limit`` under some seconds means nothing. To be used from one thread.
    """

    def __init__(self, limit: timedelta) -> None:
        self.limit = limit
        self._skews: dict[str, timedelta] = {}
        self._held = False

    @property
    def held(self) -> bool:
        """Whether our clock is off."""
        return self._held

    @property
    def skew(self) -> timedelta | None:
        """By how much the peer that agrees with us most is ahead of our clock; None while no peer's time is known."""
        return min(self._skews.values(), key=abs, default=None)

    def observe(self, peer_code: str, their_time: datetime | None, our_time: datetime) -> None:
        """Note what a peer's clock showed when ours showed ``our_time``, with zones. None: it did not answer, its last word is forgotten."""
        if their_time is None:
            self._skews.pop(peer_code, None)
        else:
            self._skews[peer_code] = their_time - our_time
        if not self._skews:
            return
        off = is_off(self._skews.values(), self.limit)
        if off != self._held:
            self._held = off
            seconds = {code: round(skew.total_seconds()) for code, skew in sorted(self._skews.items())}
            tell = _log.error if off else _log.warning
            tell("clock.skew", held=off, seconds=seconds, limit=round(self.limit.total_seconds()))
