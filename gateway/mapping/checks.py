"""What the catalog demands of its records, as column expressions over the canonical frame.

Every expression is true on the bad rows and never null; an empty value satisfies every check but being required. What a value shows
by itself (``own``) stands apart from what its row adds (``when``): a chunk holds far fewer values than rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, CrossRule, Field, FieldType, Weight
from gateway.catalog.publicity import Regime
from gateway.mapping.check_codes import not_in_force, unknown_codes
from gateway.mapping.conditions import all_hold, any_alternative, in_words, part_stands
from gateway.mapping.identifier_columns import STANDARDS, is_valid

__all__ = ["Check", "compile_checks"]

# What XML 1.0 cannot carry (controls, U+FFFE, U+FFFF), and what a wrong decoding leaves behind: the C1 controls, the private use
# areas (GB 18030-2022 characters read with the table of 2000), the replacement character, noncharacters. Tab and line ends stay.
_FORBIDDEN: Final = (
    r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F\x{E000}-\x{F8FF}\x{FDD0}-\x{FDEF}\x{FFFD}-\x{FFFF}"
    + "".join(rf"\x{{{plane:X}FFFE}}\x{{{plane:X}FFFF}}" for plane in range(1, 15))
    + r"\x{F0000}-\x{10FFFF}]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check, told on ``field``. It finds the rows where ``own`` (over the field's column alone) and ``when`` both hold.

    None holds everywhere; not both are None.
    """

    field: str
    code: str
    own: pl.Expr | None = None
    when: pl.Expr | None = None
    weight: Weight = Weight.REJECT
    expected: str = ""


def compile_checks(catalog: Catalog, library: Library) -> tuple[Check, ...]:
    """Every check of ``catalog``, in the order of its fields and then of its rules."""
    checks = [check for field in catalog.fields for check in _field_checks(field, catalog, library)]
    checks += [check for rule in catalog.rules for check in _rule_checks(rule, library)]
    return tuple(checks)


def _field_checks(field: Field, catalog: Catalog, library: Library) -> Iterator[Check]:
    yield from _presence_checks(field, catalog)
    match field.type:
        case FieldType.TEXT:
            yield from _text_checks(field, catalog, library)
        case FieldType.DECIMAL:
            yield _range_check(field)


def _presence_checks(field: Field, catalog: Catalog) -> Iterator[Check]:
    value = pl.col(field.name)
    missing = "key-missing" if field.name in catalog.key else "required-missing"
    # A row of the source that says nothing of a part leaves none of its fields out.
    absent = value.is_null() if field.part is None else value.is_null() & part_stands(field.part, catalog)
    if field.required:
        yield Check(field=field.name, code=missing, when=absent)
    elif field.required_when:
        when = absent & any_alternative(field.required_when, catalog)
        yield Check(field=field.name, code=missing, when=when, expected=in_words(field.required_when))
    if field.empty_when:
        when = value.is_not_null() & any_alternative(field.empty_when, catalog)
        yield Check(field=field.name, code="must-be-empty", when=when, expected=in_words(field.empty_when))


def _text_checks(field: Field, catalog: Catalog, library: Library) -> Iterator[Check]:
    name, value = field.name, pl.col(field.name)
    yield Check(field=name, code="character-forbidden", own=_false(value.str.contains(_FORBIDDEN)))
    if field.max_length is not None:
        own = _false(value.str.len_chars() > field.max_length)
        yield Check(field=name, code="too-long", own=own, expected=str(field.max_length))
    if field.codelist is not None:
        codes, decided_on = library.codelists[field.codelist], catalog.deadline.field
        own, expected = unknown_codes(field, codes)
        yield Check(field=name, code="code-unknown", own=own, expected=expected)
        if (timed := not_in_force(field, codes, decided_on)) is not None:
            yield Check(field=name, code="code-not-in-force", own=timed[0], when=timed[1], expected=decided_on)
    placeholder = pl.lit(value=False) if field.placeholder is None else _false(value == field.placeholder)
    if field.identifier is not None:
        own = value.is_not_null() & ~placeholder & ~is_valid(field.identifier, value)
        when = all_hold(field.identifier_when, catalog) if field.identifier_when else None
        expected = STANDARDS[field.identifier]
        yield Check(field=name, code="identifier-invalid", own=own, when=when, expected=expected)
    if field.placeholder_when:
        # A placeholder is a notice where the catalog allows it and a rejection elsewhere.
        allowed, said = all_hold(field.placeholder_when, catalog), in_words((field.placeholder_when,))
        yield Check(field=name, code="placeholder-code", own=placeholder, when=~allowed, expected=said)
        yield Check(
            field=name, code="placeholder-code", own=placeholder, when=allowed, expected=said, weight=Weight.NOTICE
        )
    elif field.placeholder is not None:
        yield Check(field=name, code="placeholder-code", own=placeholder)


def _range_check(field: Field) -> Check:
    """An amount is not negative and has no more digits before the point than its field."""
    value = pl.col(field.name)
    whole = (field.precision or 38) - (field.scale or 0)
    own = value < 0
    if whole + (field.scale or 0) < 38:
        own = own | (value >= pl.lit(10**whole))
    return Check(field=field.name, code="decimal-out-of-range", own=_false(own), expected=f"0 ≤ x < 10^{whole}")


def _rule_checks(rule: CrossRule, library: Library) -> Iterator[Check]:
    match rule.kind:
        case "order":
            yield from _order_checks(rule)
        case "differs":
            first, second = rule.fields
            when = _false(pl.col(first) == pl.col(second))
            yield Check(field=first, code="same-text", when=when, weight=rule.weight, expected=second)
        case "publicity":
            for regime in library.regimes:
                yield _publicity_check(rule, regime)
        case _:
            raise ValueError(f"no such kind of rule: {rule.kind}")


def _order_checks(rule: CrossRule) -> Iterator[Check]:
    """Each date is held against the nearest filled one before it."""
    for place in range(1, len(rule.fields)):
        later, before = rule.fields[place], rule.fields[:place]
        nearest = pl.coalesce([pl.col(name) for name in reversed(before)])
        yield Check(
            field=later,
            code="order-violated",
            when=_false(pl.col(later) < nearest),
            weight=rule.weight,
            expected=" ≤ ".join((*before, later)),
        )


def _publicity_check(rule: CrossRule, regime: Regime) -> Check:
    """The end of publication against the regime of the day of the decision, in months after it."""
    decided_on, until = (pl.col(name) for name in rule.fields)
    governed = decided_on >= regime.valid_from
    if regime.valid_to is not None:
        governed = governed & (decided_on <= regime.valid_to)
    early = until < decided_on.dt.offset_by(f"{regime.min_months}mo")
    late = until > decided_on.dt.offset_by(f"{regime.max_months}mo")
    match rule.parameters.get("limit"):
        case "latest":
            wrong, expected = late, f"≤ {regime.max_months}"
        case "earliest":
            wrong, expected = early, f"≥ {regime.min_months}"
        case _:
            wrong, expected = early | late, f"{regime.min_months}–{regime.max_months}"
    return Check(
        field=rule.fields[1],
        code="publicity-out-of-regime",
        when=_false(governed & wrong),
        weight=rule.weight,
        expected=expected,
    )


def _false(condition: pl.Expr) -> pl.Expr:
    """A condition that is false where it cannot be told."""
    return condition.fill_null(value=False)
