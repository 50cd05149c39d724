"""Rules for amounts and counts. Decimals are read digit by digit from their text and never pass through a binary fraction.

Nothing is rounded: an amount with more digits after the point than its field has is a problem, not a smaller amount.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import polars as pl

from gateway.catalog.model import FieldType
from gateway.mapping.model import Compiled, ProblemExpr, RuleContext
from gateway.mapping.rule_kind import Parameter, ParameterKind, Parameters, RuleKind
from gateway.mapping.rules_text import FULL_WIDTH_DIGITS, HALF_WIDTH_DIGITS, WHITE_SPACE

__all__ = ["DIGITS", "NUMBER_RULES", "plain_decimal"]

DIGITS: Final = 38  # what pl.Decimal carries

# ".5" is how Oracle writes one half; "5." and "+5" are written by nobody. Commas only where thousands end.
_DECIMAL: Final = r"^-?(?:(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]+)?|\.[0-9]+)$"
_SHIFT: Final = 4  # 一万 = 10⁴


def plain_decimal(value: pl.Expr, scale: int) -> pl.Expr:
    """A decimal column as its canonical text: no exponent, no zeros at the end of the fraction (``0.2``, ``12``)."""
    text = value.cast(pl.String)
    return text.str.strip_chars_end("0").str.strip_chars_end(".") if scale else text


def _decimal(value: pl.Expr, parameters: Parameters, context: RuleContext) -> Compiled:
    return _read(value, 0, parameters, context)


def _yuan_to_wanyuan(value: pl.Expr, parameters: Parameters, context: RuleContext) -> Compiled:
    return _read(value, _SHIFT, parameters, context)


def _read(value: pl.Expr, shift: int, parameters: Parameters, context: RuleContext) -> Compiled:
    """Text to ``pl.Decimal(38, scale)``, the point moved ``shift`` places to the left."""
    scale = _scale(parameters, context)
    text = value.str.strip_chars(WHITE_SPACE).str.replace_many(
        [*FULL_WIDTH_DIGITS, "．", "，", "－"], [*HALF_WIDTH_DIGITS, ".", ",", "-"]
    )
    well_formed = text.str.contains(_DECIMAL)
    plain = text.str.replace_all(",", "", literal=True)
    too_precise = _finer_than(plain, scale - shift)
    # Room is left for the digits that the shift needs on its way, so that nothing overflows into a wrong amount.
    most = DIGITS - scale - 2 * shift
    too_large = plain.str.contains(rf"^-?0*[1-9]\d{{{most},}}(?:\.|$)")
    fits = well_formed & ~too_precise & ~too_large
    kept = pl.when(fits).then(plain).cast(pl.Decimal(DIGITS, scale + shift))
    if shift:
        kept = (kept * pl.lit(Decimal(1).scaleb(-shift))).cast(pl.Decimal(DIGITS, scale))
    return Compiled(
        value=kept,
        type=FieldType.DECIMAL,
        problems=(
            ProblemExpr(code="decimal-invalid", when=_true(~well_formed), expected="1234.50"),
            ProblemExpr(
                code="decimal-too-precise", when=_true(well_formed & too_precise), expected=_places(scale - shift)
            ),
            ProblemExpr(code="decimal-out-of-range", when=_true(well_formed & too_large), expected=f"< 10^{most}"),
        ),
    )


def _finer_than(plain: pl.Expr, places: int) -> pl.Expr:
    """Whether a plain number has a digit other than 0 beyond ``places`` after the point (before it, when negative)."""
    if places >= 0:
        return plain.str.contains(rf"\.\d{{{places}}}\d*[1-9]")
    return ~plain.str.contains(rf"^-?(?:\d*0{{{-places}}}|0*)(?:\.0*)?$")


def _places(places: int) -> str:
    return str(places) if places >= 0 else f"× 10^{-places}"


def _integer(value: pl.Expr, _parameters: Parameters, _context: RuleContext) -> Compiled:
    text = value.str.strip_chars(WHITE_SPACE).str.replace_many([*FULL_WIDTH_DIGITS, "－"], [*HALF_WIDTH_DIGITS, "-"])
    read = text.str.extract(r"^-?[0-9]+$", 0).cast(pl.Int64, strict=False)
    wrong = value.is_not_null() & read.is_null()
    return Compiled(
        value=read, type=FieldType.INTEGER, problems=(ProblemExpr(code="integer-invalid", when=wrong, expected="0–9"),)
    )


def _write_decimal(value: pl.Expr, parameters: Parameters, context: RuleContext) -> Compiled:
    scale = _scale(Parameters({}), context)
    text = value.cast(pl.Decimal(DIGITS, scale)).cast(pl.String)
    places = parameters.count("digits")
    whole = text.str.extract(r"^(-?\d+)", 1)
    fraction = text.str.extract(r"\.(\d+)$", 1).fill_null("").str.strip_chars_end("0")
    too_precise = fraction.str.len_bytes() > places
    written = pl.concat_str(whole, pl.lit("."), fraction.str.pad_end(places, "0")) if places else whole
    return Compiled(
        value=pl.when(~too_precise).then(written),
        type=FieldType.TEXT,
        problems=(ProblemExpr(code="decimal-too-precise", when=_true(too_precise), expected=str(places)),),
    )


def _scale(parameters: Parameters, context: RuleContext) -> int:
    if "scale" in parameters:
        return parameters.count("scale")
    if context.target is not None and context.target.scale is not None:
        return context.target.scale
    raise ValueError("a decimal needs a scale: from its field or as a parameter")


def _true(condition: pl.Expr) -> pl.Expr:
    """A condition that is false where it cannot be told."""
    return condition.fill_null(value=False)


_SCALE: Final = {"scale": Parameter(kind=ParameterKind.COUNT)}

NUMBER_RULES: Final = (
    RuleKind(name="decimal", compile=_decimal, gives=FieldType.DECIMAL, parameters=_SCALE),
    RuleKind(name="yuan-to-wanyuan", compile=_yuan_to_wanyuan, gives=FieldType.DECIMAL, parameters=_SCALE),
    RuleKind(name="integer", compile=_integer, gives=FieldType.INTEGER),
    RuleKind(
        name="write-decimal",
        compile=_write_decimal,
        takes=frozenset({FieldType.DECIMAL}),
        parameters={"digits": Parameter(kind=ParameterKind.COUNT, required=True)},
    ),
)
