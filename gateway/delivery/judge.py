"""What becomes of each record of a batch: valid, known, newer, or rejected with a reason that its sender can act on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from gateway.catalog.model import Catalog
from gateway.mapping.canonical import encode
from gateway.mapping.document import DocumentPlan
from gateway.mapping.plan import RecordPlan
from gateway.mapping.problems import problem_text
from gateway.package.receipt import Figures, Outcome, Result
from gateway.package.record import BatchRecord, Operation
from gateway.store.inbox import InboxHeld, InboxRow

__all__ = ["Judge", "Judged"]

_AT_ONCE = (
    5_000  # parsed records weigh ten times what their bytes do; smaller helpings cost more time than they save memory
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on a batch's records: what to store, what to count, and every outcome that needs a word."""

    rows: Sequence[InboxRow]
    figures: Figures
    outcomes: Sequence[Outcome]


class Judge:
    """Judges records of ``catalog`` as they come in one format. ``plan`` holds the catalog's checks alone."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        document: DocumentPlan,
        plan: RecordPlan,
        format_id: str,
        format_version: str,
        language: str,
    ) -> None:
        self._catalog = catalog
        self._document = document
        self._plan = plan
        self.format_id = format_id
        self.format_version = format_version
        self._language = language

    def judge(self, records: Sequence[BatchRecord], held: Mapping[str, InboxHeld]) -> Judged:
        """The outcome of every record, in the terms of the exchange protocol (README); ``held`` is what we hold by key.

        The envelope is not looked at: the package room reads it by the letter. Each body is parsed and validated by itself.
        """
        contents: dict[str, str] = {}
        rejections: dict[str, Outcome] = {}
        upserts = [record for record in records if record.op is Operation.UPSERT]
        for start in range(0, len(upserts), _AT_ONCE):
            read, failed = self._read(upserts[start : start + _AT_ONCE])
            contents |= read
            rejections |= failed
        rows: list[InboxRow] = []
        listed: list[Outcome] = []
        counted: Counter[Result] = Counter()
        for record in records:
            outcome = rejections.get(record.key)
            if outcome is None:
                result, outcome, row = _compared(record, held.get(record.key), contents.get(record.key))
                if row is not None:
                    rows.append(row)
            else:
                result = Result.REJECTED
            counted[result] += 1
            if outcome is not None:
                listed.append(outcome)
        figures = Figures(total=len(records), **{result.value: counted[result] for result in Result})
        return Judged(rows=rows, figures=figures, outcomes=listed)

    def _read(self, records: Sequence[BatchRecord]) -> tuple[dict[str, str], dict[str, Outcome]]:
        """Canonical content by key of the good records; the outcome of those that the catalog's checks reject."""
        by_row = {str(index): record for index, record in enumerate(records)}
        read = self._document.read([record.body or b"" for record in records], list(by_row))
        checked = self._plan.check(read.records)
        rejections: dict[str, Outcome] = {}
        for problem in (
            pl.concat([read.problems, checked.problems]).filter(pl.col("weight") == "reject").iter_rows(named=True)
        ):
            record = by_row[problem["@row"]]
            target = problem["source"] or (self._document.target(problem["field"]) if problem["field"] else "")
            message = problem_text(problem, self._catalog, self._language)
            rejections.setdefault(record.key, _rejected(record, problem["code"], target, message))
        contents, _ = encode(checked.records, self._catalog)
        found: dict[str, str] = {}
        for row, key, content in zip(checked.records["@row"], checked.records["@key"], contents, strict=True):
            record = by_row[row]
            if key == record.key:
                found[key] = content
            else:
                # Under another name the record could never be corrected or withdrawn.
                rejections.setdefault(record.key, _rejected(record, "key-mismatch", "", ""))
        return found, rejections


def _rejected(record: BatchRecord, code: str, field: str, message: str) -> Outcome:
    return Outcome(
        key=record.key, version=record.version, result=Result.REJECTED, code=code, field=field, message=message
    )


def _compared(
    record: BatchRecord, held: InboxHeld | None, content: str | None
) -> tuple[Result, Outcome | None, InboxRow | None]:
    """A sound record against what we hold: the result, a word about it where one is needed, and the row to store."""
    digest = hashlib.sha256(record.body or b"").digest()
    if held is not None and record.version < held.version:
        word = Outcome(key=record.key, version=record.version, result=Result.UNCHANGED, code="superseded")
        return Result.UNCHANGED, word, None
    if held is not None and record.version == held.version:
        if (held.op, held.digest) == (record.op.value, digest):
            return Result.UNCHANGED, None, None
        return Result.REJECTED, _rejected(record, "version-conflict", "", ""), None
    row = InboxRow(
        key=record.key,
        version=record.version,
        op=record.op.value,
        digest=digest,
        body=record.body,
        content=content,
        reason=None if record.reason is None else record.reason.code,
        basis=None if record.reason is None else record.reason.text or None,
    )
    if record.op is not Operation.UPSERT:
        return Result.WITHDRAWN, None, row
    known = held is not None and held.op == Operation.UPSERT.value
    return (Result.UPDATED if known else Result.CREATED), None, row
