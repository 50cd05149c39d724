"""A batch: records under one header, one record a line, bound together by the root of a Merkle tree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC
from hmac import compare_digest

from gateway.errors import PackageError
from gateway.ledger.tree import root_of
from gateway.package.container import BATCH
from gateway.package.elements import DECLARATION, read_elements, require_utf8
from gateway.package.header import BatchDraft, BatchHeader, Count, Void, read_header, write_header
from gateway.package.limits import Limits
from gateway.package.record import NAMESPACE, BatchRecord, Operation, leaf, read_record, split_line

__all__ = ["BuiltBatch", "ParsedBatch", "build_batch", "parse_batch"]

_OPENING = DECLARATION + f'<Batch xmlns="{NAMESPACE}">\n'.encode("ascii")
_BODY = b"<Body>\n"
_CLOSING = b"</Body>\n</Batch>\n"
_END = re.compile(rb"</Body>[ \t\n]*</Batch>[ \t\n]*\Z")
_TAIL_BYTES = 256  # of white space at the end; more is nobody's habit
_HEADER_ELEMENTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltBatch:
    """The document, and its header with the figures and the root filled in."""

    xml: bytes
    header: BatchHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBatch:
    """A batch that agrees with itself. Its records' bodies are well-formed; whether they are valid is the gate's to say."""

    header: BatchHeader
    records: tuple[BatchRecord, ...]

    @property
    def void(self) -> Void | None:
        """What this batch takes the place of, when it is a void one."""
        return self.header.void


def build_batch(draft: BatchDraft, lines: Sequence[bytes], *, limits: Limits | None = None) -> BuiltBatch:
    """The batch of ``lines`` (see :func:`gateway.package.record.record_line`) in their order, counted and hashed in one pass.

    Raises PackageError ``record-line``, ``record-too-large``, ``record-key-repeated``, ``batch-too-many-records``, or what
    :func:`gateway.package.header.write_header` raises.
    """
    limits = limits or Limits()
    if len(lines) > limits.records:
        raise PackageError("batch-too-many-records", limit=limits.records)
    keys: set[bytes] = set()
    leaves: list[bytes] = []
    operations: list[Operation] = []
    for index, line in enumerate(lines):
        if len(line) > limits.record_bytes:
            raise PackageError("record-too-large", record=index + 1, limit=limits.record_bytes)
        key, _, operation, _ = split_line(line, index)
        if key in keys:
            raise PackageError("record-key-repeated", record=index + 1)
        keys.add(key)
        operations.append(operation)
        leaves.append(leaf(draft.salt, index, line))
    known = {each.name: getattr(draft, each.name) for each in fields(draft)}
    known["created_at"] = draft.created_at.astimezone(UTC).replace(microsecond=0)
    header = BatchHeader(**known, count=_count(operations), record_root=root_of(leaves))
    # One join, one copy: a batch may be a hundred megabytes.
    xml = b"\n".join((_OPENING + write_header(header) + _BODY[:-1], *lines, _CLOSING))
    return BuiltBatch(xml=xml, header=header)


def _count(operations: Sequence[Operation]) -> Count:
    return Count(
        upsert=operations.count(Operation.UPSERT),
        withdraw=operations.count(Operation.WITHDRAW),
        stop_share=operations.count(Operation.STOP_SHARE),
    )


def parse_batch(xml: bytes, *, limits: Limits | None = None) -> ParsedBatch:
    """The batch in ``xml``, which must agree with itself in every figure.

    The document without its records is read as XML, and so is each record's line: together that is the whole document, and no
    markup can reach from one line into another. Raises PackageError with a ``document-…``, ``batch-…`` or ``record-…`` code.
    """
    limits = limits or Limits()
    # 1. one UTF-8 document within its budget
    if len(xml) > limits.document_bytes:
        raise PackageError("document-too-large", document=BATCH, limit=limits.document_bytes)
    require_utf8(xml, BATCH)
    # 2. the header, in the document that is left without the records
    body = xml.find(_BODY, 0, limits.header_bytes)
    end = _END.search(xml, max(0, len(xml) - _TAIL_BYTES))
    if body < 0 or b"\r" in xml[:body] or end is None:
        raise PackageError("batch-lines")
    first = body + len(_BODY)
    batch = read_elements(xml[:first] + _CLOSING, document=BATCH, namespace=NAMESPACE, elements=_HEADER_ELEMENTS)
    parts = batch.only(("Header", "Body"))
    parts["Body"].only(())
    header = read_header(parts["Header"])
    # 3. as many lines as the header says
    lines = xml[first : end.start()].split(b"\n")
    if lines.pop():  # what follows the last newline
        raise PackageError("batch-lines")
    if len(lines) > limits.records:
        raise PackageError("batch-too-many-records", limit=limits.records)
    if len(lines) != header.count.total:
        raise PackageError("batch-count", what="total", expected=len(lines), found=header.count.total)
    # 4. each line is one record
    records, root_found = _records(lines, header.salt, limits)
    # 5. operations as counted, keys unique, root as claimed
    found = _count([record.op for record in records])
    for what in ("upsert", "withdraw", "stop_share"):
        if getattr(found, what) != getattr(header.count, what):
            raise PackageError(
                "batch-count", what=what, expected=getattr(found, what), found=getattr(header.count, what)
            )
    _unique(records)
    if not compare_digest(root_found, header.record_root):
        raise PackageError("batch-root")
    return ParsedBatch(header=header, records=records)


def _records(lines: Sequence[bytes], salt: bytes, limits: Limits) -> tuple[tuple[BatchRecord, ...], bytes]:
    names: dict[str, str] = {}
    records: list[BatchRecord] = []
    leaves: list[bytes] = []
    for index, line in enumerate(lines):
        if len(line) > limits.record_bytes:
            raise PackageError("record-too-large", record=index + 1, limit=limits.record_bytes)
        records.append(read_record(line, index, names))
        leaves.append(leaf(salt, index, line))
    return tuple(records), root_of(leaves)


def _unique(records: Sequence[BatchRecord]) -> None:
    seen: set[str] = set()
    if len({record.key for record in records}) == len(records):
        return
    for index, record in enumerate(records):
        if record.key in seen:
            raise PackageError("record-key-repeated", record=index + 1)
        seen.add(record.key)
