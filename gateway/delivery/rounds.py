"""Rounds to a peer that leaves files: what it sent is taken, and receipts are brought to the batches that wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from gateway.delivery.exchange import Peer
from gateway.delivery.send import Courier
from gateway.errors import ExchangeError, PackageError
from gateway.exchange.file_intake import FileIntake, Looked
from gateway.exchange.outcome import Acknowledged
from gateway.store import batches

__all__ = ["Arrival", "Arrivals", "Round", "Rounds"]

_log = structlog.get_logger()


class Arrival(Protocol):
    """A receipt, or what becomes one."""

    @property
    def batch_id(self) -> str:
        """The batch that it is for."""
        ...


class Arrivals(Protocol):
    """What can say which receipts came without being asked for."""

    async def arrived(self) -> Sequence[Arrival]:
        """The batches that they are for. Raises ExchangeError."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...

    async def set_aside(self, batch_id: str) -> None:
        """Move one that belongs to nothing. Raises ExchangeError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round brought: ``receipts`` are batches whose receipt was taken; ``why`` says why the place could not be looked through."""

    looked: Looked
    receipts: tuple[str, ...] = ()
    why: str = ""


class Rounds:
    """Rounds to one peer. ``intake`` is None where it may send us nothing, ``arrivals`` and ``way`` where we send it nothing."""

    def __init__(
        self,
        *,
        name: str,
        courier: Courier,
        intake: FileIntake | None = None,
        arrivals: Arrivals | None = None,
        way: Peer | None = None,
    ) -> None:
        self._name = name
        self._courier = courier
        self._intake = intake
        self._arrivals = arrivals
        self._way = way
        self._why = ""

    async def go(self) -> Round:
        """One round. A place that cannot be reached is told once when it begins and once when it ends, and taken up next time.

        Raises what the work behind raises: StoreError, LedgerError.
        """
        try:
            looked = Looked() if self._intake is None else await self._intake.look()
            receipts = await self._receipts()
        except ExchangeError as error:
            if error.code != self._why:
                _log.error("folder.out-of-reach", peer=self._name, why=error.code)
            self._why = error.code
            return Round(looked=Looked(), why=error.code)
        if self._why:
            _log.warning("folder.back", peer=self._name)
            self._why = ""
        if looked.taken or looked.refused or looked.aside or receipts:
            _log.info(
                "folder.looked-through",
                peer=self._name,
                taken=len(looked.taken),
                refused=len(looked.refused),
                waiting=len(looked.waiting),
                aside=len(looked.aside),
                receipts=len(receipts),
            )
        return Round(looked=looked, receipts=tuple(receipts))

    async def close(self) -> None:
        """Let go of connections."""
        if self._intake is not None:
            await self._intake.close()
        if self._arrivals is not None:
            await self._arrivals.close()

    async def _receipts(self) -> list[str]:
        """Every receipt that came goes to its batch, wherever that stands: one that comes late counts too."""
        taken: list[str] = []
        if self._arrivals is None or self._way is None:
            return taken
        for name in await self._arrivals.arrived():
            if await asyncio.to_thread(self._unknown, name.batch_id):
                await self._arrivals.set_aside(name.batch_id)
                _log.warning("receipt.of-no-batch", batch=name.batch_id, peer=self._name)
                continue
            answer = await self._way.transport.receipt(name.batch_id)
            if not isinstance(answer, Acknowledged):
                continue
            try:
                await asyncio.to_thread(self._courier.take_receipt, name.batch_id, self._way, answer.receipt)
            except PackageError as error:
                _log.warning("receipt.refused", batch=name.batch_id, code=error.code)  # kept as evidence
            else:
                taken.append(name.batch_id)
        return taken

    def _unknown(self, batch_id: str) -> bool:
        with self._courier.database.read() as conn:
            return batches.find_batch(conn, batch_id) is None
