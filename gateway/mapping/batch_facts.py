"""What a document may tell of the batch that it carries, as columns that bindings write like any other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from gateway.catalog.model import FieldType
from gateway.mapping.format_model import BatchFact
from gateway.mapping.leaf_plan import batch_column

__all__ = ["SOME_BATCH", "BatchFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFacts:
    """One batch. ``created_at`` carries the zone in which it is to be told; What is None stays unwritten."""

    id: str
    sequence: int
    created_at: datetime
    sender_code: str | None
    sender_name: str | None
    receiver_code: str | None
    receiver_name: str | None
    catalog: str

    def frame(self, count: int = 1) -> pl.DataFrame:
        """One row with a column for every fact; ``count`` are the records in the document."""
        facts: dict[BatchFact, object] = {
            BatchFact.ID: self.id,
            BatchFact.SEQUENCE: self.sequence,
            BatchFact.COUNT: count,
            BatchFact.CREATED_AT: self.created_at.strftime("%Y-%m-%dT%H:%M:%S"),
            BatchFact.CREATED_ON: self.created_at.date(),
            BatchFact.SENDER_CODE: self.sender_code,
            BatchFact.SENDER_NAME: self.sender_name,
            BatchFact.RECEIVER_CODE: self.receiver_code,
            BatchFact.RECEIVER_NAME: self.receiver_name,
            BatchFact.CATALOG: self.catalog,
        }
        kinds = {FieldType.TEXT: pl.String(), FieldType.INTEGER: pl.Int64(), FieldType.DATE: pl.Date()}
        return pl.DataFrame(
            [pl.Series(batch_column(fact), [value], dtype=kinds[fact.type]) for fact, value in facts.items()]
        )


SOME_BATCH: Final = BatchFacts(
    id="01900000-0000-7000-8000-000000000001",
    sequence=1,
    created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    sender_code="11230500001755309F",
    sender_name="甲局",
    receiver_code="11230700001001013H",
    receiver_name="乙局",
    catalog="administrative-license",
)
"""A batch like any other, for trying whether a place takes what it would be told."""
