"""A receiver's feedback on one file, read line by line; and how what is taken back is listed for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from gateway.errors import DeliveryError, SourceError
from gateway.exchange.carrier import Answered, Carried
from gateway.exchange.recorder import Told
from gateway.mapping.file_shape import FeedbackType, FileFeedback
from gateway.package.record import BatchRecord, Operation
from gateway.sources.csv_file import CsvSource
from gateway.sources.excel_file import ExcelSource
from gateway.sources.template import Template

__all__ = ["HEADINGS", "read_feedback", "taken_back"]

HEADINGS: Final = ("记录编号", "操作", "原因代码", "原因")
_OPERATIONS: Final = {Operation.WITHDRAW: "撤销", Operation.STOP_SHARE: "停止共享"}


def read_feedback(form: FileFeedback, carried: Carried, feedback: bytes, *, first: int) -> Answered:
    """What the feedback on a file says; ``first`` is the number of its first record.

    Raises SourceError when it is no such file, DeliveryError ``feedback-row-unknown``, ``feedback-row-repeated``, ``feedback-row-unreadable``.
    """
    told: dict[int, Told] = {}
    for row, result, code, message in _rows(form, carried.answer, feedback):
        accepted = result in form.accepted
        if row is None:
            if accepted:
                raise DeliveryError("feedback-row-unreadable", file=carried.answer)
            return Answered(refused=" ".join(filter(None, (code, message))) or result)
        if not 0 <= row - first < len(carried.keys):
            raise DeliveryError("feedback-row-unknown", file=carried.answer, row=row)
        if row in told:
            raise DeliveryError("feedback-row-repeated", file=carried.answer, row=row)
        key = carried.keys[row - first]
        told[row] = Told(key=key, accepted=accepted, code="" if accepted else code, message=message)
    if form.unlisted_accepted:
        for row, key in enumerate(carried.keys, start=first):
            told.setdefault(row, Told(key=key, accepted=True))
    return Answered(told=tuple(told.values()))


def taken_back(record: BatchRecord) -> list[str | None]:
    """The cells under :data:`HEADINGS` of a record that is taken back."""
    reason = record.reason
    return [
        record.key,
        _OPERATIONS[record.op],
        None if reason is None else reason.code,
        None if reason is None else reason.text,
    ]


def _rows(form: FileFeedback, name: str, data: bytes) -> Iterator[tuple[int | None, str, str, str]]:
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
