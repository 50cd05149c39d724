"""Makes proofs out of the store: of one entry, or of one record in its batch with its neighbours left untold. Only reads."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

from gateway.delivery.landmarks import Landmarks
from gateway.errors import DeliveryError, LedgerError, PackageError
from gateway.evidence.proof import Earlier, Proof, ProvedEntry, ProvedRecord
from gateway.ledger.entry import Entry, decode
from gateway.ledger.history import KEY_KINDS
from gateway.ledger.port import StoredCheckpoint
from gateway.ledger.proof import LeafNodes, LogNodes, consistency_proof, inclusion_proof
from gateway.package.batch import parse_batch
from gateway.package.container import Opened, open_package
from gateway.package.record import leaf
from gateway.store import sealed
from gateway.store.database import Database
from gateway.store.entries import DurableLog

__all__ = ["Prover"]


@dataclass(frozen=True, kw_only=True)
class Prover:
    """Proves entries of the log ``origin`` up to its checkpoint ``newest``."""

    database: Database
    origin: str
    newest: StoredCheckpoint
    landmarks: Landmarks

    @classmethod
    def of(cls, database: Database, origin: str) -> Prover:
        """For the newest checkpoint. Raises DeliveryError ``export-nothing-signed``."""
        newest = DurableLog(database).newest_checkpoint()
        if newest is None:
            raise DeliveryError("export-nothing-signed")
        landmarks = Landmarks()
        with database.read() as conn:
            stored = [one for one in sealed.entries_of(conn, [*KEY_KINDS, "anchor"]) if one.index < newest.size]
        for one in stored:
            with suppress(LedgerError):
                landmarks.take(one.index, decode(one.leaf))
        return cls(database=database, origin=origin, newest=newest, landmarks=landmarks)

    def entry(self, index: int) -> Proof:
        """One entry. Raises DeliveryError ``proof-not-signed-yet`` beyond the newest checkpoint; LedgerError."""
        if index >= self.newest.size:
            raise DeliveryError("proof-not-signed-yet", index=index, size=self.newest.size)
        proved = self._proved(index)
        stamps = self.landmarks.around(index)
        around = {*(at for at, _ in self.landmarks.keys), *(one.index for one in stamps)}
        opened = self._opened(decode(proved.leaf))
        return Proof(
            origin=self.origin,
            note=self.newest.note,
            entry=proved,
            around=tuple(self._proved(at) for at in sorted(around)),
            earlier=tuple(self._earlier([one.size for one in stamps])),
            manifest=b"" if opened is None else opened.manifest,
            signature=b"" if opened is None else opened.signature,
        )

    def record(self, index: int, key: str) -> Proof:
        """The record ``key`` in the batch that the entry ``index`` tells of.

        Raises as :meth:`entry`, and DeliveryError ``proof-package-absent`` (the package is gone, or the entry tells of none),
        ``proof-record-unknown``; PackageError when the package cannot be read.
        """
        proof = self.entry(index)
        entry = decode(proof.entry.leaf)
        opened = self._opened(entry)
        if opened is None or "record_root" not in entry.fields:
            raise DeliveryError("proof-package-absent", index=index)
        batch = parse_batch(opened.document)
        number = next((at for at, record in enumerate(batch.records) if record.key == key), None)
        if number is None:
            raise DeliveryError("proof-record-unknown", batch=batch.header.batch_id)
        salt = batch.header.salt
        leaves = [leaf(salt, at, record.line) for at, record in enumerate(batch.records)]
        proved = ProvedRecord(
            line=batch.records[number].line,
            number=number,
            count=len(leaves),
            blind=hmac.digest(salt, number.to_bytes(8, "big"), "sha256"),
            path=inclusion_proof(LeafNodes(leaves), number, len(leaves)),
        )
        return replace(proof, record=proved)

    @cached_property
    def _nodes(self) -> LogNodes:
        return LogNodes(DurableLog(self.database))

    @cached_property
    def _sizes(self) -> list[int]:
        with self.database.read() as conn:
            return [size for size in sealed.checkpoint_sizes(conn) if 0 < size < self.newest.size]

    def _proved(self, index: int) -> ProvedEntry:
        stored = next(DurableLog(self.database).entries(index, index + 1), None)
        if stored is None:
            raise LedgerError("ledger-entry-missing", index=index)
        path = inclusion_proof(self._nodes, index, self.newest.size)
        return ProvedEntry(index=index, leaf=stored.leaf, path=path)

    def _earlier(self, stamped: Sequence[int]) -> Iterator[Earlier]:
        with self.database.read() as conn:
            checkpoints = sealed.checkpoints_of(conn, self.landmarks.leaned_on(stamped, self._sizes))
        for one in checkpoints:
            yield Earlier(note=one.note, path=consistency_proof(self._nodes, one.size, self.newest.size))

    def _opened(self, entry: Entry) -> Opened | None:
        """The package of a batch's entry; None where there is none, or it is not the one that was entered."""
        if "package_sha256" not in entry.fields or "batch_id" not in entry.fields:
            return None
        with self.database.read() as conn:
            data = sealed.package_of(conn, entry.text("batch_id"), received=entry.kind == "batch.received")
        if data is None or sha256(data).hexdigest() != entry.text("package_sha256"):
            return None
        try:
            return open_package(data)
        except PackageError:
            return None
