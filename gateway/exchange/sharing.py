"""What a peer may ask for beside sending: later feedback on what it sent, and the packages that we share with it. The work behind the HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gateway.exchange.intake import Facts, ProblemAnswer
from gateway.exchange.shown import NOTHING, Shown

__all__ = ["Given", "NothingNew", "Sharing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A sealed document; ``shown`` goes beside it."""

    data: bytes = field(repr=False)
    shown: Shown = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingNew:
    """There is nothing behind what the caller has (204)."""


class Sharing(Protocol):
    """``caller`` is the code of a known node. An exception becomes a bare 500; whatever the peer should know is an answer."""

    async def feedback(
        self, caller: str, sender: str, catalog: str, receiver: str, after: int
    ) -> Given | NothingNew | ProblemAnswer:
        """Feedback on a route of the caller's own, behind number ``after``."""
        ...

    async def listed(self, caller: str, catalog: str, after: int, limit: int) -> Facts | ProblemAnswer:
        """The batches of ``catalog`` that are shared with the caller, behind sequence number ``after``, oldest first."""
        ...

    async def package(self, caller: str, batch_id: str, held: int | None) -> Given | ProblemAnswer:
        """One such batch; ``held`` is the size of our ledger that the caller knows."""
        ...

    async def take_receipt(self, caller: str, batch_id: str, receipt: bytes, shown: Shown) -> Facts | ProblemAnswer:
        """The caller's receipt for one such batch; it may come many times."""
        ...
