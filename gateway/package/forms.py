"""The written forms of values in documents: ids, codes, ordinals, digests, instants. The schemas in ``schemas/`` say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.errors import PackageError
from gateway.package.characters import escape

__all__ = [
    "BATCH_ID",
    "CATALOG_ID",
    "CHECKPOINT",
    "CODE",
    "EXPLANATION",
    "FIELD",
    "FIGURE",
    "KEY",
    "LABEL",
    "NAME",
    "ORDINAL",
    "ROUTE",
    "SHA256",
    "Form",
    "Node",
    "read_instant",
    "write_instant",
]


@dataclass(frozen=True, slots=True)
class Form:
    """One written form; ``expected`` describes it in errors."""

    pattern: re.Pattern[str]
    expected: str

    def read(self, value: str, *, document: str, place: str) -> str:
        """``value`` itself. Raises PackageError ``document-value`` when it has another form."""
        if self.pattern.fullmatch(value) is None:
            raise PackageError("document-value", document=document, place=place, expected=self.expected)
        return value

    def write(self, value: str, *, document: str, place: str) -> str:
        """``value`` escaped for a document. Raises PackageError ``document-value`` or ``character-not-xml``."""
        return escape(self.read(value, document=document, place=place), place=place)


def _form(pattern: str, expected: str) -> Form:
    return Form(re.compile(pattern, re.DOTALL), expected)


_NAME = "[0-9A-Za-z][0-9A-Za-z.-]{0,63}"
_CATALOG = "[a-z0-9][a-z0-9-]{0,63}"

BATCH_ID: Final = _form(
    "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "UUIDv7 (RFC 9562), a-f in lower case"
)
# Codes stand in paths and file names between underscores: no slash, no underscore, no leading dot.
NAME: Final = _form(_NAME, "1-64 of 0-9 A-Z a-z . -")
CATALOG_ID: Final = _form(_CATALOG, "1-64 of 0-9 a-z -")
ROUTE: Final = _form(f"{_NAME}/{_CATALOG}/{_NAME}", "SENDER/CATALOG/RECEIVER")
CODE: Final = _form("[a-z][a-z0-9-]{0,63}", "1-64 of a-z 0-9 -")
ORDINAL: Final = _form("[1-9][0-9]{0,17}", "1, 2, 3 … 999999999999999999")
FIGURE: Final = _form("0|[1-9][0-9]{0,17}", "0, 1, 2 … 999999999999999999")
SHA256: Final = _form("[0-9a-f]{64}", "64 hexadecimal digits, a-f in lower case")
KEY: Final = _form(".{1,1024}", "1-1024 characters")
LABEL: Final = _form(".{0,256}", "0-256 characters")
FIELD: Final = _form(".{0,256}", "0-256 characters")
EXPLANATION: Final = _form(".{0,2000}", "0-2000 characters")
CHECKPOINT: Final = _form(".{0,16384}", "0-16384 characters")

_INSTANT = _form("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", "YYYY-MM-DDThh:mm:ssZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An organisation's gateway as a document names it."""

    code: str
    name: str


def write_instant(moment: datetime) -> str:
    """``YYYY-MM-DDThh:mm:ssZ``, fractions of a second cut off."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_instant(value: str, *, document: str, place: str) -> datetime:
    """What :func:`write_instant` wrote. Raises PackageError ``document-value``."""
    _INSTANT.read(value, document=document, place=place)
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:  # 30 February
        raise PackageError("document-value", document=document, place=place, expected=_INSTANT.expected) from error
