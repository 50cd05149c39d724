"""The tail: nothing shows from a log alone that its end was not cut off. A checkpoint that somebody else kept does, up to its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.evidence.integrity import Integrity
from gateway.evidence.notes import Claimed
from gateway.ledger.report import Discrepancies

__all__ = ["judge_tail"]


def judge_tail(
    integrity: Integrity,
    held: Sequence[Claimed],
    believes: Callable[[Claimed], bool],
    found: Discrepancies,
    *,
    until: str,
) -> int:
    """Hold the log against the checkpoints ``held`` by others; ``until`` is the time that its end claims or is stamped with.

    Returns the size up to which one of them vouches for the log. A held checkpoint counts when a key that was to be believed signed it;
    a log that is shorter or on another history is then a contradiction.
    """
    proved = 0
    for claimed in held:
        size = claimed.checkpoint.size
        if not believes(claimed):
            found.add("evidence-held-unsigned", expected=claimed.place, found=size, contradicts=False)
        elif size > integrity.size:
            found.add(
                "evidence-tail-cut", index=integrity.size, expected=f"{claimed.place} {size}", found=integrity.size
            )
        elif integrity.on_history(claimed) is False:
            root = claimed.checkpoint.root.hex()
            found.add("evidence-held-differs", expected=f"{claimed.place} {size} {root}", found=size)
        elif integrity.on_history(claimed):
            proved = max(proved, size)
    if not proved:
        found.add(
            "evidence-tail-unproved", index=integrity.size, expected=integrity.size, found=until, contradicts=False
        )
    return proved
