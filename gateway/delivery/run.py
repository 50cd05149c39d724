"""One run of an exchange from its source to the statement: extract, seal, send, reconcile, close.

While a batch travels the next one is sealed. What an earlier run left under way goes first: nothing overtakes on a route.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway import __version__
from gateway.catalog.calendar import WorkingDays
from gateway.clock import Clock, Ids, instant
from gateway.delivery.exchange import Exchange, Progress
from gateway.delivery.extract import Extracted, extract
from gateway.delivery.notary import Notary
from gateway.delivery.reconcile import Reconciler
from gateway.delivery.seal import Sealer
from gateway.delivery.send import Courier
from gateway.delivery.statement import Answered, Statement
from gateway.errors import DeliveryError, GatewayError
from gateway.ledger.append import append
from gateway.package.forms import Node
from gateway.store import batches, records, runs, shares
from gateway.store.database import Connection, Database
from gateway.store.entries import TransactionLog
from gateway.store.runs import Kind, RunState
from gateway.store.states import State

__all__ = ["Order", "Runner"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Why a run takes place: a tick of the schedule, or a person with a reason.

    ``full`` reads the source from its beginning. ``retry`` takes up again at once what waits, and what was refused or given up.
    ``approve`` lets withdrawals pass that the guard would hold.
    """

    kind: Kind = Kind.MANUAL
    due_at: str | None = None
    person: str | None = None
    reason: str | None = None
    full: bool = False
    retry: bool = False
    approve: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What was due in this run, as record ids, and how many of them the format refused, by reason."""

    ids: Sequence[int]
    refused_by: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs exchanges of ``node``, one at a time."""

    database: Database
    node: Node
    sealer: Sealer
    courier: Courier
    reconciler: Reconciler
    notary: Notary
    working_days: WorkingDays
    clock: Clock
    ids: Ids

    async def run(self, exchange: Exchange, order: Order, progress: Progress) -> Statement | None:
        """Run ``exchange`` and return its statement; None when this tick had its run already.

        Raises SourceError or MappingError when the source cannot be read: then the run is closed as failed, what earlier runs sealed was
        sent all the same, and the watermark stands where it stood.
        """
        now = self.clock.now()
        run_id = self.ids.uuid(now)
        with self.database.begin() as conn:
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
        _log.info("run.opened", run=run_id, exchange=exchange.name, kind=order.kind.value)
        if order.retry:
            self._take_up_again(exchange, order)
        try:
            found = await asyncio.to_thread(
                extract,
                self.database,
                exchange,
                run_id,
                working_days=self.working_days,
                clock=self.clock,
                progress=progress,
                full=order.full,
            )
            self._guard(exchange, run_id, order)
            due = await self._seal_and_send(exchange, run_id, progress)
        except GatewayError as error:
            with self.database.begin() as conn:
                runs.close_run(
                    conn, run_id, state=RunState.FAILED, figures={"error": error.code}, at=instant(self.clock.now())
                )
            _log.error("run.failed", run=run_id, exchange=exchange.name, code=error.code)
            await self.deliver(exchange, progress)
            raise
        statement = await asyncio.to_thread(self._close, exchange, run_id, now, order, found, due)
        await asyncio.to_thread(self.notary.publish, final=True)
        return statement

    def _guard(self, exchange: Exchange, run_id: str, order: Order) -> None:
        """Nothing is sealed when too much would be taken back, unless a person has said that it is meant; that is in the ledger."""
        place = (exchange.catalog.id, exchange.source.name)
        with self.database.read() as conn:
            withdrawals = shares.due_withdrawals(conn, exchange.name, *place)
            held = withdrawals + records.counts(conn, *place).get("upsert", 0)
        try:
            exchange.guard.check(exchange=exchange.name, withdrawals=withdrawals, held=held)
        except DeliveryError:
            if not order.approve:
                raise
            with self.database.begin() as conn:
                self._note_action(conn, order, "approve-withdrawals", run_id)

    def _note_action(self, conn: Connection, order: Order, action: str, subject: str) -> None:
        fields = {
            "node": self.node.code,
            "software": __version__,
            "person": order.person or "-",
            "action": action,
            "subject": subject,
            "reason": order.reason or "-",
        }
        append(TransactionLog(conn), "operator.action", fields, at=self.clock.now())

    def _take_up_again(self, exchange: Exchange, order: Order) -> None:
        """A person's word that waiting is over: the same bytes go out again, now. What was refused is written into the ledger."""
        at, person, reason = instant(self.clock.now()), order.person or "-", order.reason or "-"
        with self.database.begin() as conn:
            for batch in batches.open_batches(conn, route=exchange.route):
                if batch.state in {State.WAITING, State.UNKNOWN}:
                    batches.put_off(conn, batch.id, next_attempt_at=at)
                elif batch.state is State.REFUSED:
                    batches.move(conn, batch.id, State.WAITING, at=at, next_attempt_at=at, person=person, reason=reason)
                    self._note_action(conn, order, "retry", batch.id)

    async def deliver(self, exchange: Exchange, progress: Progress) -> None:
        """Take every batch of the exchange's route as far as it gets now: sent, answered, reconciled; stop at the first that must wait."""
        while True:
            with self.database.read() as conn:
                answered = [
                    batch.id
                    for batch in batches.open_batches(conn, route=exchange.route)
                    if batch.state is State.ACKNOWLEDGED
                ]
            for batch_id in answered:
                await asyncio.to_thread(self._reconcile, exchange, batch_id, progress)
            moved = await self.courier.deliver(exchange.route, exchange.peer)
            if moved is None or moved[1] is not State.ACKNOWLEDGED:
                return

    def _reconcile(self, exchange: Exchange, batch_id: str, progress: Progress) -> None:
        self.reconciler.reconcile(exchange.peer, batch_id)
        with self.database.read() as conn:
            batch = batches.find_batch(conn, batch_id)
        progress("reconciled", batch.total if batch else 0)
        self.notary.publish()

    async def _seal_and_send(self, exchange: Exchange, run_id: str, progress: Progress) -> _Due:
        """Seal everything that is due, helping by helping, each on its way while the next is sealed."""
        with self.database.read() as conn:
            due = shares.due(conn, exchange.name, exchange.catalog.id, [exchange.source.name])
        refused_by: Counter[str] = Counter()
        travelling = asyncio.create_task(self.deliver(exchange, progress))
        try:
            for start in range(0, len(due), exchange.batch_size):
                helping = due[start : start + exchange.batch_size]
                sealed = await asyncio.to_thread(self.sealer.seal, exchange, run_id, helping)
                refused_by.update(sealed.quarantined_by)
                progress("sealed", sealed.total)
                await travelling
                travelling = asyncio.create_task(self.deliver(exchange, progress))
        finally:
            await travelling
        return _Due(ids=due, refused_by=refused_by)

    def _close(
        self, exchange: Exchange, run_id: str, started: datetime, order: Order, found: Extracted, due: _Due
    ) -> Statement:
        """The statement, which must balance, and the run's entry in the ledger."""
        now = self.clock.now()
        vanished = sum(1 for number in due.ids if number in found.vanished)
        met = sum(1 for number in due.ids if number in found.good)
        refused = due.refused_by.total()
        with self.database.begin() as conn:
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
                    "node": self.node.code,
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
