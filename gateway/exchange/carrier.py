"""What a transport asks of the shape that a receiver wants its files in: how a sealed batch becomes files, and what its answer says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.exchange.recorder import Told

__all__ = ["Answered", "Carried", "Carrier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One file of a batch. ``keys`` are its records in the order of their rows; ``answer`` is what the receiver's feedback on it is called,
    ``form`` the format that says so."""

    name: str
    data: bytes = field(repr=False)
    keys: Sequence[str] = field(repr=False)
    answer: str
    form: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What feedback on one file says: of each record, or with ``refused`` that the receiver will not take the file as a whole, and why."""

    told: Sequence[Told] = ()
    refused: str | None = None


class Carrier(Protocol):
    """Unpacks sealed batches into a receiver's files. Pure: the same package gives the same files."""

    def carry(self, package: bytes) -> Sequence[Carried]:
        """The files. Raises GatewayError when the batch cannot stand in such files: then no attempt will help."""
        ...

    def read(self, carried: Carried, feedback: bytes) -> Answered:
        """What the feedback on a file says. Raises GatewayError when it cannot be feedback on that file."""
        ...
