"""The way to a publication site: a folder of this machine. It cannot sign, so its receipts are ours, taken down from what was written."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import tzinfo

import structlog

from gateway.clock import Clock
from gateway.errors import ExchangeError, PackageError
from gateway.exchange.digests import RouteDigests
from gateway.exchange.outcome import Acknowledged, Later, NeverReceived, Outcome, ReceiptAnswer, Refused
from gateway.exchange.port import NodeInfo, Outgoing
from gateway.exchange.recorder import Recorder, Told
from gateway.package.batch import parse_batch
from gateway.package.container import open_package
from gateway.site.publisher import Publisher
from gateway.site.shelf import Shelf

__all__ = ["SiteTransport"]

_log = structlog.get_logger()


class SiteTransport:
    """Publishes batches with ``publisher``; one at a time. ``recorder`` seals the receipts, days are counted in ``zone``."""

    def __init__(
        self, publisher: Publisher, *, recorder: Callable[[], Recorder], node: NodeInfo, clock: Clock, zone: tzinfo
    ) -> None:
        self._publisher = publisher
        self._recorder = recorder
        self._node = node
        self._clock = clock
        self._zone = zone
        self._turn = asyncio.Lock()

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Publish a batch. The receipt and what is held are one commit after the files: a crash before it publishes the same once more."""
        async with self._turn:
            try:
                return await asyncio.to_thread(self._publish, outgoing)
            except ExchangeError as error:
                return Later(why=error.code)
            except PackageError as error:
                return Refused(status=0, code=error.code)

    def _publish(self, outgoing: Outgoing) -> Outcome:
        digest = hashlib.sha256(outgoing.package).hexdigest()
        shelf = self._publisher.shelf
        with shelf.open() as conn:
            known = Shelf.receipt(conn, outgoing.batch_id)
            if known is not None:
                if known[0] != digest:
                    return Refused(status=409, code="batch-id-conflict")
                return Acknowledged(receipt=known[1], status=200, stored=True)
            batch = parse_batch(open_package(outgoing.package).document)
            if batch.header.catalog not in self._publisher.pages.shown:
                return Refused(status=403, code="route-forbidden")
            today = self._clock.now().astimezone(self._zone).date().isoformat()
            done = self._publisher.publish(conn, batch, today)
            feedback = done.feedback()
            told = [
                Told(key=record.key, accepted=record.key not in done.refused, code="body-not-published")
                for record in batch.records
            ]
            receipt = self._recorder().take_down(outgoing.package, told, feedback)
            # The files stand. This commit says so; before it the batch counts as never received, and comes again.
            Shelf.close_batch(conn, outgoing.batch_id, digest, feedback, receipt)
        _log.info("site.published", batch=outgoing.batch_id, written=len(done.written), removed=len(done.removed))
        return Acknowledged(receipt=receipt, status=201, stored=False)

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        """The receipt that a batch got, or that it never came."""
        return await asyncio.to_thread(self._receipt, batch_id)

    def _receipt(self, batch_id: str) -> ReceiptAnswer:
        with self._publisher.shelf.open() as conn:
            known = Shelf.receipt(conn, batch_id)
        return NeverReceived() if known is None else Acknowledged(receipt=known[1], status=200, stored=True)

    async def node(self) -> NodeInfo:
        """The site, as the configuration has it."""
        return self._node

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        """A site is compared by ``gateway site check``. Raises ExchangeError ``site-not-compared``."""
        raise ExchangeError("site-not-compared", route=route, prefix=prefix)

    async def close(self) -> None:
        """Nothing is open."""
