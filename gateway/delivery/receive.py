"""What a peer sent: checked in numbered steps, judged record by record, stored with its receipt in one transaction, then answered.

A batch is refused as a whole only for what concerns it as a whole (who, where to, signature, figures, form). A bad record is an outcome.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import structlog

from gateway import __version__
from gateway.clock import Clock, instant
from gateway.delivery.exchange import route_of
from gateway.delivery.holdings import holdings
from gateway.delivery.holds import Holds, Work
from gateway.delivery.judge import Judge, Judged
from gateway.delivery.ledgers import Consistent, Contradiction, PeerLedgers, ProofWanted, Showing, show
from gateway.delivery.notary import Notary
from gateway.delivery.reconcile import checkpoint_facts
from gateway.errors import LedgerError, PackageError, StoreError
from gateway.exchange.intake import Facts, Pending, ProblemAnswer, ReceiptTaken
from gateway.exchange.port import FormatOffer, NodeInfo
from gateway.exchange.problem import Problem
from gateway.exchange.shown import NOTHING, Shown
from gateway.ledger.append import append
from gateway.ledger.note import VerifierKey
from gateway.memory import give_back
from gateway.package.batch import ParsedBatch, parse_batch
from gateway.package.certificates import Certificate
from gateway.package.cms import SignedBy, Signer, verify
from gateway.package.container import BATCH, RECEIPT, Opened, open_package
from gateway.package.forms import Node
from gateway.package.limits import Limits
from gateway.package.manifest import check_manifest
from gateway.package.receipt import Receipt, build_receipt, verdict_of
from gateway.package.sealing import seal
from gateway.store import alarms, inbox
from gateway.store.alarms import AlarmCode
from gateway.store.database import Database
from gateway.store.entries import DurableLog, TransactionLog

__all__ = ["Receiver", "Sender"]

_log = structlog.get_logger()
_HELD_RETRY_AFTER = 60.0  # seconds
_FIGURES_CODES = {"batch-count", "batch-root"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A peer that may send to us: what it signs with, and how each catalog that it may send is judged (by catalog id)."""

    node: Node
    trusted: Sequence[Certificate]
    judges: Mapping[str, Judge]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrived:
    """What came, as far as it was checked before its records: the bytes, who signed them, what they show of the sender's ledger."""

    package: bytes
    sha256: str
    manifest: bytes
    signed_by: SignedBy
    ledger: Consistent


class _Refusal(Exception):  # noqa: N818 — it carries an answer up through the numbered steps; it is no error of ours
    def __init__(self, code: str, detail: str = "", expected: int | None = None) -> None:
        super().__init__(code)
        self.problem = Problem(code=code, detail=detail, expected=expected)


