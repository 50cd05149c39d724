"""The sealed bytes that a way to a peer asks for again: files and rows are made of them, and named after them."""

from __future__ import annotations

from gateway.store import batches
from gateway.store.database import Database

__all__ = ["stored_package"]


def stored_package(journal: Database | None, batch_id: str) -> bytes | None:
    """The package of a batch of ours exactly as sealed; None where it is not kept, or nothing is (``journal`` is None)."""
    if journal is None:
        return None
    with journal.read() as conn:
        return batches.find_package(conn, batch_id)
