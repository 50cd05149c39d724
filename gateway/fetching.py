"""What this node asks of its peers beside sending, wired: batches to fetch, feedback from further up; by order, and by schedule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from gateway.app import Gateway
from gateway.delivery.exchange import Progress
from gateway.delivery.feedback import FeedbackTaker, Found
from gateway.delivery.pull import Pulled, Puller
from gateway.delivery.schedule import Schedule
from gateway.errors import ConfigError, GatewayError, LedgerError, error_json
from gateway.exchange.shares import ServiceShares
from gateway.receiving import open_pull_receiver
from gateway.ways import build_service_transport

__all__ = ["Fetcher", "ask_feedback", "feedback", "pull", "pull_once"]

Json = dict[str, Any]
_LARGEST: Final = 1024 * 1024 * 1024
_log = structlog.get_logger()


@asynccontextmanager
async def _shares(gateway: Gateway, peer: str, package_bytes: int = _LARGEST) -> AsyncIterator[ServiceShares | None]:
    """The questions to a peer; None for one that is not reached over HTTP."""
    url = gateway.settings.peers[peer].url
    if url is None or not url.startswith(("https:", "http:")):
        yield None
        return
    transport = build_service_transport(gateway.settings, peer, clock=gateway.clock, ids=gateway.ids)
    try:
        yield ServiceShares(transport, peer=peer, package_bytes=package_bytes)
    finally:
        await transport.close()


async def pull_once(gateway: Gateway, name: str) -> Pulled:
    """Fetch what ``[pulls.name]`` asks for. Raises ConfigError ``pull-unknown``, ``peer-without-url``, and as :meth:`Puller.pull`."""
    pulls = gateway.settings.document.pulls
    if name not in pulls:
        raise ConfigError("pull-unknown", pull=name, known=", ".join(pulls) or "-")
    chosen = pulls[name]
    puller = Puller(database=gateway.database, node=gateway.node, receiver=open_pull_receiver(gateway))
    async with _shares(gateway, chosen.peer, chosen.max_package) as shares:
        if shares is None:
            raise ConfigError("peer-without-url", peer=chosen.peer)
        return await puller.pull(shares, gateway.settings.peers[chosen.peer].code, chosen.catalog)


async def ask_feedback(gateway: Gateway, peer_name: str) -> Found:
    """Ask a peer that we send to what became of records further up, on every route to it. Raises as :meth:`FeedbackTaker.take`."""
    routes: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, exchange in gateway.settings.exchanges.items():
        if exchange.peer == peer_name:
            routes[exchange.catalog][name] = exchange.source
    found = Found()
    taker = FeedbackTaker(database=gateway.database, node=gateway.node, clock=gateway.clock)
    async with _shares(gateway, peer_name) as shares:
        if shares is None:
            return found
        async with gateway.peer(peer_name) as peer:
            for catalog, exchanges in routes.items():
                found += await taker.take(shares, peer, catalog, exchanges)
    return found


def sent_to(gateway: Gateway) -> list[str]:
    """The peers that exchanges send to, each once."""
    return list(dict.fromkeys(exchange.peer for exchange in gateway.settings.exchanges.values()))


async def pull(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """The order: fetch ``names`` one after another; one that fails does not stop the others."""
    done: dict[str, Json] = {}
    failed: dict[str, Json] = {}
    for name in args["names"]:
        try:
            found = await pull_once(gateway, name)
        except GatewayError as error:
            failed[name] = error_json(error)
        else:
            tell("reconciled", found.records)
            done[name] = {"batches": found.batches, "records": found.records, "receipts": found.receipts}
    return {"done": done, "failed": failed}


async def feedback(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """The order: ask ``peers`` (all that we send to when empty) for feedback."""
    done: dict[str, Json] = {}
    failed: dict[str, Json] = {}
    for name in args["peers"] or sent_to(gateway):
        if name not in gateway.settings.peers:
            raise ConfigError("peer-unknown", peer=name, known=", ".join(gateway.settings.peers) or "-")
        try:
            found = await ask_feedback(gateway, name)
        except GatewayError as error:
            failed[name] = error_json(error)
        else:
            done[name] = {"rejected": found.rejected, "accepted": found.accepted, "stale": found.stale}
    return {"done": done, "failed": failed}


class Fetcher:
    """Asks by itself, in a node at work: pulls at the ticks of their schedules and once at the start, feedback every so often."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        zone = gateway.settings.node.time_zone
        self._schedules = {
            name: Schedule(cron=chosen.schedule, zone=zone)
            for name, chosen in gateway.settings.document.pulls.items()
            if chosen.schedule is not None
        }
        now = gateway.clock.now()
        self._due: dict[tuple[str, str], datetime] = {("pull", name): now for name in self._schedules}
        peers = gateway.settings.peers
        self._due |= {
            ("feedback", name): now + min(peers[name].feedback_every, timedelta(seconds=30))
            for name in sent_to(gateway)
            if peers[name].url is not None
        }

    async def look(self) -> None:
        """Do what is due. What fails is told in the log and tried at its next time."""
        gateway = self._gateway
        for (what, name), due in list(self._due.items()):
            now = gateway.clock.now()
            if due > now:
                continue
            self._due[what, name] = self._next(what, name, now)
            try:
                await (pull_once(gateway, name) if what == "pull" else ask_feedback(gateway, name))
            except LedgerError:
                raise
            except GatewayError as error:
                if gateway.database.broken:
                    raise
                _log.warning(f"{what}.not-done", name=name, code=error.code, **_facts(error))

    def _next(self, what: str, name: str, now: datetime) -> datetime:
        if what == "feedback":
            return now + self._gateway.settings.peers[name].feedback_every
        tick = self._schedules[name].after(now)
        return now + timedelta(days=1) if tick is None else tick.at


def _facts(error: GatewayError) -> dict[str, object]:
    return {key: error.facts[key] for key in ("why", "status", "batch") if key in error.facts}
