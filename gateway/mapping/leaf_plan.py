"""One leaf's way out and back: the catalog's value as the text that stands in the document, and that text read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from gateway.catalog.model import Catalog, Field, FieldType
from gateway.mapping.canonical import canonical_text
from gateway.mapping.facets import facet_checks, without_blanks
from gateway.mapping.format_model import BatchFact
from gateway.mapping.model import Compiled, ProblemExpr, RuleContext
from gateway.mapping.outline import Slot
from gateway.mapping.rules import compile_rules
from gateway.mapping.rules_codes import listed
from gateway.mapping.rules_text import filled_or_null
from gateway.mapping.way_back import reading_rules
from gateway.mapping.xsd_types import Primitive

__all__ = ["LeafPlan", "batch_column", "compile_leaf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafPlan:
    """A leaf compiled. ``written`` makes its text from the canonical columns; ``checks`` judge that text, which then
    stands in ``column``, against the schema; ``read`` makes the canonical value from the text, None for a constant.
    """

    slot: Slot
    field: Field | None
    written: Compiled
    checks: tuple[ProblemExpr, ...]
    read: Compiled | None

    @property
    def column(self) -> str:
        """The name of the column that holds the leaf's text."""
        return text_column(self.slot)

    @property
    def target(self) -> str:
        """The leaf's place as people write it."""
        return self.slot.leaf.target


def text_column(slot: Slot) -> str:
    """Where the text of ``slot`` stands, beside columns that are named like catalog fields."""
    return f"@text:{slot.index}"


def batch_column(fact: BatchFact) -> str:
    """Where a fact of the batch stands, beside columns that are named like catalog fields."""
    return f"@batch:{fact}"


def compile_leaf(slot: Slot, catalog: Catalog, crosswalks: Mapping[str, Mapping[str, str]]) -> LeafPlan:
    """The plan of ``slot``. Its rules were read by the loader: rules that do not fit each other raise ValueError."""
    field = None if slot.leaf.field is None else catalog.field(slot.leaf.field)
    text = pl.col(text_column(slot))
    return LeafPlan(
        slot=slot,
        field=field,
        written=_written(slot, field, crosswalks),
        checks=(*facet_checks(slot.type, text), *_fixed(slot, text)),
        read=None if field is None else _read(slot, field, text, crosswalks),
    )


def _written(slot: Slot, field: Field | None, crosswalks: Mapping[str, Mapping[str, str]]) -> Compiled:
    if field is None and slot.leaf.batch is not None:
        kind = slot.leaf.batch.type
        fact = pl.col(batch_column(slot.leaf.batch))
        written = compile_rules(slot.leaf.rules, fact, RuleContext(type=kind, crosswalks=crosswalks))
        return replace(written, value=written.value.cast(pl.String))
    if field is None:
        return compile_rules(slot.leaf.rules, pl.lit(None, dtype=pl.String), RuleContext(crosswalks=crosswalks))
    value = pl.col(field.name)
    if not slot.leaf.rules:
        return Compiled(value=canonical_text(value, field), type=FieldType.TEXT)
    return compile_rules(slot.leaf.rules, value, RuleContext(type=field.type, target=field, crosswalks=crosswalks))


def _fixed(slot: Slot, text: pl.Expr) -> tuple[ProblemExpr, ...]:
    """A fixed value is the only one (compared as text: the narrower reading of Part 1 §3.3.4)."""
    if slot.fixed is None:
        return ()
    return (ProblemExpr(code="code-unknown", when=text != slot.fixed, expected=listed([slot.fixed])),)


def _read(slot: Slot, field: Field, text: pl.Expr, crosswalks: Mapping[str, Mapping[str, str]]) -> Compiled:
    seen = without_blanks(slot.type, text)
    if slot.type.primitive in {Primitive.DECIMAL, Primitive.INTEGER}:
        # "+5" and "5." are numbers to XML Schema; nobody else writes them.
        seen = seen.str.strip_prefix("+").str.strip_suffix(".")
    rules = reading_rules(slot.leaf.rules, field, crosswalks)
    return compile_rules(rules, filled_or_null(seen), RuleContext(target=field, crosswalks=crosswalks))
