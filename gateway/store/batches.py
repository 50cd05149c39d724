"""Batches: sealed once, numbered without a gap on their route, moved only along the table of states.

Whoever works on a batch holds a claim: a lease that ends by itself, and a fence, a number that grows with every claim. Every write of
a worker names its fence, so one that slept past its lease and wakes up changes nothing: the order of fences decides, never a clock.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from gateway.clock import instant, parse_instant
from gateway.errors import StoreError
from gateway.store.states import CLAIMABLE, CLAIMED, FINAL, OPEN, PENDING, State, check_transition
from gateway.store.tables import attempt, batch, package, receipt

__all__ = [
    "Batch",
    "Claim",
    "NewBatch",
    "add_batch",
    "claim",
    "count_ask",
    "count_by_state",
    "end_leases",
    "extend_lease",
    "find_batch",
    "find_package",
    "has_package",
    "laid_out",
    "last_answered",
    "list_batches",
    "lock",
    "move",
    "next_in_route",
    "of_run",
    "open_batches",
    "package_bytes",
    "put_off",
    "renew",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A sealed batch as it enters the journal. Digests and roots are 64 hex digits; ``checkpoint`` is ours as it stands in the batch.

    ``void_of`` names the abandoned batch whose sequence number this one takes, so that the route has no hole. ``deadline`` is the day
    by which the most urgent of its records has to be there.
    """

    id: str
    exchange: str
    route: str
    sequence: int
    previous_id: str | None
    run_id: str
    total: int
    upsert: int
    withdraw: int
    stop_share: int
    record_root: str
    mapping_digest: str
    format: str
    package_sha256: str
    manifest_sha256: str
    signer_key_id: str
    checkpoint: str
    created_at: str
    next_attempt_at: str
    give_up_at: str | None = None
    void_of: str | None = None
    deadline: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(NewBatch):
    """A batch as the journal knows it: what was sealed, and what became of it since."""

    state: State
    attempts: int
    asks: int
    fence: int
    lease_owner: str | None
    lease_until: str | None
    closed_at: str | None
    person: str | None
    reason: str | None
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on a batch until ``lease_until``.

    ``found`` is where the claim found it, ``state`` where it left it: ``sending`` (send now) or ``unknown`` (ask the receiver for the
    receipt first).
    """

    batch_id: str
    route: str
    sequence: int
    fence: int
    found: State
    state: State
    lease_until: str


def next_in_route(conn: Connection, route: str) -> tuple[int, str | None]:
    """The next sequence number of a route and the id of the batch before it (1 and None on a new route).

    Raises StoreError ``route-has-hole`` while an abandoned batch has no void batch in its place: the receiver would wait for ever.
    """
    hole = _hole(conn, route)
    if hole is not None:
        raise StoreError("route-has-hole", route=route, sequence=hole)
    query = select(batch.c.sequence, batch.c.id).where(batch.c.route == route, batch.c.state != State.ABANDONED.value)
    last = conn.execute(query.order_by(batch.c.sequence.desc()).limit(1)).one_or_none()
    return (1, None) if last is None else (last.sequence + 1, last.id)


def _hole(conn: Connection, route: str) -> int | None:
    """The lowest sequence number of the route that was abandoned and not taken again."""
    other = batch.alias("other")
    taken = exists().where(
        other.c.route == batch.c.route, other.c.sequence == batch.c.sequence, other.c.state != State.ABANDONED.value
    )
    query = select(func.min(batch.c.sequence)).where(
        batch.c.route == route, batch.c.state == State.ABANDONED.value, ~taken
    )
    hole: int | None = conn.scalar(query)
    return hole


def add_batch(conn: Connection, new: NewBatch, data: bytes) -> None:
    """Store a sealed batch, ``ready``, with the exact bytes that every attempt will send. Before any network call.

    Raises StoreError: ``package-differs`` when the bytes are not those of ``package_sha256``, ``sequence-wrong`` when the number is
    neither the route's next nor that of the abandoned batch which ``void_of`` names.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != new.package_sha256:
        raise StoreError("package-differs", batch=new.id, expected=new.package_sha256, found=found)
    expected = next_in_route(conn, new.route)[0] if new.void_of is None else _voided(conn, new.void_of, new.route)
    if new.sequence != expected:
        raise StoreError("sequence-wrong", route=new.route, expected=expected, found=new.sequence)
    values = {item.name: getattr(new, item.name) for item in fields(new)}
    conn.execute(insert(batch).values(**values, state=State.READY.value, attempts=0, fence=0))
    conn.execute(insert(package).values(batch_id=new.id, data=data))


