"""Text as XML 1.0 carries it: what must be escaped, what cannot be carried at all, and the strict way back."""

from __future__ import annotations

import re
from typing import Final

from gateway.errors import PackageError

__all__ = ["CANNOT_CARRY", "escape", "require_carried", "unescape"]

CANNOT_CARRY: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
"""Outside the production Char of XML 1.0 §2.2, as the inside of a character class; not even a reference may name these."""

_CANNOT_CARRY = re.compile(f"[{CANNOT_CARRY}]")
_NOT_PLAIN = re.compile(f'[&<>"\t\n\r{CANNOT_CARRY}]')
# Line ends and tabs are written as references: a parser would turn raw ones into blanks (attributes) or into \n (§2.11, §3.3.3),
# and a record is one line.
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6}));|&")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def escape(value: str, *, place: str) -> str:
    """``value`` for an attribute in double quotes or for text; ``place`` names it in the error.

    Raises PackageError ``character-not-xml`` for a character that XML 1.0 cannot carry.
    """
    if _NOT_PLAIN.search(value) is None:
        return value
    require_carried(value, place=place)
    return value.translate(_ESCAPES)


def require_carried(value: str, *, place: str) -> None:
    """Raise PackageError ``character-not-xml`` where ``value`` holds a character that XML 1.0 cannot carry."""
    found = _CANNOT_CARRY.search(value)
    if found is not None:
        raise PackageError("character-not-xml", place=place, character=f"U+{ord(found[0]):04X}")


def unescape(raw: str, *, place: str) -> str:
    """The value of an attribute or a text that holds no markup.

    Takes the five names that need no declaration and character references. Raises PackageError ``reference-invalid`` for any
    other ``&``, ``character-not-xml`` for a character, written raw or by reference, that XML 1.0 cannot carry.
    """

    def one(match: re.Match[str]) -> str:
        name, decimal, hexadecimal = match.groups()
        if name is not None:
            return _NAMED[name]
        number = int(decimal) if decimal is not None else int(hexadecimal or "110000", 16)
        if number > 0x10FFFF:  # a bare "&" too
            raise PackageError("reference-invalid", place=place)
        return chr(number)

    value = _REFERENCE.sub(one, raw) if "&" in raw else raw
    require_carried(value, place=place)
    return value
