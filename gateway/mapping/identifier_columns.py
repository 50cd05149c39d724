"""The check digits of :mod:`gateway.catalog.identifiers` as column expressions: the same verdict, some million values a second.

A value is read as an array of its bytes, each byte turned into its place in the standard's alphabet by subtraction, and multiplied by
the standard's weights. The form is held by a pattern first, so that only values of one byte a character get that far.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, assert_never

import polars as pl

from gateway.catalog.identifiers import (
    ORGANISATION_ALPHABET,
    ORGANISATION_CHECKS,
    ORGANISATION_WEIGHTS,
    RESIDENT_CENTURIES,
    RESIDENT_CHECKS,
    RESIDENT_PROVINCES,
    RESIDENT_WEIGHTS,
    USCC_ALPHABET,
    USCC_WEIGHTS,
)
from gateway.catalog.model import Identifier

__all__ = ["STANDARDS", "is_valid"]

STANDARDS: Final = {
    Identifier.USCC: "GB 32100-2015",
    Identifier.ORGANISATION: "GB 11714-1997",
    Identifier.RESIDENT: "GB 11643-1999",
    Identifier.REGISTRATION: "GS15-2006",
}

_DIGITS: Final = "0123456789"


def is_valid(kind: Identifier, value: pl.Expr) -> pl.Expr:
    """Whether a text column satisfies the identifier rule ``kind``; false, never null, where there is no value."""
    return _verdict(kind, value).fill_null(value=False)


def _verdict(kind: Identifier, value: pl.Expr) -> pl.Expr:
    match kind:
        case Identifier.USCC:
            return _uscc(value)
        case Identifier.ORGANISATION:
            return _organisation(value)
        case Identifier.RESIDENT:
            return _resident(value)
        case Identifier.REGISTRATION:
            return _registration(value)
        case _:
            assert_never(kind)


def _uscc(value: pl.Expr) -> pl.Expr:
    form = value.str.contains(f"^[{USCC_ALPHABET}]{{2}}[0-9]{{6}}[{USCC_ALPHABET}]{{10}}$")
    # C = -Σ mod 31, so the sum over all eighteen with weight 1 for the check character is 0 mod 31.
    return form & (_weighted(form, value, USCC_ALPHABET, (*USCC_WEIGHTS, 1)) % 31 == 0)


def _organisation(value: pl.Expr) -> pl.Expr:
    form = value.str.contains(f"^[{ORGANISATION_ALPHABET}]{{8}}[0-9X]$")
    total = _weighted(form, value, ORGANISATION_ALPHABET, (*ORGANISATION_WEIGHTS, 0))
    return form & _ends_with(value, total, ORGANISATION_CHECKS)


def _resident(value: pl.Expr) -> pl.Expr:
    provinces, centuries = "|".join(RESIDENT_PROVINCES), "|".join(RESIDENT_CENTURIES)
    form = value.str.contains(f"^(?:{provinces})[0-9]{{4}}(?:{centuries})[0-9]{{9}}[0-9X]$")
    born = pl.when(form).then(value).str.slice(6, 8).str.to_date("%Y%m%d", strict=False)
    total = _weighted(form, value, _DIGITS, (*RESIDENT_WEIGHTS, 0))
    return form & born.is_not_null() & _ends_with(value, total, RESIDENT_CHECKS)


def _registration(value: pl.Expr) -> pl.Expr:
    form = value.str.contains("^[0-9]{15}$")
    number = pl.when(form).then(value).cast(pl.Int64)
    # ISO 7064 MOD 11,10, digit by digit from the left; (x - 1) mod 10 + 1 is x mod 10 with 10 for 0.
    product = pl.lit(10, dtype=pl.Int64)
    for place in range(14, 0, -1):
        digit = (number // 10**place) % 10
        product = (((product + digit - 1) % 10 + 1) * 2) % 11
    return form & ((11 - product) % 10 == number % 10)


def _weighted(form: pl.Expr, value: pl.Expr, alphabet: str, weights: Sequence[int]) -> pl.Expr:
    """The weighted sum of the characters' places in ``alphabet``; null where the form is wrong."""
    width = len(weights)
    characters = pl.when(form).then(value).cast(pl.Binary).bin.reinterpret(dtype=pl.Array(pl.UInt8, width))
    factors = pl.lit(pl.Series([list(weights)], dtype=pl.Array(pl.Int32, width)))
    return (characters.arr.eval(_places(alphabet)) * factors).arr.sum()


def _places(alphabet: str) -> pl.Expr:
    """The byte of an ASCII character as its place in an ascending alphabet: what the alphabet leaves out is subtracted."""
    byte = pl.element().cast(pl.Int32)
    place = byte - ord(alphabet[0])
    for before, after in pairwise(alphabet):
        if (gap := ord(after) - ord(before) - 1) > 0:
            place = place - (byte > ord(before)).cast(pl.Int32) * gap
    return place


def _ends_with(value: pl.Expr, total: pl.Expr, checks: str) -> pl.Expr:
    """Whether the last character is the one that ``checks`` gives for the sum mod 11."""
    expected = (total % 11).replace_strict(list(range(11)), list(checks), default=None, return_dtype=pl.String)
    return value.str.tail(1) == expected
