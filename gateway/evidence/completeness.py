"""Completeness: nothing that must be there is missing. Routes without gaps, accounts that close, every selected package, the tail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from gateway.errors import LedgerError
from gateway.evidence.contents import Seen
from gateway.evidence.integrity import Integrity
from gateway.evidence.manifest import BATCH_KINDS, Manifest, Selection
from gateway.ledger.entry import Entry, decode
from gateway.ledger.report import Discrepancies

__all__ = ["Completeness", "Tally"]

_MOST: Final = 500_000  # of erasures, routes and unsettled batches that are remembered


@dataclass(slots=True)
class Tally:
    """What was there, in batches. ``outside`` the selection nothing is known but digests."""

    selected: int = 0
    checked: int = 0
    erased: int = 0
    outside: int = 0
    routes: dict[str, int] = field(default_factory=dict)  # the last number of each


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    index: int
    kind: str
    batch_id: str
    replaced_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Number:
    """The batches that had the newest number of a route, and whether all of them are known."""

    number: int
    ids: frozenset[str]
    known: bool


class Completeness:
    """Takes entries in two passes; what is wrong goes to ``found``, to which the chain of entries has told its own findings already."""

    def __init__(self, manifest: Manifest, integrity: Integrity, found: Discrepancies) -> None:
        self._manifest = manifest
        self._integrity = integrity
        self._found = found
        self._erasures: dict[
            str, tuple[int, str]
        ] = {}  # by batch id: the erasure's index and the digest of what was erased
        self._open: dict[tuple[str, int], _Open] = {}
        self._newest: dict[str, _Number] = {}
        self.tally = Tally()

    def take(self, index: int, entry: Entry) -> None:
        """First pass: one entry."""
        if entry.kind == "erasure":
            self._take_erasure(index, entry)
        if index == self._manifest.entry:
            told = (entry.kind, entry.fields.get("action"), entry.fields.get("subject"))
            meant = ("operator.action", "export", str(self._manifest.selection))
            if told != meant:
                self._found.add("evidence-export-wrong", index=index, expected=" ".join(meant), found=told)

    def _take_erasure(self, index: int, entry: Entry) -> None:
        erased, digest = entry.number("erased"), entry.text("package_sha256")
        leaf = self._integrity.leaf(erased) if erased < index else None
        try:
            fields = decode(leaf).fields if leaf is not None else {}
        except LedgerError:
            fields = {}
        told = (fields.get("batch_id"), fields.get("package_sha256"))
        if told != (entry.text("batch_id"), digest):
            contradicts = leaf is not None or erased >= index
            self._found.add(
                "evidence-erasure-wrong", index=index, expected=erased, found=told[0], contradicts=contradicts
            )
        elif len(self._erasures) < _MOST:
            self._erasures[entry.text("batch_id")] = (index, digest)

    def selects(self, entry: Entry) -> bool:
        """Second pass: whether the batch that this entry tells of must be there with everything."""
        if entry.kind not in BATCH_KINDS:
            return False
        chosen = self._manifest.selection.takes(entry)
        if chosen:
            self.tally.selected += 1
        else:
            self.tally.outside += 1
        return chosen

    def judge(self, index: int, entry: Entry, seen: Seen | None) -> None:
        """Second pass: a batch's entry, with what was seen of it when it is selected."""
        if seen is not None:
            self._weigh(index, entry, seen)
        route, number = entry.text("route"), entry.number("route_seq")
        if len(self._newest) < _MOST or route in self._newest:
            self._follow(index, entry, seen, route, number)
            self.tally.routes[route] = max(number, self.tally.routes.get(route, 0))
        self._settle(index, entry, seen, (route, number))

    def _weigh(self, index: int, entry: Entry, seen: Seen) -> None:
        """A package that is absent was erased, by an entry that says so, or is missing. Receipts are never erased."""
        erasure, digest = self._erasures.get(entry.text("batch_id"), (-1, ""))
        erased = erasure >= 0 and digest == entry.text("package_sha256")
        if erased and seen.package:
            self._found.add("evidence-erased-present", index=index, expected=erasure, found=entry.text("batch_id"))
        needs_receipt = bool(entry.fields.get("receipt_sha256"))
        if erased:
            self.tally.erased += 1
        elif not seen.package:
            self._absent("evidence-package-absent", index, entry)
        if needs_receipt and not seen.receipt:
            self._absent("evidence-receipt-absent", index, entry)
        if not erased and seen.package and (seen.receipt or not needs_receipt):
            self.tally.checked += 1

    def _absent(self, code: str, index: int, entry: Entry) -> None:
        self._found.add(code, index=index, expected=entry.text("batch_id"), contradicts=False)

    def _follow(self, index: int, entry: Entry, seen: Seen | None, route: str, number: int) -> None:
        """The batch names the one before it on its route."""
        header = None if seen is None else seen.header
        before = self._newest.get(route)
        ids = {entry.text("batch_id")}
        if header is not None and header.void is not None:
            ids.add(header.void.of)
        known = (
            header is not None or entry.kind != "batch.received"
        )  # what a sender gave up the receiver may never have seen
        if before is not None and before.number == number:
            ids |= before.ids
            known = known and before.known
        elif _precedes(before, number) and header is not None and header.previous_batch_id not in before.ids:
            expected = ", ".join(sorted(before.ids))
            self._contradict("evidence-previous-wrong", index, expected, header.previous_batch_id)
        if before is None or before.number <= number:
            self._newest[route] = _Number(number=number, ids=frozenset(ids), known=known)

    def _settle(self, index: int, entry: Entry, seen: Seen | None, place: tuple[str, int]) -> None:
        """A number that was given up is taken by a void batch; one in dispute is settled by its own batch."""
        batch_id = entry.text("batch_id")
        if entry.kind in {"batch.disputed", "batch.abandoned"}:
            if len(self._open) < _MOST:
                replaced = str(entry.fields.get("replaced_by", ""))
                self._open[place] = _Open(index=index, kind=entry.kind, batch_id=batch_id, replaced_by=replaced)
            return
        if entry.kind != "batch.reconciled":
            return
        void = seen.header.void if seen is not None and seen.header is not None else None
        before = self._open.pop(place, None)
        if before is not None and before.kind == "batch.abandoned":
            right = entry.number("total") == 0 and before.replaced_by in {"", batch_id}
            if not right or (
                seen is not None and seen.header is not None and (void is None or void.of != before.batch_id)
            ):
                expected = f"void of {before.batch_id}"
                self._contradict("evidence-void-wrong", index, expected, batch_id)
        elif void is not None:
            self._contradict("evidence-void-wrong", index, "no void batch", batch_id)

    def _contradict(self, code: str, index: int, expected: object, found: object) -> None:
        """What an earlier entry says otherwise; where one is missing, it may have said this."""
        self._found.add(code, index=index, expected=expected, found=found, contradicts=self._integrity.whole)

    def conclude(self, unfinished: Iterator[tuple[str, int, int]]) -> None:
        """At the end: what is still open. ``unfinished`` are runs as the chain of entries tells them."""
        for (route, number), left in self._open.items():
            code = "evidence-hole-open" if left.kind == "batch.abandoned" else "evidence-dispute-open"
            self._found.add(
                code, index=left.index, expected=f"{route} {number}", found=left.batch_id, contradicts=False
            )
        for run_id, batches, finished in unfinished:
            self._found.add("evidence-run-open", expected=f"{run_id} {batches}", found=finished, contradicts=False)
        if self._manifest.entry >= self._integrity.size:
            self._found.add("evidence-export-wrong", index=self._manifest.entry, expected="operator.action", found="-")
        elif self._manifest.entry < 0 and self._manifest.selection != Selection():
            # It could have been narrowed afterwards; everything cannot.
            self._found.add("evidence-selection-unproved", expected=self._manifest.selection, contradicts=False)


def _precedes(before: _Number | None, number: int) -> TypeGuard[_Number]:
    return before is not None and before.known and before.number == number - 1
