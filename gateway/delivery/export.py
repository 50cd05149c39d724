"""What an auditor takes away: the whole ledger and the selected packages out of the store into one bundle, in constant memory.

Nothing is judged here. What the store holds goes into the bundle as it is, wrong or right: a store that was tampered with must be exported as
well, so that the bundle shows it. Reading is enough; every read is a short transaction of its own, because entries and packages never change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from gateway import __version__
from gateway.clock import Clock
from gateway.delivery.archive import ArchiveWriter
from gateway.delivery.landmarks import Landmarks, certificates, verifier_keys, witness_keys
from gateway.delivery.proving import Prover
from gateway.delivery.pyz import verifier_pyz
from gateway.errors import DeliveryError, LedgerError
from gateway.evidence import bundle as layout
from gateway.evidence.manifest import Manifest, Selection, manifest_bytes
from gateway.evidence.policy import policy_text
from gateway.evidence.proof import proof_bytes
from gateway.evidence.trust import certificate_in, keys_json
from gateway.ledger.entry import Entry, decode
from gateway.ledger.history import KeyHistory
from gateway.ledger.port import StoredCheckpoint
from gateway.ledger.tiles import CHECKPOINT_PATH, TileId, encode_bundle, new_tiles
from gateway.package.certificates import Certificate, pem_of
from gateway.package.forms import Node
from gateway.store import sealed
from gateway.store.cosignatures import cosignatures, newest_cosigned
from gateway.store.database import Connection, Database
from gateway.store.entries import DurableLog, TransactionLog

__all__ = ["ExportOrder", "Exported", "Tell", "export"]

_MOST_PROOFS: Final = 1_000
"""Selected batches up to which each gets a proof of its own; the tiles prove them all the same."""

_log = structlog.get_logger()

Tell = Callable[[str, int, int], None]
"""Told now and then: the stage, how much of it is done, of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """What is exported and why. ``entry`` is the index of the ledger's entry of this export; -1 when it could not be entered, then
    ``not_entered`` says why. ``signers`` (by node code) and ``authorities`` are whom this node believes.
    """

    selection: Selection
    person: str
    reason: str
    entry: int
    not_entered: str = ""
    signers: Mapping[str, Sequence[Certificate]]
    authorities: Sequence[Certificate] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written. ``absent`` counts packages and receipts that the store does not hold any more."""

    entries: int
    batches: int
    absent: int
    size: int
    sha256: str
    verifier_sha256: str


def export(
    database: Database, target: Path, order: ExportOrder, *, node: Node, origin: str, clock: Clock, tell: Tell
) -> Exported:
    """Write the bundle to ``target``, which appears whole or not at all, readable by its owner alone.

    Raises DeliveryError ``export-nothing-signed`` (no checkpoint yet), ``export-exists``, ``export-unwritable``; StoreError.
    """
    log = DurableLog(database)
    newest = log.newest_checkpoint()
    if newest is None:
        raise DeliveryError("export-nothing-signed")
    if target.exists():
        raise DeliveryError("export-exists", path=str(target))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            exporter = _Exporter(database, log, newest, order, tell)
            done = exporter.write(file, node=node, origin=origin, clock=clock)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target)
    except OSError as error:
        raise DeliveryError("export-unwritable", path=str(target), reason=error.strerror) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    _log.info("evidence.exported", entries=done.entries, batches=done.batches, sha256=done.sha256)
    return done


class _Exporter:
    def __init__(
        self, database: Database, log: DurableLog, newest: StoredCheckpoint, order: ExportOrder, tell: Tell
    ) -> None:
        self._database = database
        self._log = log
        self._newest = newest
        self._order = order
        self._tell = tell
        self._absent = 0
        self._batches = 0

    def write(self, file: BinaryIO, *, node: Node, origin: str, clock: Clock) -> Exported:
        with ArchiveWriter(file) as archive:
            landmarks, selected = self._look()
            files = self._files(origin, landmarks)
            for name, content in files.items():
                archive.add(name, content)
            digests = {name: sha256(content).hexdigest() for name, content in files.items()}
            archive.add(layout.SELECTION, manifest_bytes(self._manifest(node, origin, clock, digests)))
            self._landmarks(archive, landmarks)
            if len(selected) <= _MOST_PROOFS:
                prover = Prover(database=self._database, origin=origin, newest=self._newest, landmarks=landmarks)
                for index in selected:
                    with suppress(LedgerError):  # a hash that is missing is for the verifier to tell
                        archive.add(layout.proof_path(index), proof_bytes(prover.entry(index)))
            self._tiles(archive)
            self._sealed(archive)
        return Exported(
            entries=self._newest.size,
            batches=self._batches,
            absent=self._absent,
            size=file.tell(),
            sha256=archive.sha256,
            verifier_sha256=digests[layout.VERIFIER],
        )

    def _files(self, origin: str, landmarks: Landmarks) -> dict[str, bytes]:
        """What no digest but the manifest's covers."""
        history = landmarks.history()
        policy = policy_text(
            origin=origin,
            ledger_keys=verifier_keys(history),
            signers=_with_former(self._order.signers, history),
            authorities=_authorities(self._order.authorities, history),
            witnesses=witness_keys(history),
        )
        return {
            layout.README: resources.files("gateway.delivery").joinpath("bundle-readme.txt").read_bytes(),
            layout.POLICY: policy.encode("utf-8"),
            layout.VERIFIER: verifier_pyz(),
        }

    def _manifest(self, node: Node, origin: str, clock: Clock, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            origin=origin,
            node_code=node.code,
            node_name=node.name,
            size=self._newest.size,
            root=self._newest.root.hex(),
            selection=self._order.selection,
            made_at=clock.now(),
            software=__version__,
            person=self._order.person,
            reason=self._order.reason,
            entry=self._order.entry,
            not_entered=self._order.not_entered,
            files=files,
        )

    def _landmarks(self, archive: ArchiveWriter, landmarks: Landmarks) -> None:
        """Keys, checkpoints and time-stamps."""
        archive.add(layout.KEYS, keys_json(landmarks.keys))
        for key_id, certificate in certificates(landmarks.history()).items():
            archive.add(layout.certificate_path(key_id), pem_of(certificate).encode("ascii"))
        with self._database.read() as conn:
            sizes = [size for size in sealed.checkpoint_sizes(conn) if size < self._newest.size]
            wanted = [*(one.size for one in landmarks.anchors), *newest_cosigned(conn, self._newest.size)]
            earlier = sealed.checkpoints_of(conn, landmarks.leaned_on(wanted, sizes))
            cosigned = {one.size: "".join(cosignatures(conn, one.size)) for one in (self._newest, *earlier)}
        for one in (self._newest, *earlier):
            path = CHECKPOINT_PATH if one is self._newest else layout.checkpoint_path(one.size)
            archive.add(path, one.note + cosigned[one.size].encode("utf-8"))
        for anchor in landmarks.anchors:
            archive.add(layout.anchor_path(anchor.index), anchor.token, packed=False)

    def _entries(self, stage: str) -> Iterator[tuple[int, Entry]]:
        """Every entry that can be read, a thousand to a transaction."""
        for start in range(0, self._newest.size, 1_000):
            stop = min(start + 1_000, self._newest.size)
            for stored in list(self._log.entries(start, stop)):
                with suppress(LedgerError):  # what is no entry is for the verifier to tell
                    yield stored.index, decode(stored.leaf)
            self._tell(stage, stop, self._newest.size)

    def _look(self) -> tuple[Landmarks, list[int]]:
        """What everything leans on, and the entries of the selected batches, up to one more than get a proof."""
        landmarks = Landmarks()
        selected: list[int] = []
        for index, entry in self._entries("look"):
            landmarks.take(index, entry)
            if self._order.selection.takes(entry):
                self._batches += 1
                if len(selected) <= _MOST_PROOFS:
                    selected.append(index)
        return landmarks, selected

    def _tiles(self, archive: ArchiveWriter) -> None:
        """The published log, as far as the newest checkpoint reaches."""
        done = 0
        for tile in new_tiles(0, self._newest.size):
            data = self._tile(tile)
            if data:
                archive.add(tile.path, data, packed=False)
            if tile.level == 0:
                leaves = [one.leaf for one in self._log.entries(tile.start, tile.start + tile.width)]
                archive.add(tile.bundle_path, encode_bundle(leaves))
                done += tile.width
                self._tell("tiles", done, self._newest.size)

    def _tile(self, tile: TileId) -> bytes | None:
        if tile.full:
            return self._log.tile(tile.level, tile.index)
        return b"".join(self._log.hashes(tile.level, tile.start, tile.start + tile.width))

    def _sealed(self, archive: ArchiveWriter) -> None:
        """Packages and receipts of the selected batches; a package once, however many entries tell of its batch."""
        for index, entry in self._entries("packages"):
            if not self._order.selection.takes(entry):
                continue
            batch_id, received = entry.text("batch_id"), entry.kind == "batch.received"
            digest = str(entry.fields.get("receipt_sha256", ""))
            with self._database.read() as conn:
                first = self._first_of(conn, batch_id)
                package = sealed.package_of(conn, batch_id, received=received) if first == index else None
                receipt = sealed.receipt_of(conn, batch_id, digest, received=received) if digest else None
            parts = [(layout.package_path(entry), package)] if first == index else []
            if digest:
                parts.append((layout.receipt_path(index, entry), receipt))
            for path, data in parts:
                if data is None or not layout.in_layout(path):
                    self._absent += 1
                else:
                    archive.add(path, data, packed=False)

    def _first_of(self, conn: Connection, batch_id: str) -> int | None:
        """The first entry of a batch that is selected, by what the entries themselves say."""
        for stored in TransactionLog(conn).of_batch(batch_id):
            with suppress(LedgerError):
                entry = decode(stored.leaf)
                if self._order.selection.takes(entry) and entry.text("batch_id") == batch_id:
                    return stored.index
        return None


def _with_former(signers: Mapping[str, Sequence[Certificate]], history: KeyHistory) -> dict[str, list[Certificate]]:
    """Those whom this node believes now, and the certificates that it entered for them before."""
    found = {code: list(each) for code, each in signers.items()}
    for key in history.keys:
        certificate = certificate_in(key) if key.purpose == "package" else None
        if certificate is not None and certificate not in found.get(key.owner, [certificate]):
            found[key.owner].append(certificate)
    return found


def _authorities(given: Sequence[Certificate], history: KeyHistory) -> list[Certificate]:
    """The authorities for time that this node believes, and those that it entered as such."""
    found = list(given)
    for key in history.keys:
        certificate = certificate_in(key) if key.purpose == "anchor" else None
        if certificate is not None and certificate not in found:
            found.append(certificate)
    return found
