"""The receiver's side of sharing: what a peer has laid out for us is fetched in its order, taken like a batch that was sent, and answered.

Every step can be done again: a package that was taken before its receipt could be brought is found in the store, and its receipt, byte for byte
the same, is brought by the next pull. Nothing is fetched behind a batch whose receipt the peer has not.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import structlog

from gateway.delivery.exchange import route_of
from gateway.delivery.receive import Receiver
from gateway.errors import DeliveryError
from gateway.exchange.intake import Pending, ProblemAnswer, ReceiptTaken
from gateway.exchange.shares import ServiceShares, SharedBatch
from gateway.exchange.shown import NOTHING, Shown
from gateway.package.forms import Node
from gateway.store import inbox, peer_heads
from gateway.store.database import Database

__all__ = ["Pulled", "Puller"]

_AT_ONCE = 100
_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Pulled:
    """What a pull did: batches and records taken, receipts brought (of batches taken now, or before)."""

    batches: int = 0
    records: int = 0
    receipts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Puller:
    """Fetches for ``node`` and takes through ``receiver``, which judges every package as if it had been sent."""

    database: Database
    node: Node
    receiver: Receiver

    async def pull(self, shares: ServiceShares, sender: str, catalog: str) -> Pulled:
        """Fetch what the node ``sender`` (its code) shares of ``catalog`` until nothing is left.

        Raises ExchangeError, PeerUnavailableError; DeliveryError ``pull-refused`` (a package that does not hold: nothing of it was taken, and
        nothing behind it is fetched), ``pull-differs``, ``pull-later``.
        """
        route = route_of(sender, catalog, self.node.code)
        done = Pulled()
        while True:
            last = await asyncio.to_thread(self._last, route)
            listed = await shares.listed(catalog, after=max(last - 1, 0), limit=_AT_ONCE)
            moved = False
            for one in listed:
                if one.sequence <= last and one.answered:
                    continue
                receipt = await asyncio.to_thread(self._stored, route, one)
                shown = NOTHING
                if receipt is None:
                    receipt, shown = await self._take(shares, sender, one)
                    done.batches += 1
                    done.records += await asyncio.to_thread(self._count, one.id)
                if not one.answered:
                    await shares.hand_over(one.id, receipt, shown)
                    done.receipts += 1
                moved = True
            if not moved:
                _log.info("pull.done", route=route, batches=done.batches, records=done.records, receipts=done.receipts)
                return done

    async def _take(self, shares: ServiceShares, sender: str, one: SharedBatch) -> tuple[bytes, Shown]:
        """Fetch a package and take it; a proof of the peer's ledger is asked for once more where we hold another size than we thought."""
        held = await asyncio.to_thread(self._held, sender)
        for _ in range(2):
            given = await shares.package(one.id, held=held)
            if hashlib.sha256(given.data).hexdigest() != one.sha256:
                raise DeliveryError("pull-differs", batch=one.id)
            match await self.receiver.take(sender, one.id, given.data, given.shown):
                case ReceiptTaken(receipt=receipt, shown=shown):
                    return receipt, shown
                case ProblemAnswer(problem=problem) if (
                    problem.code == "log-proof-wanted" and problem.expected is not None
                ):
                    held = problem.expected
                case ProblemAnswer(problem=problem, retry_after=None):
                    raise DeliveryError("pull-refused", batch=one.id, code=problem.code, detail=problem.detail or "-")
                case ProblemAnswer() | Pending():
                    raise DeliveryError("pull-later", batch=one.id)
        raise DeliveryError("pull-refused", batch=one.id, code="log-proof-wanted", detail="-")

    def _last(self, route: str) -> int:
        with self.database.read() as conn:
            return inbox.last_sequence(conn, route)

    def _stored(self, route: str, one: SharedBatch) -> bytes | None:
        """Our receipt, when we have taken the batch before. Raises DeliveryError ``pull-differs`` for the same id with other bytes."""
        with self.database.read() as conn:
            known = inbox.find_batch(conn, one.id)
            if known is None:
                return None
            if (known.route, known.package_sha256) != (route, one.sha256):
                raise DeliveryError("pull-differs", batch=one.id)
            return inbox.receipt_bytes(conn, one.id)

    def _count(self, batch_id: str) -> int:
        with self.database.read() as conn:
            known = inbox.find_batch(conn, batch_id)
        return 0 if known is None else known.counts["total"]

    def _held(self, sender: str) -> int:
        with self.database.read() as conn:
            largest = peer_heads.largest_head(conn, sender)
        return 0 if largest is None else largest.size
