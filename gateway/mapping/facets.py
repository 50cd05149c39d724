"""The facets of a simple type as column checks: every bad value of a column found and named at column speed.

Values are judged as XML Schema 1.0 Part 2 demands: blanks are treated first, lengths count Unicode characters, digits
are the ten ASCII ones, numbers are compared digit by digit at any size. What a column expression cannot say exactly
(a pattern with ``\\i``, a range of dates, a list, ``anyURI``) is asked value by value, each distinct value once; a
guess is never made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Final

import polars as pl

from gateway.mapping.model import ProblemExpr
from gateway.mapping.rules_codes import listed
from gateway.mapping.xsd_judge import matches, verdict
from gateway.mapping.xsd_pattern import to_rust
from gateway.mapping.xsd_types import Bound, Pattern, Primitive, SimpleType, WhiteSpace

__all__ = ["facet_checks", "forbidden_characters", "without_blanks"]

# Outside XML 1.0 §2.2, Char: what no document can carry, escaped or not. A text column holds no surrogates.
_NO_CHARACTER: Final = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x{FFFE}\x{FFFF}]"

_DECIMAL: Final = r"\A[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\z"
_INTEGER: Final = r"\A[+-]?[0-9]+\z"
_LEAP: Final = r"(?:[1-9][0-9]*)?(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_YEAR: Final = r"(?:[1-9][0-9]{3,}|0[0-9]{3})"
_DAY: Final = (
    rf"-?(?:{_YEAR}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31))"
    rf"|-?{_LEAP}-02-29"
)
_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
_CLOCK: Final = r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?|24:00:00(?:\.0+)?)"
_NO_YEAR: Final = r"\A-?0000-"  # XML Schema 1.0 has no year nought; 1.1 would allow it
_LEXICAL: Final = {
    Primitive.DECIMAL: ("decimal-invalid", _DECIMAL, "1234.50"),
    Primitive.INTEGER: ("integer-invalid", _INTEGER, "0–9"),
    Primitive.BOOLEAN: ("pattern-mismatch", r"\A(?:true|false|1|0)\z", "true | false"),
    Primitive.DATE: ("date-invalid", rf"\A(?:{_DAY}){_ZONE}\z", "yyyy-MM-dd"),
    Primitive.DATE_TIME: ("date-invalid", rf"\A(?:{_DAY})T{_CLOCK}{_ZONE}\z", "yyyy-MM-ddTHH:mm:ss"),
}
_NUMBERS: Final = {Primitive.DECIMAL, Primitive.INTEGER}
_DATES: Final = {Primitive.DATE, Primitive.DATE_TIME}


def forbidden_characters(value: pl.Expr) -> ProblemExpr:
    """The check that every text must pass before it can stand in any XML document."""
    return ProblemExpr(code="character-forbidden", when=value.str.contains(_NO_CHARACTER), expected="XML 1.0")


def without_blanks(kind: SimpleType, value: pl.Expr) -> pl.Expr:
    """``value`` after the blank treatment of ``kind``: what a schema processor hands to an application."""
    match kind.white_space:
        case WhiteSpace.PRESERVE:
            return value
        case WhiteSpace.REPLACE:
            return value.str.replace_all(r"[\t\n\r]", " ")
        case WhiteSpace.COLLAPSE:
            return value.str.replace_all(r"[ \t\n\r]+", " ").str.strip_chars(" ")


def facet_checks(kind: SimpleType, value: pl.Expr) -> tuple[ProblemExpr, ...]:
    """What ``value``, a text column, must pass to be of ``kind``; a null passes everything.

    A value that is no value of the kind at all is told once: the facets behind it stay silent.
    """
    seen = without_blanks(kind, value)
    if kind.primitive is Primitive.UNION:
        return (_union(kind, value),)
    if kind.primitive is Primitive.OTHER:
        return (_judged(kind, value, "pattern-mismatch"),)
    checks: list[ProblemExpr] = []
    if kind.primitive in _LEXICAL:
        code, pattern, expected = _LEXICAL[kind.primitive]
        # libxml2 takes no blanks around dates, although XML Schema would let it.
        legal = (value if kind.primitive in _DATES else seen).str.contains(pattern)
        if kind.primitive in _DATES:
            legal &= ~value.str.contains(_NO_YEAR)
        checks.append(ProblemExpr(code=code, when=~legal, expected=expected))
        value, seen = pl.when(legal).then(value), pl.when(legal).then(seen)
    if kind.primitive in _NUMBERS:
        checks += _number_checks(kind, seen)
    elif kind.bounds or (kind.enumeration and kind.primitive is not Primitive.STRING):
        checks.append(_judged(kind, value, "date-invalid" if kind.bounds else "code-unknown"))
    elif kind.enumeration:
        checks.append(_one_of(kind, seen))
    checks += _length_checks(kind, seen)
    checks += (_pattern_check(step, seen) for step in kind.patterns if not _implied(kind, step))
    return tuple(checks)


def _length_checks(kind: SimpleType, seen: pl.Expr) -> Iterator[ProblemExpr]:
    if kind.max_length is not None:
        yield ProblemExpr(code="too-long", when=seen.str.len_chars() > kind.max_length, expected=str(kind.max_length))
    if kind.min_length:
        yield ProblemExpr(code="too-short", when=seen.str.len_chars() < kind.min_length, expected=str(kind.min_length))


def _one_of(kind: SimpleType, seen: pl.Expr) -> ProblemExpr:
    allowed = pl.DataFrame({"allowed": list(kind.enumeration)}).select(without_blanks(kind, pl.col("allowed")))
    values = allowed.to_series().to_list()
    return ProblemExpr(code="code-unknown", when=~seen.is_in(values), expected=listed(values))


def _union(kind: SimpleType, value: pl.Expr) -> ProblemExpr:
    """A union's value is a value of one member; what the union itself adds is asked value by value."""
    when = reduce(_both, (_bad(member, without_blanks(member, value)) for member in kind.members))
    if kind.patterns or kind.enumeration:
        when = _either(when, _judged(kind, value, "").when)
    return ProblemExpr(code="pattern-mismatch", when=when, expected=_said(kind))


