"""Who is served next, and who must wait: several routes and peers over a real journal, with organisations that answer as a test says."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import structlog

from gateway.clock import instant
from gateway.delivery.dispatch import Dispatcher
from gateway.delivery.exchange import Peer, Route
from gateway.delivery.holds import Holds, Work
from gateway.delivery.ledgers import PeerLedgers
from gateway.delivery.reconcile import Reconciler
from gateway.errors import ExchangeError
from gateway.exchange.outcome import Later, Outcome
from gateway.exchange.port import Outgoing
from gateway.package.forms import Node
from gateway.store import batches, pauses, peers
from gateway.store.pauses import Pause, Scope
from gateway.store.states import State
from tests.delivery.organisation import RETRY, ROUTE, START, Desk, NoChance, Organisation, acknowledged
from tests.package.samples import RECEIVER, SENDER, stranger
from tests.store.samples import EXCHANGE

PENALTIES = Route(ROUTE.replace("administrative-license", "administrative-penalty"))
MINISTRY = Node(code="11100000000013039P", name="部")
TO_MINISTRY = Route(ROUTE.replace(RECEIVER.code, MINISTRY.code))
DOWN = Later(why="peer-unreachable")


class Quiet:
    """In place of the notary: what is signed is not looked at here, only that a batch was closed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Queue[None] = asyncio.Queue()

    def publish(self, *, final: bool = False) -> None:
        """Called by the worker's thread."""
        self._loop.call_soon_threadsafe(self.closed.put_nowait, None)


