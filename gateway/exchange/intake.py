"""What the receiving side's HTTP asks of the work behind it, and what that may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.exchange.problem import Problem
from gateway.exchange.shown import NOTHING, Shown

__all__ = ["Facts", "Intake", "Pending", "ProblemAnswer", "ReceiptTaken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptTaken:
    """The sealed receipt. ``new`` is true when the package was taken now (201), false when it had been before (200, stored bytes).

    ``shown`` goes beside it.
    """

    receipt: bytes = field(repr=False)
    new: bool
    shown: Shown = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The package is taken and safe, its receipt follows; ask again after ``retry_after`` seconds."""

    retry_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemAnswer:
    """No. With ``retry_after`` (seconds) when trying again is worth while: 429 and 503."""

    problem: Problem
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A JSON object."""

    body: Mapping[str, object]


class Intake(Protocol):
    """The work behind the receiver. ``caller`` is the code of a known node, ``batch_id`` a well-formed UUIDv7 in lower case.

    An exception becomes a bare 500; whatever the peer should know is an answer.
    """

    async def take(
        self, caller: str, batch_id: str, package: bytes, shown: Shown = NOTHING
    ) -> ReceiptTaken | Pending | ProblemAnswer:
        """Take a package. It comes whole or not at all; it may come many times, and at the same time. The answer is given only after
        package, records and receipt are durable. Goes on when the caller hangs up meanwhile. ``shown`` came beside the package.
        """
        ...

    async def receipt(self, caller: str, batch_id: str) -> ReceiptTaken | Pending | ProblemAnswer:
        """The stored receipt of a batch that ``caller`` sent; ``unknown-batch`` also for a batch of somebody else."""
        ...

    async def node(self, caller: str) -> Mapping[str, object]:
        """What we say of ourselves, see :meth:`gateway.exchange.port.NodeInfo.to_json`."""
        ...

    async def digests(
        self, caller: str, sender: str, catalog: str, receiver: str, prefix: str
    ) -> Facts | ProblemAnswer:
        """Digests of the records held for a route; ``prefix`` is "" for all buckets or lower-case hex of a key's SHA-256."""
        ...
