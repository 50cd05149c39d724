"""Names of files in an exchange of packages by folders: what a whole file is called, what goes beside it, and what is somebody else's.

A package is ``{sender}_{catalog}_{sequence:08}_{batch_id}.asice``, its receipt the same stem with ``.receipt.asice``, a refusal with
``.problem.json``. Beside each stands ``NAME.sha256``, as ``sha256sum`` writes it; beside a package or a receipt may stand
``NAME.shown``, what the sender shows of its ledger. While it is written a file is called ``.NAME.part``. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import ExchangeError
from gateway.exchange.shown import NOTHING, Shown, read_shown

__all__ = [
    "DIGEST",
    "SHOWN",
    "FileName",
    "Kind",
    "digest_line",
    "digest_of",
    "in_print",
    "is_passing",
    "part_of",
    "read_name",
    "shown_of",
    "shown_text",
    "sibling",
]

DIGEST: Final = ".sha256"
SHOWN: Final = ".shown"
_STEM: Final = re.compile(
    r"(?P<sender>[0-9A-Za-z][0-9A-Za-z.-]{0,63})_(?P<catalog>[0-9a-z][0-9a-z-]{0,63})_(?P<sequence>[0-9]{8,18})"
    r"_(?P<batch_id>[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"
)
_PASSING: Final = re.compile(r"\..*|.*\.(part|filepart|tmp|crdownload|swp)|.*~", re.DOTALL)
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](\S+)\r?\n?")
_LONGEST_SHOWN: Final = 8
_LONGEST_PRINT: Final = 120


class Kind(StrEnum):
    """What a file is, by the end of its name."""

    PACKAGE = ".asice"
    RECEIPT = ".receipt.asice"
    PROBLEM = ".problem.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """A whole name. ``stem`` is what package, receipt and problem have in common."""

    sender: str
    catalog: str
    sequence: int
    batch_id: str
    kind: Kind = Kind.PACKAGE

    @property
    def stem(self) -> str:
        """The name without its end."""
        return f"{self.sender}_{self.catalog}_{self.sequence:08}_{self.batch_id}"

    def __str__(self) -> str:
        return f"{self.stem}{self.kind.value}"


def read_name(name: str) -> FileName | None:
    """What ``name`` says; None when it is not exactly a name of ours."""
    for kind in (Kind.RECEIPT, Kind.PROBLEM, Kind.PACKAGE):
        stem, found = name.removesuffix(kind.value), name.endswith(kind.value)
        if found and (parts := _STEM.fullmatch(stem)):
            read = FileName(
                sender=parts["sender"],
                catalog=parts["catalog"],
                sequence=int(parts["sequence"]),
                batch_id=parts["batch_id"],
                kind=kind,
            )
            return read if str(read) == name else None
    return None


def sibling(name: str) -> str | None:
    """The file that ``name`` stands beside, when it is the name of a digest or of something shown; else None."""
    for ending in (DIGEST, SHOWN):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return None


def is_passing(name: str) -> bool:
    """Whether ``name`` looks like something under way: hidden, or what a program calls a file while it writes it."""
    return _PASSING.fullmatch(name) is not None


def part_of(name: str) -> str:
    """What ``name`` is called while it is written."""
    return f".{name}.part"


def in_print(name: str) -> str:
    """A name that somebody else chose, for a log or a screen: one short line of ASCII."""
    text = ascii(name)[1:-1]
    return text if len(text) <= _LONGEST_PRINT else f"{text[:_LONGEST_PRINT]}…"


def digest_line(name: str, data: bytes) -> bytes:
    """The contents of ``NAME.sha256``."""
    return f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()


def digest_of(name: str, line: bytes) -> str | None:
    """The digest (hex) that the line gives for ``name``; None when it is not such a line."""
    try:
        found = _LINE.fullmatch(line.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    return found[1] if found and found[2] == name else None


def shown_text(shown: Shown) -> bytes:
    """The contents of ``NAME.shown``: the headers of service mode, one a line; empty when nothing is shown."""
    return "".join(f"{name}: {value}\n" for name, value in shown.headers().items()).encode("ascii")


def shown_of(text: bytes) -> Shown:
    """What :func:`shown_text` wrote; what cannot be read says nothing, as with a receipt's headers."""
    try:
        lines = text.decode("ascii").splitlines()
    except UnicodeDecodeError:
        return NOTHING
    headers: Mapping[str, str] = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[:_LONGEST_SHOWN])
    }
    try:
        return read_shown(headers)
    except ExchangeError:
        return NOTHING
