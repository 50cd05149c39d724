"""What was sent, held against what comes back: the receipt's check with the journal's own knowledge of the batch."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from gateway.delivery.exchange import Peer
from gateway.package.batch import parse_batch
from gateway.package.container import open_package
from gateway.package.receipt import CheckedReceipt, SentBatch, check_receipt
from gateway.store import batches
from gateway.store.batches import Batch
from gateway.store.database import Database

__all__ = ["check_answer"]


def check_answer(database: Database, batch: Batch, peer: Peer, receipt: bytes, now: datetime) -> CheckedReceipt:
    """The receipt for ``batch``, checked step by step. Raises PackageError with the code of the step that failed.

    The batch's own package tells which records it holds; it is opened only when the receipt lists an outcome.
    """

    @cache
    def versions() -> dict[str, int]:
        with database.read() as conn:
            package = batches.package_bytes(conn, batch.id)
        return {record.key: record.version for record in parse_batch(open_package(package).document).records}

    sent = SentBatch(
        batch_id=batch.id,
        route=batch.route,
        sequence=batch.sequence,
        package_sha256=batch.package_sha256,
        total=batch.total,
        checkpoint=batch.checkpoint,
        receiver_code=peer.node.code,
        version_of=lambda key: versions().get(key),
        taken_down=peer.taken_down,
    )
    return check_receipt(receipt, sent, peer.trusted, now=now)
