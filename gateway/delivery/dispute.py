"""A batch whose receipt cannot be believed: the ledger says so, in the transaction that closes it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from gateway import __version__
from gateway.delivery.exchange import sender_of
from gateway.ledger.append import append
from gateway.package.receipt import CheckedReceipt, Figures
from gateway.store.batches import Batch
from gateway.store.database import Connection
from gateway.store.entries import TransactionLog

__all__ = ["enter_dispute"]


def enter_dispute(
    conn: Connection,
    batch: Batch,
    receipt: CheckedReceipt,
    *,
    figures: Figures | None = None,
    code: str,
    reason: str,
    at: datetime,
) -> None:
    """Enter ``batch.disputed``. ``receipt`` is the one that decides; ``reason`` says what stands against it, or whose it is. ``figures``
    are the batch's own where the receipt is another batch's.

    Raises LedgerError.
    """
    append(
        TransactionLog(conn),
        "batch.disputed",
        {
            "node": sender_of(batch.route),
            "software": __version__,
            "package_sha256": batch.package_sha256,
            "run_id": batch.run_id,
            "receipt_sha256": receipt.receipt_sha256,
            "receipt_signer": receipt.signed_by.key_id,
            "code": code,
            "reason": reason,
            "attempts": batch.attempts,
            **asdict(figures or receipt.receipt.figures),
        },
        at=at,
        route=batch.route,
        route_seq=batch.sequence,
        batch_id=batch.id,
    )
