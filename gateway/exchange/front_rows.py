"""The rows of one batch in a front-end database: what is written, and what the rows that are read back say. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import ExchangeError
from gateway.exchange.recorder import Told
from gateway.package.batch import ParsedBatch
from gateway.package.fields import read_fields

__all__ = ["WRITTEN", "Read", "Said", "feedback_bytes", "judge_rows", "told_of", "written_rows"]

WRITTEN: Final = 0
_FINAL: Final = {2: True, 3: False}  # accepted, rejected; 1 is taken, and more will be said
_STATUS: Final = re.compile(r"\s*([0-3])(?:\.0+)?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A row as it was read back. ``version`` is None in a feedback table, which does not tell it."""

    key: str
    version: str | None
    status: object
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the rows say of one record so far: ``final`` is None while the receiver has not decided."""

    key: str
    final: bool | None
    code: str
    message: str


def written_rows(batch: ParsedBatch, columns: Sequence[str], table: str, at: str) -> list[dict[str, object]]:
    """The batch's rows: control values under ``@batch``, ``@sequence`` …, data under the format's column names, null where a record has no
    text. ``at`` is the moment of writing.

    Raises ExchangeError ``front-body-differs`` when a record was not sealed for this table with these columns, PackageError.
    """
    known = set(columns)
    rows: list[dict[str, object]] = []
    for number, record in enumerate(batch.records, start=1):
        texts: Mapping[str, str] = {}
        if record.body is not None:
            fields = read_fields(record.body)
            texts = fields.texts
            if fields.template != table or not known >= texts.keys():
                raise ExchangeError("front-body-differs", number=number, table=table)
        control: dict[str, object] = {
            "@batch": batch.header.batch_id,
            "@sequence": batch.header.sequence,
            "@key": record.key,
            "@version": record.version,
            "@op": record.op.value,
            "@status": WRITTEN,
            "@code": None,
            "@message": None,
            "@time": at,
        }
        rows.append({name: texts.get(name) for name in columns} | control)
    return rows


def judge_rows(batch: ParsedBatch, rows: Sequence[Read], feedback: Sequence[Read] | None) -> list[Said] | None:
    """What is said of every record, in the batch's order; None where no row of the batch is there.

    ``feedback`` are the rows of a feedback table, None where the outcomes stand in the rows themselves. Raises ExchangeError with a
    ``front-…`` or ``feedback-…`` code for whatever cannot be about this batch: nothing is guessed.
    """
    if not rows and not feedback:
        return None
    if rows:  # a receiver with a feedback table may take its rows away when it has decided
        _same_batch(batch, rows)
    elif feedback is not None and len(feedback) < len(batch.records):
        raise ExchangeError("front-rows-missing", total=len(batch.records), found=0)
    keys = {record.key for record in batch.records}
    said: dict[str, Said] = {}
    for number, row in enumerate(rows if feedback is None else feedback, start=1):
        if row.key not in keys:
            raise ExchangeError("feedback-record-unknown", number=number)
        if row.key in said:
            raise ExchangeError("feedback-record-repeated", number=number)
        said[row.key] = Said(key=row.key, final=_final(row.status, number), code=row.code, message=row.message)
    nothing = Said(key="", final=None, code="", message="")
    return [said.get(record.key, nothing) for record in batch.records]


def told_of(said: Iterable[Said]) -> list[Told]:
    """What is final, for the recorder."""
    return [
        Told(key=one.key, accepted=one.final, code=one.code.strip(), message=one.message.strip())
        for one in said
        if one.final is not None
    ]


def feedback_bytes(batch_id: str, said: Iterable[Said]) -> bytes:
    """The feedback as it was read, for its digest: a line of JSON ``[batch, key, accepted, code, message]`` a record, in order of key."""
    lines = sorted(
        json.dumps([batch_id, one.key, one.final, one.code, one.message], ensure_ascii=False, separators=(",", ":"))
        for one in said
    )
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _same_batch(batch: ParsedBatch, rows: Sequence[Read]) -> None:
    versions = {record.key: str(record.version) for record in batch.records}
    for number, row in enumerate(rows, start=1):
        if row.key not in versions:
            raise ExchangeError("feedback-record-unknown", number=number)
        if row.version is not None and row.version.strip() != versions[row.key]:
            raise ExchangeError("front-rows-differ", number=number)
    if len({row.key for row in rows}) != len(versions):
        raise ExchangeError("front-rows-missing", total=len(versions), found=len({row.key for row in rows}))


def _final(status: object, number: int) -> bool | None:
    found = None if status is None else _STATUS.fullmatch(str(status))
    if found is None:
        raise ExchangeError("feedback-status-unknown", number=number)
    return _FINAL.get(int(found[1]))
