"""Sealed batches of sheet formats as the receiver's own workbooks, and its feedback files read back.

One workbook a template that has records, named and headed as the template says, a record a row; and one that lists what is taken back,
where the format names a file for it. Everything stands in the package already: nothing is worked out anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from gateway.delivery.feedback_file import HEADINGS, read_feedback, taken_back
from gateway.errors import DeliveryError
from gateway.exchange.carrier import Answered, Carried
from gateway.mapping.sheet_file import sheet_file
from gateway.mapping.sheet_model import SheetFeedback, SheetFormat, SheetTemplate, moment_name
from gateway.package.batch import ParsedBatch
from gateway.package.fields import read_fields
from gateway.package.record import BatchRecord, Operation

__all__ = ["SheetCarrier"]

_WITHDRAWN: Final = "withdrawn"
_FIRST_ROW: Final = 2  # as a spreadsheet counts: the headings are row 1


class SheetCarrier:
    """``format_of`` gives a format of sheets by its id; ``zone`` is the one that files are named in."""

    def __init__(self, format_of: Callable[[str], SheetFormat], zone: ZoneInfo) -> None:
        self._format_of = format_of
        self._zone = zone

    def files(self, batch: ParsedBatch) -> Sequence[Carried]:
        """The workbooks of a batch, in the order of the templates.

        Raises PackageError, MappingError ``sheet-too-large``, ``xls-missing``; DeliveryError ``sheets-withdrawal`` when records are taken
        back and the format names no file for that, ``sheets-template-unknown`` when the format has changed since, ``sheets-feedback-unsaid``.
        """
        fmt = self._format_of(batch.header.format.id)
        feedback = _feedback(fmt)
        return tuple(self._files(fmt, feedback, batch))

    def read(self, carried: Carried, feedback: bytes) -> Answered:
        """What a feedback file says, row by row. Raises SourceError when it is no such file, DeliveryError ``feedback-row-unknown``,
        ``feedback-row-repeated``, ``feedback-row-unreadable``."""
        return read_feedback(_feedback(self._format_of(carried.form)), carried, feedback, first=_FIRST_ROW)

    def _files(self, fmt: SheetFormat, feedback: SheetFeedback, batch: ParsedBatch) -> Iterator[Carried]:
        at = batch.header.created_at.astimezone(self._zone)
        known = {one.id: one for one in fmt.templates if one.catalog == batch.header.catalog}
        filled: dict[str, list[tuple[str, list[str | None]]]] = {name: [] for name in known}
        withdrawn: list[BatchRecord] = []
        for record in batch.records:
            if record.op is not Operation.UPSERT:
                withdrawn.append(record)
                continue
            fields = read_fields(record.body or b"")
            template = known.get(fields.template)
            if template is None:
                raise DeliveryError("sheets-template-unknown", format=fmt.id, template=fields.template)
            filled[template.id].append((record.key, _row(template, fields.texts, fmt.id)))

        def carried(
            name: str, sheet: str, headings: Sequence[str], rows: list[list[str | None]], keys: list[str]
        ) -> Carried:
            return Carried(
                name=f"{name}.{fmt.type}",
                data=sheet_file(fmt.type, sheet, headings, rows),
                keys=tuple(keys),
                answer=f"{feedback.file.replace('{file}', name)}.{feedback.type}",
                form=fmt.id,
            )

        for template in known.values():
            if rows := filled[template.id]:
                name = moment_name(template.file, at)
                headings = [column.heading for column in template.columns]
                yield carried(name, template.sheet, headings, [row for _, row in rows], [key for key, _ in rows])
        if withdrawn:
            if fmt.withdrawn is None:
                raise DeliveryError("sheets-withdrawal", format=fmt.id, count=len(withdrawn))
            name = moment_name(fmt.withdrawn, at)
            yield carried(
                name, _WITHDRAWN, HEADINGS, [taken_back(one) for one in withdrawn], [one.key for one in withdrawn]
            )


def _feedback(fmt: SheetFormat) -> SheetFeedback:
    if fmt.feedback is None:
        raise DeliveryError("sheets-feedback-unsaid", format=fmt.id)
    return fmt.feedback


def _row(template: SheetTemplate, texts: object, format_id: str) -> list[str | None]:
    """The record's texts in the template's columns; a text without a column means that the format has changed since it was sealed."""
    given = dict(texts)  # type: ignore[call-overload]  # a mapping of texts
    row = [given.pop(column.heading, None) for column in template.columns]
    if given:
        raise DeliveryError("sheets-template-unknown", format=format_id, template=template.id)
    return row
