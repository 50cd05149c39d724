"""Between the journal and the core: a batch's row as a standing, and what the core made of it back into the row."""

from __future__ import annotations

from gateway.clock import instant, parse_instant
from gateway.delivery.core import Retry, Standing
from gateway.store import batches
from gateway.store.batches import Batch
from gateway.store.database import Connection
from gateway.store.states import CLAIMABLE, State

__all__ = ["standing_of", "write_standing"]


def standing_of(batch: Batch, retry: Retry, *, state: State | None = None) -> Standing:
    """Where the batch stands; ``state`` in place of the row's own (a claim has changed that already)."""
    state = batch.state if state is None else state
    made_at = parse_instant(batch.created_at)
    return Standing(
        state=state,
        made_at=made_at,
        give_up_at=made_at + retry.give_up_after if batch.give_up_at is None else parse_instant(batch.give_up_at),
        attempts=batch.attempts,
        asks=batch.asks,
        sequence=batch.sequence,
        void=batch.void_of is not None,
        next_at=parse_instant(batch.next_attempt_at) if state in CLAIMABLE - {State.SENDING} else None,
    )


def write_standing(
    conn: Connection,
    batch_id: str,
    before: Standing,
    after: Standing,
    *,
    at: str,
    fence: int | None = None,
    person: str | None = None,
    reason: str | None = None,
) -> None:
    """Write what the core decided into the batch's row, under ``fence`` where a worker decided, without one where a person did.

    A person's new time to give up is written too; numbers of sendings and questions are counted where they begin. Raises StoreError
    ``fence-lost``, ``transition-illegal`` and what :func:`gateway.store.batches.move` raises.
    """
    due = None if after.next_at is None else instant(after.next_at)
    if after.state is not before.state:
        batches.move(conn, batch_id, after.state, at=at, fence=fence, next_attempt_at=due, person=person, reason=reason)
    elif due is not None and (fence is not None or after.next_at != before.next_at):
        batches.put_off(conn, batch_id, next_attempt_at=due, fence=fence)
    if after.give_up_at != before.give_up_at:
        batches.renew(conn, batch_id, give_up_at=instant(after.give_up_at))
