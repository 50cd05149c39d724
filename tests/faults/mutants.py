"""Deliberately broken builds: each breaks one rule, and the checker has to find it under the invariant that the rule serves."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["FOUND_AS", "Mutant"]


class Mutant(StrEnum):
    """A rule that is broken."""

    RESENT_UNASKED = "resent-unasked"
    """In doubt the batch goes out again without a question, and the receiver takes it as often as it comes."""
    FENCE_IGNORED = "fence-ignored"
    """A worker that wakes after its lease writes what it thinks."""
    NUMBER_REUSED = "number-reused"
    """The number of a batch that was given up goes to the next ordinary batch."""
    NUMBER_SKIPPED = "number-skipped"
    """A batch that was given up leaves a hole."""
    VOID_WAITS = "void-waits"
    """Nobody asks whether the batch that was given up had arrived after all."""
    SETTLED_TWICE = "settled-twice"
    """Commit C does not look whether it was made already."""
    LEDGER_AFTERWARDS = "ledger-afterwards"
    """The entry follows in a transaction of its own."""
    ANSWERED_BEFORE_STORED = "answered-before-stored"
    """The receiver gives its receipt first and stores afterwards."""
    MARKED_BEFORE_STORED = "marked-before-stored"
    """The batch counts as acknowledged before its receipt is stored."""
    RECEIPT_BELIEVED = "receipt-believed"
    """Any receipt that comes is taken for one that holds."""
    GIVEN_UP_FOR_GOOD = "given-up-for-good"
    """A batch that was tried often enough is closed, and its records with it."""
    NOT_RELEASED = "not-released"
    """The records of a batch that a person gave up stay with it."""
    SHARED_BEFORE_SEALED = "shared-before-sealed"
    """Records are marked as shared in a transaction before the one that stores their batch."""
    SEALED_AGAIN = "sealed-again"
    """Every attempt seals anew: other bytes under the same id."""
    OVERTAKING = "overtaking"
    """Any batch that is due may leave, and the receiver does not look at numbers."""
    SIGNED_BEFORE_COMMITTED = "signed-before-committed"
    """A checkpoint is signed over entries whose transaction may still fail."""
    CLOCK_BELIEVED = "clock-believed"
    """A time that was written before the clock was set back is waited for."""
    LEASE_FOR_EVER = "lease-for-ever"
    """A lease does not end when its holder is gone."""


FOUND_AS = {
    Mutant.RESENT_UNASKED: "I1",
    Mutant.GIVEN_UP_FOR_GOOD: "I1",
    Mutant.NOT_RELEASED: "I1",
    Mutant.SHARED_BEFORE_SEALED: "I1",
    Mutant.ANSWERED_BEFORE_STORED: "I2",
    Mutant.RECEIPT_BELIEVED: "I2",
    Mutant.MARKED_BEFORE_STORED: "I2",
    Mutant.FENCE_IGNORED: "I3",
    Mutant.SETTLED_TWICE: "I3",
    Mutant.LEDGER_AFTERWARDS: "I3",
    Mutant.SIGNED_BEFORE_COMMITTED: "I4",
    Mutant.NUMBER_REUSED: "I5",
    Mutant.OVERTAKING: "I5",
    Mutant.NUMBER_SKIPPED: "I6",
    Mutant.VOID_WAITS: "I6",
    Mutant.SEALED_AGAIN: "I6",
    Mutant.LEASE_FOR_EVER: "I6",
    Mutant.CLOCK_BELIEVED: "I6",
}
"""The invariant under which each is found, among others perhaps."""
