"""What an auditor takes out of a node: evidence and proofs, for which reading is enough, and the ledger's note of it, which a writer makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.app import Gateway
from gateway.clock import instant
from gateway.delivery.decisions import note_action
from gateway.delivery.export import Exported, ExportOrder, Tell, export
from gateway.delivery.proving import Prover
from gateway.errors import DeliveryError
from gateway.evidence.manifest import BATCH_KINDS, Selection
from gateway.evidence.proof import Proof
from gateway.ledger.entry import Entry, decode
from gateway.package.certificates import Certificate
from gateway.store import sealed
from gateway.store.entries import DurableLog, TransactionLog

__all__ = ["Wanted", "entry_rows", "export_evidence", "note_export", "prove", "unit_of"]

_ACTION: Final = "export"


def note_export(gateway: Gateway, person: str, subject: str, reason: str) -> int:
    """Enter in the ledger that ``person`` takes evidence away, and sign it; returns the entry's index.

    ``subject`` is the selection as :class:`gateway.evidence.manifest.Selection` says it. Raises StoreError, LedgerError.
    """
    with gateway.database.begin() as conn:
        index = note_action(
            conn, gateway.node, gateway.clock, person=person, action=_ACTION, subject=subject, reason=reason
        )
    # Signed at once: the bundle shall hold the entry of its own making.
    gateway.notary.publish(final=True)
    return index


def export_evidence(
    gateway: Gateway,
    target: Path,
    selection: Selection,
    *,
    person: str,
    reason: str,
    entry: int,
    not_entered: str,
    tell: Tell,
    authorities: Sequence[Certificate] = (),
) -> Exported:
    """Write a bundle. ``entry`` is what :func:`note_export` gave, or -1 with the reason in ``not_entered``.

    Raises as :func:`gateway.delivery.export.export`; PackageError for the peers' certificates.
    """
    order = ExportOrder(
        selection=selection,
        person=person,
        reason=reason,
        entry=entry,
        not_entered=not_entered,
        signers=_signers(gateway),
        authorities=authorities,
    )
    database, origin = gateway.database, gateway.origin
    return export(database, target, order, node=gateway.node, origin=origin, clock=gateway.clock, tell=tell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries to look at; a condition that is not given takes everything. ``unit`` is what :func:`unit_of` gives."""

    kind: str | None = None
    route: str | None = None
    batch: str | None = None
    person: str | None = None
    start: datetime | None = None
    stop: datetime | None = None
    unit: tuple[str, frozenset[str]] | None = None

    def takes(self, entry: Entry) -> bool:
        """Whether the entry is wanted."""
        told = entry.fields
        return (
            (self.kind is None or entry.kind == self.kind)
            and (self.route is None or told.get("route") == self.route)
            and (self.batch is None or told.get("batch_id") == self.batch)
            and (self.person is None or told.get("person") == self.person)
            and (self.start is None or entry.at >= self.start)
            and (self.stop is None or entry.at < self.stop)
            and (self.unit is None or self._of_unit(entry, *self.unit))
        )

    @staticmethod
    def _of_unit(entry: Entry, code: str, batches: frozenset[str]) -> bool:
        route = str(entry.fields.get("route", ""))
        return route.split("/", maxsplit=1)[0] == code or entry.fields.get("batch_id") in batches


def unit_of(gateway: Gateway, code: str | None) -> tuple[str, frozenset[str]] | None:
    """A unit's code, and the batches with the newest version of a record that it produced: entries themselves name no unit."""
    if code is None:
        return None
    with gateway.database.read() as conn:
        return code, frozenset(sealed.batches_of_unit(conn, code))


def entry_rows(gateway: Gateway, wanted: Wanted, start: int) -> Iterator[dict[str, object]]:
    """The wanted entries from the index ``start`` on, oldest first, each as one flat object."""
    log = DurableLog(gateway.database)
    for stored in log.entries(start, log.head().size):
        entry = decode(stored.leaf)
        if wanted.takes(entry):
            yield {"index": stored.index, "kind": entry.kind, "at": instant(entry.at), **entry.fields}


def _signers(gateway: Gateway) -> dict[str, tuple[Certificate, ...]]:
    """The certificates of our peers, by their codes, as a person pinned them; our own are in the ledger."""
    peers = gateway.settings.peers.values()
    return {peer.code: gateway.certificates(peer.certificates) for peer in peers if peer.certificates}


def prove(gateway: Gateway, *, batch_id: str | None = None, key: str | None = None) -> Proof:
    """A proof of a batch's entry, or of the record ``key`` in its newest batch (in ``batch_id``, where that is given too).

    Raises DeliveryError ``proof-batch-unknown``, ``proof-record-unknown``, ``proof-record-ambiguous`` (several routes carried it) and as
    :class:`gateway.delivery.proving.Prover`.
    """
    if batch_id is None:
        with gateway.database.read() as conn:
            holding = sealed.batches_with(conn, key or "")
        if not holding:
            raise DeliveryError("proof-record-unknown", batch="-")
        if len(holding) > 1:
            raise DeliveryError("proof-record-ambiguous", batches=", ".join(one.batch_id for one in holding))
        batch_id = holding[0].batch_id
    with gateway.database.read() as conn:
        entries = [one for one in TransactionLog(conn).of_batch(batch_id) if one.kind in BATCH_KINDS]
    if not entries:
        raise DeliveryError("proof-batch-unknown", batch=batch_id)
    prover, index = Prover.of(gateway.database, gateway.origin), entries[-1].index
    return prover.entry(index) if key is None else prover.record(index, key)
