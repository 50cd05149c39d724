"""The way to a peer that fetches: a batch is laid out for it and waits. What it answers comes by the receiving side's HTTP."""

from __future__ import annotations

from typing import Final

from gateway.errors import ExchangeError
from gateway.exchange.digests import RouteDigests
from gateway.exchange.outcome import Later, NeverReceived, Outcome, ReceiptAnswer
from gateway.exchange.port import NodeInfo, Outgoing

__all__ = ["WaitingTransport"]

_LOOK_AGAIN: Final = (
    3600.0  # seconds: each look is an attempt in the journal, and only counts the hours that nobody came
)


class WaitingTransport:
    """Lays batches out for the peer called ``name`` with the code ``code``."""

    def __init__(self, *, code: str, name: str) -> None:
        self._info = NodeInfo(code=code, name=name, versions=(1,))

    async def send(self, outgoing: Outgoing) -> Outcome:
        """It waits from now on."""
        return Later(why="not-fetched", retry_after=_LOOK_AGAIN)

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        """A receipt that was brought is stored already; so there is none, and the batch goes on waiting."""
        return NeverReceived()

    async def node(self) -> NodeInfo:
        """What is known of it without asking."""
        return self._info

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        """It cannot be asked. Raises ExchangeError."""
        raise ExchangeError("digests-question-failed", peer=self._info.name, why="not-fetched", status="-")

    async def close(self) -> None:
        """Nothing is open."""
