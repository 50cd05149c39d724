"""Witnesses: every new checkpoint is shown to them beside the work, and what they sign is published with it.

Appends never wait for a witness. One that says that our ledger does not continue what it has signed is asked no more: an alarm waits for a
person, and everything stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

import structlog

from gateway.clock import Clock, instant
from gateway.delivery.asking import failed, may_be_asked, succeeded, waiting
from gateway.delivery.ledgers import show
from gateway.delivery.notary import Notary
from gateway.errors import ExchangeError
from gateway.exchange.witness import Inconsistent, Stands, WitnessAnswer
from gateway.ledger.cosignature import Cosignature
from gateway.ledger.port import StoredCheckpoint
from gateway.store import alarms, outside
from gateway.store.alarms import AlarmCode
from gateway.store.cosignatures import add_cosignature, cosignatures
from gateway.store.database import Database
from gateway.store.entries import DurableLog
from gateway.store.outside import Outside, OutsideKind

__all__ = ["Cosigning", "Witnesses"]

_BEAT: Final = 15.0  # seconds between two looks at what is due
_EVERY: Final = timedelta(minutes=1)
_log = structlog.get_logger()


class Cosigning(Protocol):
    """A witness."""

    name: str

    async def add_checkpoint(self, note: bytes, old: int, proof: Sequence[bytes]) -> WitnessAnswer:
        """Ask for a cosignature. Raises ExchangeError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Has checkpoints cosigned by every one of ``witnesses``; in one event loop."""

    database: Database
    notary: Notary
    witnesses: Sequence[Cosigning]
    clock: Clock
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def work(self) -> None:
        """Look every few seconds until cancelled. Raises LedgerError and StoreError: then the process has to end."""
        while self.witnesses:
            await self.step()
            await self.clock.sleep(_BEAT)

    async def step(self) -> None:
        """Ask every witness that is due, all at once; those that fail are told in the log."""
        async with self._turn:
            await asyncio.gather(*(self._ask(witness) for witness in self.witnesses))

    async def _ask(self, witness: Cosigning) -> None:
        due = await asyncio.to_thread(self._due, witness.name)
        if due is None:
            return
        newest, state = due
        try:
            answer = await self._shown(witness, newest, state.size)
            if isinstance(answer, Stands) and answer.size <= newest.size:
                # It remembers another checkpoint of ours than we thought: a proof from there, once.
                answer = await self._shown(witness, newest, answer.size)
        except ExchangeError as error:
            await asyncio.to_thread(self._fail, witness.name, error.code)
            return
        # Not to be cut off half-way: what came is kept and published.
        keeping = asyncio.ensure_future(asyncio.to_thread(self._keep, witness.name, newest, answer))
        try:
            await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await keeping
            raise

    async def _shown(self, witness: Cosigning, newest: StoredCheckpoint, old: int) -> WitnessAnswer:
        proof = await asyncio.to_thread(show, DurableLog(self.database), newest.size, old)
        return await witness.add_checkpoint(newest.note, old, proof)

    def _due(self, name: str) -> tuple[StoredCheckpoint, Outside] | None:
        now, newest = self.clock.now(), DurableLog(self.database).newest_checkpoint()
        with self.database.read() as conn:
            state = outside.find(conn, OutsideKind.WITNESS, name)
            halted = any(
                one.code is AlarmCode.WITNESS_REFUSED and one.subject == name for one in alarms.open_alarms(conn)
            )
        if newest is None or newest.size <= state.size or halted or not may_be_asked(state, now, _EVERY):
            return None
        with self.database.begin() as conn:
            state = waiting(state, now, now)
            outside.store(conn, state)
        return newest, state

    def _keep(self, name: str, newest: StoredCheckpoint, answer: WitnessAnswer) -> None:
        match answer:
            case Cosignature():
                self._cosigned(name, newest, answer)
            case Stands(size=size) if size <= newest.size:
                self._fail(name, "witness-unsteady")
            case Stands(size=size):
                self._halt(name, newest, size)
            case Inconsistent():
                with self.database.read() as conn:
                    held = outside.find(conn, OutsideKind.WITNESS, name).size
                self._halt(name, newest, held)

    def _cosigned(self, name: str, newest: StoredCheckpoint, answer: Cosignature) -> None:
        now = self.clock.now()
        with self.database.begin() as conn:
            add_cosignature(conn, name, newest.size, answer.line, at=instant(answer.at))
            outside.store(conn, succeeded(outside.find(conn, OutsideKind.WITNESS, name), newest.size, now))
            lines = cosignatures(conn, newest.size)
        published = self.notary.cosign(newest.note, lines)
        _log.info("checkpoint.cosigned", witness=name, size=newest.size, at=instant(answer.at), published=published)

    def _fail(self, name: str, code: str) -> None:
        with self.database.begin() as conn:
            state = failed(outside.find(conn, OutsideKind.WITNESS, name), code, self.clock.now())
            outside.store(conn, state)
        _log.warning("witness.failed", witness=name, code=code, failures=state.failures, next_at=state.next_at)

    def _halt(self, name: str, newest: StoredCheckpoint, held: int) -> None:
        """The refused checkpoint goes with the alarm: it is the evidence, whoever is in the wrong."""
        facts = {"size": newest.size, "held": held, "note": newest.note.decode()}
        with self.database.begin() as conn:
            alarms.raise_alarm(conn, AlarmCode.WITNESS_REFUSED, name, facts, instant(self.clock.now()))
        _log.error("witness.refused", witness=name, size=newest.size, held=held)
