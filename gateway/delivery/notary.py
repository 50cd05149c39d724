"""Signs the ledger's head when there is something new: at most once a second, unless told that the work is over."""

from __future__ import annotations

from threading import Lock

import structlog

from gateway.clock import Clock
from gateway.ledger.publish import Publisher
from gateway.store.database import Database
from gateway.store.entries import DurableLog

__all__ = ["Notary"]

_PAUSE = 1.0
_log = structlog.get_logger()


class Notary:
    """Publishes checkpoints of the ledger in ``database``."""

    def __init__(self, *, database: Database, publisher: Publisher, clock: Clock) -> None:
        self._log = DurableLog(database)
        self._publisher = publisher
        self._clock = clock
        self._turn = Lock()
        self._last = float("-inf")

    def start(self) -> None:
        """Hold the ledger against its outside memory. Raises LedgerError when it was rolled back or forked: nothing may start then."""
        self._publisher.start(self._log)

    def publish(self, *, final: bool = False) -> None:
        """Sign and publish what is new, unless that was done within the last second. ``final`` does it in any case.

        Raises LedgerError when the ledger contradicts itself: then nothing was signed, and the process must end.
        """
        with self._turn:
            now = self._clock.monotonic()
            if not final and now - self._last < _PAUSE:
                return
            self._last = now
            checkpoint = self._publisher.publish(self._log, self._clock)
        if checkpoint is not None:
            _log.info("checkpoint.published", size=checkpoint.size, root=checkpoint.root.hex())
