"""The closing account of a run (对账单): its figures must balance, or the run does not close.

    rows + vanished + carried = read = unchanged + quarantined + sealed
    sealed = Σ batch totals = created + updated + unchanged there + withdrawn + rejected + open

``rows`` are what the source listed, ``vanished`` records that it no longer lists and that are taken back, ``carried`` records left over from an
earlier run (stored, not sealed) that this one seals. ``open`` are sealed records whose receipt is not reconciled yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gateway.errors import DeliveryError

__all__ = ["Answered", "Statement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What receipts say of the sealed records, in records."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    withdrawn: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        """Every record that a receipt accounts for."""
        return self.created + self.updated + self.unchanged + self.withdrawn + self.rejected

    def __add__(self, other: Answered) -> Answered:
        return Answered(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            withdrawn=self.withdrawn + other.withdrawn,
            rejected=self.rejected + other.rejected,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The account of one run. All figures are records; ``quarantined_by`` counts records by the code of their first reason."""

    run_id: str
    exchange: str
    rows: int = 0
    vanished: int = 0
    carried: int = 0
    unchanged: int = 0
    quarantined: int = 0
    sealed: int = 0
    upsert: int = 0
    withdraw: int = 0
    batches: int = 0
    batch_totals: int = 0
    answered: Answered = Answered()
    quarantined_by: Mapping[str, int] = field(default_factory=dict)
    noticed_by: Mapping[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Everything that the run had to account for."""
        return self.rows + self.vanished + self.carried

    @property
    def open(self) -> int:
        """Sealed records without a reconciled receipt."""
        return self.sealed - self.answered.total

    def balance(self) -> None:
        """Raises DeliveryError unless every figure closes."""
        checks = (
            ("read = unchanged + quarantined + sealed", self.read, self.unchanged + self.quarantined + self.sealed),
            ("sealed = batch totals", self.sealed, self.batch_totals),
            ("sealed = upsert + withdraw", self.sealed, self.upsert + self.withdraw),
            ("quarantined = sum of reasons", self.quarantined, sum(self.quarantined_by.values())),
            ("answered ≤ sealed", min(self.answered.total, self.sealed), self.answered.total),
        )
        for rule, expected, found in checks:
            if expected != found:
                raise DeliveryError("statement-unbalanced", run=self.run_id, rule=rule, expected=expected, found=found)

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "run": self.run_id,
            "exchange": self.exchange,
            **self.figures(),
            "upsert": self.upsert,
            "open": self.open,
            "answered": asdict(self.answered),
            "quarantined_by": dict(self.quarantined_by),
            "noticed_by": dict(self.noticed_by),
        }

    def figures(self) -> dict[str, int]:
        """The figures of the ledger entry ``run.closed``."""
        return {
            "rows": self.rows,
            "vanished": self.vanished,
            "carried": self.carried,
            "read": self.read,
            "unchanged": self.unchanged,
            "quarantined": self.quarantined,
            "sealed": self.sealed,
            "withdrawn": self.withdraw,
            "batches": self.batches,
        }
