"""Asks the peers what time it is, and holds runs and signatures back while all of them contradict our clock.

A clock may be so far off that no peer can be asked: TLS takes every certificate for expired or not valid yet, our own too. So our own
certificate is looked at as well; when it is not valid now, either the clock is wrong or the certificate's time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from gateway.clock import Clock, instant
from gateway.delivery.exchange import Peer
from gateway.delivery.holds import Holds, Work
from gateway.delivery.skew import ClockWatch
from gateway.errors import ExchangeError
from gateway.package.certificates import Certificate, valid_at

__all__ = ["ClockCheck"]

_CODE: Final = "clock-skew"
_CERTIFICATE: Final = "certificate-not-valid"
_STOPS: Final = frozenset({Work.RUN, Work.SIGNING})
_PATIENCE: Final = 5.0  # seconds; an answer that takes longer says little about the time, and a start waits for it


class ClockCheck:
    """Looks at the clocks of ``peers`` (by code) each time it is asked to, and at the ``certificate`` that we sign with.

    Batches that are sealed already go on: their times are signed.
    """

    def __init__(
        self,
        *,
        peers: Mapping[str, Peer],
        watch: ClockWatch,
        holds: Holds,
        clock: Clock,
        certificate: Certificate | None = None,
    ) -> None:
        self._peers = peers
        self._certificate = certificate
        self._watch = watch
        self._holds = holds
        self._clock = clock
        self._offset: float | None = None

    def stepped(self) -> bool:
        """Whether our clock was set by more than the limit since the last look, as the clock that only counts shows."""
        return self._offset is not None and abs(self._ahead() - self._offset) > self._watch.limit.total_seconds()

    def _ahead(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def unanswered(self) -> bool:
        """Whether there are peers to ask and none of them has said yet what time it is: then the next look should not be far."""
        return bool(self._peers) and self._watch.skew is None

    async def look(self) -> None:
        """Look at our certificate, ask every peer at once, and begin or end the holds."""
        self._look_at_certificate()
        offset = self._ahead()
        answers = await asyncio.gather(*(self._time(peer) for peer in self._peers.values()))
        for code, (theirs, ours) in zip(self._peers, answers, strict=True):
            self._watch.observe(code, theirs, ours)
        if self._watch.held and self._watch.skew is not None:
            seconds = round(abs(self._watch.skew).total_seconds())
            self._holds.begin(_CODE, _STOPS, seconds=seconds, limit=round(self._watch.limit.total_seconds()))
        elif not self._watch.held:
            self._holds.end(_CODE)
        self._offset = offset  # not before there is a judgement: until then the step is in doubt

    def _look_at_certificate(self) -> None:
        own, now = self._certificate, self._clock.now()
        if own is None or valid_at(own, now):
            self._holds.end(_CERTIFICATE)
        else:
            first, last = instant(own.not_valid_before_utc), instant(own.not_valid_after_utc)
            self._holds.begin(_CERTIFICATE, _STOPS, now=instant(now), valid_from=first, valid_to=last)

    async def _time(self, peer: Peer) -> tuple[datetime | None, datetime]:
        try:
            async with asyncio.timeout(_PATIENCE):
                info = await peer.transport.node()
        except (ExchangeError, TimeoutError):
            return None, self._clock.now()
        return info.time, self._clock.now()
