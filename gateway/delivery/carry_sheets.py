"""Sealed batches of sheet formats as the receiver's own workbooks: one a template that has records, headed as it says, a record a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.delivery.carry_fields import FieldsCarrier
from gateway.delivery.feedback_file import HEADINGS
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.sheet_file import sheet_file
from gateway.mapping.sheet_model import SheetFormat, SheetTemplate, SheetType
from gateway.package.fields import Fields

__all__ = ["SheetCarrier"]

_WITHDRAWN: Final = "withdrawn"


class SheetCarrier(FieldsCarrier[SheetFormat]):
    """Raises MappingError ``sheet-too-large``, ``xls-missing`` beside what every carrier raises."""

    first = 2  # as a spreadsheet counts: the headings are row 1

    def _fillings(self, fmt: SheetFormat, catalog: str) -> Mapping[str, _Sheet]:
        return {one.id: _Sheet(one, fmt.type) for one in fmt.templates if one.catalog == catalog}

    def _ending(self, fmt: SheetFormat) -> str:
        return f".{fmt.type}"

    def _list(self, fmt: SheetFormat, rows: Sequence[Sequence[str | None]]) -> bytes:
        return sheet_file(fmt.type, _WITHDRAWN, HEADINGS, rows)


@dataclass(frozen=True, slots=True)
class _Sheet:
    template: SheetTemplate
    type: SheetType

    @property
    def file(self) -> str:
        return self.template.file

    def knows(self, body: Fields) -> bool:
        return body.texts.keys() <= set(self._headings())

    def documents(self, bodies: Sequence[Fields], facts: BatchFacts) -> Sequence[tuple[bytes, int]]:
        del facts  # a row tells what it tells of its batch in its texts
        headings = self._headings()
        rows = [[body.texts.get(heading) for heading in headings] for body in bodies]
        return [(sheet_file(self.type, self.template.sheet, headings, rows), len(rows))]

    def _headings(self) -> list[str]:
        return [column.heading for column in self.template.columns]
