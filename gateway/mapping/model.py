"""What a source mapping is: for every catalog field the columns it comes from, the rules in order, and what an empty value means.

Values only; :mod:`gateway.mapping.loader` makes them from ``mappings/sources/*.toml`` and names every mistake in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

from gateway.catalog.model import Field, FieldType

__all__ = [
    "Compiled",
    "Empty",
    "EmptyPolicy",
    "FieldMapping",
    "ProblemExpr",
    "Rule",
    "RuleContext",
    "SourceMapping",
]


class EmptyPolicy(StrEnum):
    """The three answers to an empty value; none of them is a default."""

    REJECT = "reject"
    LEAVE = "leave"
    VALUE = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """What an empty value does: reject the record, leave the field empty, or put ``value`` (canonical text) there."""

    policy: EmptyPolicy
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the closed list by name, with its parameters as they stand in the text."""

    name: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMapping:
    """How one catalog field is made. ``columns`` is empty for a constant; several are brought together by the first rule."""

    field: str
    columns: tuple[str, ...]
    rules: tuple[Rule, ...]
    empty: Empty
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMapping:
    """One source's way into one catalog.

    ``headings`` are the exact ordered headings of the file that the mapping reads, when it is a known template: a source recognises
    the template by them. ``digest`` is the SHA-256, in hex, of the text that the mapping was loaded from.
    """

    id: str
    version: str
    zh: str
    en: str
    catalog: str
    fields: tuple[FieldMapping, ...]
    digest: str
    headings: tuple[str, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Every source column that the mapping reads, once, in the order of first use."""
        return tuple(dict.fromkeys(column for item in self.fields for column in item.columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleContext:
    """What a rule may know beside its value.

    ``type`` is the type of the incoming value. ``target`` is the catalog field at the end of a source's chain, or at the start of a
    format's (its scale bounds a decimal). ``columns`` are all incoming values, as text, for the rules that bring several columns
    together. ``crosswalks`` are the library's, by id. ``time_zone`` is where an instant becomes a calendar day.
    """

    type: FieldType = FieldType.TEXT
    target: Field | None = None
    columns: tuple[pl.Expr, ...] = ()
    crosswalks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    time_zone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemExpr:
    """One way for a value to be wrong: ``when`` is true (never null) on the rows that have the problem.

    ``expected`` says what a right value looks like, in words that serve in every language (``yyyy-MM-dd``, ``GB 32100-2015``).
    """

    code: str
    when: pl.Expr
    expected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A rule as expressions: the value after it (null = empty, or refused with a problem), its type, and its problems."""

    value: pl.Expr
    type: FieldType
    problems: tuple[ProblemExpr, ...] = ()
