"""The node at work by itself: it receives, runs what is due, delivers, signs what is new and takes orders, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import structlog

from gateway.app import Gateway
from gateway.collect import keep_collecting
from gateway.config_keys import certificates_named
from gateway.control import ControlServer
from gateway.delivery.clock_check import ClockCheck
from gateway.delivery.expiry import ExpiryWatch
from gateway.delivery.holds import Work
from gateway.delivery.run import Order
from gateway.delivery.skew import ClockWatch
from gateway.delivery.space import SpaceWatch
from gateway.delivery.ticker import Ticker
from gateway.errors import ConfigError, GatewayError, LedgerError, StoreError
from gateway.exchange.waiting import WaitingTransport
from gateway.fetching import Fetcher
from gateway.logs import dropped_lines
from gateway.notify import notify
from gateway.receiving import listens, open_listeners

__all__ = ["serve"]

_HOUSEKEEPING = 5.0  # seconds; the ledger promises a checkpoint at least once a minute when there is something new
_ASKING = 2.0  # seconds between two looks at what is to be asked of peers
_CLOCKS = 300.0  # seconds between two looks at the peers' clocks
_UNANSWERED = 15.0  # the same, while no peer has answered yet and our own clock is all there is
_RUNS_AT_ONCE = 2
_log = structlog.get_logger()


async def serve(gateway: Gateway, stop: asyncio.Event, *, tell: Callable[[str], None] | None = None) -> None:
    """Work until ``stop`` is set, then drain: begin nothing, let what is under way end within the configured limit, sign what is new.

    ``tell`` is told the receiving address (empty where nothing is received) once the node is ready.

    Raises ConfigError ``nothing-to-serve``; LedgerError when the ledger contradicts itself and StoreError when the journal cannot be
    written: then the process has to end, and a new one recovers.
    """
    document = gateway.settings.document
    if document.receive is None and not document.exchanges and not document.pulls:
        raise ConfigError("nothing-to-serve", file=str(gateway.settings.file))
    await _Daemon(gateway, stop).serve(tell)


class _Daemon:
    def __init__(self, gateway: Gateway, stop: asyncio.Event) -> None:
        self._gateway = gateway
        self._stop = stop
        self._ready = False
        self._control = ControlServer(gateway)
        self._listeners = open_listeners(gateway, self._is_ready)
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(_RUNS_AT_ONCE)
        self._failure: BaseException | None = None
        self._told_dropped = 0
        self._ask_again_at = float("-inf")
        settings = gateway.settings
        named = certificates_named(gateway.settings)  # read once: what is used is what was read at the start
        self._expiry = ExpiryWatch(certificates=lambda: named, clock=gateway.clock)
        self._space = SpaceWatch(
            folders=[settings.data_dir, settings.head_memory.parent, settings.publish_dir],
            least=settings.document.daemon.free_space,
            holds=gateway.holds,
        )

    async def serve(self, tell: Callable[[str], None] | None) -> None:
        """The whole life."""
        gateway = self._gateway
        async with AsyncExitStack() as stack:
            peers = {
                peer.code: await stack.enter_async_context(gateway.peer(name))
                for name, peer in gateway.settings.peers.items()
                if peer.url is not None or peer.delivery == "pull"
            }
            self._space.look()
            gateway.anchors.hold()
            clocks = ClockCheck(
                peers={code: peer for code, peer in peers.items() if not isinstance(peer.transport, WaitingTransport)},
                watch=ClockWatch(gateway.settings.node.max_clock_skew),
                holds=gateway.holds,
                clock=gateway.clock,
                certificate=gateway.signer.certificate,
            )
            gateway.notary.doubt(clocks.stepped)
            gateway.planner.begin()
            ticker = Ticker(partial(self._look, clocks), on_error=lambda _name, error: self._fail(error))
            for plan in gateway.plans.values():
                ticker.at(plan.schedule)
            ticker.every(_HOUSEKEEPING, "housekeeping", partial(self._keep_house, clocks))
            ticker.every(_CLOCKS, "clocks", clocks.look)
            ticker.every(_ASKING, "asking", Fetcher(gateway).look)
            for listener in self._listeners:
                await listener.start()
            await self._control.start()
            delivering = self._watched(gateway.dispatcher.work(peers), "delivering")
            vouching = [
                self._watched(gateway.anchors.work(), "anchors"),
                self._watched(gateway.witnesses.work(), "witnesses"),
            ]
            collecting = self._watched(keep_collecting(gateway, peers, self._stop), "collecting")
            beginning = self._watched(self._begin(clocks, ticker), "beginning")
            self._ready = True
            url = self._listeners[0].url if listens(gateway) else ""
            _log.info("daemon.ready", node=gateway.node.code, url=url or None)
            notify("READY=1")
            if tell is not None:
                tell(url)
            try:
                await self._stop.wait()
            finally:
                self._ready = False
                notify("STOPPING=1")
                _log.info("daemon.stopping")
                beginning.cancel()
                await asyncio.gather(beginning, return_exceptions=True)
                await ticker.stop()
                for task in vouching:
                    task.cancel()
                await asyncio.gather(*vouching, return_exceptions=True)
                await self._drain(delivering, collecting)
        if self._failure is not None:
            raise self._failure
        await asyncio.to_thread(gateway.notary.publish, final=True)
        _log.info("daemon.stopped")

    async def _begin(self, clocks: ClockCheck, ticker: Ticker) -> None:
        """No run and no signature before the clock was held against the peers': peers that do not answer delay those, not the node's being
        there."""
        await clocks.look()
        self._gateway.notary.release()
        await asyncio.to_thread(self._gateway.notary.publish, final=True)
        ticker.start()

    async def _is_ready(self) -> bool:
        holds = self._gateway.holds
        held = any(holds.on(work) is not None for work in (Work.INTAKE, Work.SIGNING))
        return self._ready and not self._gateway.database.broken and not held

    def _watched(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task whose failure ends the process: what failed is known to be wrong, and a new process recovers."""
        task = asyncio.create_task(work, name=name)

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and (failure := done.exception()) is not None:
                self._fail(failure)

        task.add_done_callback(ended)
        return task

    def _fail(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
            code = failure.code if isinstance(failure, GatewayError) else type(failure).__name__
            _log.critical("daemon.failed", code=code)
        self._stop.set()

    async def _look(self, clocks: ClockCheck) -> None:
        """Start the runs that are due. One task an exchange: ticks that fall due while it runs are found by the next look."""
        if clocks.stepped():
            return  # housekeeping asks the peers what time it is
        for name in self._gateway.planner.exchanges():
            if name not in self._runs and not self._stop.is_set():
                orders = self._gateway.planner.due(name)
                if orders:
                    self._runs[name] = self._watched(self._run(name, orders), f"run {name}")
                    self._runs[name].add_done_callback(partial(self._ended, name))

    def _ended(self, name: str, _task: asyncio.Task[None]) -> None:
        self._runs.pop(name, None)

    async def _run(self, name: str, orders: Sequence[Order]) -> None:
        gateway = self._gateway
        async with self._turns:
            for order in orders:
                try:
                    async with gateway.exchange(name) as exchange:
                        await gateway.runner.run(exchange, order, lambda _stage, _count: None)
                except LedgerError:
                    raise
                except GatewayError as error:
                    # Told in the log and in the run's row; the next tick tries again, a source that did not answer sooner.
                    if gateway.database.broken:
                        raise
                    _log.error("run.not-done", exchange=name, code=error.code)
                    if error.retryable:
                        gateway.planner.failed(name)
                    return
                gateway.planner.done(name)

    async def _keep_house(self, clocks: ClockCheck) -> None:
        """What has to be looked at every few seconds."""
        gateway = self._gateway
        if clocks.stepped() or (clocks.unanswered() and gateway.clock.monotonic() >= self._ask_again_at):
            await clocks.look()
            self._ask_again_at = gateway.clock.monotonic() + _UNANSWERED
        if gateway.database.broken:
            raise StoreError("store-broken", reason="-")
        self._space.look()
        self._expiry.look()
        await asyncio.to_thread(gateway.notary.publish)
        notify("WATCHDOG=1")
        if (dropped := dropped_lines()) > self._told_dropped:
            _log.warning("log.lines-dropped", count=dropped)
            self._told_dropped = dropped

    async def _drain(self, *going: asyncio.Task[None]) -> None:
        """Begin nothing more; what is under way may end by itself until the limit, then it is cut off, as a crash would, but told."""
        gateway = self._gateway
        gateway.runner.stop()
        gateway.dispatcher.stop()
        limit = gateway.settings.document.daemon.drain.total_seconds()
        ending = [
            *going,
            *self._runs.values(),
            asyncio.create_task(self._control.stop()),
            *(asyncio.create_task(listener.stop()) for listener in self._listeners),
        ]
        _, late = await asyncio.wait(ending, timeout=limit)
        if late:
            _log.warning("daemon.cut-off", tasks=len(late), limit=limit)
            for task in late:
                task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
