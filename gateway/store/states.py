"""The states of a batch and the only ways from one to another.

``sending`` means: bytes may have left. Whoever finds a batch in it without a living lease knows nothing and must ask the receiver.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from gateway.errors import StoreError

__all__ = ["CLAIMABLE", "CLAIMED", "FINAL", "OPEN", "PENDING", "TRANSITIONS", "State", "check_transition"]


class State(StrEnum):
    """Where a batch stands."""

    READY = "ready"  # sealed and stored, no byte has left
    SENDING = "sending"  # an attempt is under way under a lease
    WAITING = "waiting"  # the receiver did not take it now; try later
    UNKNOWN = "unknown"  # bytes left, no usable answer: ask for the receipt before sending again
    REFUSED = "refused"  # not taken as things stand, or given up after too many tries: a person is needed
    ACKNOWLEDGED = "acknowledged"  # a checked receipt is stored, its outcomes are not applied yet
    RECONCILED = "reconciled"  # outcomes, statement and ledger entry are written
    DISPUTED = "disputed"  # the figures do not balance, or receipts contradict each other
    ABANDONED = "abandoned"  # given up by a person, with a reason; its records are due again


TRANSITIONS: Mapping[State, frozenset[State]] = {
    # Never `acknowledged`: no byte has left, so a receipt cannot be about this batch.
    State.READY: frozenset({State.SENDING, State.ABANDONED}),
    # Not `abandoned`: a person waits for the attempt, or for its lease to end, and then decides on what is known.
    State.SENDING: frozenset({State.ACKNOWLEDGED, State.WAITING, State.UNKNOWN, State.REFUSED}),
    # `acknowledged` from here and from the next two: a receipt that comes late still counts. `disputed` from here and from `refused`:
    # a void batch whose number the receiver had filled, with the batch that was given up.
    State.WAITING: frozenset({State.SENDING, State.ACKNOWLEDGED, State.DISPUTED, State.ABANDONED}),
    # `sending`: the receiver said that it never received the batch. `refused`: asked too often or for too long, given up until a
    # person looks.
    State.UNKNOWN: frozenset({State.SENDING, State.REFUSED, State.ACKNOWLEDGED, State.ABANDONED}),
    # `waiting`: a person mended the cause (a certificate, a permission) and orders another try of the same bytes.
    State.REFUSED: frozenset({State.WAITING, State.ACKNOWLEDGED, State.DISPUTED, State.ABANDONED}),
    State.ACKNOWLEDGED: frozenset({State.RECONCILED, State.DISPUTED}),
    State.RECONCILED: frozenset(),
    State.DISPUTED: frozenset(),
    State.ABANDONED: frozenset(),
}

FINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)
OPEN = frozenset(State) - FINAL

# No receipt yet: the receiver still waits for this sequence number, so nothing after it on the route may leave.
PENDING = frozenset({State.READY, State.SENDING, State.WAITING, State.UNKNOWN, State.REFUSED})
CLAIMABLE = PENDING - {State.REFUSED}

# What a claim makes of a batch. Whoever sent it last under a lease that ended cannot be asked any more; the receiver can.
CLAIMED: Mapping[State, State] = {
    State.READY: State.SENDING,
    State.WAITING: State.SENDING,
    State.UNKNOWN: State.UNKNOWN,
    State.SENDING: State.UNKNOWN,
}


def check_transition(batch_id: str, here: State, to: State) -> None:
    """Raises StoreError ``transition-illegal`` unless the table allows ``here`` → ``to``."""
    if to not in TRANSITIONS[here]:
        raise StoreError("transition-illegal", batch=batch_id, state=here.value, to=to.value)
