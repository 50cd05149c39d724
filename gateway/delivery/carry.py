"""The carrier of any format whose documents are a receiver's own files: the batch says which format it is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.exchange.carrier import Answered, Carried
from gateway.package.batch import ParsedBatch, parse_batch
from gateway.package.container import open_package

__all__ = ["BatchCarrier", "FormatCarrier"]


class BatchCarrier(Protocol):
    """The carrier of one kind of format."""

    def files(self, batch: ParsedBatch) -> Sequence[Carried]:
        """The files of a batch. Raises GatewayError."""
        ...

    def read(self, carried: Carried, feedback: bytes) -> Answered:
        """What feedback says. Raises GatewayError."""
        ...


class FormatCarrier:
    """``carrier_of`` gives the carrier of a format by its id; it raises GatewayError where there is none."""

    def __init__(self, carrier_of: Callable[[str], BatchCarrier]) -> None:
        self._carrier_of = carrier_of

    def carry(self, package: bytes) -> Sequence[Carried]:
        """The files of a batch, as the carrier of its format makes them. Raises GatewayError."""
        batch = parse_batch(open_package(package).document)
        return self._carrier_of(batch.header.format.id).files(batch)

    def read(self, carried: Carried, feedback: bytes) -> Answered:
        """What the feedback on a file says. Raises GatewayError."""
        return self._carrier_of(carried.form).read(carried, feedback)
