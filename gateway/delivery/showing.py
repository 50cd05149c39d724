"""The way to one peer, with our ledger shown beside every package: its key, and a proof that it only grew since the peer saw it last."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from gateway.clock import Clock, instant
from gateway.delivery.ledgers import PeerLedgers, checkpoint_in, show
from gateway.errors import LedgerError
from gateway.exchange.digests import RouteDigests
from gateway.exchange.outcome import Acknowledged, Later, Outcome, ReceiptAnswer, Refused
from gateway.exchange.port import NodeInfo, Outgoing, Transport
from gateway.exchange.shown import Shown
from gateway.ledger.note import VerifierKey
from gateway.store import alarms, batches, outside, peer_heads
from gateway.store.alarms import AlarmCode
from gateway.store.database import Database
from gateway.store.entries import DurableLog
from gateway.store.outside import OutsideKind

__all__ = ["ShowingTransport"]

_CONFLICT: Final = 409
_log = structlog.get_logger()


class ShowingTransport:
    """Sends through ``inner`` to the peer with the code ``peer``; ``key`` verifies our checkpoints."""

    def __init__(
        self, inner: Transport, *, peer: str, database: Database, ledgers: PeerLedgers, key: VerifierKey, clock: Clock
    ) -> None:
        self._inner = inner
        self._peer = peer
        self._database = database
        self._ledgers = ledgers
        self._key = str(key)
        self._clock = clock

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Send, and once more with the proof that the peer wants if it holds another checkpoint than we thought."""
        shown = await asyncio.to_thread(self._show, outgoing.batch_id)
        outcome = await self._inner.send(replace(outgoing, shown=shown))
        match outcome:
            case Later(code="log-proof-wanted", expected=int(size)):
                wanted = await asyncio.to_thread(self._prove, outgoing.batch_id, size)
                if wanted is None:
                    return Refused(status=_CONFLICT, code="log-inconsistent")
                outcome = await self._inner.send(replace(outgoing, shown=wanted))
            case _:
                pass
        match outcome:
            case Refused(code="log-inconsistent"):
                await asyncio.to_thread(self._alarm, AlarmCode.OWN_LOG_REFUSED, {"batch": outgoing.batch_id})
            case Later(code="sequence-gap", expected=int(number)):
                await asyncio.to_thread(self._look_back, outgoing.batch_id, number)
            case Acknowledged(shown=beside):
                self._ledgers.offer(self._peer, outgoing.batch_id, beside)
            case _:
                pass
        return outcome

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        """Ask for a receipt."""
        answer = await self._inner.receipt(batch_id)
        match answer:
            case Acknowledged(shown=beside):
                self._ledgers.offer(self._peer, batch_id, beside)
            case Later(code="log-proof-wanted", expected=int(size)):
                # A peer by files can only ask so. The same bytes are put again, with the proof beside them; its answer comes later.
                wanted = await asyncio.to_thread(self._prove, batch_id, size)
                package = await asyncio.to_thread(self._package, batch_id)
                if wanted is not None:
                    await self._inner.send(Outgoing(batch_id=batch_id, package=package, shown=wanted))
            case Refused(code="log-inconsistent"):
                await asyncio.to_thread(self._alarm, AlarmCode.OWN_LOG_REFUSED, {"batch": batch_id})
            case _:
                pass
        return answer

    def _package(self, batch_id: str) -> bytes:
        with self._database.read() as conn:
            return batches.package_bytes(conn, batch_id)

    async def node(self) -> NodeInfo:
        """Ask the peer who it is."""
        return await self._inner.node()

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        """Ask what the peer holds of a route."""
        return await self._inner.digests(route, prefix)

    async def close(self) -> None:
        """Let go of connections."""
        await self._inner.close()

    def _show(self, batch_id: str) -> Shown:
        """What goes beside the batch."""
        with self._database.read() as conn:
            known = outside.find(conn, OutsideKind.PEER, self._peer).size
            largest = peer_heads.largest_head(conn, self._peer)
        held = 0 if largest is None else largest.size
        return replace(self._proof(batch_id, known) or Shown(key=self._key), held=held)

    def _prove(self, batch_id: str, size: int) -> Shown | None:
        """The proof from ``size``; None, and an alarm, when our ledger is shorter than what the peer holds of it."""
        proved = self._proof(batch_id, size)
        if proved is None:
            self._alarm(AlarmCode.OWN_LOG_BEHIND, {"held": size, "found": DurableLog(self._database).head().size})
        return proved

    def _proof(self, batch_id: str, since: int) -> Shown | None:
        """Our key and the proof between ``since`` and the checkpoint in the batch; None where the ledger has none to give."""
        with self._database.read() as conn:
            batch = batches.find_batch(conn, batch_id)
        if batch is None or not batch.checkpoint:
            return Shown(key=self._key)
        try:
            proof = show(DurableLog(self._database), checkpoint_in(batch.checkpoint).size, since)
        except LedgerError:
            return None
        return Shown(key=self._key, since=since, proof=proof)

    def _look_back(self, batch_id: str, expected: int) -> None:
        """The peer waits for another number. One that it gave us a receipt for: it does not remember it any more. A later one: it has taken
        a batch under this number that we do not remember."""
        with self._database.read() as conn:
            batch = batches.find_batch(conn, batch_id)
            answered = 0 if batch is None else batches.last_answered(conn, batch.route)
        if batch is None:
            return
        facts: dict[str, object] = {"route": batch.route, "expected": expected}
        if answered >= expected:
            self._alarm(AlarmCode.PEER_ROLLED_BACK, facts | {"answered": answered})
        elif expected > batch.sequence:
            self._alarm(AlarmCode.OWN_JOURNAL_BEHIND, facts | {"sequence": batch.sequence})

    def _alarm(self, code: AlarmCode, facts: dict[str, object]) -> None:
        with self._database.begin() as conn:
            alarms.raise_alarm(conn, code, self._peer, facts, instant(self._clock.now()))
        _log.error(f"alarm.{code}", peer=self._peer, **facts)
