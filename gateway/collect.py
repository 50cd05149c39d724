"""Rounds to the peers that leave files: by themselves while the node is at work, or by order (``gateway collect``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

from gateway.app import Gateway
from gateway.delivery.exchange import Peer, Progress, Route
from gateway.delivery.rounds import Round, Rounds
from gateway.errors import ConfigError, GatewayError, LedgerError
from gateway.receiving import open_rounds
from gateway.store import batches
from gateway.ways import is_by_files

__all__ = ["ORDERS", "keep_collecting"]

Args = Mapping[str, Any]
Json = dict[str, Any]


async def keep_collecting(gateway: Gateway, ways: Mapping[str, Peer], stop: asyncio.Event) -> None:
    """Go round after round to every peer by files until ``stop``. Raises what ends a process: LedgerError, StoreError ``store-broken``."""
    every = {name: gateway.settings.peers[name].folders.every.total_seconds() for name in gateway.settings.peers}
    rounds = open_rounds(gateway, ways)
    try:
        await asyncio.gather(*(_go_on(gateway, name, one, every[name], stop) for name, one in rounds.items()))
    finally:
        for one in rounds.values():
            await one.close()


async def _go_on(gateway: Gateway, name: str, rounds: Rounds, pause: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with gateway.collecting[name]:
                done = await rounds.go()
        except LedgerError:
            raise
        except GatewayError:
            # Told by whoever raised it; the files are where they were.
            if gateway.database.broken:
                raise
        else:
            if done.receipts:
                gateway.dispatcher.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stop.wait()


async def collect(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """One round to the peers named in ``peers``, or to all; what receipts came for is taken as far as it gets.

    Raises ConfigError ``peer-not-by-files``, and as the rounds.
    """
    settings = gateway.settings
    by_files = [name for name in settings.peers if is_by_files(settings, name)]
    for name in args["peers"]:
        if name not in by_files:
            raise ConfigError("peer-not-by-files", peer=name, known=", ".join(by_files) or "-")
    found: Json = {}
    async with AsyncExitStack() as stack:
        ways = {
            settings.peers[name].code: await stack.enter_async_context(gateway.peer(name))
            for name in args["peers"] or by_files
        }
        rounds = open_rounds(gateway, ways)
        for name, one in rounds.items():
            stack.push_async_callback(one.close)
            if name in (args["peers"] or by_files):
                async with gateway.collecting[name]:
                    done = await one.go()
                await _bring(gateway, done, ways[settings.peers[name].code], tell)
                found[name] = _told(done)
    return {"peers": found}


async def _bring(gateway: Gateway, done: Round, way: Peer, tell: Progress) -> None:
    """What was answered is reconciled, and what waited behind it leaves."""
    with gateway.database.read() as conn:
        known = [batches.find_batch(conn, batch_id) for batch_id in done.receipts]
    for route in sorted({batch.route for batch in known if batch is not None}):
        await gateway.dispatcher.deliver(Route(route), way, tell)


def _told(done: Round) -> Json:
    looked = done.looked
    return {
        "taken": looked.taken,
        "refused": looked.refused,
        "waiting": looked.waiting,
        "aside": looked.aside,
        "receipts": list(done.receipts),
        "why": done.why,
    }


ORDERS: Mapping[str, Callable[[Gateway, Args, Progress], Awaitable[Json]]] = {"collect": collect}
