"""One batch on its way: claim it, ask or send, and write down what became of it.

What becomes of it is decided in :mod:`gateway.delivery.core`; here are the claim, the transactions and the network between them. A
receipt is believed only after :mod:`gateway.package.receipt` has held it against what was sent.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

import structlog

from gateway.clock import Clock, Ids, instant, parse_instant
from gateway.delivery import core
from gateway.delivery.core import Standing
from gateway.delivery.dispute import enter_dispute
from gateway.delivery.events import (
    Accept,
    Ask,
    AskVoided,
    Due,
    Effect,
    EnterDispute,
    Event,
    Finding,
    KeepRefused,
    Overtaken,
    QuestionEnded,
    ReceiptCame,
    SealVoid,
    Send,
    SendEnded,
    Settle,
    Stopped,
    Tell,
)
from gateway.delivery.exchange import Peer, Route
from gateway.delivery.sent import check_answer
from gateway.delivery.standing import standing_of, write_standing
from gateway.errors import ExchangeError, PackageError, StoreError
from gateway.exchange.outcome import Acknowledged, Outcome, ReceiptAnswer, Unknown, reached
from gateway.exchange.port import Outgoing
from gateway.package.receipt import CheckedReceipt, Figures
from gateway.store import attempts, batches
from gateway.store.batches import Batch
from gateway.store.database import Connection, Database
from gateway.store.states import State

__all__ = ["Courier", "Step"]

_LEASE_MARGIN = 60.0  # seconds beyond a transfer's own time-out before another worker may think this one dead
_WORDS = {State.ACKNOWLEDGED: "acknowledged", State.REFUSED: "refused", State.WAITING: "later"}
BY_ANOTHER_WAY = "receipt-by-another-way"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where one step left a batch. ``code`` says why it stands there, empty when all is well.

    ``reached`` is False when the peer could not be reached or failed as a machine, True when it gave a proper answer, be it a refusal.
    ``next_attempt_at`` is when the batch may be taken up again by itself, None when a person or another step has to come first.
    """

    batch_id: str
    state: State
    code: str
    reached: bool
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A claimed batch: what every step of its worker needs."""

    batch: Batch
    fence: int
    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bytes:
    """A receipt as it arrived, and what the check made of it."""

    data: bytes = field(repr=False)
    checked: CheckedReceipt | PackageError


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

    async def deliver(self, route: Route, peer: Peer) -> Step | None:
        """One step for the batch that the receiver waits for; None when nothing is due, or when another took the batch over meanwhile.

        Cancelled while bytes are under way, it writes the batch down as ``unknown``, due at once, before the cancellation goes on.
        """
        try:
            return await self._deliver(route, peer)
        except StoreError as error:
            if error.code != "fence-lost":
                raise
            _log.warning("batch.fence-lost", route=route, batch=error.facts.get("batch"))
            return None

    async def probe(self, peer: Peer) -> tuple[bool, str]:
        """Ask the peer who it is: whether it is there, and when it is not, the code that says why. Costs no batch an attempt."""
        try:
            await peer.transport.node()
        except ExchangeError as error:
            status = error.facts.get("status")
            # As with batches: a refusal is an answer.
            there = isinstance(status, int) and status // 100 == 4
            return there, "" if there else str(error.facts.get("why", error.code))
        return True, ""

    def take_receipt(self, batch_id: str, peer: Peer, data: bytes) -> State:
        """A receipt that came by another way (a file, by hand): checked, and taken wherever the table of states allows it.

        Returns where the batch stands then: ``acknowledged`` when it was taken (it is marked late, and nothing more is sent),
        ``disputed`` when it contradicts the one taken before, else where it stood. What is not taken is kept as evidence.
        Raises StoreError ``batch-missing``, PackageError with the code of the check that failed.
        """
        with self.database.read() as conn:
            batch = batches.find_batch(conn, batch_id)
        if batch is None:
            raise StoreError("batch-missing", batch=batch_id)
        came = self._check(batch, peer, data)
        if isinstance(came.checked, PackageError):
            with self.database.begin() as conn:
                attempts.refuse_receipt(conn, batch_id, data, code=came.checked.code, at=instant(self.clock.now()))
            raise came.checked
        now = self.clock.now()
        # The receipt and the new state are one transaction, and the fence grows: a worker that is still sending writes nothing more.
        with self.database.begin() as conn:
            batch = batches.lock(conn, batch_id)
            known = attempts.find_receipt(conn, batch_id)
            before = standing_of(batch, peer.retry)
            after, effects = self._step(before, ReceiptCame(_finding(known, data)), peer, now)
            write_standing(conn, batch_id, before, after, at=instant(now))
            for one in attempts.list_attempts(conn, batch_id):
                if one.ended_at is None and after.state is not before.state:
                    attempts.end_attempt(
                        conn, batch_id, one.number, at=instant(now), outcome="acknowledged", code=BY_ANOTHER_WAY
                    )
            for effect in effects:
                self._keep(conn, effect, batch, peer, came, known, now)
        _log.info("receipt.taken", batch=batch_id, route=batch.route, state=after.state.value, code=after.code or None)
        return after.state

    async def _deliver(self, route: Route, peer: Peer) -> Step | None:
        now = self.clock.now()
        # The claim and the count of questions are durable before anything is asked or sent. A crash after this: the lease ends, and
        # the next worker asks.
        with self.database.begin() as conn:
            claim = batches.claim(
                conn,
                owner=self.owner,
                at=instant(now),
                lease_seconds=self._lease_seconds,
                route=route,
                longest_pause=peer.retry.longest_pause.total_seconds(),
            )
            batch = None if claim is None else batches.find_batch(conn, claim.batch_id)
            if claim is None or batch is None:
                return None
            standing, effects = self._step(standing_of(batch, peer.retry, state=claim.found), Due(), peer, now)
            if Ask() in effects:
                batches.count_ask(conn, batch.id, fence=claim.fence)
        work = _Work(batch=batch, fence=claim.fence, peer=peer)
        there = True
        while Ask() in effects or Send() in effects:
            go = self._ask if Ask() in effects else self._send
            standing, effects, there = await go(work, standing)
        if AskVoided() in effects:
            standing = await self._ask_voided(work, standing)
        _log.info(
            "batch.moved",
            batch=batch.id,
            route=route,
            sequence=batch.sequence,
            state=standing.state.value,
            code=standing.code or None,
            status=standing.status,
            next_attempt_at=standing.next_at and instant(standing.next_at),
        )
        return Step(
            batch_id=batch.id,
            state=standing.state,
            code=standing.code,
            reached=there,
            next_attempt_at=standing.next_at,
        )

    async def _send(self, work: _Work, standing: Standing) -> tuple[Standing, tuple[Effect, ...], bool]:
        """An attempt: its row is durable before the first byte leaves, so a crash in between is found as ``unknown``."""
        batch, at = work.batch, instant(self.clock.now())
        with self.database.begin() as conn:
            batches.extend_lease(conn, batch.id, fence=work.fence, at=at, lease_seconds=self._lease_seconds)
            number = attempts.start_attempt(conn, batch.id, fence=work.fence, at=at)
            package = batches.package_bytes(conn, batch.id)
        try:
            outcome: Outcome = await work.peer.transport.send(Outgoing(batch_id=batch.id, package=package))
            there, came = reached(outcome), None
            if isinstance(outcome, Acknowledged):
                came = await asyncio.to_thread(self._check, batch, work.peer, outcome.receipt)
                if isinstance(came.checked, PackageError):
                    outcome = Unknown(why=came.checked.code, status=outcome.status)
        except asyncio.CancelledError:
            self._stop(work, standing, number)
            raise
        return *self._write(work, standing, SendEnded(outcome), came, number), there

    async def _ask(self, work: _Work, standing: Standing) -> tuple[Standing, tuple[Effect, ...], bool]:
        """The fate of the batch is unknown: ask for its receipt; the same bytes go again only when it never arrived."""
        try:
            answer: ReceiptAnswer = await work.peer.transport.receipt(work.batch.id)
            there, came = reached(answer), None
            if isinstance(answer, Acknowledged):
                came = await asyncio.to_thread(self._check, work.batch, work.peer, answer.receipt)
                if isinstance(came.checked, PackageError):
                    # As good as no answer; the bytes are kept as evidence.
                    answer = Unknown(why=came.checked.code, status=answer.status)
        except asyncio.CancelledError:
            self._stop(work, standing, None)
            raise
        return *self._write(work, standing, QuestionEnded(answer), came, None), there

    async def _ask_voided(self, work: _Work, standing: Standing) -> Standing:
        """The receiver is past the number of this void batch. When it has the batch that was given up, as its receipt proves, the
        route goes on after it, and the ledger says so."""
        voided_id = work.batch.void_of
        while voided_id is not None:
            with self.database.read() as conn:
                voided = batches.find_batch(conn, voided_id)
            if voided is None:
                break
            answer = await work.peer.transport.receipt(voided_id)
            if isinstance(answer, Acknowledged):
                came = await asyncio.to_thread(self._check, voided, work.peer, answer.receipt)
                if not isinstance(came.checked, PackageError):
                    return self._overtake(work, standing, voided, came.data, came.checked)
            voided_id = voided.void_of
        return standing

    def _overtake(self, work: _Work, before: Standing, voided: Batch, data: bytes, checked: CheckedReceipt) -> Standing:
        now = self.clock.now()
        at = instant(now)
        after, _ = self._step(before, Overtaken(), work.peer, now)
        # The proof, the end of the void batch and the ledger's word for it are one transaction. A crash before it: the void batch is
        # tried again, and this is found out again.
        with self.database.begin() as conn:
            write_standing(conn, work.batch.id, before, after, at=at, fence=work.fence)
            attempts.refuse_receipt(conn, voided.id, data, code=after.code, at=at)
            enter_dispute(
                conn,
                work.batch,
                checked,
                figures=Figures(total=0),
                code=after.code,
                reason=f"receipt of {voided.id}",
                at=now,
            )
        _log.warning("batch.needs-person", batch=work.batch.id, route=work.batch.route, code=after.code)
        return after

    def _stop(self, work: _Work, standing: Standing, number: int | None) -> None:
        """Write down that nobody waits for the answer any more."""
        try:
            self._write(work, standing, Stopped(), None, number)
        except StoreError as error:
            if error.code != "fence-lost":
                raise
            _log.warning("batch.fence-lost", route=work.batch.route, batch=work.batch.id)

    def _write(
        self, work: _Work, before: Standing, event: Event, came: _Bytes | None, number: int | None
    ) -> tuple[Standing, tuple[Effect, ...]]:
        """The event's end in the journal; ``number`` is the attempt's, None for a question."""
        batch, now = work.batch, self.clock.now()
        at = instant(now)
        after, effects = self._step(before, event, work.peer, now)
        # The attempt's end, the receipt and the new state are one transaction. A crash before it: the lease ends, the batch is found
        # as ``unknown``, and the receiver is asked. The state comes first: a worker that lost its fence writes nothing at all.
        # No attempt tells why a question ended the batch: its row does.
        why = ": ".join(filter(None, (after.code, after.detail))) if number is None else ""
        refused = why if after.state is State.REFUSED else None
        with self.database.begin() as conn:
            write_standing(conn, batch.id, before, after, at=at, fence=work.fence, reason=refused or None)
            if number is not None:
                attempts.end_attempt(
                    conn,
                    batch.id,
                    number,
                    at=at,
                    outcome=_WORDS.get(after.state, "unknown"),
                    status=after.status,
                    code=after.code or None,
                    detail=after.detail or None,
                )
            if came is not None and isinstance(came.checked, PackageError):
                effects = (KeepRefused(came.checked.code), *effects)
            for effect in effects:
                self._keep(conn, effect, batch, work.peer, came, None, now)
        return after, effects

    def _keep(
        self,
        conn: Connection,
        effect: Effect,
        batch: Batch,
        peer: Peer,
        came: _Bytes | None,
        known: attempts.Receipt | None,
        now: datetime,
    ) -> None:
        """What an effect leaves in the journal: of the receipt that ``came``, beside the ``known`` one. Sending, asking, settling and
        sealing are steps of their own."""
        match effect:
            case Accept(late=late):
                if came is None or isinstance(came.checked, PackageError):
                    raise ValueError("only a checked receipt is accepted")
                verdict = came.checked.receipt.verdict
                attempts.store_receipt(conn, batch.id, came.data, verdict=verdict, at=instant(now), late=late)
            case KeepRefused(code=code):
                if came is not None:
                    attempts.refuse_receipt(conn, batch.id, came.data, code=code, at=instant(now))
                    _log.warning("receipt.refused", batch=batch.id, code=code)
            case EnterDispute(code=code):
                if came is not None and known is not None:
                    accepted = check_answer(self.database, batch, peer, known.data, parse_instant(known.received_at))
                    other = hashlib.sha256(came.data).hexdigest()
                    enter_dispute(conn, batch, accepted, code=code, reason=f"receipt {other}", at=now)
            case Tell(code=code):
                _log.warning("batch.needs-person", batch=batch.id, route=batch.route, code=code)
            case Send() | Ask() | AskVoided() | Settle() | SealVoid():
                pass
            case _:
                assert_never(effect)

    def _check(self, batch: Batch, peer: Peer, data: bytes) -> _Bytes:
        """Hold receipt bytes against the batch."""
        try:
            return _Bytes(data=data, checked=check_answer(self.database, batch, peer, data, self.clock.now()))
        except PackageError as error:
            return _Bytes(data=data, checked=error)

    def _step(self, standing: Standing, event: Event, peer: Peer, now: datetime) -> tuple[Standing, tuple[Effect, ...]]:
        jitter = int.from_bytes(self.ids.bytes(4), "big") / 2**32
        return core.step(standing, event, now=now, retry=peer.retry, jitter=jitter)

    @property
    def _lease_seconds(self) -> float:
        return self.transfer_seconds + _LEASE_MARGIN


def _finding(known: attempts.Receipt | None, data: bytes) -> Finding:
    if known is None:
        return Finding.FIRST
    return Finding.SAME if known.data == data else Finding.CONTRADICTS
