"""A model of the receiving side, by protocol §4: it takes a batch once, in its turn, record by record, and answers what it stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from gateway.exchange.outcome import Later, NeverReceived, Refused
from tests.faults.checker import Line, Received
from tests.faults.journal import Log, Package, Receipt
from tests.faults.mutants import Mutant

__all__ = ["NotYet", "Receiver", "Signed"]


class Signed(NamedTuple):
    """An answer with a receipt in it."""

    receipt: Receipt
    stored: bool


class NotYet(NamedTuple):
    """202: taken, the receipt follows."""

    retry_after: float


@dataclass(slots=True)
class _Taken:
    """A batch as it is stored."""

    package: Package
    lines: tuple[Line, ...]
    receipts: list[Receipt]
    ready_at: float


@dataclass(slots=True)
class Receiver:
    """One receiving node. ``allowing`` is false while its operators have us configured wrongly; ``slow`` makes receipts follow later."""

    code: str
    random: Random
    mutant: Mutant | None = None
    allowing: bool = True
    slow: float = 0.0
    taken: dict[str, _Taken] = field(default_factory=dict)
    order: list[Received] = field(default_factory=list)
    held: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    log: Log = field(default_factory=Log)

    def answer(self, package: Package, now: float) -> Signed | NotYet | Later | Refused | None:
        """What a PUT gets without storing anything; None when the package is to be stored."""
        known = self.taken.get(package.id)
        if known is not None and self.mutant is not Mutant.RESENT_UNASKED:
            if known.package.digest != package.digest:
                return Refused(status=409, code="batch-id-conflict")
            return self.signed(package.id, now)
        if not self.allowing:
            return Refused(status=403, code="route-forbidden")
        expected = self.last.get(package.route, 0) + 1
        if package.sequence != expected and self.mutant not in {Mutant.OVERTAKING, Mutant.RESENT_UNASKED}:
            return Later(why="peer-expects-another", status=409, code="sequence-gap", expected=expected)
        return None

    def store(self, package: Package, now: float) -> None:
        """One transaction: the package, its records, the receipt, the ledger entry."""
        held = self.held.setdefault(package.route, {})
        counts = dict.fromkeys(("created", "updated", "unchanged", "withdrawn", "rejected"), 0)
        lines = []
        for line in package.lines:
            version, op = held.get(line.key, (0, ""))
            # What is wrong with a version of a record stays wrong.
            rejected = line.op == "upsert" and (sum(line.key.encode()) + line.version) % 6 == 0
            if rejected:
                counts["rejected"] += 1
            elif line.version <= version and self.mutant is not Mutant.RESENT_UNASKED:
                counts["unchanged"] += 1
            else:
                held[line.key] = (line.version, line.op)
                result = "withdrawn" if line.op != "upsert" else "updated" if op == "upsert" else "created"
                counts[result] += 1
            lines.append(line._replace(rejected=rejected))
        receipt = Receipt(
            digest=f"r{self.random.getrandbits(48):x}",
            signer=self.code,
            batch_id=package.id,
            route=package.route,
            sequence=package.sequence,
            package=package.digest,
            counts=counts,
            rejected=frozenset((line.key, line.version) for line in lines if line.rejected),
        )
        self.taken[package.id] = _Taken(package, tuple(lines), [receipt], now + self.slow)
        self.last[package.route] = max(package.sequence, self.last.get(package.route, 0))
        self.order.append(
            Received(package.id, package.route, package.sequence, package.digest, (), counts, tuple(lines))
        )
        # The mutant's ledger does not look at numbers either.
        number = self.log.highest.get(package.route, 0) + 1 if self.mutant is Mutant.OVERTAKING else package.sequence
        self.log.append("batch.received", package, receipt=receipt.digest, at=now, sequence=number)
        self.log.sign()

    def signed(self, batch_id: str, now: float) -> Signed | NotYet:
        """The stored receipt, the same at every question."""
        known = self.taken[batch_id]
        return NotYet(known.ready_at - now) if now < known.ready_at else Signed(known.receipts[0], stored=True)

    def question(self, batch_id: str, now: float) -> Signed | NotYet | NeverReceived:
        """What a GET for the receipt gets."""
        return self.signed(batch_id, now) if batch_id in self.taken else NeverReceived()

    def sign_again(self, batch_id: str) -> Receipt:
        """A careless receiver signs another receipt for a batch that it took."""
        known = self.taken[batch_id]
        again = known.receipts[0]._replace(digest=f"r{self.random.getrandbits(48):x}")
        known.receipts.append(again)
        return again

    def received(self) -> list[Received]:
        """What came, in the order in which it came."""
        return [
            one._replace(receipts=tuple(receipt.digest for receipt in self.taken[one.id].receipts))
            for one in self.order
        ]
