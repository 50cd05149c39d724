"""The node at work: it listens for peers and signs what comes in, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from gateway.app import Gateway
from gateway.logs import dropped_lines

__all__ = ["serve"]

_TICK = 5.0  # seconds; the ledger promises a checkpoint at least once a minute when there is something new
_log = structlog.get_logger()


async def serve(gateway: Gateway, stop: asyncio.Event, *, tell: Callable[[str], None] | None = None) -> None:
    """Receive until ``stop`` is set; then take no more, finish what is in work, sign what is new.

    ``tell`` is told the address once peers can connect.

    Raises ConfigError where nothing is configured to be received, LedgerError when the ledger contradicts itself.
    """
    listener = gateway.listener()
    await listener.start()
    _log.info("daemon.ready", node=gateway.node.code, url=listener.url)
    if tell is not None:
        tell(listener.url)
    told = 0
    try:
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _TICK)
            await asyncio.to_thread(gateway.notary.publish)
            if (dropped := dropped_lines()) > told:
                _log.warning("log.lines-dropped", count=dropped)
                told = dropped
    finally:
        _log.info("daemon.stopping")
        await listener.stop()
        await asyncio.to_thread(gateway.notary.publish, final=True)
