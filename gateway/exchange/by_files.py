"""What every way by files has in common: its folders, who the peer is by them, and the questions that files do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.errors import ExchangeError, GatewayError
from gateway.exchange.digests import RouteDigests
from gateway.exchange.outcome import Later, Outcome, ReceiptAnswer
from gateway.exchange.place import Place
from gateway.exchange.port import NodeInfo

__all__ = ["REFUSED", "TAKEN", "ByFiles", "Folders"]

TAKEN: Final = "taken"
REFUSED: Final = "refused"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The two folders of a place, as this node sees them: what it puts and what it looks through.

    ``taken_away``: the other side (or what carries files on) removes files instead of moving them to ``taken/``. ``total`` is how long
    one question may last, in seconds; ``receipt_bytes`` bounds a receipt.
    """

    outgoing: str = "outgoing"
    incoming: str = "incoming"
    taken_away: bool = False
    total: float = 60.0
    receipt_bytes: int = 32 * 1024 * 1024


class ByFiles:
    """One peer's folders at ``place``, the half of a :class:`~gateway.exchange.port.Transport` that no way by files has otherwise."""

    def __init__(
        self, place: Place, *, peer: str, node: NodeInfo, clock: Clock, folders: Folders | None = None
    ) -> None:
        self._place = place
        self._peer = peer
        self._node = node
        self._clock = clock
        self._folders = folders or Folders()

    async def node(self) -> NodeInfo:
        """Folders do not say whose they are: what is configured, when they can be used. Raises ExchangeError ``node-question-failed``."""
        try:
            async with asyncio.timeout(self._folders.total):
                await self._place.probe((self._folders.outgoing, self._folders.incoming))
        except TimeoutError as error:
            raise ExchangeError("node-question-failed", peer=self._peer, why="peer-timeout", status="-") from error
        except ExchangeError as error:
            raise ExchangeError("node-question-failed", peer=self._peer, why=error.code, status="-") from error
        return self._node

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        """Raises ExchangeError ``digests-not-by-file``: files do not answer such questions."""
        raise ExchangeError("digests-not-by-file", peer=self._peer)

    async def close(self) -> None:
        """Let go of connections."""
        await self._place.close()

    async def _asked(
        self,
        batch_id: str,
        look: Callable[[], Awaitable[ReceiptAnswer]],
        turn: AbstractAsyncContextManager[object] | None = None,
    ) -> ReceiptAnswer:
        """What ``look`` finds in time, in its ``turn``; whatever keeps it from looking says nothing of the batch."""
        started = self._clock.monotonic()
        answer: ReceiptAnswer
        try:
            async with asyncio.timeout(self._folders.total), turn or nullcontext():
                answer = await look()
        except TimeoutError:
            answer = Later(why="peer-timeout")
        except GatewayError as error:
            answer = Later(why=error.code)
        self._report("exchange.receipt-asked", answer, started, batch_id)
        return answer

    def _report(
        self, event: str, outcome: Outcome | ReceiptAnswer, started: float, batch_id: str, **facts: object
    ) -> None:
        _log.info(
            event,
            peer=self._peer,
            outcome=type(outcome).__name__,
            why=getattr(outcome, "why", None),
            code=getattr(outcome, "code", None),
            batch_id=batch_id,
            seconds=round(self._clock.monotonic() - started, 3),
            **facts,
        )
