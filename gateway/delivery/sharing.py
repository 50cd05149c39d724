"""What peers ask of this node beside sending to it: feedback on what they sent, and the batches that we lay out for them to fetch.

A batch that is laid out stands as *waiting* until its receipt is brought; the receipt is checked and taken like one that came by hand
(:meth:`gateway.delivery.send.Courier.take_receipt`), reconciled, and the next batch is laid out before the answer leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog

from gateway.delivery.dispatch import Dispatcher
from gateway.delivery.exchange import Peer, Route, receiver_of, route_of, sender_of
from gateway.delivery.feedback import FeedbackDesk
from gateway.delivery.ledgers import PeerLedgers, checkpoint_in, show
from gateway.delivery.send import Courier
from gateway.errors import LedgerError, PackageError
from gateway.exchange.intake import Facts, ProblemAnswer
from gateway.exchange.problem import Problem
from gateway.exchange.sharing import Given, NothingNew
from gateway.exchange.shown import Shown
from gateway.ledger.note import VerifierKey
from gateway.package.forms import Node
from gateway.store import batches, peer_heads
from gateway.store.batches import Batch
from gateway.store.database import Database
from gateway.store.entries import DurableLog
from gateway.store.states import State

__all__ = ["SharingDesk"]

_ANSWERED: Final = frozenset({State.ACKNOWLEDGED, State.RECONCILED})
_log = structlog.get_logger()


class SharingDesk:
    """Implements :class:`gateway.exchange.sharing.Sharing` for ``node``; ``fetching`` are the peers that fetch, by code."""

    def __init__(
        self,
        *,
        database: Database,
        node: Node,
        desk: FeedbackDesk,
        fetching: Mapping[str, Peer],
        courier: Courier,
        dispatcher: Dispatcher,
        ledgers: PeerLedgers,
        ledger_key: VerifierKey,
    ) -> None:
        self._database = database
        self._node = node
        self._desk = desk
        self._fetching = fetching
        self._courier = courier
        self._dispatcher = dispatcher
        self._ledgers = ledgers
        self._key = str(ledger_key)

    async def feedback(
        self, caller: str, sender: str, catalog: str, receiver: str, after: int
    ) -> Given | NothingNew | ProblemAnswer:
        """Feedback on a route of the caller's own."""
        if sender != caller:
            return _no("route-forbidden")
        if receiver != self._node.code:
            return _no("unknown-route")
        data = await self._desk.feedback(sender, catalog, after)
        return NothingNew() if data is None else Given(data=data)

    async def listed(self, caller: str, catalog: str, after: int, limit: int) -> Facts | ProblemAnswer:
        """What is laid out for the caller."""
        if caller not in self._fetching:
            return _no("route-forbidden")
        route = route_of(self._node.code, catalog, caller)
        found = await asyncio.to_thread(self._laid_out, route, after, limit)
        return Facts(
            body={
                "route": route,
                "batches": [
                    {
                        "id": one.id,
                        "sequence": one.sequence,
                        "sha256": one.package_sha256,
                        "answered": one.state in _ANSWERED,
                    }
                    for one in found
                ],
            }
        )

    async def package(self, caller: str, batch_id: str, held: int | None) -> Given | ProblemAnswer:
        """The exact bytes, as often as they are asked for."""
        found = await asyncio.to_thread(self._given, caller, batch_id, held)
        if found is None:
            return _no("unknown-batch")
        _log.info("batch.fetched", batch=batch_id, receiver=caller, size=len(found.data))
        return found

    async def take_receipt(self, caller: str, batch_id: str, receipt: bytes, shown: Shown) -> Facts | ProblemAnswer:
        """Check it, take it, settle the batch. The same receipt again changes nothing."""
        batch = await asyncio.to_thread(self._shared, caller, batch_id)
        if batch is None:
            return _no("unknown-batch")
        peer = self._fetching[caller]
        self._ledgers.offer(caller, batch_id, shown)
        try:
            await asyncio.to_thread(self._courier.take_receipt, batch_id, peer, receipt)
        except PackageError as error:
            _log.warning("receipt.refused", batch=batch_id, receiver=caller, code=error.code)
            return _no("receipt-invalid", error.code)
        await self._dispatcher.deliver(Route(batch.route), peer)
        self._dispatcher.wake()
        settled = await asyncio.to_thread(self._shared, caller, batch_id)
        return Facts(body={"id": batch_id, "state": (settled or batch).state.value})

    def _laid_out(self, route: str, after: int, limit: int) -> list[Batch]:
        with self._database.read() as conn:
            return batches.laid_out(conn, route, after=after, limit=limit)

    def _shared(self, caller: str, batch_id: str) -> Batch | None:
        """The batch, when it is one for this caller that an attempt was made of."""
        if caller not in self._fetching:
            return None
        with self._database.read() as conn:
            batch = batches.find_batch(conn, batch_id)
        ours = batch is not None and (sender_of(batch.route), receiver_of(Route(batch.route))) == (
            self._node.code,
            caller,
        )
        return batch if ours and batch is not None and batch.state is not State.READY else None

    def _given(self, caller: str, batch_id: str, held: int | None) -> Given | None:
        batch = self._shared(caller, batch_id)
        if batch is None or batch.state in {State.ABANDONED, State.DISPUTED}:
            return None
        with self._database.read() as conn:
            data = batches.find_package(conn, batch_id)
        return None if data is None else Given(data=data, shown=self._shown(batch, held))

    def _shown(self, batch: Batch, held: int | None) -> Shown:
        """Our key, how much we hold of the caller's ledger, and the proof that ours only grew since the caller saw it."""
        with self._database.read() as conn:
            largest = peer_heads.largest_head(conn, receiver_of(Route(batch.route)))
        plain = Shown(key=self._key, held=0 if largest is None else largest.size)
        if held is None or not batch.checkpoint:
            return plain
        try:
            return replace(
                plain,
                since=held,
                proof=show(DurableLog(self._database), checkpoint_in(batch.checkpoint).size, held),
            )
        except LedgerError:
            return plain


def _no(code: str, detail: str = "") -> ProblemAnswer:
    return ProblemAnswer(problem=Problem(code=code, detail=detail))
