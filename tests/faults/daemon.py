"""A model of the sender's process: what it does between one wait and the next, by the real core and the real breaker.

Every task is a generator. What it yields is what a real process waits for: a transaction (:class:`Commit`), an answer
(:class:`Call`), time (:class:`Sleep`). It can be killed at each of these points, before a transaction as well as after it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple, Protocol

from gateway.delivery import breaker as breakers
from gateway.delivery.breaker import Breaker, Drain, Policy
from gateway.delivery.core import GAVE_UP, Retry, Standing, step
from gateway.delivery.events import (
    Abandoned,
    Accept,
    Ask,
    AskVoided,
    Due,
    Effect,
    EnterDispute,
    Event,
    Finding,
    Overtaken,
    QuestionEnded,
    ReceiptCame,
    Retried,
    Send,
    SendEnded,
    Settled,
    Stopped,
    Tell,
)
from gateway.errors import StoreError
from gateway.exchange.outcome import Acknowledged, NotReady, Taken, Unknown, reached
from gateway.store.states import State
from tests.faults.journal import LEASE, FenceLost, Journal, Package, Receipt, Row
from tests.faults.mutants import Mutant
from tests.faults.receiver import NotYet, Signed

__all__ = ["POLICY", "RETRY", "Call", "Cancelled", "Commit", "Daemon", "Sleep", "Task"]

RETRY = Retry(
    attempts=4,
    first=timedelta(seconds=2),
    factor=2,
    max=timedelta(seconds=20),
    give_up_after=timedelta(minutes=5),
)
POLICY = Policy(failures=3, retry=RETRY)
_RATE = 60.0


class Cancelled(Exception):  # noqa: N818 — as asyncio calls it
    """The process is told to stop."""


class Sleep(NamedTuple):
    """Wait for so many seconds."""

    seconds: float


class Commit(NamedTuple):
    """One transaction."""

    act: Callable[[], Any]


class Call(NamedTuple):
    """A question to a peer: ``put`` with a package, ``get`` with a batch's id, ``node``."""

    peer: str
    kind: str
    subject: Any


Task = Generator[Sleep | Commit | Call, Any, Any]


class Surroundings(Protocol):
    """What a process finds: time and chance, and what a person sees."""

    calm: bool
    now: float
    random: Random
    source: dict[str, dict[str, int]]
    paused: set[str]

    def wall(self) -> datetime:
        """What the clock on the wall says."""
        ...

    def say(self, *words: object) -> None:
        """A line of the trace."""
        ...


