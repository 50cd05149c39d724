"""The end of a payload: a package's bytes are erased when their time is over and nothing keeps them; what the ledger says of them stays.

Never erased: receipts, entries, digests; whatever is open, or not under a signed checkpoint yet; what a person has ordered to keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from xml.sax.saxutils import escape

import structlog

from gateway import __version__
from gateway.clock import Clock, instant
from gateway.delivery.exchange import Progress
from gateway.errors import PackageError
from gateway.ledger.append import append
from gateway.package.container import open_package
from gateway.package.forms import Node
from gateway.store import retention
from gateway.store.database import Connection, Database
from gateway.store.entries import DurableLog, TransactionLog
from gateway.store.retention import Hold, HoldScope, Payload

__all__ = ["Eraser", "Erasures"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasures:
    """What one order did, or would do: the payloads, and for those that are kept the number of the hold."""

    erased: Sequence[Payload]
    kept: Sequence[tuple[Payload, int]]

    @property
    def bytes(self) -> int:
        """How many bytes were erased."""
        return sum(one.size for one in self.erased)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eraser:
    """Erases payloads whose batches ended longer than ``after`` ago."""

    database: Database
    node: Node
    clock: Clock
    after: timedelta

    def run(self, *, person: str, reason: str, dry_run: bool, tell: Progress, disputed: bool = False) -> Erasures:
        """Erase what may go, batch by batch: stopped half-way, what was done is done and entered, and the rest is found by the next order.

        ``disputed``: by this order, what is in dispute may go as well.
        """
        erased: list[Payload] = []
        kept: list[tuple[Payload, int]] = []
        for payload in self._due(disputed=disputed):
            if dry_run:
                with self.database.read() as conn:
                    hold = _held(conn, payload)
            else:
                hold = self._erase(payload, person, reason)
            if hold is None:
                erased.append(payload)
                tell("erased", 1)
            else:
                kept.append((payload, hold.id))
                tell("kept", 1)
        done = Erasures(erased=tuple(erased), kept=tuple(kept))
        if not dry_run:
            _log.info("retention.done", erased=len(done.erased), bytes=done.bytes, kept=len(done.kept))
        return done

    def _due(self, *, disputed: bool) -> Iterator[Payload]:
        newest = DurableLog(self.database).newest_checkpoint()
        before = instant(self.clock.now() - self.after)
        with self.database.read() as conn:
            found = retention.past_due(
                conn, before=before, signed=0 if newest is None else newest.size, disputed=disputed
            )
        yield from found

    def _erase(self, payload: Payload, person: str, reason: str) -> Hold | None:
        """Erase and enter, in one transaction; the hold that keeps it, if one does."""
        now = self.clock.now()
        # Bytes and entry are one transaction. A crash before it: nothing is gone. After it: the ledger says who took them away, and why.
        with self.database.begin() as conn:
            hold = _held(conn, payload)
            if hold is not None:
                return hold
            retention.erase(conn, payload)
            append(
                TransactionLog(conn),
                "erasure",
                {
                    "node": self.node.code,
                    "software": __version__,
                    "batch_id": payload.batch_id,
                    "erased": payload.entered,
                    "package_sha256": payload.package_sha256,
                    "person": person,
                    "reason": reason,
                },
                at=now,
            )
        _log.info("package.erased", batch=payload.batch_id, side=payload.side.value, entry=payload.entered)
        return None


def _held(conn: Connection, payload: Payload) -> Hold | None:
    """The first hold that keeps a payload. For subjects the document itself is searched: the journal keeps no list of who is in a batch."""
    holds = retention.holds(conn)
    for hold in holds:
        if hold.scope is HoldScope.BATCH and hold.name == payload.batch_id:
            return hold
    subjects = [hold for hold in holds if hold.scope is HoldScope.SUBJECT]
    if not subjects:
        return None
    try:
        document = open_package(retention.payload_bytes(conn, payload)).document
    except PackageError:
        return subjects[0]  # nobody can say whom it speaks of, so it stays
    return next((hold for hold in subjects if escape(hold.name).encode() in document), None)
