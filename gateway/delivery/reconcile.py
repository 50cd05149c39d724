"""Every record of a batch set against the receiver's receipt, and the account of it into the ledger: commit C."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import structlog

from gateway import __version__
from gateway.clock import Clock, instant, parse_instant
from gateway.delivery.core import step
from gateway.delivery.events import Settled
from gateway.delivery.exchange import Peer
from gateway.delivery.further import tell_below
from gateway.delivery.ledgers import PeerLedgers, Showing
from gateway.delivery.sent import check_answer
from gateway.delivery.standing import standing_of
from gateway.errors import DeliveryError, LedgerError
from gateway.ledger.append import append
from gateway.ledger.checkpoint import parse_checkpoint
from gateway.ledger.entry import Value
from gateway.package.forms import Node
from gateway.package.receipt import CheckedReceipt, Outcome, Result
from gateway.store import attempts, batches, quarantine, records, shares
from gateway.store.batches import Batch
from gateway.store.database import Connection, Database
from gateway.store.entries import TransactionLog
from gateway.store.quarantine import Case, Reason, Stage
from gateway.store.shares import ListedOutcome

__all__ = ["Reconciler", "checkpoint_facts"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Closes acknowledged batches of ``node``."""

    database: Database
    node: Node
    ledgers: PeerLedgers
    clock: Clock

    def reconcile(self, peer: Peer, batch_id: str) -> None:
        """Close the batch with its stored receipt. Running it again after a crash, at any point, gives the same end.

        Two exchanges may share a route: the batch itself says whose it is.

        Raises DeliveryError ``receipt-missing``, PackageError when the stored receipt does not hold any more, StoreError, LedgerError.
        """
        with self.database.read() as conn:
            batch, receipt = batches.find_batch(conn, batch_id), attempts.find_receipt(conn, batch_id)
        if batch is None or receipt is None:
            raise DeliveryError("receipt-missing", batch=batch_id)
        # The bytes in the store are checked once more: what goes into the ledger was verified by the process that writes it there.
        checked = check_answer(self.database, batch, peer, receipt.data, parse_instant(receipt.received_at))
        figures = asdict(checked.receipt.figures)
        now = self.clock.now()
        at = instant(now)
        # Commit C: outcomes, statement, ledger entry and state stand or fall together. A crash before it: the batch is still
        # ``acknowledged`` and this runs again. After it: everything is said; only the checkpoint may be missing, and the next one covers it.
        with self.database.begin() as conn:
            before = batches.lock(conn, batch.id)
            following, _ = step(standing_of(before, peer.retry), Settled(), now=now, retry=peer.retry, jitter=0)
            if following.state is before.state:
                return
            shares.settle(conn, batch.exchange, batch.id, [_listed(outcome) for outcome in checked.receipt.outcomes])
            _quarantine(conn, batch, checked.receipt.outcomes, at)
            tell_below(conn, batch.id, checked.receipt.outcomes, peer.node, at=at)
            append(
                TransactionLog(conn),
                "batch.reconciled",
                {**self._facts(batch, checked), **figures},
                at=now,
                route=batch.route,
                route_seq=batch.sequence,
                batch_id=batch.id,
            )
            self._show(conn, batch, checked, now)
            batches.move(conn, batch.id, following.state, at=at, figures=figures)
        _log.info("batch.reconciled", batch=batch.id, route=batch.route, sequence=batch.sequence, **figures)

    def _show(self, conn: Connection, batch: Batch, checked: CheckedReceipt, now: datetime) -> None:
        """What the receipt shows of the receiver's ledger, and that the receiver holds ours."""
        receipt = checked.receipt
        showing = Showing(
            peer=receipt.receiver.code,
            batch_id=batch.id,
            note=receipt.receiver_checkpoint,
            claimed_at=receipt.received_at,
        )
        self.ledgers.receipt(conn, showing, checkpoint_facts(receipt.sender_checkpoint)[0], now=now)

    def _facts(self, batch: Batch, checked: CheckedReceipt) -> dict[str, Value]:
        receipt = checked.receipt
        peer_size, peer_root = checkpoint_facts(receipt.receiver_checkpoint)
        echo_size, echo_root = checkpoint_facts(receipt.sender_checkpoint)
        # Absent where the receiver signed: an entry says who spoke, never more than is known.
        taken_down: dict[str, Value] = {"feedback_sha256": receipt.feedback_sha256} if receipt.feedback_sha256 else {}
        return {
            **taken_down,
            "node": self.node.code,
            "software": __version__,
            "package_sha256": batch.package_sha256,
            "manifest_sha256": batch.manifest_sha256,
            "signer_key_id": batch.signer_key_id,
            "record_root": batch.record_root,
            "mapping_digest": batch.mapping_digest,
            "run_id": batch.run_id,
            "receipt_sha256": checked.receipt_sha256,
            "receipt_signer": checked.signed_by.key_id,
            "peer_size": peer_size,
            "peer_root": peer_root,
            "echo_size": echo_size,
            "echo_root": echo_root,
            "attempts": batch.attempts,
            "claimed_at": instant(receipt.received_at),
        }


def _quarantine(conn: Connection, batch: Batch, outcomes: Sequence[Outcome], at: str) -> None:
    """What the receiver rejected waits for its unit; what it took now is mended."""
    rejected = {outcome.key: outcome for outcome in outcomes if outcome.result is Result.REJECTED}
    if not rejected and not quarantine.count_open(conn, exchange=batch.exchange, stage=Stage.RECEIVER):
        return
    # A record that was sealed again since belongs to that later batch: the receipt for it will speak.
    stood = {share.key: share.record_id for share in shares.of_batch(conn, batch.id)}
    if not stood:
        return
    source = records.fetch(conn, [next(iter(stood.values()))])[0].source
    found = records.fetch(conn, [number for key, number in stood.items() if key in rejected])
    cases = [_case(record, rejected[record.key]) for record in found if record.version == rejected[record.key].version]
    place = {"exchange": batch.exchange, "source": source}
    quarantine.note(conn, cases, **place, stage=Stage.RECEIVER, run_id=batch.run_id, at=at)
    taken = [key for key in stood if key not in rejected]
    quarantine.close_keys(conn, taken, **place, stage=Stage.RECEIVER, at=at)


def _listed(outcome: Outcome) -> ListedOutcome:
    return ListedOutcome(
        key=outcome.key,
        version=outcome.version,
        result=outcome.result.value,
        code=outcome.code,
        field=outcome.field,
        message=outcome.message,
    )


def _case(record: records.StoredRecord, outcome: Outcome) -> Case:
    """The receiver's words as a case: its code and message, the record as we sent it."""
    row = json.dumps({"version": record.version, "content": json.loads(record.content)}, ensure_ascii=False)
    reason = Reason(
        field="", source=outcome.field, code=outcome.code, weight="reject", value_class="", expected=outcome.message
    )
    return Case(
        key=record.key,
        locator=record.key,
        unit=record.unit,
        row=row,
        row_digest=hashlib.sha256(row.encode()).digest(),
        reasons=(reason,),
    )


def checkpoint_facts(note: str) -> tuple[int, str]:
    """Size and root (hex) of a peer's checkpoint as a ledger entry tells them; 0 and empty where there is none that can be read.

    The note's own signature is not looked at here: the signed package or receipt that carries its text is the evidence.
    """
    try:
        checkpoint = parse_checkpoint(note.split("\n\n", 1)[0] + "\n")
    except LedgerError:
        return 0, ""
    return checkpoint.size, checkpoint.root.hex()
