"""Sealed batches of JSON formats as the receiver's own documents, each held against its schema again: as many records as its array takes.

The list of what is taken back is an array of objects, an item a record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from gateway.delivery.carry_fields import FieldsCarrier
from gateway.delivery.feedback_file import HEADINGS
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.json_model import JsonFormat
from gateway.mapping.json_plan import JsonPlan
from gateway.mapping.json_value import json_bytes
from gateway.package.fields import Fields

__all__ = ["JsonCarrier"]


class JsonCarrier(FieldsCarrier[JsonFormat]):
    """``plans_of`` gives the plans of a format (its id) for a catalog (its id).

    Raises MappingError ``json-gate-refused`` beside what every carrier raises.
    """

    first = 1  # documents have no headings

    def __init__(
        self,
        format_of: Callable[[str], JsonFormat],
        plans_of: Callable[[str, str], Sequence[JsonPlan]],
        zone: ZoneInfo,
    ) -> None:
        super().__init__(format_of, zone)
        self._plans_of = plans_of

    def _fillings(self, fmt: JsonFormat, catalog: str) -> Mapping[str, _Json]:
        return {one.template.id: _Json(one) for one in self._plans_of(fmt.id, catalog)}

    def _ending(self, fmt: JsonFormat) -> str:
        del fmt
        return ".json"

    def _list(self, fmt: JsonFormat, rows: Sequence[Sequence[str | None]]) -> bytes:
        del fmt
        return json_bytes([dict(zip(HEADINGS, row, strict=True)) for row in rows])


@dataclass(frozen=True, slots=True)
class _Json:
    plan: JsonPlan

    @property
    def file(self) -> str:
        return self.plan.template.file

    def knows(self, body: Fields) -> bool:
        return self.plan.knows(body)

    def documents(self, bodies: Sequence[Fields], facts: BatchFacts) -> Sequence[tuple[bytes, int]]:
        return self.plan.carry(bodies, facts)
