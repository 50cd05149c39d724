"""What can be wrong with a record: the closed list of codes, the frame that carries problems, and how a problem is told.

A problem never holds the value itself, only its class (``18 chars, digits and letters``): problems are printed, logged and handed back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import polars as pl

from gateway.catalog.model import Catalog, FieldType
from gateway.texts import DEFAULT_LANGUAGE, fix_text, say_text

__all__ = ["CODES", "PROBLEMS", "class_text", "no_problems", "problem_fix", "problem_text", "value_class"]

PROBLEMS: Final[pl.Schema] = pl.Schema(
    {
        "@row": pl.String,
        "@key": pl.String,
        "field": pl.String,  # catalog field; "" when the record as a whole is meant
        "source": pl.String,  # local column(s) or the target's name; "" when none
        "code": pl.String,
        "weight": pl.String,  # reject | notice
        "value_class": pl.String,
        "expected": pl.String,
    }
)

CODES: Final = frozenset(
    {
        "required-missing",
        "must-be-empty",
        "too-long",
        "too-short",
        "date-invalid",
        "decimal-invalid",
        "decimal-too-precise",
        "decimal-out-of-range",
        "integer-invalid",
        "code-unknown",
        "code-not-in-force",
        "identifier-invalid",
        "placeholder-code",
        "order-violated",
        "same-text",
        "publicity-out-of-regime",
        "character-forbidden",
        "pattern-mismatch",
        "key-missing",
        "key-duplicate",
        "key-personal",
        "key-of-another-sender",
        "column-unreadable",
        "schema-violation",
        "version-conflict",
        "row-malformed",
        "element-unexpected",
        "element-not-taken",
        "key-mismatch",
        "rows-disagree",
        "rows-few",
        "rows-many",
        "template-none",
        "template-several",
    }
)

_DIGIT = "[0-9０-９]"
_LETTER = "[A-Za-zＡ-Ｚａ-ｚ]"
_CJK = r"\p{Han}"
_OTHER = rf"[^0-9０-９A-Za-zＡ-Ｚａ-ｚ{_CJK}]"


def no_problems() -> pl.DataFrame:
    """An empty frame of :data:`PROBLEMS`."""
    return pl.DataFrame(schema=PROBLEMS)


def value_class(value: pl.Expr, kind: FieldType = FieldType.TEXT) -> pl.Expr:
    """The class of a value, never the value itself.

    ``empty``, ``7 chars, CJK``, ``18 chars, digits and letters``, ``date``, ``number, 5 digits``: a date shows only that it is
    one, a number how many digits it has. ``value`` holds what ``kind`` says.
    """
    match kind:
        case FieldType.TEXT:
            digit, letter, cjk = (value.str.contains(pattern) for pattern in (_DIGIT, _LETTER, _CJK))
            other = value.str.contains(_OTHER)
            only = ~other
            kinds = (
                pl.when(only & digit & ~letter & ~cjk)
                .then(pl.lit("digits"))
                .when(only & letter & ~digit & ~cjk)
                .then(pl.lit("letters"))
                .when(only & digit & letter & ~cjk)
                .then(pl.lit("digits and letters"))
                .when(only & cjk & ~digit & ~letter)
                .then(pl.lit("CJK"))
                .when(other & ~digit & ~letter & ~cjk)
                .then(pl.lit("signs"))
                .otherwise(pl.lit("mixed"))
            )
            shown = pl.concat_str(value.str.len_chars(), pl.lit(" chars, "), kinds)
            filled = value.str.len_bytes() > 0
        case FieldType.DATE:
            shown, filled = pl.lit("date"), value.is_not_null()
        case FieldType.DECIMAL | FieldType.INTEGER:
            digits = value.cast(pl.String).str.replace_all(r"\D", "").str.len_chars()
            shown, filled = pl.concat_str(pl.lit("number, "), digits, pl.lit(" digits")), value.is_not_null()
    return pl.when(filled).then(shown).otherwise(pl.lit("empty"))


def problem_text(problem: Mapping[str, str | None], catalog: Catalog, language: str = DEFAULT_LANGUAGE) -> str:
    """One row of a :data:`PROBLEMS` frame as a sentence that can be handed back to the unit.

    Labels of fields are in ``language``; the value itself is never told.
    """
    return say_text(_sentence(problem), language, _facts(problem, catalog, language))


def problem_fix(problem: Mapping[str, str | None], catalog: Catalog, language: str = DEFAULT_LANGUAGE) -> str:
    """What the unit should do about the problem; empty when nothing more is to be said."""
    return fix_text(_sentence(problem), language, _facts(problem, catalog, language))


def _sentence(problem: Mapping[str, str | None]) -> str:
    """The sentence's code: what is required only under conditions, or always, is said in different words."""
    code = problem["code"] or ""
    conditional = {"required-missing": "required-missing-when", "placeholder-code": "placeholder-code-when"}
    return conditional.get(code, code) if problem["expected"] else code


def _facts(problem: Mapping[str, str | None], catalog: Catalog, language: str) -> dict[str, str]:
    labels = {item.name: item.zh if language == DEFAULT_LANGUAGE else item.en for item in catalog.fields}
    field, source = problem["field"] or "", problem["source"] or ""
    return {
        "field": labels.get(field, field) or source,
        "source": source or labels.get(field, field),
        "expected": _expected_text(problem["expected"] or "", labels, language),
        "value_class": class_text(problem["value_class"] or "", language),
    }


def _expected_text(expected: str, labels: Mapping[str, str], language: str) -> str:
    """An expectation that names fields and signs (``subject_kind = 自然人``) with labels and words."""
    words = {
        "≠ ∅": say_text("sign-filled", language, {}),
        "= ∅": say_text("sign-empty", language, {}),
        "∋": say_text("sign-has", language, {}),
        " & ": say_text("sign-and", language, {}),
        " | ": say_text("sign-or", language, {}),
    }
    named = re.sub(r"[a-z][a-z_]+", lambda found: labels.get(found[0], found[0]), expected)
    for sign, word in words.items():
        named = named.replace(sign, word)
    return named


def class_text(described: str, language: str) -> str:
    """A value class in ``language``; it is written once, in plain English, and its words stand in the texts."""
    if found := re.fullmatch(r"(\d+) chars, (.+)", described):
        kinds = say_text(f"class-{found[2].replace(' ', '-').lower()}", language, {})
        return say_text("class-text", language, {"count": found[1], "kinds": kinds})
    if found := re.fullmatch(r"number, (\d+) digits", described):
        return say_text("class-number", language, {"count": found[1]})
    return say_text(f"class-{described}", language, {}) if described else ""
