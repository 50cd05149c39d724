"""Rules that clean and bring together text. Each maps text to text; a value of nothing becomes null, never the empty text."""

from __future__ import annotations

from typing import Final

import polars as pl

from gateway.catalog.model import FieldType
from gateway.mapping.model import Compiled, RuleContext
from gateway.mapping.rule_kind import Columns, Parameter, ParameterKind, Parameters, RuleKind

__all__ = ["FULL_WIDTH_DIGITS", "HALF_WIDTH_DIGITS", "TEXT_RULES", "WHITE_SPACE", "blank_to_null", "filled_or_null"]

# Unicode White_Space, and the invisible characters that office software leaves at the ends of a value: zero-width space and joiners,
# word joiner, byte order mark, direction marks. The ideographic space U+3000 and the no-break space U+00A0 are of the first kind.
WHITE_SPACE: Final = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
    "\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
)
_SPACE_CLASS: Final = "[" + "".join(f"\\x{{{ord(character):x}}}" for character in WHITE_SPACE) + "]"

FULL_WIDTH_DIGITS: Final = [chr(0xFF10 + digit) for digit in range(10)]
HALF_WIDTH_DIGITS: Final = [str(digit) for digit in range(10)]

# U+FF01…U+FF5E stand for U+0021…U+007E in the same order; U+3000 is the space of that width.
_FULL_WIDTH: Final = ["\u3000", *(chr(0xFF01 + offset) for offset in range(94))]
_HALF_WIDTH: Final = [" ", *(chr(0x21 + offset) for offset in range(94))]


def filled_or_null(value: pl.Expr) -> pl.Expr:
    """``value``, or null where it is the empty text."""
    return pl.when(value != "").then(value)


def blank_to_null(value: pl.Expr) -> pl.Expr:
    """``value``, or null where it is nothing but white space: what looks empty is empty."""
    # A pattern that fails at the first character of a filled value is several times as fast as trimming.
    return pl.when(~value.str.contains(f"^{_SPACE_CLASS}*$")).then(value)


def _trim(value: pl.Expr, _parameters: Parameters, _context: RuleContext) -> Compiled:
    return _text(value.str.strip_chars(WHITE_SPACE))


def _collapse_spaces(value: pl.Expr, _parameters: Parameters, _context: RuleContext) -> Compiled:
    return _text(value.str.replace_all(f"{_SPACE_CLASS}+", " ").str.strip_chars(" "))


def _line_ends(value: pl.Expr, _parameters: Parameters, _context: RuleContext) -> Compiled:
    # XML 1.0 §2.11: a parser reads CR LF and a lone CR as LF, so a value with CR would not come back as it went.
    return _text(value.str.replace_all(r"\r\n?", "\n"))


def _half_width(value: pl.Expr, parameters: Parameters, _context: RuleContext) -> Compiled:
    full, half = _FULL_WIDTH, _HALF_WIDTH
    if parameters.text("only", "all") == "letters-digits":
        pairs = [(wide, narrow) for wide, narrow in zip(full, half, strict=True) if narrow.isalnum()]
        full, half = [wide for wide, _ in pairs], [narrow for _, narrow in pairs]
    return _text(value.str.replace_many(full, half))


def _upper(value: pl.Expr, _parameters: Parameters, _context: RuleContext) -> Compiled:
    return _text(value.str.to_uppercase())


def _remove(value: pl.Expr, parameters: Parameters, _context: RuleContext) -> Compiled:
    characters = list(dict.fromkeys(parameters.text("characters")))
    return _text(value.str.replace_many(characters, [""] * len(characters)))


def _replace(value: pl.Expr, parameters: Parameters, _context: RuleContext) -> Compiled:
    return _text(value.str.replace_all(parameters.text("from"), parameters.text("to"), literal=True))


def _empty_as(value: pl.Expr, parameters: Parameters, _context: RuleContext) -> Compiled:
    words = list(parameters.texts("values"))
    return _text(pl.when(~value.is_in(words)).then(value))


def _filled_as(value: pl.Expr, parameters: Parameters, _context: RuleContext) -> Compiled:
    return _text(pl.when(value.is_not_null()).then(pl.lit(parameters.text("value"))))


def _split_join(value: pl.Expr, parameters: Parameters, _context: RuleContext) -> Compiled:
    signs = "".join(f"\\x{{{ord(character):x}}}" for character in dict.fromkeys(parameters.text("separators")))
    to = parameters.text("to")
    joined = value.str.replace_all(f"{_SPACE_CLASS}*(?:[{signs}]{_SPACE_CLASS}*)+", to.replace("$", "$$"))
    return _text(joined.str.strip_chars(WHITE_SPACE).str.strip_prefix(to).str.strip_suffix(to))


def _constant(_value: pl.Expr, parameters: Parameters, _context: RuleContext) -> Compiled:
    return _text(pl.lit(parameters.text("value"), dtype=pl.String))


def _first_of(_value: pl.Expr, _parameters: Parameters, context: RuleContext) -> Compiled:
    return _text(pl.coalesce([filled_or_null(column) for column in context.columns]))


def _join(_value: pl.Expr, parameters: Parameters, context: RuleContext) -> Compiled:
    parts = [filled_or_null(column.str.strip_chars(WHITE_SPACE)) for column in context.columns]
    return _text(pl.concat_str(parts, separator=parameters.text("separator"), ignore_nulls=True))


def _text(value: pl.Expr) -> Compiled:
    return Compiled(value=filled_or_null(value), type=FieldType.TEXT)


_TEXT = Parameter(kind=ParameterKind.TEXT, required=True)

TEXT_RULES: Final = (
    RuleKind(name="trim", compile=_trim),
    RuleKind(name="collapse-spaces", compile=_collapse_spaces),
    RuleKind(name="line-ends", compile=_line_ends),
    RuleKind(
        name="half-width",
        compile=_half_width,
        parameters={"only": Parameter(kind=ParameterKind.TEXT, choices=("all", "letters-digits"))},
    ),
    RuleKind(name="upper", compile=_upper),
    RuleKind(name="remove", compile=_remove, parameters={"characters": _TEXT}),
    RuleKind(name="replace", compile=_replace, parameters={"from": _TEXT, "to": _TEXT}),
    RuleKind(
        name="empty-as",
        compile=_empty_as,
        parameters={"values": Parameter(kind=ParameterKind.TEXTS, required=True)},
    ),
    RuleKind(name="filled-as", compile=_filled_as, parameters={"value": _TEXT}),
    RuleKind(name="split-join", compile=_split_join, parameters={"separators": _TEXT, "to": _TEXT}),
    RuleKind(name="constant", compile=_constant, columns=Columns.NONE, parameters={"value": _TEXT}),
    RuleKind(name="first-of", compile=_first_of, columns=Columns.SEVERAL),
    RuleKind(name="join", compile=_join, columns=Columns.SEVERAL, parameters={"separator": _TEXT}),
)