def _voided(conn: Connection, batch_id: str, route: str) -> int | None:
    query = select(batch.c.sequence).where(
        batch.c.id == batch_id, batch.c.route == route, batch.c.state == State.ABANDONED.value
    )
    return conn.scalar(query)


def find_batch(conn: Connection, batch_id: str) -> Batch | None:
    """The batch with this id."""
    return next(iter(_load(conn, select(batch).where(batch.c.id == batch_id))), None)


def lock(conn: Connection, batch_id: str) -> Batch:
    """The batch as it stands; nobody else moves it until this transaction ends. Raises StoreError ``batch-missing``."""
    return _batch(_row(conn, batch_id))


def package_bytes(conn: Connection, batch_id: str) -> bytes:
    """The package exactly as sealed. Raises StoreError ``batch-missing``, ``package-erased`` after its time."""
    data = find_package(conn, batch_id)
    if data is None:
        known = conn.scalar(select(batch.c.id).where(batch.c.id == batch_id))
        raise StoreError("batch-missing" if known is None else "package-erased", batch=batch_id)
    return data


def find_package(conn: Connection, batch_id: str) -> bytes | None:
    """The package exactly as sealed; None when there is no such batch, or its package was erased."""
    data = conn.scalar(select(package.c.data).where(package.c.batch_id == batch_id))
    return None if data is None else bytes(data)


def has_package(conn: Connection, batch_id: str) -> bool:
    """Whether the package of a batch is still kept."""
    return bool(conn.scalar(select(exists().where(package.c.batch_id == batch_id))))


def last_answered(conn: Connection, route: str) -> int:
    """The highest sequence number of the route that the receiver has given a receipt for; 0 before the first."""
    query = select(func.max(batch.c.sequence)).join(receipt, receipt.c.batch_id == batch.c.id)
    return conn.scalar(query.where(batch.c.route == route)) or 0


def laid_out(conn: Connection, route: str, *, after: int, limit: int) -> list[Batch]:
    """The batches of a route that its receiver may fetch, behind sequence number ``after``, oldest first: none that no attempt was made
    of, none that was given up or is disputed, none whose bytes were erased."""
    states = [state.value for state in State if state not in {State.READY, State.ABANDONED, State.DISPUTED}]
    query = select(batch).join(package, package.c.batch_id == batch.c.id)
    query = query.where(batch.c.route == route, batch.c.sequence > after, batch.c.state.in_(states))
    return _load(conn, query.where(func.length(package.c.data) > 0).order_by(batch.c.sequence).limit(limit))


def open_batches(conn: Connection, *, exchange: str | None = None, route: str | None = None) -> list[Batch]:
    """The batches that are neither reconciled nor disputed nor abandoned, route by route in the order of their sequence."""
    query = _of(select(batch), exchange, route).where(batch.c.state.in_([state.value for state in OPEN]))
    return _load(conn, query.order_by(batch.c.route, batch.c.sequence))


def list_batches(
    conn: Connection,
    *,
    exchange: str | None = None,
    route: str | None = None,
    states: Iterable[State] = State,
    limit: int,
) -> list[Batch]:
    """Batches in any of ``states``, newest first."""
    query = _of(select(batch), exchange, route).where(batch.c.state.in_([state.value for state in states]))
    return _load(conn, query.order_by(batch.c.created_at.desc(), batch.c.id.desc()).limit(limit))


def of_run(conn: Connection, run_id: str) -> list[Batch]:
    """The batches that a run sealed, in the order of their sequence."""
    return _load(conn, select(batch).where(batch.c.run_id == run_id).order_by(batch.c.route, batch.c.sequence))


def count_by_state(conn: Connection, exchange: str | None = None) -> Mapping[State, int]:
    """How many batches stand in each state."""
    query = _of(select(batch.c.state, func.count()), exchange, None).group_by(batch.c.state)
    return {State(state): count for state, count in conn.execute(query)}


def _of(query: Select[Any], exchange: str | None, route: str | None) -> Select[Any]:
    if exchange is not None:
        query = query.where(batch.c.exchange == exchange)
    if route is not None:
        query = query.where(batch.c.route == route)
    return query


