"""Which parts of a document stand in a record, as column expressions, and what is missing where they stand.

An optional element or group stands when one of the fields bound in it is filled; then everything that the schema
demands in it must be filled too. Of a choice exactly one branch may be filled, and none only where the choice is
optional. Constants never make a part stand: they go along with it. What is repeated is filled when it has rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add, or_

import polars as pl

from gateway.mapping.format_model import WhenEmpty
from gateway.mapping.model import ProblemExpr
from gateway.mapping.outline import Cluster, Node, Rows, Slot
from gateway.mapping.schema import Model

__all__ = ["Gap", "count_column", "filled", "gaps", "stands"]


def count_column(part: str) -> str:
    """Where the number of rows of ``part`` stands, 0 for none."""
    return f"@count:{part}"


def filled(part: Node | Cluster | Rows, values: Mapping[int, pl.Expr]) -> pl.Expr:
    """Whether a field bound in or below ``part`` is filled; true throughout when only constants are bound there."""
    bound = [values[slot.index].is_not_null() for slot in part.slots() if slot.leaf.field is not None]
    bound += [pl.col(count_column(rows.part)) > 0 for rows in part.rows()]
    return reduce(or_, bound) if bound else pl.lit(value=True)


def stands(part: Node | Cluster | Rows, values: Mapping[int, pl.Expr]) -> pl.Expr | None:
    """Whether ``part`` is written where its parent is; None means always."""
    if part.required and not isinstance(part, Rows):
        return None
    if isinstance(part, Node) and any(slot.leaf.when_empty is WhenEmpty.BLANK for slot in part.own()):
        return None
    return filled(part, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One thing that may be missing or too much. ``slot`` is the leaf that it is told on, ``named`` the place, or the
    places of which one is wanted.
    """

    slot: Slot
    named: str
    problem: ProblemExpr


def gaps(part: Node | Cluster, values: Mapping[int, pl.Expr], scope: pl.Expr | None = None) -> Iterator[Gap]:
    """What may be wrong with the presence of leaves in ``part``; ``scope`` is true on the records in which it stands."""
    if isinstance(part, Node):
        for slot in part.own():
            demanded = slot.leaf.when_empty is WhenEmpty.REJECT or (slot.required and not slot.blank_is_nil)
            if slot.leaf.field is not None and demanded:
                when = _within(scope, values[slot.index].is_null())
                problem = ProblemExpr(code="required-missing", when=when)
                yield Gap(slot=slot, named=slot.leaf.target, problem=problem)
    elif part.model is Model.CHOICE:
        yield from _choice(part, values, scope)
    for member in part.members:
        if isinstance(member, Rows):
            yield from _counted(member, scope, chosen=_chosen(part))
            continue
        # One branch of a choice stands when it is filled, whatever the schema says of its members one by one.
        there = filled(member, values) if _chosen(part) else stands(member, values)
        yield from gaps(member, values, scope if there is None else _within(scope, there))


def _counted(rows: Rows, scope: pl.Expr | None, *, chosen: bool) -> Iterator[Gap]:
    """Too few rows, or too many."""
    told = next(rows.leaves(), None)
    if told is None:
        return
    count = pl.col(count_column(rows.part))
    if rows.least and not chosen:
        missing = ProblemExpr(code="required-missing", when=_within(scope, count == 0))
        yield Gap(slot=told, named=told.leaf.target, problem=missing)
    if rows.least > 1:
        few = ProblemExpr(
            code="rows-few", when=_within(scope, (count > 0) & (count < rows.least)), expected=str(rows.least)
        )
        yield Gap(slot=told, named=told.leaf.target, problem=few)
    # Of a choice the branches are counted together.
    if rows.most is not None and not chosen:
        many = ProblemExpr(code="rows-many", when=_within(scope, count > rows.most), expected=str(rows.most))
        yield Gap(slot=told, named=told.leaf.target, problem=many)


def _choice(part: Cluster, values: Mapping[int, pl.Expr], scope: pl.Expr | None) -> Iterator[Gap]:
    told = next(part.leaves(), None)
    if told is None:
        return
    branches = [next(member.leaves()).leaf.target for member in part.members]
    named = " | ".join(branches)
    count = reduce(add, (_times(member, part.most, values) for member in part.members))
    if part.least > 1:
        few = ProblemExpr(
            code="rows-few", when=_within(scope, (count > 0) & (count < part.least)), expected=str(part.least)
        )
        yield Gap(slot=told, named=named, problem=few)
    if part.most is not None:
        several = ProblemExpr(code="schema-violation", when=_within(scope, count > part.most), expected=named)
        yield Gap(slot=told, named=branches[0], problem=several)
    if part.required:
        yield Gap(slot=told, named=named, problem=ProblemExpr(code="required-missing", when=_within(scope, count == 0)))


def _times(member: Node | Cluster | Rows, most: int | None, values: Mapping[int, pl.Expr]) -> pl.Expr:
    """How many times a branch of a choice that may be taken ``most`` times is taken."""
    if isinstance(member, Rows) and member.most is not None and most is not None:
        each = member.most // most
        return (pl.col(count_column(member.part)).cast(pl.UInt32) + (each - 1)) // each
    return filled(member, values).cast(pl.UInt32)


def _chosen(part: Node | Cluster) -> bool:
    return isinstance(part, Cluster) and part.model is Model.CHOICE


def _within(scope: pl.Expr | None, when: pl.Expr) -> pl.Expr:
    return when if scope is None else scope & when