class Office:
    """A desk with a dispatcher."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.holds = Holds(desk.clock)
        self.notary = Quiet()
        self.dispatcher = self.fresh()

    def fresh(self) -> Dispatcher:
        """A dispatcher as a new process has it."""
        return Dispatcher(
            database=self.desk.database,
            courier=self.desk.courier,
            reconciler=Reconciler(
                database=self.desk.database,
                node=SENDER,
                ledgers=PeerLedgers(node=SENDER, keys={}),
                clock=self.desk.clock,
            ),
            notary=self.notary,  # type: ignore[arg-type]
            holds=self.holds,
            clock=self.desk.clock,
            ids=NoChance(),
        )

    async def deliver(self, route: Route = ROUTE) -> bool:
        return await self.dispatcher.deliver(route, self.desk.peer)


@pytest.fixture
async def office(desk: Desk) -> Office:
    return Office(desk)


def unreachable() -> ExchangeError:
    return ExchangeError("node-question-failed", peer="province", why="peer-unreachable", status="-")


async def test_a_route_goes_on_until_it_has_to_wait(office: Office) -> None:
    one, two = office.desk.seal(1), office.desk.seal(2)
    office.desk.seal(3)
    office.desk.organisation.sends = [acknowledged(one), acknowledged(two), DOWN]
    assert await office.deliver()
    states = [office.desk.batch(batch.id).state for batch in (one, two)]
    assert states == [State.RECONCILED, State.RECONCILED]
    assert [sent.batch_id for sent in office.desk.organisation.sent][:2] == [one.id, two.id], "in order"
    assert not await office.deliver(), "its time has not come"


async def test_an_outage_costs_time_but_no_attempts(office: Office) -> None:
    """Three failures open the breaker; from then on a cheap question is asked, and one event told at either end."""
    desk = office.desk
    batch = desk.seal()
    desk.organisation.sends = [DOWN, DOWN, DOWN]
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await office.deliver()
            desk.clock.time += timedelta(minutes=2)
        desk.organisation.sends = [DOWN]
        await office.deliver()
        desk.organisation.info = unreachable()
        for _ in range(10):
            desk.clock.time += timedelta(minutes=2)
            assert not await office.deliver()
        assert desk.batch().attempts == 3
        desk.organisation.info = Organisation().info
        office.dispatcher = office.fresh()  # a new process knows of the outage
        with desk.database.begin() as conn:
            conn.exec_driver_sql("UPDATE batch SET state = 'waiting', next_attempt_at = ?", (instant(desk.clock.time),))
        desk.clock.time += timedelta(minutes=2)
        desk.organisation.sends = [acknowledged(batch)]
        assert await office.deliver()
    told = [line["event"] for line in logs if str(line["event"]).startswith("peer.")]
    assert told == ["peer.out-of-reach", "peer.back"]
    with desk.database.read() as conn:
        assert peers.find_peer(conn, RECEIVER.code).failures == 0


async def test_a_backlog_leaves_at_a_limited_rate_after_an_outage(office: Office) -> None:
    desk = office.desk
    sealed = [desk.seal(number) for number in range(1, 5)]
    with desk.database.begin() as conn:
        peers.save_peer(
            conn, peers.PeerRow(code=RECEIVER.code, failures=3, opened_at=instant(START), probe_at=instant(START))
        )
    desk.organisation.sends = [acknowledged(batch) for batch in sealed]
    assert await office.deliver()
    # 60 a minute by default: the first at once, then one a second.
    assert timedelta(seconds=3) <= desk.clock.time - START < timedelta(seconds=5)
    later = [desk.seal(number) for number in range(5, 8)]
    before = desk.clock.time
    desk.organisation.sends = [acknowledged(batch) for batch in later]
    assert await office.deliver()
    assert desk.clock.time - before < timedelta(seconds=1), "the backlog is gone, and so is the limit"


async def test_a_backlog_goes_on_leaving_slowly_in_a_new_process(office: Office) -> None:
    desk = office.desk
    sealed = [desk.seal(number) for number in range(1, 5)]
    with desk.database.begin() as conn:
        peers.save_peer(conn, peers.PeerRow(code=RECEIVER.code, drains=True))
    desk.organisation.sends = [acknowledged(sealed[0]), DOWN]
    assert await office.deliver()
    office.dispatcher = office.fresh()
    desk.clock.time += timedelta(minutes=2)
    desk.organisation.sends = [acknowledged(batch) for batch in sealed[1:]]
    before = desk.clock.time
    assert await office.deliver()
    assert timedelta(seconds=2) <= desk.clock.time - before < timedelta(seconds=4)
    with desk.database.read() as conn:
        assert not peers.find_peer(conn, RECEIVER.code).drains, "gone, and so is the limit"


@pytest.mark.parametrize(("scope", "name"), [(Scope.EXCHANGE, EXCHANGE), (Scope.PEER, "province")])
async def test_a_pause_acts_before_the_next_batch(office: Office, scope: Scope, name: str) -> None:
    desk = office.desk
    one, two = desk.seal(1), desk.seal(2)

    async def pause() -> Outcome:
        with desk.database.begin() as conn:
            pauses.begin(conn, Pause(scope=scope, name=name, at=instant(START), person="值班员", reason="演练"))
        return acknowledged(one)

    desk.organisation.sends = [pause]
    assert await office.deliver()
    assert (desk.batch(one.id).state, desk.batch(two.id).state) == (State.RECONCILED, State.READY)
    office.dispatcher = office.fresh()
    assert not await office.deliver(), "nor after a restart"
    with desk.database.begin() as conn:
        pauses.end(conn, scope, name)
    desk.organisation.sends = [acknowledged(two)]
    assert await office.deliver()


async def test_a_hold_on_sending_lets_nothing_leave(office: Office) -> None:
    batch = office.desk.seal()
    office.holds.begin("space-low", frozenset({Work.SENDING}), free=1, least=2)
    assert not await office.deliver()
    office.holds.end("space-low")
    office.desk.organisation.sends = [acknowledged(batch)]
    assert await office.deliver()


async def test_the_most_urgent_route_goes_first_and_a_silent_peer_holds_up_nobody(office: Office) -> None:
    """Three routes, one to a ministry that never answers; of the other two the one with the earlier deadline leaves first."""
    desk = office.desk
    license_ = desk.seal(1, deadline="2026-12-01")
    penalty = desk.seal(1, serial=2, route=PENALTIES, deadline="2026-11-25")
    silent = desk.seal(1, serial=3, route=TO_MINISTRY, deadline="2026-11-23")
    answers = {license_.id: acknowledged(license_), penalty.id: acknowledged(penalty)}

    async def answer(outgoing: Outgoing) -> Outcome:
        desk.organisation.sent.append(outgoing)
        if outgoing.batch_id == silent.id:
            await asyncio.Event().wait()
        return answers[outgoing.batch_id]

    desk.organisation.send = answer  # type: ignore[method-assign]
    known = {
        RECEIVER.code: desk.peer,
        MINISTRY.code: Peer(
            name="ministry",
            node=MINISTRY,
            trusted=[stranger().certificate],
            transport=desk.organisation,
            retry=RETRY,
        ),
    }
    working = asyncio.create_task(office.dispatcher.work(known))
    for _ in range(2):
        await asyncio.wait_for(office.notary.closed.get(), 30)
    assert [sent.batch_id for sent in desk.organisation.sent] == [silent.id, penalty.id, license_.id]
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_trouble_with_one_route_is_not_the_others(office: Office) -> None:
    """The stored receipt of one batch no longer holds: its route is told of and rested, the other one goes on."""
    desk = office.desk
    spoilt = desk.seal(1)
    fine = desk.seal(1, serial=2, route=PENALTIES)
    desk.organisation.sends = [acknowledged(spoilt)]
    await desk.courier.deliver(ROUTE, desk.peer)
    with desk.database.begin() as conn:
        conn.exec_driver_sql("DROP TRIGGER keep_receipt_update")
        conn.exec_driver_sql("UPDATE receipt SET data = x'00' WHERE batch_id = ?", (spoilt.id,))
    desk.organisation.sends = [acknowledged(fine)]
    with structlog.testing.capture_logs() as logs:
        working = asyncio.create_task(office.dispatcher.work({RECEIVER.code: desk.peer}))
        await asyncio.wait_for(office.notary.closed.get(), 30)
        office.dispatcher.stop()
        await working
    assert [line["route"] for line in logs if line["event"] == "route.failed"] == [ROUTE]


@pytest.mark.fault("F23", "S10")
async def test_a_clock_that_was_set_back_by_years_holds_no_route_up(office: Office) -> None:
    desk = office.desk
    batch = desk.seal()
    desk.clock.time = START + timedelta(days=4000)
    desk.organisation.sends = [DOWN]
    await desk.courier.deliver(ROUTE, desk.peer)
    assert desk.batch().state is State.REFUSED, "years late, it was given up"
    with desk.database.begin() as conn:
        batches.move(conn, batch.id, State.WAITING, at=instant(desk.clock.time), person="王芳", reason="时钟已校正")
    desk.clock.time = START
    desk.organisation.sends = [acknowledged(batch)]
    working = asyncio.create_task(office.dispatcher.work({RECEIVER.code: desk.peer}))
    await asyncio.wait_for(office.notary.closed.get(), 30)
    office.dispatcher.stop()
    await working
    assert desk.batch().state is State.RECONCILED


async def test_a_stop_that_comes_together_with_news_is_a_stop(office: Office) -> None:
    """Wherever the dispatcher waits at that moment: a number of turns of the loop decides."""
    for turns in range(60):
        working = asyncio.create_task(office.dispatcher.work({}))
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)
        office.dispatcher.wake()
        working.cancel()
        done, _ = await asyncio.wait({working}, timeout=5)
        assert done, f"after {turns} turns"