def _pattern_check(step: tuple[Pattern, ...], seen: pl.Expr) -> ProblemExpr:
    found = reduce(_either, (_matches(pattern, seen) for pattern in step))
    return ProblemExpr(code="pattern-mismatch", when=~found, expected=" | ".join(pattern.text for pattern in step))


def _matches(pattern: Pattern, seen: pl.Expr) -> pl.Expr:
    rust = to_rust(pattern.text)
    if rust is not None and _compiles(rust):
        return seen.str.contains(rust)
    return _each_value(seen, matches(pattern))


def _compiles(rust: str) -> bool:
    """Whether the column engine takes it: a legal expression may still be too large for its limits (``\\w{1,4000}``)."""
    try:
        pl.Series([""]).str.contains(rust)
    except pl.exceptions.ComputeError:
        return False
    return True


def _implied(kind: SimpleType, step: tuple[Pattern, ...]) -> bool:
    """xmlschema gives xs:integer a pattern of its own; the check of the kind has said that already."""
    return kind.primitive is Primitive.INTEGER and [pattern.text for pattern in step] == [r"[\-+]?[0-9]+"]


def _judged(kind: SimpleType, value: pl.Expr, code: str) -> ProblemExpr:
    return ProblemExpr(code=code, when=~_each_value(value, verdict(kind)), expected=_said(kind))


def _each_value(value: pl.Expr, judge: Callable[[str], bool]) -> pl.Expr:
    """``judge`` over a text column, asked once for each distinct value."""

    def over(column: pl.Series) -> pl.Series:
        distinct = column.drop_nulls().unique()
        answers = pl.Series([judge(text) for text in distinct], dtype=pl.Boolean)
        return column.replace_strict(distinct, answers, default=None, return_dtype=pl.Boolean)

    return value.map_batches(over, return_dtype=pl.Boolean, is_elementwise=True)


def _said(kind: SimpleType) -> str:
    """A kind as an expectation: what its facets say, or its name."""
    said = [f"{bound.sign} {bound.value}" for bound in kind.bounds]
    if kind.enumeration:
        said.append(listed(list(kind.enumeration)))
    return ", ".join(said) or kind.name or kind.builtin


