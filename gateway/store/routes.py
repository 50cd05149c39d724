"""What stands in front on every route: the one batch that its receiver waits for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gateway.store.states import CLAIMABLE, PENDING, State
from gateway.store.tables import batch

__all__ = ["RouteHead", "heads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteHead:
    """A route with open work. ``batch_id`` is its pending batch of the lowest sequence number, None when nothing but receipts is left.

    ``due_at`` is when something can be done on it (an instant as text), None while a person is needed. ``answered``: a receipt waits to
    be reconciled.
    """

    route: str
    batch_id: str | None
    exchange: str | None
    state: State | None
    deadline: str | None
    due_at: str | None
    answered: bool


def heads(conn: Connection) -> list[RouteHead]:
    """Every route with open work, the most urgent first: earliest deadline, then what has waited longest."""
    first = (
        select(batch.c.route, func.min(batch.c.sequence).label("sequence"))
        .where(batch.c.state.in_([state.value for state in PENDING]))
        .group_by(batch.c.route)
        .subquery()
    )
    columns = (
        batch.c.route,
        batch.c.id,
        batch.c.exchange,
        batch.c.state,
        batch.c.deadline,
        batch.c.next_attempt_at,
        batch.c.lease_until,
    )
    pending = select(*columns).join(first, (batch.c.route == first.c.route) & (batch.c.sequence == first.c.sequence))
    # The number of an abandoned batch may be taken again by a void one.
    pending = pending.where(batch.c.state.in_([state.value for state in PENDING]))
    answered = set(conn.scalars(select(batch.c.route).where(batch.c.state == State.ACKNOWLEDGED.value).distinct()))
    found = [
        RouteHead(
            route=row.route,
            batch_id=row.id,
            exchange=row.exchange,
            state=State(row.state),
            deadline=row.deadline,
            due_at=_due_at(State(row.state), row.next_attempt_at, row.lease_until),
            answered=row.route in answered,
        )
        for row in conn.execute(pending)
    ]
    rest = answered - {head.route for head in found}
    found += [
        RouteHead(route=route, batch_id=None, exchange=None, state=None, deadline=None, due_at=None, answered=True)
        for route in sorted(rest)
    ]
    return sorted(found, key=lambda head: (head.deadline is None, head.deadline or "", head.due_at or "", head.route))


def _due_at(state: State, next_attempt_at: str, lease_until: str | None) -> str | None:
    """When the batch can be claimed: at its time and free; one cut off while sending as soon as its lease has ended."""
    if state not in CLAIMABLE:
        return None
    if state is State.SENDING:
        return lease_until or next_attempt_at
    return max(next_attempt_at, lease_until or "")
