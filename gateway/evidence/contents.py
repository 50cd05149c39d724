"""What was sealed: the package and the receipt of one batch, held against the entry that tells of them, figure by figure."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.clock import instant
from gateway.errors import LedgerError, PackageError
from gateway.evidence.authenticity import Authenticity
from gateway.evidence.bundle import Bundle, package_path, receipt_path
from gateway.evidence.integrity import Integrity
from gateway.evidence.notes import claimed_in, facts_of
from gateway.ledger.entry import Entry, Value
from gateway.ledger.report import Discrepancies
from gateway.package.batch import ParsedBatch, parse_batch
from gateway.package.container import BATCH, RECEIPT, Opened, open_package
from gateway.package.header import BatchHeader
from gateway.package.receipt import Receipt, balance, parse_receipt

__all__ = ["Contents", "Seen"]

_FIGURES: Final = ("total", "created", "updated", "unchanged", "withdrawn", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was there of a batch. ``header`` is None where the package is not there or cannot be read."""

    package: bool
    receipt: bool
    header: BatchHeader | None


class Contents:
    """Opens what ``bundle`` holds of a batch; what is wrong goes to the verdict that it concerns, ``found`` being that of completeness."""

    def __init__(self, bundle: Bundle, integrity: Integrity, authenticity: Authenticity, found: Discrepancies) -> None:
        self._bundle = bundle
        self._integrity = integrity
        self._authenticity = authenticity
        self._found = found

    def judge(self, index: int, entry: Entry) -> Seen:
        """One batch's entry. Absence is for the caller to weigh."""
        package = self._bundle.read(package_path(entry))
        receipt = self._bundle.read(receipt_path(index, entry))
        batch = None if package is None else self._package(index, entry, package)
        if receipt is not None:
            self._receipt(index, entry, receipt, batch)
        return Seen(
            package=package is not None, receipt=receipt is not None, header=None if batch is None else batch.header
        )

    def _package(self, index: int, entry: Entry, data: bytes) -> ParsedBatch | None:
        # 1. the very bytes whose digest was entered
        if not self._same(index, entry, "package_sha256", sha256(data).hexdigest()):
            return None
        # 2. a package, sealed by the sender of the route
        opened = self._opened(index, data, BATCH)
        if opened is None:
            return None
        sender = entry.text("route").split("/")[0]
        self._authenticity.judge_sealed(index, sender, opened, str(entry.fields.get("signer_key_id", "")))
        if "manifest_sha256" in entry.fields:
            self._authenticity.judge_manifest_digest(index, opened.manifest, entry.text("manifest_sha256"))
        # 3. a batch that agrees with itself: its records counted, their root computed
        try:
            batch = parse_batch(opened.document)
        except PackageError as error:
            self._found.add("evidence-document-wrong", index=index, expected=BATCH, found=error.code)
            return None
        # 4. and with its entry
        header = batch.header
        told: dict[str, Value] = {
            "batch_id": header.batch_id,
            "route": header.route,
            "route_seq": header.sequence,
            "record_root": header.record_root.hex(),
            "mapping_digest": header.mapping_digest,
        }
        if entry.kind != "batch.disputed":  # whose figures are the receipt's own, which may be what is disputed
            told["total"] = header.count.total
        if entry.kind == "batch.received":
            told["claimed_at"] = instant(header.created_at)
            told["peer_size"], told["peer_root"] = facts_of(header.checkpoint)
        else:
            self._echo(index, header.checkpoint, package_path(entry))
        self._compare(index, entry, told)
        return batch

    def _receipt(self, index: int, entry: Entry, data: bytes, batch: ParsedBatch | None) -> None:
        if not self._same(index, entry, "receipt_sha256", sha256(data).hexdigest()) or entry.kind == "batch.disputed":
            return  # a disputed receipt may be anything: that is the dispute
        opened = self._opened(index, data, RECEIPT)
        if opened is None:
            return
        route = entry.text("route")
        receiver = route.rsplit("/", 1)[-1]
        try:
            receipt = parse_receipt(opened.document)
            balance(receipt)
        except PackageError as error:
            self._authenticity.judge_sealed(index, receiver, opened, str(entry.fields.get("receipt_signer", "")))
            self._found.add("evidence-document-wrong", index=index, expected=RECEIPT, found=error.code)
            return
        # What the sender took down is sealed by the sender: that nobody altered it can be proved, that the receiver said it cannot.
        taken_down = bool(receipt.feedback_sha256)
        owner = route.split("/", 1)[0] if taken_down else receiver
        self._authenticity.judge_sealed(index, owner, opened, str(entry.fields.get("receipt_signer", "")))
        if taken_down:
            self._authenticity.note_taken_down(index, receiver, receipt.feedback_sha256)
        if entry.fields.get("feedback_sha256", "") != receipt.feedback_sha256:
            self._differs(
                index, "feedback_sha256", entry.fields.get("feedback_sha256", "-"), receipt.feedback_sha256 or "-"
            )
        told: dict[str, Value] = {
            "batch_id": receipt.batch_id,
            "route": receipt.route,
            "route_seq": receipt.sequence,
            "package_sha256": receipt.package_sha256,
            **{name: getattr(receipt.figures, name) for name in _FIGURES},
        }
        if entry.kind == "batch.received":
            told["verdict"] = receipt.verdict.value
            self._echo(index, receipt.receiver_checkpoint, receipt_path(index, entry))
        else:
            told["claimed_at"] = instant(receipt.received_at)
            told["peer_size"], told["peer_root"] = facts_of(receipt.receiver_checkpoint)
            told["echo_size"], told["echo_root"] = facts_of(receipt.sender_checkpoint)
            self._echo(index, receipt.sender_checkpoint, receipt_path(index, entry))
        self._compare(index, entry, told)
        if receipt.receiver.code != receiver:
            self._differs(index, "receiver", receiver, receipt.receiver.code)
        if batch is not None:
            self._answers(index, receipt, batch)

    def _answers(self, index: int, receipt: Receipt, batch: ParsedBatch) -> None:
        """The receipt speaks of this batch's records and of no other, and gives its checkpoint back."""
        if receipt.sender_checkpoint != ("" if receipt.feedback_sha256 else batch.header.checkpoint):
            self._differs(index, "SenderCheckpoint", "as in the package", "another")
        versions = {record.key: record.version for record in batch.records} if receipt.outcomes else {}
        for ordinal, outcome in enumerate(receipt.outcomes, start=1):
            if versions.get(outcome.key) != outcome.version:
                self._differs(index, "Outcome", "a record of the batch", f"number {ordinal}")
                break

    def _opened(self, index: int, data: bytes, name: str) -> Opened | None:
        try:
            opened = open_package(data)
        except PackageError as error:
            self._found.add("evidence-document-wrong", index=index, expected=name, found=error.code)
            return None
        if opened.name != name:
            self._found.add("evidence-document-wrong", index=index, expected=name, found=opened.name)
            return None
        return opened

    def _same(self, index: int, entry: Entry, field: str, digest: str) -> bool:
        expected = entry.fields.get(field)
        if digest != expected:
            self._found.add("evidence-digest-wrong", index=index, expected=f"{field} {expected}", found=digest)
        return digest == expected

    def _echo(self, index: int, note: str, place: str) -> None:
        """Our own checkpoint inside what was sealed: the log stood so when it was."""
        try:
            claimed = claimed_in(note, place)
        except LedgerError:
            return  # its facts are compared with the entry all the same
        if claimed is not None:
            self._integrity.judge_echo(index, claimed)

    def _compare(self, index: int, entry: Entry, told: dict[str, Value]) -> None:
        for field, found in told.items():
            if field in entry.fields and entry.fields[field] != found:
                self._differs(index, field, entry.fields[field], found)

    def _differs(self, index: int, what: str, expected: object, found: object) -> None:
        self._found.add("evidence-entry-differs", index=index, expected=f"{what} {expected}", found=found)