def _load(conn: Connection, query: Select[Any]) -> list[Batch]:
    return [_batch(row) for row in conn.execute(query)]


def _batch(row: Row[Any]) -> Batch:
    words = dict(row._mapping)
    return Batch(**(words | {"state": State(row.state), "figures": json.loads(row.figures or "{}")}))


def claim(
    conn: Connection,
    *,
    owner: str,
    at: str,
    lease_seconds: float,
    route: str | None = None,
    batch_id: str | None = None,
    longest_pause: float = math.inf,
) -> Claim | None:
    """Claim the batch of ``route`` (or ``batch_id``, if it is that one) that the receiver waits for, when it is due and free.

    Only the pending batch with the lowest sequence number is ever given out: nothing overtakes. ``ready`` and ``waiting`` become
    ``sending``; ``unknown`` stays; ``sending`` under a lease that has ended becomes ``unknown``, its attempt closed as such. Commit
    before the first byte leaves. None when nothing is due, or another holds it, or a person is needed.

    A time that is further away than ``longest_pause`` seconds, or than two leases, was written before the clock was stepped back: it
    holds nobody up. Two workers at once would still be told apart by their fences.
    """
    if (route is None) == (batch_id is None):
        raise ValueError("either a route or a batch")
    if route is None:
        route = conn.scalar(select(batch.c.route).where(batch.c.id == batch_id))
    first = (
        select(batch.c.id)
        .where(batch.c.route == route, batch.c.state.in_([state.value for state in PENDING]))
        .order_by(batch.c.sequence)
        .limit(1)
        .scalar_subquery()
    )
    # Skipping a locked row must not lead to the next one: the subquery has picked the only candidate.
    row = conn.execute(select(batch).where(batch.c.id == first).with_for_update(skip_locked=True)).one_or_none()
    if row is None or (batch_id is not None and row.id != batch_id):
        return None
    if not _free(row, at, lease_seconds, longest_pause):
        return None
    here = State(row.state)
    to = CLAIMED[here]
    if to is not here:
        check_transition(row.id, here, to)
    if here is State.SENDING:
        _end_open_attempt(conn, row.id, at)
    until = _after(at, lease_seconds)
    changed = conn.execute(
        update(batch)
        .where(batch.c.id == row.id, batch.c.fence == row.fence)
        .values(state=to.value, fence=row.fence + 1, lease_owner=owner, lease_until=until)
    )
    if changed.rowcount != 1:
        return None
    return Claim(
        batch_id=row.id,
        route=row.route,
        sequence=row.sequence,
        fence=row.fence + 1,
        found=here,
        state=to,
        lease_until=until,
    )


def _free(row: Row[Any], at: str, lease_seconds: float, longest_pause: float) -> bool:
    state = State(row.state)
    leased = row.lease_until is not None and at < row.lease_until <= _after(at, 2 * lease_seconds)
    # A batch that was cut off while sending is due at once, whatever its timetable says.
    due = state is State.SENDING or not at < row.next_attempt_at <= _after(at, longest_pause)
    return state in CLAIMABLE and not leased and due


def _end_open_attempt(conn: Connection, batch_id: str, at: str) -> None:
    conn.execute(
        update(attempt)
        .where(attempt.c.batch_id == batch_id, attempt.c.ended_at.is_(None))
        .values(ended_at=at, outcome="unknown", code="lease-ended")
    )


def end_leases(conn: Connection, *, at: str) -> int:
    """End every lease: whoever held one is gone. Returns how many batches were being sent; they are ``unknown`` and due now.

    For the one process that holds the state folder's lock, before it does anything else. Where several daemons share a database
    nobody knows that another is dead: there leases end by themselves.
    """
    cut = conn.scalars(select(batch.c.id).where(batch.c.state == State.SENDING.value)).all()
    for batch_id in cut:
        _end_open_attempt(conn, batch_id, at)
        move(conn, batch_id, State.UNKNOWN, at=at)
    conn.execute(
        update(batch)
        .where(batch.c.lease_owner.is_not(None))
        .values(fence=batch.c.fence + 1, lease_owner=None, lease_until=None)
    )
    return len(cut)


def count_ask(conn: Connection, batch_id: str, *, fence: int) -> None:
    """Write down that the receipt is about to be asked for. Raises StoreError ``fence-lost``."""
    _write_fenced(conn, batch_id, fence, {"asks": batch.c.asks + 1})