class Receiver:
    """The receiving side of ``node``, for the peers in ``senders`` (by code); implements the intake of :mod:`gateway.exchange`."""

    def __init__(
        self,
        *,
        database: Database,
        node: Node,
        signer: Signer,
        senders: Mapping[str, Sender],
        notary: Notary,
        holds: Holds,
        ledgers: PeerLedgers,
        ledger_key: VerifierKey,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._database = database
        self._node = node
        self._signer = signer
        self._senders = senders
        self._notary = notary
        self._holds = holds
        self._ledgers = ledgers
        self._ledger_key = ledger_key
        self._clock = clock
        self._limits = limits
        # One batch at a time: the sequence check and the commit belong together, and SQLite has one writer anyway.
        self._turn = asyncio.Lock()

    async def take(
        self, caller: str, batch_id: str, package: bytes, shown: Shown = NOTHING
    ) -> ReceiptTaken | Pending | ProblemAnswer:
        """Take a package, or say why not. The answer is given only after everything is durable."""
        if self._holds.on(Work.INTAKE):
            return ProblemAnswer(problem=Problem(code="unavailable"), retry_after=_HELD_RETRY_AFTER)
        async with self._turn:
            try:
                taken = await asyncio.to_thread(self._take, caller, batch_id, package, shown)
            except _Refusal as refusal:
                problem = refusal.problem
                _log.warning("batch.refused", batch=batch_id, sender=caller, code=problem.code, detail=problem.detail)
                return ProblemAnswer(problem=problem)
            await asyncio.to_thread(self._notary.publish)
            give_back()
            return taken

    async def receipt(self, caller: str, batch_id: str) -> ReceiptTaken | Pending | ProblemAnswer:
        """The stored receipt of one of the caller's own batches."""
        with self._database.read() as conn:
            known = inbox.find_batch(conn, batch_id)
            data = inbox.receipt_bytes(conn, batch_id)
        if known is None or data is None or known.sender != caller:
            return ProblemAnswer(problem=Problem(code="unknown-batch"))
        return ReceiptTaken(receipt=data, new=False, shown=Shown(key=str(self._ledger_key)))

    async def node(self, caller: str) -> Mapping[str, object]:
        """Who we are and what this caller may send."""
        sender = self._senders.get(caller)
        judges = {} if sender is None else sender.judges
        formats = {(judge.format_id, judge.format_version) for judge in judges.values()}
        return NodeInfo(
            code=self._node.code,
            name=self._node.name,
            versions=(1,),
            catalogs=tuple(judges),
            formats=tuple(FormatOffer(id=name, version=version) for name, version in sorted(formats)),
            package_bytes=self._limits.package_bytes,
        ).to_json()

    async def digests(
        self, caller: str, sender: str, catalog: str, receiver: str, prefix: str
    ) -> Facts | ProblemAnswer:
        """What we hold for a route of the caller's own, in buckets of key hashes."""
        if sender != caller:
            return ProblemAnswer(problem=Problem(code="route-forbidden"))
        if receiver != self._node.code:
            return ProblemAnswer(problem=Problem(code="unknown-route"))
        try:
            found = await asyncio.to_thread(holdings, self._database, route_of(sender, catalog, receiver), prefix)
        except StoreError as error:
            if error.code != "bucket-prefix":
                raise
            return ProblemAnswer(problem=Problem(code="prefix-malformed"))
        return Facts(body=found.to_json())

    def _take(self, caller: str, batch_id: str, package: bytes, shown: Shown) -> ReceiptTaken:
        sha256 = hashlib.sha256(package).hexdigest()
        # 1. had it already: the stored receipt, byte for byte
        stored = self._stored(caller, batch_id, sha256)
        if stored is not None:
            return ReceiptTaken(receipt=stored, new=False, shown=Shown(key=str(self._ledger_key)))
        # 2. the caller may send at all
        sender = self._senders.get(caller)
        if sender is None:
            raise _Refusal("route-forbidden")
        # 3. container, manifest, signature
        opened, signed_by = self._opened(package, sender)
        # 4. a batch that agrees with itself
        batch = self._parsed(opened)
        # 5. this batch, from this caller, to us, of a catalog that it may send, in a format that we take
        judge = self._addressed(batch, batch_id, sender)
        # 6. a ledger that only grew since the sender showed it last; before its turn, which a sender that was rolled back gets wrong too
        ledger = self._ledger(batch, shown)
        # 7. its turn on the route
        self._in_turn(batch)
        # 8. every record by itself
        judged = self._judged(judge, batch)
        # 9. the receipt, and everything into the store
        newest = DurableLog(self._database).newest_checkpoint()
        arrived = _Arrived(package=package, sha256=sha256, manifest=opened.manifest, signed_by=signed_by, ledger=ledger)
        receipt = self._store(batch, arrived, judged, "" if newest is None else newest.note.decode())
        return ReceiptTaken(receipt=receipt, new=True, shown=self._shown(0 if newest is None else newest.size, shown))

    def _stored(self, caller: str, batch_id: str, sha256: str) -> bytes | None:
        with self._database.read() as conn:
            known = inbox.find_batch(conn, batch_id)
            if known is None:
                return None
            if known.sender != caller:
                raise _Refusal("route-forbidden")
            if known.package_sha256 != sha256:
                _log.error("batch.id-conflict", batch=batch_id, sender=caller, held=known.package_sha256, came=sha256)
                raise _Refusal("batch-id-conflict")
            return inbox.receipt_bytes(conn, batch_id)

    def _opened(self, package: bytes, sender: Sender) -> tuple[Opened, SignedBy]:
        try:
            opened = open_package(package, limits=self._limits)
        except PackageError as error:
            raise _Refusal("package-malformed", error.code) from error
        if opened.name != BATCH:
            raise _Refusal("package-malformed", "package-document")
        try:
            check_manifest(opened.manifest, opened.name, opened.document)
            return opened, verify(opened.signature, opened.manifest, sender.trusted, now=self._clock.now())
        except PackageError as error:
            raise _Refusal("signature-invalid", error.code) from error

    def _parsed(self, opened: Opened) -> ParsedBatch:
        try:
            return parse_batch(opened.document, limits=self._limits)
        except PackageError as error:
            raise _Refusal("figures-wrong" if error.code in _FIGURES_CODES else "schema-invalid", error.code) from error

    def _addressed(self, batch: ParsedBatch, batch_id: str, sender: Sender) -> Judge:
        header = batch.header
        if header.batch_id != batch_id:
            raise _Refusal("package-malformed", "batch-id")
        if header.sender.code != sender.node.code:
            raise _Refusal("route-forbidden", "sender")
        if header.receiver.code != self._node.code:
            raise _Refusal("wrong-receiver")
        judge = sender.judges.get(header.catalog)
        if judge is None:
            raise _Refusal("route-forbidden", header.catalog)
        if (header.format.id, header.format.version) != (judge.format_id, judge.format_version):
            raise _Refusal("schema-invalid", f"{judge.format_id} {judge.format_version}")
        return judge

    def _in_turn(self, batch: ParsedBatch) -> None:
        with self._database.read() as conn:
            expected = inbox.last_sequence(conn, batch.header.route) + 1
        if batch.header.sequence != expected:
            raise _Refusal("sequence-gap", expected=expected)

    def _ledger(self, batch: ParsedBatch, shown: Shown) -> Consistent:
        header, now = batch.header, self._clock.now()
        showing = Showing(
            peer=header.sender.code,
            batch_id=header.batch_id,
            note=header.checkpoint,
            claimed_at=header.created_at,
            beside=shown,
        )
        try:
            with self._database.read() as conn:
                if showing.peer in alarms.held_peers(conn, {AlarmCode.PEER_LOG_INCONSISTENT}):
                    raise _Refusal("log-inconsistent")
                found = self._ledgers.judge(conn, showing, now=now)
        except LedgerError as error:
            raise _Refusal("signature-invalid", error.code) from error
        match found:
            case Contradiction():
                with self._database.begin() as conn:
                    self._ledgers.alarm(conn, showing.peer, showing.batch_id, found, now=now)
                raise _Refusal("log-inconsistent", found.why)
            case ProofWanted(size=size):
                raise _Refusal("log-proof-wanted", expected=size)
            case Consistent():
                return found

    def _shown(self, size: int, asked: Shown) -> Shown:
        """What goes beside the receipt: our key, and a proof from what the sender holds of our ledger, if it says so."""
        key = str(self._ledger_key)
        if asked.held is None:
            return Shown(key=key)
        try:
            return Shown(key=key, since=asked.held, proof=show(DurableLog(self._database), size, asked.held))
        except LedgerError:
            return Shown(key=key)  # it holds more than there is: it will see that from the checkpoint itself

    def _judged(self, judge: Judge, batch: ParsedBatch) -> Judged:
        with self._database.read() as conn:
            held = inbox.held_versions(conn, batch.header.route, [record.key for record in batch.records])
        return judge.judge(batch.records, held)

    def _store(self, batch: ParsedBatch, arrived: _Arrived, judged: Judged, checkpoint: str) -> bytes:
        header, now = batch.header, self._clock.now()
        at = instant(now)
        verdict = verdict_of(judged.figures)
        receipt = seal(
            RECEIPT,
            build_receipt(
                Receipt(
                    batch_id=header.batch_id,
                    route=header.route,
                    sequence=header.sequence,
                    package_sha256=arrived.sha256,
                    receiver=self._node,
                    received_at=now,
                    verdict=verdict,
                    figures=judged.figures,
                    sender_checkpoint=header.checkpoint,
                    receiver_checkpoint=checkpoint,
                    outcomes=judged.outcomes,
                )
            ),
            self._signer,
            now,
        )
        receipt_sha256 = hashlib.sha256(receipt).hexdigest()
        figures = asdict(judged.figures)
        peer_size, peer_root = checkpoint_facts(header.checkpoint)
        # Package, records, receipt and ledger entry stand or fall together, before a byte of the answer leaves. A crash before the
        # commit: nothing came. After it: the sender asks again and gets the stored receipt.
        with self._database.begin() as conn:
            inbox.add_batch(
                conn,
                inbox.InboxBatch(
                    id=header.batch_id,
                    route=header.route,
                    sender=header.sender.code,
                    catalog=header.catalog,
                    sequence=header.sequence,
                    package_sha256=arrived.sha256,
                    receipt_sha256=receipt_sha256,
                    verdict=verdict.value,
                    counts=figures,
                    checkpoint=header.checkpoint,
                    received_at=at,
                ),
                package=arrived.package,
                receipt=receipt,
            )
            self._ledgers.keep(conn, header.sender.code, arrived.ledger, now=now)
            inbox.apply(conn, header.route, judged.rows, batch_id=header.batch_id, at=at)
            append(
                TransactionLog(conn),
                "batch.received",
                {
                    "node": self._node.code,
                    "software": __version__,
                    "package_sha256": arrived.sha256,
                    "manifest_sha256": hashlib.sha256(arrived.manifest).hexdigest(),
                    "signer_key_id": arrived.signed_by.key_id,
                    "record_root": header.record_root.hex(),
                    "mapping_digest": header.mapping_digest,
                    "verdict": verdict.value,
                    "receipt_sha256": receipt_sha256,
                    "peer_size": peer_size,
                    "peer_root": peer_root,
                    "claimed_at": instant(header.created_at),
                    **figures,
                },
                at=now,
                route=header.route,
                route_seq=header.sequence,
                batch_id=header.batch_id,
            )
        _log.info("batch.received", batch=header.batch_id, route=header.route, sequence=header.sequence, **figures)
        return receipt
