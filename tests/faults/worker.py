"""A second worker on the bureau's journal, as several daemons on one database will be: it holds no lock on the folder, and its
clock is ahead."""

from __future__ import annotations

import asyncio
import multiprocessing
from datetime import datetime, timedelta
from pathlib import Path

from gateway.app import Gateway
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.delivery.exchange import Route
from gateway.store.database import Database
from tests.faults.children import LONGEST

__all__ = ["second_worker"]

_server = multiprocessing.get_context("forkserver")


class _Ahead(SystemClock):
    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


def _work(folder: Path, route: str, ahead: timedelta) -> None:
    settings = load_settings(folder / "config.toml")
    database = Database.open(settings.store_url)
    gateway = Gateway(settings, database, _Ahead(ahead), RandomIds())

    async def deliver() -> None:
        async with gateway.peer_of(route) as peer:
            await gateway.dispatcher.deliver(Route(route), peer)

    asyncio.run(deliver())
    database.close()


def second_worker(folder: Path, route: str, *, ahead: timedelta) -> int | None:
    """It takes the batches of ``route`` as far as they get, under a clock that is ``ahead``; its exit code."""
    process = _server.Process(target=_work, args=(folder, route, ahead))
    process.start()
    process.join(LONGEST)
    return process.exitcode