def _bad(kind: SimpleType, value: pl.Expr) -> pl.Expr:
    return reduce(_either, (check.when for check in facet_checks(kind, value)), pl.lit(value=False))


def _either(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return one | other


def _both(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return one & other


@dataclass(frozen=True, slots=True, kw_only=True)
class _Number:
    """A decimal as its digits: leading zeros of the whole part and trailing ones of the fraction are gone."""

    negative: pl.Expr
    whole: pl.Expr
    fraction: pl.Expr


def _number_checks(kind: SimpleType, seen: pl.Expr) -> Iterator[ProblemExpr]:
    if (plain := _plain_number(kind)) is not None:
        # Nearly every number shows at a glance that it fits; only the others are taken apart.
        seen = pl.when(~seen.str.contains(plain)).then(seen)
    number = _number(seen)
    length = number.whole.str.len_bytes() + number.fraction.str.len_bytes()
    if kind.fraction_digits is not None and kind.primitive is Primitive.DECIMAL:
        too_precise = number.fraction.str.len_bytes() > kind.fraction_digits
        yield ProblemExpr(code="decimal-too-precise", when=too_precise, expected=str(kind.fraction_digits))
    if kind.total_digits is not None:
        too_long = length > kind.total_digits
        yield ProblemExpr(code="decimal-out-of-range", when=too_long, expected=f"< 10^{kind.total_digits}")
    for bound in kind.bounds:
        outside = ~_within(number, bound)
        yield ProblemExpr(code="decimal-out-of-range", when=outside, expected=f"{bound.sign} {bound.value}")
    if kind.enumeration:
        same = reduce(_either, (_order(number, value)[1] for value in kind.enumeration))
        yield ProblemExpr(code="code-unknown", when=~same, expected=listed(list(kind.enumeration)))


def _plain_number(kind: SimpleType) -> str | None:
    """A pattern that only numbers within every facet match; None where no such pattern is simple."""
    floor = all(bound.sign == "≥" and bound.value.strip("+0.") in {"", "-"} for bound in kind.bounds)
    if not floor or kind.enumeration:
        return None
    fraction = 0 if kind.primitive is Primitive.INTEGER else kind.fraction_digits
    if fraction is None:
        fraction = 0 if kind.total_digits is not None else 18
    whole = 18 if kind.total_digits is None else kind.total_digits - fraction
    if whole < 1:
        return None
    return rf"\A[0-9]{{1,{whole}}}(?:\.[0-9]{{1,{fraction}}})?\z" if fraction else rf"\A[0-9]{{1,{whole}}}\z"


def _number(text: pl.Expr) -> _Number:
    plain = text.str.strip_chars_start("+-")
    whole = plain.str.extract(r"\A([0-9]*)", 1).str.strip_chars_start("0")
    fraction = plain.str.extract(r"\A[0-9]*\.?([0-9]*)\z", 1).str.strip_chars_end("0")
    negative = text.str.starts_with("-") & ((whole != "") | (fraction != ""))
    return _Number(negative=negative, whole=whole, fraction=fraction)


def _within(number: _Number, bound: Bound) -> pl.Expr:
    less, same = _order(number, bound.value)
    match bound.sign:
        case "≥":
            return ~less
        case ">":
            return ~(less | same)
        case "≤":
            return less | same
        case _:
            return less


def _order(number: _Number, value: str) -> tuple[pl.Expr, pl.Expr]:
    """Whether ``number`` is less than, and whether it equals, the decimal written in ``value``."""
    plain = value.strip().lstrip("+-")
    whole, _, fraction = plain.partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    negative = value.strip().startswith("-") and bool(whole + fraction)
    length, digits = number.whole.str.len_bytes(), pl.concat_str(number.whole, number.fraction)
    # With whole parts of one length, digits compare like text: "12" < "125" as 12 < 12.5.
    smaller = (length < len(whole)) | ((length == len(whole)) & (digits < whole + fraction))
    equal = (length == len(whole)) & (digits == whole + fraction)
    if negative:
        return number.negative & ~smaller & ~equal, number.negative & equal
    return number.negative | smaller, ~number.negative & equal
