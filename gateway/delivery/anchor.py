"""Anchors: time-stamps of checkpoints, entered in the ledger, so that everything between two of them is bracketed in time.

Asking never stands in the way of anything: it happens beside the work, outside of every transaction, and appends go on meanwhile. One token is
asked for per anchor, for the newest checkpoint: after an outage a single one catches up with all that was missed. A ledger in which nothing
but anchors was entered since the last one is not stamped again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from gateway import __version__
from gateway.clock import Clock, instant, parse_instant
from gateway.delivery.asking import failed, may_be_asked, succeeded, waiting
from gateway.delivery.holds import Holds, Work
from gateway.delivery.notary import Notary
from gateway.errors import ExchangeError
from gateway.exchange.timestamp import Stamp
from gateway.ledger.append import append
from gateway.ledger.entry import decode
from gateway.ledger.port import StoredCheckpoint
from gateway.package.forms import Node
from gateway.store import outside
from gateway.store.database import Database
from gateway.store.entries import DurableLog, TransactionLog
from gateway.store.outside import Outside, OutsideKind

__all__ = ["Anchors", "Stamper"]

_BEAT: Final = 15.0  # seconds between two looks at what is due
_HOLD: Final = "anchor-overdue"
_STOPS: Final = frozenset({Work.INTAKE, Work.SENDING})
_LARGEST_TOKEN: Final = 45_000  # bytes; an entry holds 65,535, the token in base64 among them
_log = structlog.get_logger()


class Stamper(Protocol):
    """A time-stamp authority."""

    name: str

    async def stamp(self, document: bytes) -> Stamp:
        """Have a document stamped. Raises ExchangeError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Has the checkpoints of ``node`` stamped by every one of ``authorities``, at most once per ``every`` each; in one event loop.

    Transfers are held back while no authority has stamped what is owed for longer than ``stop_after``; never where there is none.
    """

    database: Database
    node: Node
    notary: Notary
    authorities: Sequence[Stamper]
    holds: Holds
    clock: Clock
    every: timedelta
    stop_after: timedelta
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def work(self) -> None:
        """Look every few seconds until cancelled. Raises LedgerError and StoreError: then the process has to end."""
        while self.authorities:
            await self.step()
            await self.clock.sleep(_BEAT)

    async def step(self) -> None:
        """Ask every authority that is due, all at once, and hold or let go transfers. Authorities that fail are told in the log."""
        async with self._turn:
            await asyncio.gather(*(self._ask(authority) for authority in self.authorities))
        await asyncio.to_thread(self.hold)

    def hold(self) -> None:
        """Hold transfers back, or let them go."""
        since = self.overdue()
        if since is None:
            self.holds.end(_HOLD)
        else:
            self.holds.begin(_HOLD, _STOPS, waiting_since=instant(since), limit=str(self.stop_after))

    def overdue(self) -> datetime | None:
        """Since when every authority owes a stamp, once that is longer than the limit; else None."""
        if not self.authorities:
            return None
        with self.database.read() as conn:
            states = [outside.find(conn, OutsideKind.AUTHORITY, authority.name) for authority in self.authorities]
        owed = [parse_instant(state.waiting_since) for state in states if state.waiting_since is not None]
        if len(owed) < len(states):
            return None
        since = max(owed)
        return since if self.clock.now() - since > self.stop_after else None

    async def _ask(self, authority: Stamper) -> None:
        due = await asyncio.to_thread(self._due, authority.name)
        if due is None:
            return
        try:
            stamp = await authority.stamp(due.note)
            if len(stamp.token) > _LARGEST_TOKEN:
                raise ExchangeError("service-answer-too-large", url=authority.name, limit=_LARGEST_TOKEN)
        except ExchangeError as error:
            await asyncio.to_thread(self._fail, authority.name, error)
            return
        # Not to be cut off half-way: what came is entered, and signed over.
        entering = asyncio.ensure_future(asyncio.to_thread(self._enter, authority.name, due, stamp))
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            await entering
            raise

    def _due(self, name: str) -> StoredCheckpoint | None:
        """The checkpoint to stamp now. What is owed is written down before anybody is asked."""
        now, log = self.clock.now(), DurableLog(self.database)
        newest = log.newest_checkpoint()
        with self.database.read() as conn:
            state = outside.find(conn, OutsideKind.AUTHORITY, name)
            if newest is None or newest.size <= state.size or not may_be_asked(state, now, self.every):
                return None
            first = TransactionLog(conn).first_but("anchor", state.size, newest.size)
        if first is None:
            return None
        with self.database.begin() as conn:
            outside.store(conn, waiting(state, decode(first.leaf).at, now))
        return newest

    def _fail(self, name: str, error: ExchangeError) -> None:
        with self.database.begin() as conn:
            state = failed(outside.find(conn, OutsideKind.AUTHORITY, name), error.code, self.clock.now())
            outside.store(conn, state)
        _log.warning("anchor.failed", authority=name, code=error.code, failures=state.failures, next_at=state.next_at)

    def _enter(self, name: str, checkpoint: StoredCheckpoint, stamp: Stamp) -> None:
        now = self.clock.now()
        # The token and what is remembered of the authority are one transaction. A crash before it: the token is lost, another is asked for.
        with self.database.begin() as conn:
            state = outside.find(conn, OutsideKind.AUTHORITY, name)
            if state.size >= checkpoint.size:
                return  # another process was faster
            index = append(
                TransactionLog(conn),
                "anchor",
                {
                    "node": self.node.code,
                    "software": __version__,
                    "authority": name,
                    "checkpoint_size": checkpoint.size,
                    "checkpoint_root": checkpoint.root.hex(),
                    "token_sha256": hashlib.sha256(stamp.token).hexdigest(),
                    "token": base64.b64encode(stamp.token).decode(),
                    "stamped_at": instant(stamp.at),
                },
                at=now,
            )
            outside.store(conn, succeeded(state, checkpoint.size, now))
        _log.info("anchor.entered", authority=name, size=checkpoint.size, index=index, late=_late(state, now))
        self.notary.publish(final=True)


def _late(state: Outside, now: datetime) -> float:
    """Seconds that the stamp was owed."""
    return 0.0 if state.waiting_since is None else round((now - parse_instant(state.waiting_since)).total_seconds(), 1)
