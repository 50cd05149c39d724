"""Signs the ledger's head when there is something new: at most once a second, unless told that the work is over.

While signing is held back (our clock is in doubt) nothing is signed, whoever asks: what is committed waits, and the first checkpoint after
the hold covers it. A clock that has not advanced since the last signature is such a doubt; it ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.delivery.holds import Holds, Work
from gateway.errors import LedgerError
from gateway.ledger.publish import Publisher
from gateway.store.database import Database
from gateway.store.entries import DurableLog

__all__ = ["Notary"]

_PAUSE = 1.0
_REGRESSED: Final = "clock-regressed"
_log = structlog.get_logger()


class Notary:
    """Publishes checkpoints of the ledger in ``database``."""

    def __init__(self, *, database: Database, publisher: Publisher, holds: Holds, clock: Clock) -> None:
        self._log = DurableLog(database)
        self._publisher = publisher
        self._holds = holds
        self._clock = clock
        self._turn = Lock()
        self._last = float("-inf")
        self._withheld = False
        self._in_doubt: Callable[[], bool] = lambda: False

    def start(self) -> None:
        """Hold the ledger against its outside memory. Raises LedgerError when it was rolled back or forked, or time went backwards:
        nothing may start then.
        """
        self._publisher.start(self._log, now=self._clock.now())

    def withhold(self) -> None:
        """Sign nothing until :meth:`release`: nobody has been asked yet what time it is. A signature under a wrong time stays."""
        self._withheld = True

    def release(self) -> None:
        """Sign again."""
        self._withheld = False

    def doubt(self, in_doubt: Callable[[], bool]) -> None:
        """Sign nothing while ``in_doubt`` says so: the clock was set, and nobody has been asked since."""
        self._in_doubt = in_doubt

    def cosign(self, note: bytes, lines: Sequence[str]) -> bool:
        """Publish what witnesses signed with the checkpoint ``note``; False when a newer one is published by now."""
        with self._turn:
            return self._publisher.cosign(note, lines)

    def publish(self, *, final: bool = False) -> None:
        """Sign and publish what is new, unless that was done within the last second. ``final`` does it in any case.

        Raises LedgerError when the ledger contradicts itself: then nothing was signed, and the process must end.
        """
        if self._withheld or self._in_doubt():
            return
        if any(Work.SIGNING in hold.stops and hold.code != _REGRESSED for hold in self._holds.all()):
            return
        with self._turn:
            now = self._clock.monotonic()
            if not final and now - self._last < _PAUSE:
                return
            self._last = now
            try:
                checkpoint = self._publisher.publish(self._log, self._clock)
            except LedgerError as error:
                if error.code != _REGRESSED:
                    raise
                self._holds.begin(_REGRESSED, frozenset({Work.SIGNING}), **error.facts)
                return
            self._holds.end(_REGRESSED)
        if checkpoint is not None:
            _log.info("checkpoint.published", size=checkpoint.size, root=checkpoint.root.hex())