def renew(conn: Connection, batch_id: str, *, give_up_at: str) -> None:
    """A person's word that it is worth while: the time to give up is set anew, questions are counted from nothing."""
    row = _row(conn, batch_id)
    _write_fenced(conn, batch_id, row.fence, {"give_up_at": give_up_at, "asks": 0})


def _after(at: str, seconds: float) -> str:
    """``seconds`` after ``at``, or the end of time."""
    try:
        return instant(parse_instant(at) + timedelta(seconds=seconds))
    except OverflowError:
        return instant(datetime.max.replace(tzinfo=UTC))


def extend_lease(conn: Connection, batch_id: str, *, fence: int, at: str, lease_seconds: float) -> None:
    """Keep a claim for longer. Raises StoreError ``fence-lost`` when another has the batch by now."""
    _write_fenced(conn, batch_id, fence, {"lease_until": _after(at, lease_seconds)}, batch.c.lease_owner.is_not(None))


def put_off(conn: Connection, batch_id: str, *, next_attempt_at: str, fence: int | None = None) -> None:
    """Set when a batch is due next, in the state it is in.

    With a ``fence`` a worker gives its claim back so (the receiver was asked and has no receipt yet); without, a person orders
    another time (now, for example). Raises StoreError: ``fence-lost``, ``batch-missing``, ``put-off-illegal`` when the batch is not
    ready, waiting or unknown.
    """
    row = _row(conn, batch_id)
    if State(row.state) not in CLAIMABLE - {State.SENDING}:
        raise StoreError("put-off-illegal", batch=batch_id, state=row.state)
    values: dict[str, Any] = {"next_attempt_at": next_attempt_at}
    if fence is not None:
        values |= {"lease_owner": None, "lease_until": None}
    _write_fenced(conn, batch_id, row.fence if fence is None else fence, values)


def move(
    conn: Connection,
    batch_id: str,
    to: State,
    *,
    at: str,
    fence: int | None = None,
    next_attempt_at: str | None = None,
    person: str | None = None,
    reason: str | None = None,
    figures: Mapping[str, Any] | None = None,
) -> State:
    """Move a batch to another state; returns the state it was in.

    A worker names its ``fence``. Without one (a person, a receipt that came by another way) the fence grows, so that whoever works on
    the batch now is stopped at its next write. Any state but ``sending`` ends the lease. ``next_attempt_at`` is for ``waiting`` and
    ``unknown``; without it the batch is due at once. ``abandoned`` needs a person and a reason.

    Raises StoreError: ``batch-missing``, ``transition-illegal``, ``fence-lost``, ``abandon-unexplained``.
    """
    row = _row(conn, batch_id)
    here = State(row.state)
    if fence is not None and fence != row.fence:
        raise StoreError("fence-lost", batch=batch_id)
    check_transition(batch_id, here, to)
    if to is State.ABANDONED and not (person and reason):
        raise StoreError("abandon-unexplained", batch=batch_id)
    values: dict[str, Any] = {"state": to.value}
    if fence is None:
        values["fence"] = row.fence + 1
    if to is not State.SENDING:
        values |= {"lease_owner": None, "lease_until": None}
    if to in {State.WAITING, State.UNKNOWN}:
        values["next_attempt_at"] = next_attempt_at or at
    if to in FINAL:
        values["closed_at"] = at
    if person is not None or reason is not None:
        values |= {"person": person, "reason": reason}
    if figures is not None:
        values["figures"] = json.dumps(dict(figures), ensure_ascii=False)
    _write_fenced(conn, batch_id, row.fence, values, batch.c.state == here.value)
    return here


def _row(conn: Connection, batch_id: str) -> Row[Any]:
    row = conn.execute(select(batch).where(batch.c.id == batch_id).with_for_update()).one_or_none()
    if row is None:
        raise StoreError("batch-missing", batch=batch_id)
    return row


def _write_fenced(
    conn: Connection, batch_id: str, fence: int, values: Mapping[str, Any], *conditions: ColumnElement[bool]
) -> None:
    changed = conn.execute(
        update(batch).where(batch.c.id == batch_id, batch.c.fence == fence, *conditions).values(**values)
    )
    if changed.rowcount != 1:
        raise StoreError("fence-lost", batch=batch_id)
