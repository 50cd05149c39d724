r"""XSD regular expressions rewritten for the column engine, or honestly not.

The language of XML Schema 1.0 Part 2 appendix F is not the one of Rust's ``regex`` crate, which polars uses: patterns
are anchored at both ends, ``^`` and ``$`` are plain characters, ``.`` leaves out both line ends, ``\w`` and ``\s``
are other sets, classes are subtracted with ``-[…]``. What can be said exactly in both languages is rewritten; for the
rest (``\i``, ``\c``, Unicode blocks) the answer is None and the caller judges value by value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["to_rust"]

_SINGLE: Final = {"n": "\n", "r": "\r", "t": "\t"} | {sign: sign for sign in "\\|.-^?*+{}()[]"}
_ANY: Final = r"[\x{0}-\x{10FFFF}]"
_SETS: Final = {
    "s": r"[\x{20}\t\n\r]",
    "S": rf"[{_ANY}--[\x{{20}}\t\n\r]]",
    "d": r"[\p{Nd}]",
    "D": rf"[{_ANY}--[\p{{Nd}}]]",
    "w": rf"[{_ANY}--[\p{{P}}\p{{Z}}\p{{C}}]]",
    "W": r"[\p{P}\p{Z}\p{C}]",
}
_CATEGORIES: Final = frozenset(
    group + kind
    for group, kinds in {
        "L": "ultmo",
        "M": "nce",
        "N": "dlo",
        "P": "cdseifo",
        "Z": "slp",
        "S": "mcko",
        "C": "cfon",
    }.items()
    for kind in ("", *kinds)
)


class _UntranslatableError(Exception):
    """The pattern says something that has no exact counterpart."""


def to_rust(pattern: str) -> str | None:
    """``pattern`` as an anchored expression for ``str.contains``, or None when it cannot be said exactly.

    A pattern that is not a legal XSD expression also gives None: whether it is legal, the schema processor says.
    """
    reader = _Reader(text=pattern)
    try:
        body = reader.alternatives()
    except _UntranslatableError:
        return None
    return rf"\A(?:{body})\z" if reader.done else None


@dataclass(slots=True, kw_only=True)
class _Reader:
    """A recursive descent over the grammar of appendix F; every method consumes what it names and gives its counterpart."""

    text: str
    at: int = 0

    @property
    def done(self) -> bool:
        return self.at == len(self.text)

    def peek(self, count: int = 1) -> str:
        return self.text[self.at : self.at + count]

    def take(self) -> str:
        if self.done:
            raise _UntranslatableError
        self.at += 1
        return self.text[self.at - 1]

    def alternatives(self) -> str:
        branches = [self.branch()]
        while self.peek() == "|":
            self.take()
            branches.append(self.branch())
        return "|".join(branches)

    def branch(self) -> str:
        pieces: list[str] = []
        while not self.done and self.peek() not in {"|", ")"}:
            pieces.append(self.atom() + self.quantifier())
        return "".join(pieces)

    def atom(self) -> str:
        match sign := self.take():
            case "(":
                inner = self.alternatives()
                if self.take() != ")":
                    raise _UntranslatableError
                return f"(?:{inner})"
            case "[":
                return self.character_class()
            case "\\":
                single, group = self.escape()
                return _literal(single) if single else group
            case ".":
                return r"[^\n\r]"
            case "?" | "*" | "+" | "{" | "}" | "]" | ")":
                raise _UntranslatableError
            case _:
                return _literal(sign)

    def quantifier(self) -> str:
        match self.peek():
            case "?" | "*" | "+":
                return self.take()
            case "{":
                end = self.text.find("}", self.at)
                quantity = self.text[self.at + 1 : end]
                low, comma, high = quantity.partition(",")
                # isdecimal alone would let in full-width digits, which Rust does not read as figures.
                figures = all(part.isascii() and part.isdecimal() for part in (low, high or low))
                if end < 0 or not figures or (high and int(high) < int(low)):
                    raise _UntranslatableError
                self.at = end + 1
                return f"{{{int(low)}{comma}{int(high) if high else ''}}}"
            case _:
                return ""

    def escape(self) -> tuple[str, str]:
        """After a backslash: (the one character meant, "") or ("", the set meant)."""
        letter = self.take()
        if letter in _SINGLE:
            return _SINGLE[letter], ""
        if letter in _SETS:
            return "", _SETS[letter]
        if letter in {"p", "P"} and self.peek() == "{":
            end = self.text.find("}", self.at)
            category = self.text[self.at + 1 : end]
            if end > 0 and category in _CATEGORIES:
                self.at = end + 1
                return "", rf"[\{letter}{{{category}}}]"
        raise _UntranslatableError

    def character_class(self) -> str:
        """After ``[``: ranges and escapes, an optional subtraction, the closing bracket. Negation binds before subtraction."""
        negated = self.peek() == "^"
        if negated:
            self.take()
        parts: list[str] = []
        while True:
            if self.peek() == "]" and parts:
                self.take()
                return _class(parts, negated)
            if self.peek(2) == "-[" and parts:
                self.at += 2
                minus = self.character_class()
                if self.take() != "]":
                    raise _UntranslatableError
                return f"[{_class(parts, negated)}--{minus}]"
            parts.append(self.range())

    def range(self) -> str:
        at_start = self.text[self.at - 1] in "[^"
        if self.peek() == "-" and not (at_start or self.peek(2) == "-]"):
            raise _UntranslatableError
        first, group = self.bound()
        if group:
            return group
        if self.peek() != "-" or self.peek(2) in {"-]", "-["}:
            return _literal(first)
        self.take()
        last, group = self.bound()
        if group or last < first:
            raise _UntranslatableError
        return f"{_literal(first)}-{_literal(last)}"

    def bound(self) -> tuple[str, str]:
        sign = self.take()
        if sign == "\\":
            return self.escape()
        if sign in "[]":
            raise _UntranslatableError
        return sign, ""


def _class(parts: list[str], negated: bool) -> str:
    """Negation is written as a difference: ``[^…]`` goes wrong in Rust's regex 1.x where two ranges of a class meet
    at the surrogates (``[^\\x{D7FF}\\x{E000}]`` matches both).
    """
    body = f"[{''.join(parts)}]"
    return f"[{_ANY}--{body}]" if negated else body


def _literal(sign: str) -> str:
    """One character by its number: nothing in it can be taken for syntax."""
    return rf"\x{{{ord(sign):X}}}"
