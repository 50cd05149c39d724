"""Which parts of a document stand in a record, as column expressions, and what is missing where they stand.

An optional element or group stands when one of the fields bound in it is filled; then everything that the schema
demands in it must be filled too. Of a choice exactly one branch may be filled, and none only where the choice is
optional. Constants never make a part stand: they go along with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, or_

import polars as pl

from gateway.mapping.format_model import WhenEmpty
from gateway.mapping.model import ProblemExpr
from gateway.mapping.outline import Cluster, Node, Slot
from gateway.mapping.schema import Model

__all__ = ["Gap", "filled", "gaps", "stands"]


def filled(part: Node | Cluster, values: Sequence[pl.Expr]) -> pl.Expr:
    """Whether a field bound in or below ``part`` is filled; true throughout when only constants are bound there."""
    bound = [values[slot.index].is_not_null() for slot in part.slots() if slot.leaf.field is not None]
    return reduce(or_, bound) if bound else pl.lit(value=True)


def stands(part: Node | Cluster, values: Sequence[pl.Expr]) -> pl.Expr | None:
    """Whether ``part`` is written where its parent is; None means always."""
    if part.required:
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


def gaps(part: Node | Cluster, values: Sequence[pl.Expr], scope: pl.Expr | None = None) -> Iterator[Gap]:
    """What may be wrong with the presence of leaves in ``part``; ``scope`` is true on the records in which it stands."""
    if isinstance(part, Node):
        for slot in part.own():
            if slot.leaf.field is not None and (slot.required or slot.leaf.when_empty is WhenEmpty.REJECT):
                when = _within(scope, values[slot.index].is_null())
                problem = ProblemExpr(code="required-missing", when=when)
                yield Gap(slot=slot, named=slot.leaf.target, problem=problem)
    elif part.model is Model.CHOICE:
        yield from _choice(part, values, scope)
    for member in part.members:
        # One branch of a choice stands when it is filled, whatever the schema says of its members one by one.
        there = filled(member, values) if _chosen(part) else stands(member, values)
        yield from gaps(member, values, scope if there is None else _within(scope, there))


def _choice(part: Cluster, values: Sequence[pl.Expr], scope: pl.Expr | None) -> Iterator[Gap]:
    told = next(part.slots(), None)
    if told is None:
        return
    branches = [next(member.slots()).leaf.target for member in part.members]
    named = " | ".join(branches)
    count = reduce(add, (filled(member, values).cast(pl.UInt8) for member in part.members))
    several = ProblemExpr(code="schema-violation", when=_within(scope, count > 1), expected=named)
    yield Gap(slot=told, named=branches[0], problem=several)
    if part.required:
        yield Gap(slot=told, named=named, problem=ProblemExpr(code="required-missing", when=_within(scope, count == 0)))


def _chosen(part: Node | Cluster) -> bool:
    return isinstance(part, Cluster) and part.model is Model.CHOICE


def _within(scope: pl.Expr | None, when: pl.Expr) -> pl.Expr:
    return when if scope is None else scope & when
