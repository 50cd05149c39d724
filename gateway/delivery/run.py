"""One run of an exchange from its source to the statement: extract, seal, send, reconcile, close.

While a batch travels the next one is sealed. What an earlier run left under way goes first: nothing overtakes on a route.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway import __version__
from gateway.catalog.calendar import WorkingDays
from gateway.clock import Clock, Ids, instant
from gateway.delivery.dispatch import Dispatcher
from gateway.delivery.exchange import Exchange, Progress
from gateway.delivery.extract import Extracted, extract, take_back
from gateway.delivery.guard import MassChange
from gateway.delivery.held_records import HeldRecords
from gateway.delivery.holds import Holds, Work
from gateway.delivery.notary import Notary
from gateway.delivery.onward import take_over
from gateway.delivery.seal import Sealer
from gateway.delivery.statement import Answered, Statement
from gateway.delivery.terms import Terms
from gateway.errors import DeliveryError, GatewayError
from gateway.ledger.append import append
from gateway.package.forms import Node
from gateway.store import batches, pauses, records, runs, shares
from gateway.store.database import Connection, Database
from gateway.store.entries import TransactionLog
from gateway.store.pauses import Scope
from gateway.store.runs import Kind, RunState

__all__ = ["Order", "Resend", "Runner"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """What a resync sends, by what we hold; the source is not read.

    ``prepare`` is told the run's id, in the transaction that opens it: it makes records due and returns the ids of those to seal, in order.
    ``as_sent``: they go with the bytes that they had in their last batch.
    """

    prepare: Callable[[Connection, str], Sequence[int]]
    as_sent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Why a run takes place: a tick of the schedule, or a person with a reason.

    ``full`` reads the source from its beginning. ``approved`` is how much a person allows the run to take back or change, ``approves``
    the held run that showed it.
    """

    kind: Kind = Kind.MANUAL
    due_at: str | None = None
    person: str | None = None
    reason: str | None = None
    full: bool = False
    approved: MassChange | None = None
    approves: str | None = None
    resend: Resend | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What was due in this run, as record ids, and how many of them the format refused, by reason."""

    ids: Sequence[int]
    refused_by: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """``ids`` are what a resync seals; None stands for everything that is due."""

    ids: Sequence[int] | None


class Runner:
    """Runs exchanges of ``node``, several at a time, each exchange one run at a time. Used in one event loop."""

    def __init__(
        self,
        *,
        database: Database,
        node: Node,
        sealer: Sealer,
        dispatcher: Dispatcher,
        notary: Notary,
        holds: Holds,
        working_days: WorkingDays,
        terms: Terms,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._database = database
        self._node = node
        self._terms = terms
        self._sealer = sealer
        self._dispatcher = dispatcher
        self._notary = notary
        self._holds = holds
        self._working_days = working_days
        self._clock = clock
        self._ids = ids
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._stopping = False

    def stop(self) -> None:
        """Begin nothing more; runs under way end at their next commit, and what they stored goes out with the next one."""
        self._stopping = True

    def busy(self, exchange: str) -> bool:
        """Whether a run of the exchange is under way or waits for its turn."""
        return self._turns[exchange].locked()

    async def run(self, exchange: Exchange, order: Order, progress: Progress) -> Statement | None:
        """Run ``exchange`` and return its statement; None when this tick had its run already. Waits for a run that is under way.

        Raises SourceError or MappingError when the source cannot be read: then the run is closed as failed, what earlier runs sealed was
        sent all the same, and the watermark stands where it stood. Raises DeliveryError: ``exchange-paused``, ``held-back``,
        ``mass-change`` (the run is closed as failed, its figures say how much it found), ``run-stopped``.
        """
        async with self._turns[exchange.name]:
            return await self._run(exchange, order, progress)

    async def _run(self, exchange: Exchange, order: Order, progress: Progress) -> Statement | None:
        self._go_on()
        self._holds.check(Work.RUN)
        now = self._clock.now()
        run_id = self._ids.uuid(now)
        if order.resend is not None:
            # What is over by now must not be among what is sent again.
            await asyncio.to_thread(self._terms.keep, exchange)
        opening = await asyncio.to_thread(self._open, exchange, order, run_id, now)
        if opening is None:
            return None
        _log.info("run.opened", run=run_id, exchange=exchange.name, kind=order.kind.value)

        def tell(stage: str, count: int) -> None:
            progress(stage, count)
            # Reading is the long part; between two chunks everything read is committed.
            if stage == "read":
                self._go_on()

        try:
            found = (
                Extracted()
                if order.resend
                else await asyncio.to_thread(self._extract, exchange, run_id, tell, full=order.full)
            )
            if order.resend is None:
                self._guard(exchange, order, len(found.vanished))
                await asyncio.to_thread(take_back, self._database, exchange, run_id, found, self._clock)
                await asyncio.to_thread(self._terms.keep, exchange)
            due = await self._seal_and_send(exchange, run_id, order, opening.ids, progress)
        except GatewayError as error:
            await self._failed(exchange, run_id, error, progress)
            raise
        statement = await asyncio.to_thread(self._close, exchange, run_id, now, order, found, due)
        await asyncio.to_thread(self._notary.publish, final=True)
        return statement

    def _open(self, exchange: Exchange, order: Order, run_id: str, now: datetime) -> _Opening | None:
        """The run's row, and with it what a resync makes due: a crash leaves both or neither. None when this tick had its run already."""
        with self._database.begin() as conn:
            paused = pauses.find(conn, Scope.EXCHANGE, exchange.name)
            if paused is not None:
                raise DeliveryError(
                    "exchange-paused",
                    exchange=exchange.name,
                    person=paused.person,
                    since=paused.at,
                    reason=paused.reason,
                )
            opened = runs.open_run(
                conn,
                run_id=run_id,
                exchange=exchange.name,
                kind=order.kind,
                at=instant(now),
                mapping_digest=exchange.mapping_digest,
                due_at=order.due_at,
                person=order.person,
                reason=order.reason,
            )
            if not opened:
                return None
            return _Opening(ids=None if order.resend is None else order.resend.prepare(conn, run_id))

    def _extract(self, exchange: Exchange, run_id: str, tell: Progress, *, full: bool) -> Extracted:
        days, clock = self._working_days, self._clock
        if isinstance(source := exchange.source, HeldRecords):
            return take_over(
                self._database,
                exchange,
                source,
                run_id,
                node=self._node,
                working_days=days,
                clock=clock,
                progress=tell,
                full=full,
            )
        return extract(self._database, exchange, run_id, working_days=days, clock=clock, progress=tell, full=full)

    async def _failed(self, exchange: Exchange, run_id: str, error: GatewayError, progress: Progress) -> None:
        figures: dict[str, object] = {"error": error.code}
        if error.code == "mass-change":
            figures |= {name: error.facts[name] for name in ("withdrawals", "changes", "held")}
        with self._database.begin() as conn:
            runs.close_run(conn, run_id, state=RunState.FAILED, figures=figures, at=instant(self._clock.now()))
        _log.error("run.failed", run=run_id, exchange=exchange.name, **figures)
        await self._dispatcher.deliver(exchange.route, exchange.peer, progress)

    def _go_on(self) -> None:
        if self._stopping:
            raise DeliveryError("run-stopped")

    def _guard(self, exchange: Exchange, order: Order, vanished: int) -> None:
        """Nothing is sealed when too much would be taken back or changed, unless a person has seen it and said that it is meant."""
        place = (exchange.catalog.id, exchange.source.name)
        with self._database.read() as conn:
            found = MassChange(
                withdrawals=vanished + shares.due_withdrawals(conn, exchange.name, *place),
                changes=shares.due_changes(conn, exchange.name, *place),
            )
            held = found.withdrawals - vanished + records.counts(conn, *place).get("upsert", 0)
        if exchange.guard.check(exchange=exchange.name, found=found, held=held, approved=order.approved):
            _log.warning("run.approved", exchange=exchange.name, approves=order.approves, person=order.person)

    async def _seal_and_send(
        self, exchange: Exchange, run_id: str, order: Order, ids: Sequence[int] | None, progress: Progress
    ) -> _Due:
        """Seal everything that is due, helping by helping, each on its way while the next is sealed."""
        due = self._due(exchange) if ids is None else ids
        seal = self._sealer.seal_as_sent if order.resend is not None and order.resend.as_sent else self._sealer.seal
        refused_by: Counter[str] = Counter()
        deliver = self._dispatcher.deliver
        travelling = asyncio.create_task(deliver(exchange.route, exchange.peer, progress))
        try:
            for start in range(0, len(due), exchange.batch_size):
                self._go_on()
                helping = due[start : start + exchange.batch_size]
                sealed = await asyncio.to_thread(seal, exchange, run_id, helping)
                refused_by.update(sealed.quarantined_by)
                progress("sealed", sealed.total)
                await travelling
                travelling = asyncio.create_task(deliver(exchange.route, exchange.peer, progress))
        finally:
            await travelling
        return _Due(ids=due, refused_by=refused_by)

    def _due(self, exchange: Exchange) -> Sequence[int]:
        with self._database.read() as conn:
            return shares.due(conn, exchange.name, exchange.catalog.id, [exchange.source.name])

    def _close(
        self, exchange: Exchange, run_id: str, started: datetime, order: Order, found: Extracted, due: _Due
    ) -> Statement:
        """The statement, which must balance, and the run's entry in the ledger."""
        now = self._clock.now()
        vanished = sum(1 for number in due.ids if number in found.vanished)
        met = sum(1 for number in due.ids if number in found.good)
        refused = due.refused_by.total()
        with self._database.begin() as conn:
            sealed = batches.of_run(conn, run_id)
            statement = Statement(
                run_id=run_id,
                exchange=exchange.name,
                rows=found.rows,
                vanished=vanished,
                carried=len(due.ids) - vanished - met,
                unchanged=found.rows - found.quarantined - met,
                quarantined=found.quarantined + refused,
                sealed=len(due.ids) - refused,
                upsert=sum(batch.upsert for batch in sealed),
                withdraw=sum(batch.withdraw + batch.stop_share for batch in sealed),
                batches=len(sealed),
                batch_totals=sum(batch.total for batch in sealed),
                answered=_answered(sealed),
                quarantined_by=found.quarantined_by + due.refused_by,
                noticed_by=found.noticed_by,
            )
            statement.balance()
            runs.close_run(
                conn,
                run_id,
                state=RunState.CLOSED,
                figures={**statement.figures(), "by": statement.quarantined_by, "noticed": statement.noticed_by},
                at=instant(now),
            )
            append(
                TransactionLog(conn),
                "run.closed",
                {
                    "node": self._node.code,
                    "software": __version__,
                    "exchange": exchange.name,
                    "run_id": run_id,
                    "run_kind": order.kind.value,
                    "mapping_digest": exchange.mapping_digest,
                    "started_at": instant(started),
                    **statement.figures(),
                },
                at=now,
            )
        _log.info("run.closed", run=run_id, exchange=exchange.name, **statement.figures())
        return statement


def _answered(sealed: Sequence[batches.Batch]) -> Answered:
    """What the receipts say of these batches so far."""
    figures: Counter[str] = Counter()
    for batch in sealed:
        figures.update({name: count for name, count in batch.figures.items() if name != "total"})
    return Answered(**figures)