@dataclass(slots=True, eq=False)
class Daemon:
    """One process. ``alone`` on its state, it ends all leases when it starts."""

    name: str
    world: Surroundings
    journal: Journal
    mutant: Mutant | None
    drains: dict[str, Drain] = field(default_factory=dict)

    # What a run does.

    def run(self, route: str) -> Task:
        """Extract and seal, again and again."""
        catalog = route.split("/")[1]
        while True:
            yield Commit(lambda: self.journal.extract(catalog, self.world.source[catalog]))
            yield from self.fill_hole(route)
            while (yield from self.seal(route)):
                pass
            yield Sleep(60.0 if self.world.calm else self.world.random.uniform(5, 40))

    def seal(self, route: str) -> Task:
        """Commit B: a batch of what is due, or nothing."""
        lines = self.journal.due(route)
        batch_id = self._id()
        if self.mutant is Mutant.SHARED_BEFORE_SEALED and lines:
            yield Commit(lambda: self.journal.mark(route, lines, batch_id))

        def commit() -> bool:
            sequence = self.journal.next_number(route)
            if sequence is None or not lines:
                return False
            self._store(route, batch_id, sequence, tuple(lines), None)
            self.journal.mark(route, lines, batch_id)
            return True

        return (yield Commit(commit))

    def fill_hole(self, route: str) -> Task:
        """A void batch for a batch that was given up, whoever was too late to make it."""

        def commit() -> None:
            hole = self.journal.hole(route)
            if hole is not None and self.mutant not in {Mutant.NUMBER_REUSED, Mutant.NUMBER_SKIPPED}:
                self._store(route, self._id(), hole.package.sequence, (), hole.id)

        yield Commit(commit)

    def _store(self, route: str, batch_id: str, sequence: int, lines: tuple[Any, ...], void_of: str | None) -> None:
        now, digest = self.world.wall(), f"d{self.world.random.getrandbits(48):x}"
        head = self.journal.log.newest()
        package = Package(batch_id, route, sequence, digest, lines, head, void_of is not None)
        self.journal.rows[batch_id] = Row(
            package=package, made_at=now, give_up_at=now + RETRY.give_up_after, next_at=now, void_of=void_of
        )
        self.world.say(self.name, "sealed", batch_id, route, sequence, "void" if void_of else len(lines))

    def _id(self) -> str:
        return f"b{len(self.journal.rows)}-{self.world.random.getrandbits(24):x}"

    # What a worker does.

    def work(self, route: str) -> Task:
        """Keep a route going: settle what is acknowledged, deliver what is due, unless the peer is out of reach."""
        peer = route.rpartition("/")[2]
        while True:
            breaker = self.journal.breakers.get(peer, Breaker())
            if route in self.world.paused:
                yield Sleep(10.0)
            elif breaker.is_open:
                if breaker.probe_due(self.world.wall(), POLICY):
                    yield from self._note(peer, (yield Call(peer, "node", None)))
                else:
                    yield Sleep(5.0)
            elif wait := self.drains.get(peer, Drain()).wait(self.world.now):
                yield Sleep(wait)
            else:
                yield from self._reconcile_all(route)
                there = yield from self._deliver(route, peer)
                if there is None:
                    self.drains.pop(peer, None)
                    yield Sleep(self._idle(route))
                else:
                    self.drains[peer] = self.drains.get(peer, Drain()).left(self.world.now)
                    yield from self._note(peer, there)

    def _idle(self, route: str) -> float:
        row = self.journal.pending(route)
        if not self.world.calm or row is None:
            return 15.0
        return min(max((row.next_at - self.world.wall()).total_seconds(), 1.0), 300.0)

    def _note(self, peer: str, there: bool) -> Task:
        def commit() -> None:
            before = self.journal.breakers.get(peer, Breaker())
            after, change = breakers.step(before, there, self.world.wall(), POLICY, self.world.random.random(), why="w")
            self.journal.breakers[peer] = after
            if change is not None:
                self.world.say(self.name, "breaker", peer, change)
            if change is breakers.Change.CLOSED:
                self.drains[peer] = Drain.begin(_RATE, self.world.now)

        if there and peer not in self.journal.breakers:
            return
        yield Commit(commit)

    def _deliver(self, route: str, peer: str) -> Task:
        """As :meth:`gateway.delivery.send.Courier.deliver`: whether the peer was reached, None when there was nothing to do."""

        def claim() -> tuple[Row, int, Standing, tuple[Effect, ...]] | None:
            got = self.journal.claim(route, self.name, self.world.wall(), RETRY.longest_pause)
            if got is None:
                return None
            row, found, fence = got
            if self.mutant is Mutant.RESENT_UNASKED and row.state is State.UNKNOWN:
                found = State.WAITING
                row.state = State.SENDING
            standing, effects = self._step(row.standing(found), Due())
            row.asks += Ask() in effects
            return row, fence, standing, effects

        got = yield Commit(claim)
        if got is None:
            return None
        row, fence, standing, effects = got
        there = True
        try:
            while Ask() in effects or Send() in effects:
                go = self._ask if Ask() in effects else self._send
                standing, effects, there = yield from go(row, fence, standing, peer)
            if AskVoided() in effects and self.mutant is not Mutant.VOID_WAITS:
                yield from self._ask_voided(row, fence, standing, peer)
        except FenceLost:
            self.world.say(self.name, "lost the fence of", row.id)
            return None
        return there

    def _send(self, row: Row, fence: int, standing: Standing, peer: str) -> Task:
        def start() -> Package:
            self.journal.held_by(row, fence)
            row.until, row.attempts = self.world.wall() + LEASE, row.attempts + 1
            if self.mutant is Mutant.SEALED_AGAIN and row.attempts > 1:
                row.package = row.package._replace(digest=f"d{self.world.random.getrandbits(48):x}")
            return row.package

        package = yield Commit(start)
        try:
            answer = yield Call(peer, "put", package)
        except Cancelled:
            yield from self._write(row, fence, standing, Stopped(), None)
            raise
        receipt = None
        if isinstance(answer, Signed):
            answer, receipt = self._believed(answer, row, peer)
        elif isinstance(answer, NotYet):
            answer = Taken(retry_after=answer.retry_after)
        after, effects = yield from self._write(row, fence, standing, SendEnded(answer), receipt)
        return after, effects, receipt is not None or reached(answer)

    def _ask(self, row: Row, fence: int, standing: Standing, peer: str) -> Task:
        try:
            answer = yield Call(peer, "get", row.id)
        except Cancelled:
            yield from self._write(row, fence, standing, Stopped(), None)
            raise
        receipt = None
        if isinstance(answer, Signed):
            answer, receipt = self._believed(answer, row, peer)
        elif isinstance(answer, NotYet):
            answer = NotReady(retry_after=answer.retry_after)
        after, effects = yield from self._write(row, fence, standing, QuestionEnded(answer), receipt)
        return after, effects, receipt is not None or reached(answer)

    def _believed(self, answer: Signed, row: Row, peer: str) -> tuple[Acknowledged | Unknown, Receipt | None]:
        code = self.flaw(answer.receipt, row, peer)
        if code:
            self.world.say(self.name, "refuses the receipt of", row.id, code)
            return Unknown(why=code, status=200), None
        return Acknowledged(receipt=b"", status=200, stored=answer.stored), answer.receipt

    def flaw(self, receipt: Receipt, row: Row, peer: str) -> str:
        """The numbered steps of :func:`gateway.package.receipt.check_receipt` over a model of a receipt; empty when it holds."""
        package = row.package
        if self.mutant is Mutant.RECEIPT_BELIEVED:
            return ""
        if receipt.signer != peer:
            return "signer"
        if (receipt.batch_id, receipt.route, receipt.sequence) != (package.id, package.route, package.sequence):
            return "receipt-batch-id"
        if receipt.package != package.digest:
            return "receipt-package-digest"
        if sum(receipt.counts.values()) != len(package.lines):
            return "receipt-figures"
        return ""

    def _write(self, row: Row, fence: int, before: Standing, event: Event, receipt: Receipt | None) -> Task:
        def commit() -> tuple[Standing, tuple[Effect, ...]]:
            after, effects = self._step(before, event)
            self.journal.write(row, before, after, self.world.wall(), fence)
            self._keep(row, effects, receipt)
            self.world.say(self.name, row.id, type(event).__name__, before.state, "→", after.state, after.code)
            return after, effects

        written = yield Commit(commit)
        if self.mutant is Mutant.MARKED_BEFORE_STORED and receipt is not None:
            yield Commit(lambda: setattr(row, "receipt", receipt))
        return written

    def _keep(self, row: Row, effects: tuple[Effect, ...], receipt: Receipt | None) -> None:
        for effect in effects:
            match effect:
                case Accept():
                    if self.mutant is not Mutant.MARKED_BEFORE_STORED:
                        row.receipt = receipt
                case EnterDispute():
                    self._enter(row, "batch.disputed")
                case Tell(code=code) if code == GAVE_UP and self.mutant is Mutant.GIVEN_UP_FOR_GOOD:
                    if not row.package.void:
                        row.state = State.ABANDONED
                        self._enter(row, "batch.abandoned")
                case _:
                    pass

    def _ask_voided(self, row: Row, fence: int, standing: Standing, peer: str) -> Task:
        of = row.void_of
        while of is not None:
            voided = self.journal.rows[of]
            answer = yield Call(peer, "get", of)
            if isinstance(answer, Signed) and not self.flaw(answer.receipt, voided, peer):
                yield from self._write(row, fence, standing, Overtaken(), None)
                return
            of = voided.void_of

    def _step(self, standing: Standing, event: Event) -> tuple[Standing, tuple[Effect, ...]]:
        return step(standing, event, now=self.world.wall(), retry=RETRY, jitter=self.world.random.random())

    def _enter(self, row: Row, kind: str) -> None:
        receipt = row.receipt.digest if row.receipt else ""
        # A sender that lets batches overtake has a ledger that does not look at numbers.
        number = self.journal.log.highest.get(row.package.route, 0) + 1 if self.mutant is Mutant.OVERTAKING else None
        self.journal.log.append(kind, row.package, receipt=receipt, at=self.world.now, sequence=number)

    # Commit C.

    def _reconcile_all(self, route: str) -> Task:
        for row in self.journal.of_route(route):
            if row.state is State.ACKNOWLEDGED or (self.mutant is Mutant.SETTLED_TWICE and row.receipt is not None):
                if not self.world.calm and self.world.random.random() < 0.2:
                    yield Sleep(
                        self.world.random.uniform(1, 20)
                    )  # a busy machine: another daemon or a person may come first
                yield from self._reconcile(row)

    def _reconcile(self, row: Row) -> Task:
        if self.mutant is Mutant.SIGNED_BEFORE_COMMITTED and row.receipt is not None:
            receipt = row.receipt.digest
            yield Commit(
                lambda: self.journal.log.sign_ahead("batch.reconciled", row.package, receipt=receipt, at=self.world.now)
            )

        def commit() -> None:
            before = row.standing()
            after, _ = self._step(before, Settled())
            if after.state is before.state and self.mutant is not Mutant.SETTLED_TWICE:
                return
            self.journal.settle(row)
            if self.mutant is not Mutant.LEDGER_AFTERWARDS:
                self._enter(row, "batch.reconciled")
            row.state = after.state
            self.world.say(self.name, row.id, "reconciled")

        yield Commit(commit)
        if self.mutant is Mutant.LEDGER_AFTERWARDS:
            yield Commit(lambda: self._enter_late(row))
        if self.mutant is not Mutant.SIGNED_BEFORE_COMMITTED:
            yield Commit(self.journal.log.sign)

    def _enter_late(self, row: Row) -> None:
        if self.journal.log.highest.get(row.package.route, 0) + 1 >= row.package.sequence:
            self._enter(row, "batch.reconciled")

    # What a person orders, and what comes by another way than as an answer.

    def retry(self, row: Row) -> Task:
        """The same bytes again, now."""

        def commit() -> None:
            before = row.standing()
            after, _ = self._step(before, Retried())
            self.journal.write(row, before, after, self.world.wall(), None)
            row.retried += 1
            self.world.say("a person retries", row.id, before.state, "→", after.state)

        yield Commit(commit)

    def abandon(self, route: str) -> Task:
        """Give up the batch that a route waits for; a void batch takes its number."""

        def commit() -> bool:
            row = self.journal.pending(route)
            # The ledger takes the numbers of a route in their order.
            if row is None or row.package.sequence > self.journal.log.highest.get(route, 0) + 1:
                return False
            before = row.standing()
            try:
                after, _ = self._step(before, Abandoned())
            except StoreError:
                return False
            self.journal.write(row, before, after, self.world.wall(), None)
            if self.mutant is not Mutant.NOT_RELEASED:
                self.journal.release(row)
            self._enter(row, "batch.abandoned")
            self.world.say("a person gives up", row.id, before.state)
            return True

        if (yield Commit(commit)):
            yield from self.fill_hole(route)

    def take_receipt(self, row: Row, receipt: Receipt, peer: str) -> Task:
        """As :meth:`gateway.delivery.send.Courier.take_receipt`."""

        def commit() -> None:
            known = row.receipt
            finding = Finding.FIRST if known is None else Finding.SAME if known == receipt else Finding.CONTRADICTS
            before = row.standing()
            after, effects = self._step(before, ReceiptCame(finding))
            self.journal.write(row, before, after, self.world.wall(), None)
            self._keep(row, effects, receipt)
            self.world.say("a receipt of", row.id, "by hand:", before.state, "→", after.state)

        if not self.flaw(receipt, row, peer):
            yield Commit(commit)
