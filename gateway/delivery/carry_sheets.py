"""Sealed batches of sheet formats as the receiver's own workbooks, and its feedback files read back.

One workbook a template that has records, named and headed as the template says, a record a row; and one that lists what is taken back,
where the format names a file for it. Everything stands in the package already: nothing is worked out anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from gateway.errors import DeliveryError, SourceError
from gateway.exchange.carrier import Answered, Carried
from gateway.exchange.recorder import Told
from gateway.mapping.sheet_file import sheet_file
from gateway.mapping.sheet_model import FeedbackType, SheetFeedback, SheetFormat, SheetTemplate, moment_name
from gateway.package.batch import ParsedBatch, parse_batch
from gateway.package.container import open_package
from gateway.package.fields import read_fields
from gateway.package.record import BatchRecord, Operation
from gateway.sources.csv_file import CsvSource
from gateway.sources.excel_file import ExcelSource
from gateway.sources.template import Template

__all__ = ["SheetCarrier"]

_WITHDRAWN: Final = "withdrawn"
_HEADINGS: Final = ("记录编号", "操作", "原因代码", "原因")
_FIRST_ROW: Final = 2  # as a spreadsheet counts: the headings are row 1
_OPERATIONS: Final = {Operation.WITHDRAW: "撤销", Operation.STOP_SHARE: "停止共享"}


class SheetCarrier:
    """``format_of`` gives a format of sheets by its id; ``zone`` is the one that files are named in."""

    def __init__(self, format_of: Callable[[str], SheetFormat], zone: ZoneInfo) -> None:
        self._format_of = format_of
        self._zone = zone

    def carry(self, package: bytes) -> Sequence[Carried]:
        """The workbooks of a batch, in the order of the templates.

        Raises PackageError, MappingError ``sheet-too-large``, ``xls-missing``; DeliveryError ``sheets-withdrawal`` when records are taken
        back and the format names no file for that, ``sheets-template-unknown`` when the format has changed since, ``sheets-feedback-unsaid``.
        """
        batch = parse_batch(open_package(package).document)
        fmt = self._format_of(batch.header.format.id)
        feedback = _feedback(fmt)
        return tuple(self._files(fmt, feedback, batch))

    def read(self, carried: Carried, feedback: bytes) -> Answered:
        """What a feedback file says, row by row. Raises SourceError when it is no such file, DeliveryError ``feedback-row-unknown``,
        ``feedback-row-repeated``, ``feedback-row-unreadable``."""
        form = _feedback(self._format_of(carried.form))
        told: dict[int, Told] = {}
        for row, result, code, message in _rows(form, carried.answer, feedback):
            accepted = result in form.accepted
            if row is None:
                if accepted:
                    raise DeliveryError("feedback-row-unreadable", file=carried.answer)
                return Answered(refused=" ".join(filter(None, (code, message))) or result)
            if not 0 <= row - _FIRST_ROW < len(carried.keys):
                raise DeliveryError("feedback-row-unknown", file=carried.answer, row=row)
            if row in told:
                raise DeliveryError("feedback-row-repeated", file=carried.answer, row=row)
            key = carried.keys[row - _FIRST_ROW]
            told[row] = Told(key=key, accepted=accepted, code="" if accepted else code, message=message)
        if form.unlisted_accepted:
            for row, key in enumerate(carried.keys, start=_FIRST_ROW):
                told.setdefault(row, Told(key=key, accepted=True))
        return Answered(told=tuple(told.values()))

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
                name, _WITHDRAWN, _HEADINGS, [_taken_back(one) for one in withdrawn], [one.key for one in withdrawn]
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


def _taken_back(record: BatchRecord) -> list[str | None]:
    reason = record.reason
    return [
        record.key,
        _OPERATIONS[record.op],
        None if reason is None else reason.code,
        None if reason is None else reason.text,
    ]


def _rows(form: SheetFeedback, name: str, data: bytes) -> Iterator[tuple[int | None, str, str, str]]:
    """(row, result, code, message) of each line, through the readers that sources have, with their budgets."""
    template = Template(id="feedback", headings=(form.row, form.result, form.code, form.message))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"feedback.{form.type}"
        file.write_bytes(data)
        source: CsvSource | ExcelSource = (
            CsvSource(name=name, path=str(file), templates=(template,))
            if form.type is FeedbackType.CSV
            else ExcelSource(name=name, path=str(file), templates=(template,))
        )
        try:
            for chunk in source.read(None).chunks:
                if not chunk.problems.is_empty():
                    raise DeliveryError("feedback-row-unreadable", file=name)
                frame = chunk.frame.select(pl.col(template.headings).cast(pl.String).fill_null(""))
                for row, result, code, message in frame.iter_rows():
                    yield _number(row, name), result.strip(), code.strip(), message.strip()
        except SourceError as error:
            if error.code != "source-file-without-rows" or not form.unlisted_accepted:
                raise


def _number(text: str, name: str) -> int | None:
    text = text.strip().removesuffix(".0")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise DeliveryError("feedback-row-unreadable", file=name)
    return int(text)
