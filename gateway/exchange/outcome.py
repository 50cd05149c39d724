"""What became of one attempt, as the sender may rely on it: the last rule of the exchange protocol (README).

Every ``why`` is a code with a sentence in ``gateway/texts/*/exchange.toml``. No outcome claims more than is known: whatever leaves
room for doubt about the peer having the package is :class:`Unknown`, and the receipt is asked for before anything is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from gateway.exchange.shown import NOTHING, Shown

__all__ = [
    "Acknowledged",
    "Later",
    "NeverReceived",
    "NotReady",
    "Outcome",
    "ReceiptAnswer",
    "Refused",
    "Taken",
    "Unknown",
    "reached",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The peer answered with receipt bytes. Opaque here: until ``package`` has checked them they prove nothing.

    ``stored`` is true when the peer had the package already and gave the receipt it had kept (status 200). ``shown`` came beside it.
    """

    receipt: bytes = field(repr=False)
    status: int
    stored: bool
    shown: Shown = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """202: the peer has the package and its receipt follows. Never send again; ask for the receipt after ``retry_after`` seconds.

    For the journal this is *unknown* with a friendly peer: what is missing is the receipt alone.
    """

    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The peer will not take these bytes, however often they come: a person is needed.

    ``code`` is the peer's problem code, or ``http-<status>`` when it gave none. ``detail`` is the peer's own sentence, cut to one
    printable line.
    """

    status: int
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The peer did not take the package now; the same bytes may succeed later.

    ``status`` is None when no answer came at all. ``retry_after`` are the seconds the peer asked for, already capped. ``code`` is the
    peer's problem code if it gave one; with ``sequence-gap``, ``expected`` is the sequence number that it waits for, with
    ``log-proof-wanted`` the size of our ledger that it wants a proof from.
    """

    why: str
    status: int | None = None
    retry_after: float | None = None
    code: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Bytes left and no usable answer came: the peer may or may not have the package."""

    why: str
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReady:
    """The peer has the package, its receipt is not made yet."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverReceived:
    """The peer says in so many words (404 with code ``unknown-batch``) that it never received the batch: send the same bytes."""


Outcome = Acknowledged | Taken | Refused | Later | Unknown
ReceiptAnswer = Acknowledged | NotReady | NeverReceived | Refused | Later | Unknown
"""Refused only where a refusal comes when it is asked for: by files. Over HTTP it is the answer to the sending."""


def reached(answer: Outcome | ReceiptAnswer) -> bool:
    """Whether the peer was there and gave a proper answer, be it a refusal; False when it could not be reached or failed as a machine:
    no connection, a time-out, a cut, 5xx, an answer that is none of the protocol's."""
    match answer:
        case Later(why="not-fetched"):
            return True  # nothing was asked of it: it comes by itself
        case Acknowledged() | Taken() | Refused() | NotReady() | NeverReceived():
            return True
        case Later(status=status) | Unknown(status=status):
            return status is not None and status // 100 == 4
        case _:
            assert_never(answer)
