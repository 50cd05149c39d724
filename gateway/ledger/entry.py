"""One entry of the ledger and its canonical bytes. Which kinds and fields there are stands in ``kinds``.

The bytes are RFC 8785 JSON restricted to one flat object of strings and integers (no null, no float, no nesting), UTF-8, at most
65,535 bytes so that a tlog-tiles entry bundle can carry them. An entry holds digests and figures, never a record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, assert_never

from gateway.clock import instant
from gateway.errors import LedgerError
from gateway.ledger.encoding import from_base64
from gateway.ledger.kinds import KINDS, NO_PREVIOUS, FieldType

__all__ = ["MAX_ENTRY_BYTES", "Entry", "Value", "decode", "encode"]

MAX_ENTRY_BYTES: Final = 65_535
_MAX_INTEGER: Final = 2**53 - 1  # RFC 8785 §3.2.2.3: what every JSON reader holds exactly
_MAX_NAME: Final = 512
_MAX_TEXT: Final = 4_096
_MAX_KEY: Final = 16_384
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
# Control characters (C0 but for the newline, DEL, C1) could drive an auditor's terminal.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_WRITE: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False).encode

Value = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A decoded entry. ``fields`` are exactly those of ``KINDS[kind]``, and any of its optional ones."""

    kind: str
    at: datetime
    fields: Mapping[str, Value]

    def text(self, field: str) -> str:
        """The text of a field that its kind declares as text."""
        value = self.fields[field]
        if not isinstance(value, str):
            raise LedgerError("entry-field-wrong", kind=self.kind, field=field, expected="text")
        return value

    def number(self, field: str) -> int:
        """The number of a field that its kind declares as a number."""
        value = self.fields[field]
        if not isinstance(value, int):
            raise LedgerError("entry-field-wrong", kind=self.kind, field=field, expected="number")
        return value


def encode(kind: str, fields: Mapping[str, Value], at: datetime) -> bytes:
    """The canonical bytes of an entry of ``kind`` that claims the instant ``at``.

    Raises LedgerError: ``entry-kind-unknown``, ``entry-field-unknown``, ``entry-field-missing``, ``entry-field-wrong``,
    ``entry-time-naive``, ``entry-too-large``.
    """
    if at.tzinfo is None:
        raise LedgerError("entry-time-naive", kind=kind)
    _check(kind, fields)
    data = _write(kind, fields, instant(at))
    if len(data) > MAX_ENTRY_BYTES:
        raise LedgerError("entry-too-large", kind=kind, size=len(data), limit=MAX_ENTRY_BYTES)
    return data


def decode(data: bytes) -> Entry:
    """The entry in ``data``, which must be exactly the bytes that :func:`encode` writes for it.

    Raises LedgerError: ``entry-not-canonical`` and the codes of :func:`encode`.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise LedgerError("entry-too-large", kind="", size=len(data), limit=MAX_ENTRY_BYTES)
    try:
        parsed = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise LedgerError("entry-not-canonical", reason="not JSON") from error
    if not isinstance(parsed, dict):
        raise LedgerError("entry-not-canonical", reason="not an object")
    kind, at = parsed.pop("kind", None), parsed.pop("at", None)
    if not isinstance(kind, str) or not isinstance(at, str) or not _is_instant(at):
        raise LedgerError("entry-not-canonical", reason="no kind or no time")
    _check(kind, parsed)
    if _write(kind, parsed, at) != data:
        raise LedgerError("entry-not-canonical", reason="other bytes than the canonical ones")
    return Entry(kind=kind, at=datetime.fromisoformat(at), fields=MappingProxyType(parsed))


def _write(kind: str, fields: Mapping[str, Value], at: str) -> bytes:
    try:
        return _WRITE({**fields, "kind": kind, "at": at}).encode("utf-8")
    except UnicodeEncodeError as error:
        raise LedgerError("entry-not-canonical", reason="an unpaired surrogate") from error


def _check(kind: str, fields: Mapping[str, Value]) -> None:
    declared = KINDS.get(kind)
    if declared is None:
        raise LedgerError("entry-kind-unknown", kind=kind[:_MAX_NAME])
    known = {**declared.fields, **{field: form for field, form in declared.optional.items() if field in fields}}
    if fields.keys() != known.keys():
        for field in fields:
            if field not in known:
                raise LedgerError("entry-field-unknown", kind=kind, field=field[:_MAX_NAME])
        missing = next(field for field in known if field not in fields)
        raise LedgerError("entry-field-missing", kind=kind, field=missing)
    for field, expected in known.items():
        if not _fits(fields[field], expected):
            raise LedgerError("entry-field-wrong", kind=kind, field=field, expected=expected.value)


def _fits(value: object, expected: FieldType) -> bool:
    match expected:
        case FieldType.COUNT:
            return type(value) is int and 0 <= value <= _MAX_INTEGER
        case FieldType.SEQUENCE:
            return type(value) is int and 1 <= value <= _MAX_INTEGER
        case FieldType.INDEX:
            return type(value) is int and NO_PREVIOUS <= value <= _MAX_INTEGER
        case FieldType.NAME:
            return (
                type(value) is str and 0 < len(value) <= _MAX_NAME and "\n" not in value and not _CONTROL.search(value)
            )
        case FieldType.TEXT:
            return type(value) is str and len(value) <= _MAX_TEXT and not _CONTROL.search(value)
        case FieldType.DIGEST:
            return type(value) is str and _DIGEST.fullmatch(value) is not None
        case FieldType.DIGEST_OR_NONE:
            return type(value) is str and (value == "" or _DIGEST.fullmatch(value) is not None)
        case FieldType.INSTANT:
            return type(value) is str and _is_instant(value)
        case FieldType.KEY:
            return type(value) is str and len(value) <= _MAX_KEY and "\n" not in value and not _CONTROL.search(value)
        case FieldType.BASE64:
            return type(value) is str and value != "" and from_base64(value) is not None
        case _:
            assert_never(expected)


def _is_instant(text: str) -> bool:
    try:
        return instant(datetime.fromisoformat(text)) == text
    except (ValueError, OverflowError):
        return False
