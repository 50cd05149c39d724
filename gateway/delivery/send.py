"""One batch on its way: claim it, ask or send, and write down what became of it.

Whatever leaves room for doubt ends in ``unknown``: then the receiver is asked for the receipt before the identical bytes go again. A
receipt is believed only after :mod:`gateway.package.receipt` has held it against what was sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

import structlog

from gateway.clock import Clock, Ids, instant, parse_instant
from gateway.delivery.core import Next, after_question, after_send
from gateway.delivery.exchange import Peer, Route
from gateway.delivery.sent import check_answer
from gateway.errors import PackageError
from gateway.exchange.outcome import Acknowledged, Outcome, ReceiptAnswer, Unknown
from gateway.exchange.port import Outgoing
from gateway.package.receipt import CheckedReceipt
from gateway.store import attempts, batches
from gateway.store.batches import Batch, Claim
from gateway.store.database import Database
from gateway.store.states import State

__all__ = ["Courier"]

_LEASE_MARGIN = 60.0  # seconds beyond a transfer's own time-out before another worker may think this one dead
_log = structlog.get_logger()
Answer = TypeVar("Answer", Outcome, ReceiptAnswer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Delivers the batches of a route, lowest sequence number first.

    ``owner`` names this process in leases; ``transfer_seconds`` is the longest that one transfer may last.
    """

    database: Database
    clock: Clock
    ids: Ids
    owner: str
    transfer_seconds: float

    async def deliver(self, route: Route, peer: Peer) -> tuple[str, State] | None:
        """One step for the batch that the receiver waits for: its id and where it stands then; None when nothing is due.

        Raises StoreError ``fence-lost`` when another worker took the batch over meanwhile.
        """
        with self.database.begin() as conn:
            claim = batches.claim(
                conn,
                owner=self.owner,
                at=instant(self.clock.now()),
                lease_seconds=self.transfer_seconds + _LEASE_MARGIN,
                route=route,
            )
            batch = None if claim is None else batches.find_batch(conn, claim.batch_id)
        if claim is None or batch is None:
            return None
        following = await (self._ask if claim.state is State.UNKNOWN else self._send)(batch, claim, peer)
        _log.info(
            "batch.moved",
            batch=batch.id,
            route=route,
            sequence=batch.sequence,
            state=following.state.value,
            code=following.code or None,
            status=following.status,
            next_attempt_at=following.at and instant(following.at),
        )
        return batch.id, following.state

    async def _send(self, batch: Batch, claim: Claim, peer: Peer) -> Next:
        """An attempt: its row is durable before the first byte leaves, so a crash in between is found as ``unknown``."""
        with self.database.begin() as conn:
            number = attempts.start_attempt(conn, batch.id, fence=claim.fence, at=instant(self.clock.now()))
            package = batches.package_bytes(conn, batch.id)
        outcome = await peer.transport.send(Outgoing(batch_id=batch.id, package=package))
        checked, outcome = await self._believed(outcome, batch, peer)
        following = after_send(
            outcome,
            attempt=number,
            made_at=parse_instant(batch.created_at),
            now=self.clock.now(),
            retry=peer.retry,
            jitter=self._jitter(),
        )
        at = instant(self.clock.now())
        # The attempt's end, the receipt and the new state are one transaction. A crash before it: the lease ends, the batch is found
        # as ``unknown``, and the receiver is asked.
        with self.database.begin() as conn:
            attempts.end_attempt(
                conn,
                batch.id,
                number,
                at=at,
                outcome=_word(following.state),
                status=following.status,
                code=following.code or None,
                detail=following.detail or None,
            )
            if checked is not None:
                receipt, data = checked
                attempts.store_receipt(conn, batch.id, data, verdict=receipt.receipt.verdict, at=at, late=False)
            batches.move(
                conn,
                batch.id,
                following.state,
                at=at,
                fence=claim.fence,
                next_attempt_at=None if following.at is None else instant(following.at),
            )
        return following

    async def _ask(self, batch: Batch, claim: Claim, peer: Peer) -> Next:
        """The fate of the batch is unknown: ask for its receipt; send the same bytes only when it never arrived."""
        answer = await peer.transport.receipt(batch.id)
        checked, answer = await self._believed(answer, batch, peer)
        following = after_question(
            answer,
            attempt=batch.attempts,
            made_at=parse_instant(batch.created_at),
            now=self.clock.now(),
            retry=peer.retry,
            jitter=self._jitter(),
        )
        at = instant(self.clock.now())
        with self.database.begin() as conn:
            if checked is not None:
                receipt, data = checked
                attempts.store_receipt(conn, batch.id, data, verdict=receipt.receipt.verdict, at=at, late=True)
            if following.state is State.UNKNOWN:
                batches.put_off(
                    conn, batch.id, next_attempt_at=instant(following.at or self.clock.now()), fence=claim.fence
                )
            else:
                batches.move(conn, batch.id, following.state, at=at, fence=claim.fence)
        if following.state is State.SENDING:
            return await self._send(batch, claim, peer)
        return following

    async def _believed(
        self, answer: Answer, batch: Batch, peer: Peer
    ) -> tuple[tuple[CheckedReceipt, bytes] | None, Answer | Unknown]:
        """The receipt in the answer, checked; an answer whose receipt does not hold is as good as none, and is kept as evidence."""
        if not isinstance(answer, Acknowledged):
            return None, answer
        try:
            checked = await asyncio.to_thread(
                check_answer, self.database, batch, peer, answer.receipt, self.clock.now()
            )
        except PackageError as error:
            _log.warning("receipt.refused", batch=batch.id, code=error.code)
            with self.database.begin() as conn:
                attempts.refuse_receipt(conn, batch.id, answer.receipt, code=error.code, at=instant(self.clock.now()))
            return None, Unknown(why=error.code, status=answer.status)
        return (checked, answer.receipt), answer

    def _jitter(self) -> float:
        return int.from_bytes(self.ids.bytes(4), "big") / 2**32


def _word(state: State) -> str:
    """The attempt's outcome in the journal's words."""
    return {State.ACKNOWLEDGED: "acknowledged", State.REFUSED: "refused", State.WAITING: "later"}.get(state, "unknown")
