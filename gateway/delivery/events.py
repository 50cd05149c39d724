"""What happens to a batch (events), and what has to be done about it (effects): the words of :mod:`gateway.delivery.core`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.exchange.outcome import Outcome, ReceiptAnswer

__all__ = [
    "Abandoned",
    "Accept",
    "Ask",
    "AskVoided",
    "Disputed",
    "Due",
    "Effect",
    "EnterDispute",
    "Event",
    "Finding",
    "KeepRefused",
    "LeaseEnded",
    "Overtaken",
    "QuestionEnded",
    "ReceiptCame",
    "Retried",
    "SealVoid",
    "Send",
    "SendEnded",
    "Settle",
    "Settled",
    "Stopped",
    "Tell",
]


# Events: what happened.


@dataclass(frozen=True, slots=True)
class Due:
    """The batch was claimed: its time has come, and nobody else has it."""


@dataclass(frozen=True, slots=True)
class SendEnded:
    """A sending came to its end. ``Acknowledged`` stands for a receipt that was checked and holds, and for nothing less."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class QuestionEnded:
    """A question for the receipt came to its end; ``Acknowledged`` as with :class:`SendEnded`."""

    answer: ReceiptAnswer


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """Whoever was sending is gone, and nobody knows how far it came."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """This process stops while bytes are under way, or a question is."""


class Finding(StrEnum):
    """What a receipt that holds is, beside the one that the batch may have already."""

    FIRST = "first"
    SAME = "same"
    CONTRADICTS = "contradicts"  # other bytes


@dataclass(frozen=True, slots=True)
class ReceiptCame:
    """A receipt that holds came by another way: from a file, by hand, at the end of a sending that was given up."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class Settled:
    """Every outcome of the receipt is applied: commit C."""


@dataclass(frozen=True, slots=True)
class Disputed:
    """The receipt's figures cannot be those of the batch; ``code`` says in what."""

    code: str


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The receiver has the very batch that this void one stands for, as its receipt proves: the number is taken."""


@dataclass(frozen=True, slots=True)
class Retried:
    """A person orders another try now: of what waits, and of what was refused or given up."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A person gives the batch up."""


Event = (
    Due
    | SendEnded
    | QuestionEnded
    | LeaseEnded
    | Stopped
    | ReceiptCame
    | Settled
    | Disputed
    | Overtaken
    | Retried
    | Abandoned
)


# Effects: what has to be done, in the transaction that writes the new standing or after it.


@dataclass(frozen=True, slots=True)
class Send:
    """Make an attempt: the identical bytes, its row durable before the first of them leaves."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the receiver for the receipt, before anything is sent again."""


@dataclass(frozen=True, slots=True)
class AskVoided:
    """The receiver is past the number of this void batch: ask it for the receipt of the batch that was given up."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Store the receipt as the batch's own. ``late``: it was not the answer to a sending."""

    late: bool


@dataclass(frozen=True, slots=True)
class KeepRefused:
    """Keep the receipt's bytes as evidence, under ``code``; it decides nothing."""

    code: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Apply the stored receipt: commit C is due."""


@dataclass(frozen=True, slots=True)
class EnterDispute:
    """Enter ``batch.disputed`` with this code into the ledger, in the same transaction."""

    code: str


@dataclass(frozen=True, slots=True)
class SealVoid:
    """Release the batch's records, enter ``batch.abandoned``, and seal a void batch under its number."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell a person: nothing more happens to the batch by itself. ``code`` says why."""

    code: str


Effect = Send | Ask | AskVoided | Accept | KeepRefused | Settle | EnterDispute | SealVoid | Tell
