"""Who is served next: the routes with something due, the most urgent first, several at once, each in the order of its sequence numbers.

Nothing leaves for a peer out of reach (:mod:`gateway.delivery.breaker`), nor while a person has paused the exchange or the peer, nor
while the node holds sending back. These are asked before every single batch, so an order acts within one batch, whatever is queued.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from gateway.clock import Clock, Ids, parse_instant
from gateway.delivery.breaker import Change, Drain, Policy, breaker_of, row_of
from gateway.delivery.breaker import step as step_breaker
from gateway.delivery.exchange import Peer, Progress, Route, receiver_of
from gateway.delivery.holds import Holds, Work
from gateway.delivery.notary import Notary
from gateway.delivery.reconcile import Reconciler
from gateway.delivery.send import Courier
from gateway.errors import GatewayError, LedgerError
from gateway.store import alarms, batches, pauses, peers, routes
from gateway.store.database import Connection, Database
from gateway.store.pauses import Scope
from gateway.store.routes import RouteHead
from gateway.store.states import State

__all__ = ["Dispatcher"]

_LONGEST_WAIT = 30.0  # seconds without looking, whatever the timetable says: a clock that was set is noticed by then
_AFTER_FAULT = timedelta(minutes=1)
_AFTER_NOTHING = timedelta(seconds=1)
_log = structlog.get_logger()


def _silent(_stage: str, _count: int) -> None: ...


class Dispatcher:
    """Delivers what is sealed. ``at_once`` routes are worked on at a time. One per process, used in one event loop."""

    def __init__(
        self,
        *,
        database: Database,
        courier: Courier,
        reconciler: Reconciler,
        notary: Notary,
        holds: Holds,
        clock: Clock,
        ids: Ids,
        at_once: int = 4,
    ) -> None:
        self._database = database
        self._courier = courier
        self._reconciler = reconciler
        self._notary = notary
        self._holds = holds
        self._clock = clock
        self._ids = ids
        self._at_once = at_once
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by route, and by peer code for probes
        self._drains: dict[str, Drain] = {}
        self._rests: dict[Route, datetime] = {}  # not looked at before
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look again now: something was sealed, resumed or ordered."""
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more; batches on their way are finished by their own tasks."""
        self._stopping = True
        self._wake.set()

    async def deliver(self, route: Route, peer: Peer, progress: Progress = _silent) -> bool:
        """Take every batch of the route as far as it gets now: sent, answered, reconciled; stop at the first that must wait.

        True when anything moved.
        """
        moved = False
        async with self._turns[route]:
            while not self._stopping:
                moved |= await self._reconcile(route, peer, progress)
                if not await self._may_leave(route, peer):
                    return moved
                step = await self._courier.deliver(route, peer)
                if step is None:
                    return moved
                moved = True
                self._note(peer, reached=step.reached, why=step.code)
                if step.state is not State.ACKNOWLEDGED:
                    return moved
        return moved

    async def work(self, known: Mapping[str, Peer]) -> None:
        """Serve every route until :meth:`stop`; ``known`` are the peers by code.

        Raises LedgerError, and StoreError once the journal cannot be written: then the process has to end.
        """
        busy: dict[Route, asyncio.Task[None]] = {}
        try:
            while not self._stopping:
                self._wake.clear()
                wait = _LONGEST_WAIT
                for head in await asyncio.to_thread(self._heads):
                    route = Route(head.route)
                    peer = known.get(receiver_of(route))
                    due = None if peer is None or route in busy else self._due(head, peer)
                    if due is None or peer is None:
                        continue
                    left = (due - self._clock.now()).total_seconds()
                    if left > 0:
                        wait = min(wait, left)
                    elif len(busy) < self._at_once:
                        busy[route] = asyncio.create_task(self._serve(route, peer))
                        busy[route].add_done_callback(lambda _task: self._wake.set())
                # Not wait_for: Python 3.11 swallows a cancellation there that comes together with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                for route in [route for route, task in busy.items() if task.done()]:
                    busy.pop(route).result()
        except asyncio.CancelledError:
            for task in busy.values():
                task.cancel()
            raise
        finally:
            await asyncio.gather(*busy.values(), return_exceptions=True)

    async def _serve(self, route: Route, peer: Peer) -> None:
        try:
            moved = await self.deliver(route, peer)
        except LedgerError:
            raise
        except GatewayError as error:
            if self._database.broken:
                raise
            # One route's trouble is not the others'. It is looked at again, not hammered.
            self._rests[route] = self._clock.now() + _AFTER_FAULT
            _log.error("route.failed", route=route, code=error.code)
        else:
            # Due, and yet nothing could be done (another process holds it, for one): not at once again.
            self._rests[route] = self._clock.now() + (timedelta() if moved else _AFTER_NOTHING)

    def _heads(self) -> list[RouteHead]:
        with self._database.read() as conn:
            return routes.heads(conn)

    def _due(self, head: RouteHead, peer: Peer) -> datetime | None:
        """When the route can be worked on; None until a person does something or a hold ends."""
        now = self._clock.now()
        rest = self._rests.get(Route(head.route), now)
        if head.answered:
            return rest
        if head.due_at is None or self._holds.on(Work.SENDING):
            return None
        with self._database.read() as conn:
            if _paused(conn, head.exchange, peer):
                return None
            breaker = breaker_of(peers.find_peer(conn, peer.node.code))
        asked = now
        if breaker.is_open and breaker.probe_at is not None and not breaker.probe_due(now, _policy(peer)):
            asked = breaker.probe_at
        due = max(rest, asked, parse_instant(head.due_at))
        # A time beyond every pause was written before the clock was set back: it holds nothing up.
        return now if due > now + peer.retry.longest_pause else due

    async def _reconcile(self, route: Route, peer: Peer, progress: Progress) -> bool:
        with self._database.read() as conn:
            answered = [batch for batch in batches.open_batches(conn, route=route) if batch.state is State.ACKNOWLEDGED]
        for batch in answered:
            await asyncio.to_thread(self._reconciler.reconcile, peer, batch.id)
            progress("reconciled", batch.total)
            await asyncio.to_thread(self._notary.publish)
        return bool(answered)

    async def _may_leave(self, route: Route, peer: Peer) -> bool:
        """Whether the next batch of the route may be tried now; asks a peer that was out of reach whether it is back."""
        if self._holds.on(Work.SENDING):
            return False
        with self._database.read() as conn:
            heads = routes.heads(conn)
            head = next((one for one in heads if one.route == route), None)
            breaker = breaker_of(peers.find_peer(conn, peer.node.code))
            paused = head is not None and _paused(conn, head.exchange, peer)
        if breaker.drains and not any(receiver_of(Route(one.route)) == peer.node.code for one in heads):
            self._drained_dry(peer.node.code)
        if head is None or paused:
            return False
        if breaker.is_open and not await self._probe(peer):
            return False
        return not (breaker.is_open or breaker.drains) or await self._drained(peer)

    async def _probe(self, peer: Peer) -> bool:
        """Whether a peer that was out of reach is back. A cheap question, so that an outage costs time but no attempts."""
        async with self._turns[peer.node.code]:
            with self._database.read() as conn:
                breaker = breaker_of(peers.find_peer(conn, peer.node.code))
            if not breaker.is_open:
                return True
            if not breaker.probe_due(self._clock.now(), _policy(peer)):
                return False
            reached, why = await self._courier.probe(peer)
            self._note(peer, reached=reached, why=why)
            return reached

    async def _drained(self, peer: Peer) -> bool:
        """Wait until the peer that has just come back may be given the next batch; False when we were told to stop meanwhile."""
        code = peer.node.code
        async with self._turns[code]:
            drain = self._drains.get(code) or Drain.begin(peer.drain_rate, self._clock.monotonic())
            await self._clock.sleep(drain.wait(self._clock.monotonic()))
            self._drains[code] = drain.left(self._clock.monotonic())
        return not self._stopping

    def _drained_dry(self, code: str) -> None:
        """What had waited for the peer is gone, and so is the limit."""
        self._drains.pop(code, None)
        with self._database.begin() as conn:
            row = peers.find_peer(conn, code)
            peers.save_peer(conn, row_of(code, replace(breaker_of(row), drains=False)))

    def _note(self, peer: Peer, *, reached: bool, why: str) -> None:
        """What was learnt of the peer: one event when it is out of reach, one when it is back."""
        code = peer.node.code
        with self._database.read() as conn:
            row = peers.find_peer(conn, code)
        before = breaker_of(row)
        jitter = int.from_bytes(self._ids.bytes(4), "big") / 2**32
        after, change = step_breaker(before, reached, self._clock.now(), _policy(peer), jitter, why=why)
        if after == before:
            return
        with self._database.begin() as conn:
            peers.save_peer(conn, row_of(code, after))
        if change is Change.OPENED:
            _log.error("peer.out-of-reach", peer=peer.name, why=why, failures=after.failures)
        elif change is Change.CLOSED:
            _log.warning("peer.back", peer=peer.name, since=row.opened_at)
            self._wake.set()


def _policy(peer: Peer) -> Policy:
    return Policy(retry=peer.retry)


def _paused(conn: Connection, exchange: str | None, peer: Peer) -> bool:
    """By a person, or by an alarm about the peer's ledger or ours that waits for one."""
    if peer.node.code in alarms.held_peers(conn):
        return True
    return bool(pauses.find(conn, Scope.PEER, peer.name) or (exchange and pauses.find(conn, Scope.EXCHANGE, exchange)))
