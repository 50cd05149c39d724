"""What only a person decides: pause and resume, try again, give a batch up. Every decision stands in the ledger with person and reason."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import structlog

from gateway import __version__
from gateway.clock import Clock, Ids, instant
from gateway.delivery.core import step
from gateway.delivery.events import Abandoned, Retried
from gateway.delivery.exchange import Peer
from gateway.delivery.send import Courier
from gateway.delivery.standing import standing_of, write_standing
from gateway.errors import DeliveryError, StoreError
from gateway.exchange.outcome import Acknowledged, NeverReceived
from gateway.ledger.append import append
from gateway.package.batch import build_batch
from gateway.package.cms import Signer
from gateway.package.container import BATCH
from gateway.package.forms import Node
from gateway.package.header import BatchDraft, FormatReference, Void
from gateway.package.manifest import build_manifest
from gateway.package.sealing import seal
from gateway.store import batches, pauses, shares
from gateway.store.batches import Batch
from gateway.store.database import Connection, Database
from gateway.store.entries import DurableLog, TransactionLog
from gateway.store.pauses import Pause, Scope
from gateway.store.states import State, check_transition

__all__ = ["Decisions", "note_action"]

_SALT_BYTES = 32
_log = structlog.get_logger()


def note_action(
    conn: Connection, node: Node, clock: Clock, *, person: str, action: str, subject: str, reason: str
) -> int:
    """The ledger's entry of a person's order, in the transaction that carries it out; returns its index."""
    fields = {
        "node": node.code,
        "software": __version__,
        "person": person,
        "action": action,
        "subject": subject,
        "reason": reason,
    }
    return append(TransactionLog(conn), "operator.action", fields, at=clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Carries out decisions at ``node``. ``person`` and ``reason`` are who decides and why; neither is ever empty."""

    database: Database
    node: Node
    signer: Signer
    courier: Courier
    clock: Clock
    ids: Ids

    def pause(self, scope: Scope, name: str, *, person: str, reason: str) -> None:
        """Stop an exchange or a peer until :meth:`resume`. Raises StoreError ``paused-already``."""
        new = Pause(scope=scope, name=name, at=instant(self.clock.now()), person=person, reason=reason)
        with self.database.begin() as conn:
            pauses.begin(conn, new)
            self._note(conn, person, "pause", f"{scope.value} {name}", reason)
        _log.info("pause.begun", scope=scope.value, name=name)

    def resume(self, scope: Scope, name: str, *, person: str, reason: str) -> None:
        """Go on. Raises StoreError ``not-paused``."""
        with self.database.begin() as conn:
            pauses.end(conn, scope, name)
            self._note(conn, person, "resume", f"{scope.value} {name}", reason)
        _log.info("pause.ended", scope=scope.value, name=name)

    def retry(self, batch_id: str, peer: Peer, *, person: str, reason: str) -> State:
        """Have a batch tried again now, with the same bytes; returns the state it was in. Raises StoreError ``batch-missing``."""
        now = self.clock.now()
        with self.database.begin() as conn:
            batch = batches.lock(conn, batch_id)
            before = standing_of(batch, peer.retry)
            after, _ = step(before, Retried(), now=now, retry=peer.retry, jitter=0.0)
            write_standing(conn, batch_id, before, after, at=instant(now), person=person, reason=reason)
            self._note(conn, person, "retry", batch_id, reason)
        return batch.state

    async def abandon(self, batch_id: str, peer: Peer, *, person: str, reason: str) -> str | None:
        """Give a batch up: its records are due again, a void batch takes its number. Returns the void batch's id.

        The receiver is asked first: what it has taken cannot be given up. None when it had: then its receipt is taken instead, late but
        valid. Raises DeliveryError: ``abandon-unsure`` while the receiver cannot say, ``abandon-out-of-turn`` when an earlier batch of the
        route is open; StoreError ``batch-missing``, ``transition-illegal``.
        """
        with self.database.read() as conn:
            batch = batches.find_batch(conn, batch_id)
            if batch is None:
                raise StoreError("batch-missing", batch=batch_id)
            # The ledger takes the numbers of a route in their order.
            first = batches.open_batches(conn, route=batch.route)
        if first and first[0].id != batch_id:
            raise DeliveryError("abandon-out-of-turn", batch=batch_id, first=first[0].id)
        if batch.state is not State.READY:
            answer = await peer.transport.receipt(batch_id)
            if isinstance(answer, Acknowledged):
                await asyncio.to_thread(self.courier.take_receipt, batch_id, peer, answer.receipt)
                return None
            if not isinstance(answer, NeverReceived):
                raise DeliveryError("abandon-unsure", batch=batch_id, peer=peer.name)
        return await asyncio.to_thread(self._abandon, batch, peer, person, reason)

    def _abandon(self, batch: Batch, peer: Peer, person: str, reason: str) -> str:
        now = self.clock.now()
        at = instant(now)
        newest = DurableLog(self.database).newest_checkpoint()
        format_id, _, version = batch.format.partition(" ")
        draft = BatchDraft(
            batch_id=self.ids.uuid(now),
            sequence=batch.sequence,
            previous_batch_id=batch.previous_id,
            sender=self.node,
            receiver=peer.node,
            catalog=batch.route.split("/")[1],
            format=FormatReference(id=format_id, version=version),
            mapping_digest=batch.mapping_digest,
            created_at=now,
            salt=self.ids.bytes(_SALT_BYTES),
            checkpoint=newest.note.decode() if newest else "",
            void=Void(of=batch.id, reason=reason),
        )
        built = build_batch(draft, [])
        package = seal(BATCH, built.xml, self.signer, now)
        void = batches.NewBatch(
            id=draft.batch_id,
            exchange=batch.exchange,
            route=batch.route,
            sequence=batch.sequence,
            previous_id=batch.previous_id,
            run_id=batch.run_id,
            total=0,
            upsert=0,
            withdraw=0,
            stop_share=0,
            record_root=built.header.record_root.hex(),
            mapping_digest=batch.mapping_digest,
            format=batch.format,
            package_sha256=hashlib.sha256(package).hexdigest(),
            manifest_sha256=hashlib.sha256(build_manifest(BATCH, built.xml)).hexdigest(),
            signer_key_id=self.signer.key_id,
            checkpoint=draft.checkpoint,
            created_at=at,
            next_attempt_at=at,
            give_up_at=instant(now + peer.retry.give_up_after),
            void_of=batch.id,
            deadline=batch.deadline,
        )
        # One transaction: a batch that is given up has a void one in its place, its records are due, and the ledger says who did it.
        with self.database.begin() as conn:
            locked = batches.lock(conn, batch.id)
            check_transition(
                batch.id, locked.state, State.ABANDONED
            )  # it may be on its way again since the receiver was asked
            before = standing_of(locked, peer.retry)
            after, _ = step(before, Abandoned(), now=now, retry=peer.retry, jitter=0.0)
            write_standing(conn, batch.id, before, after, at=at, person=person, reason=reason)
            shares.release(conn, batch.id)
            batches.add_batch(conn, void, package)
            append(
                TransactionLog(conn),
                "batch.abandoned",
                {
                    "node": self.node.code,
                    "software": __version__,
                    "package_sha256": batch.package_sha256,
                    "run_id": batch.run_id,
                    "total": batch.total,
                    "person": person,
                    "reason": reason,
                    "replaced_by": void.id,
                    "attempts": batch.attempts,
                },
                at=now,
                route=batch.route,
                route_seq=batch.sequence,
                batch_id=batch.id,
            )
        _log.info("batch.abandoned", batch=batch.id, route=batch.route, sequence=batch.sequence, void=void.id)
        return void.id

    def _note(self, conn: Connection, person: str, action: str, subject: str, reason: str) -> None:
        note_action(conn, self.node, self.clock, person=person, action=action, subject=subject, reason=reason)
