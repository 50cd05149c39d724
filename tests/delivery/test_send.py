"""The courier over a real journal, with an organisation that answers as a test says."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.clock import instant
from gateway.delivery.send import Step
from gateway.errors import ExchangeError
from gateway.exchange.outcome import (
    Acknowledged,
    Later,
    NeverReceived,
    NotReady,
    Outcome,
    ReceiptAnswer,
    Refused,
    Taken,
    Unknown,
)
from gateway.package.receipt import Figures
from gateway.store import attempts, batches
from gateway.store.states import State
from tests.delivery.organisation import ROUTE, START, Desk, acknowledged, receipt_for


async def deliver(desk: Desk) -> Step:
    step = await desk.courier.deliver(ROUTE, desk.peer)
    assert step is not None
    return step


async def in_doubt(desk: Desk) -> None:
    """Batch 1 was sent, nobody knows how far it came, and it is time to ask."""
    desk.seal()
    desk.organisation.sends = [Unknown(why="peer-cut")]
    assert (await deliver(desk)).state is State.UNKNOWN
    desk.clock.time += timedelta(minutes=2)


@pytest.mark.parametrize(
    ("outcome", "state", "word", "reached"),
    [
        (Later(why="peer-unreachable"), State.WAITING, "later", False),
        (Later(why="peer-tls-failed"), State.WAITING, "later", False),
        (Later(why="peer-busy", status=503, retry_after=5), State.WAITING, "later", False),
        (Later(why="peer-busy", status=429, retry_after=5), State.WAITING, "later", True),
        (Later(why="peer-expects-another", status=409, code="sequence-gap", expected=1), State.WAITING, "later", True),
        (Refused(status=403, code="route-forbidden"), State.REFUSED, "refused", True),
        (Unknown(why="peer-timeout"), State.UNKNOWN, "unknown", False),
        (Unknown(why="answer-not-a-receipt", status=200), State.UNKNOWN, "unknown", False),
        (Taken(retry_after=5), State.UNKNOWN, "unknown", True),
    ],
)
async def test_an_attempt_without_a_receipt(
    desk: Desk, outcome: Outcome, state: State, word: str, reached: bool
) -> None:
    desk.seal()
    desk.organisation.sends = [outcome]
    step = await deliver(desk)
    assert (step.state, step.reached) == (state, reached)
    (tried,) = desk.tries()
    assert (tried.outcome, tried.code) == (word, step.code)
    batch = desk.batch()
    assert (batch.state, batch.lease_owner) == (state, None)
    if step.next_attempt_at is None:
        assert state is State.REFUSED
    else:
        assert batch.next_attempt_at == instant(step.next_attempt_at) > instant(START)
    assert await desk.courier.deliver(ROUTE, desk.peer) is None, "its time has not come"


async def test_a_receipt_that_holds_is_stored_with_the_state(desk: Desk) -> None:
    batch = desk.seal()
    desk.organisation.sends = [acknowledged(batch)]
    step = await deliver(desk)
    assert step == Step(batch_id=batch.id, state=State.ACKNOWLEDGED, code="", reached=True, next_attempt_at=None)
    stored = desk.receipt()
    assert stored is not None
    assert (stored.verdict, stored.late) == ("accepted", False)
    assert [one.outcome for one in desk.tries()] == ["acknowledged"]


async def test_the_attempt_is_written_down_before_the_first_byte_leaves(desk: Desk) -> None:
    desk.seal()

    async def look() -> Outcome:
        (tried,) = desk.tries()
        assert (tried.ended_at, desk.batch().state, desk.batch().attempts) == (None, State.SENDING, 1)
        return Later(why="peer-unreachable")

    desk.organisation.sends = [look]
    assert (await deliver(desk)).state is State.WAITING


@pytest.mark.parametrize(
    "bad",
    [
        {"forged": True},
        {"package_sha256": "0" * 64},
        {"sequence": 2},
        {"figures": Figures(total=3, created=3)},
        {"sender_checkpoint": ""},
    ],
)
async def test_a_receipt_that_does_not_hold_is_kept_and_proves_nothing(desk: Desk, bad: dict[str, object]) -> None:
    batch = desk.seal()
    data = receipt_for(batch, **bad)  # type: ignore[arg-type]  # fields of a receipt, bent
    desk.organisation.sends = [Acknowledged(receipt=data, status=201, stored=False)]
    step = await deliver(desk)
    assert (step.state, step.reached, desk.receipt()) == (State.UNKNOWN, True, None)
    assert desk.refused() == [step.code]
    assert step.code


@pytest.mark.parametrize(
    ("answer", "reached"),
    [
        (NotReady(retry_after=5), True),
        (Later(why="peer-unreachable"), False),
        (Later(why="peer-failing", status=500), False),
        (Unknown(why="answer-cut", status=200), False),
    ],
)
async def test_a_question_without_an_answer(desk: Desk, answer: ReceiptAnswer, reached: bool) -> None:
    await in_doubt(desk)
    desk.organisation.answers = [answer]
    step = await deliver(desk)
    batch = desk.batch()
    assert (step.state, step.reached, batch.asks, batch.attempts) == (State.UNKNOWN, reached, 1, 1)
    assert step.next_attempt_at is not None
    assert (batch.lease_owner, batch.next_attempt_at) == (None, instant(step.next_attempt_at))
    assert len(desk.organisation.sent) == 1, "nothing is sent while in doubt"


async def test_a_question_is_counted_before_it_is_put(desk: Desk) -> None:
    await in_doubt(desk)

    async def look() -> ReceiptAnswer:
        assert desk.batch().asks == 1
        return NotReady()

    desk.organisation.answers = [look]
    await deliver(desk)


async def test_the_answer_to_a_question_is_a_late_receipt(desk: Desk) -> None:
    await in_doubt(desk)
    desk.organisation.answers = [acknowledged(desk.batch(), stored=True)]
    assert (await deliver(desk)).state is State.ACKNOWLEDGED
    stored = desk.receipt()
    assert stored is not None
    assert (stored.late, len(desk.organisation.sent)) == (True, 1)


async def test_what_never_arrived_goes_out_again_byte_for_byte(desk: Desk) -> None:
    await in_doubt(desk)
    desk.organisation.answers = [NeverReceived()]
    desk.organisation.sends = [acknowledged(desk.batch())]
    assert (await deliver(desk)).state is State.ACKNOWLEDGED
    first, second = desk.organisation.sent
    assert first == second
    assert [one.outcome for one in desk.tries()] == ["unknown", "acknowledged"]


async def test_asking_ends_and_a_person_is_told(desk: Desk) -> None:
    await in_doubt(desk)
    for _ in range(desk.peer.retry.questions - 1):
        desk.organisation.answers = [NotReady()]
        step = await deliver(desk)
        assert step.next_attempt_at is not None
        desk.clock.time = min(step.next_attempt_at, START + timedelta(minutes=59))
        with desk.database.begin() as conn:
            batches.put_off(conn, step.batch_id, next_attempt_at=instant(desk.clock.time))
    desk.organisation.answers = [NotReady()]
    step = await deliver(desk)
    assert (step.state, step.code) == (State.REFUSED, "gave-up")


async def test_nothing_overtakes_what_waits(desk: Desk) -> None:
    desk.seal(1)
    desk.seal(2)
    desk.organisation.sends = [Refused(status=403, code="route-forbidden")]
    await deliver(desk)
    assert await desk.courier.deliver(ROUTE, desk.peer) is None


# Stopping, and workers that are not alone.


async def stopped(desk: Desk, *, asking: bool) -> None:
    """The daemon's limit strikes while the organisation is silent."""
    begun = asyncio.Event()

    async def silent() -> Unknown:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    if asking:
        desk.organisation.answers = [silent]
    else:
        desk.organisation.sends = [silent]
    task = asyncio.create_task(desk.courier.deliver(ROUTE, desk.peer))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stop_while_bytes_are_under_way_leaves_doubt_and_no_lease(desk: Desk) -> None:
    desk.seal()
    await stopped(desk, asking=False)
    batch, (tried,) = desk.batch(), desk.tries()
    assert (batch.state, batch.lease_owner, batch.next_attempt_at) == (State.UNKNOWN, None, instant(START))
    assert (tried.outcome, tried.code, tried.ended_at) == ("unknown", "stopped", instant(START))
    desk.organisation.answers = [acknowledged(batch, stored=True)]
    assert (await deliver(desk)).state is State.ACKNOWLEDGED, "the next process asks at once"


async def test_a_stop_while_asking_is_forgotten(desk: Desk) -> None:
    await in_doubt(desk)
    await stopped(desk, asking=True)
    batch = desk.batch()
    assert (batch.state, batch.lease_owner) == (State.UNKNOWN, None)
    assert batch.next_attempt_at == instant(desk.clock.time)


async def test_a_worker_that_lost_its_fence_writes_nothing(desk: Desk) -> None:
    batch = desk.seal()

    async def sleep_past_the_lease() -> Outcome:
        desk.clock.time += timedelta(hours=1)
        with desk.database.begin() as conn:
            taken = batches.claim(conn, owner="other", at=instant(desk.clock.time), lease_seconds=60, route=ROUTE)
        assert taken is not None
        return acknowledged(batch)

    desk.organisation.sends = [sleep_past_the_lease]
    assert await desk.courier.deliver(ROUTE, desk.peer) is None
    found = desk.batch()
    assert (found.state, found.lease_owner, desk.receipt()) == (State.UNKNOWN, "other", None)
    assert [(one.outcome, one.code) for one in desk.tries()] == [("unknown", "lease-ended")]


async def test_a_worker_that_lost_its_fence_keeps_not_even_a_bad_receipt(desk: Desk) -> None:
    batch = desk.seal()

    async def overtaken() -> Outcome:
        with desk.database.begin() as conn:
            batches.end_leases(conn, at=instant(desk.clock.time))
        return Acknowledged(receipt=receipt_for(batch, forged=True), status=201, stored=False)

    desk.organisation.sends = [overtaken]
    assert await desk.courier.deliver(ROUTE, desk.peer) is None
    assert (desk.refused(), desk.batch().state) == ([], State.UNKNOWN)


async def test_a_stop_is_a_stop_even_without_the_fence(desk: Desk) -> None:
    desk.seal()
    begun = asyncio.Event()

    async def silent() -> Outcome:
        with desk.database.begin() as conn:
            batches.end_leases(conn, at=instant(desk.clock.time))
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    desk.organisation.sends = [silent]
    task = asyncio.create_task(desk.courier.deliver(ROUTE, desk.peer))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [one.code for one in desk.tries()] == ["lease-ended"]


async def test_a_send_after_a_long_question_has_a_whole_lease(desk: Desk) -> None:
    """Asking and sending each may take as long as a transfer lasts."""
    await in_doubt(desk)

    async def slow() -> ReceiptAnswer:
        desk.clock.time += timedelta(seconds=100)
        return NeverReceived()

    async def look() -> Outcome:
        assert desk.batch().lease_until == instant(desk.clock.time + timedelta(seconds=160))
        return Later(why="peer-unreachable")

    desk.organisation.answers, desk.organisation.sends = [slow], [look]
    assert (await deliver(desk)).state is State.WAITING


async def test_a_clock_that_was_set_back_by_years_holds_nothing_up(desk: Desk) -> None:
    desk.seal()
    desk.clock.time = START + timedelta(days=4000)
    desk.organisation.sends = [Unknown(why="peer-cut")]
    await deliver(desk)
    desk.clock.time = START + timedelta(minutes=1)
    desk.organisation.answers = [acknowledged(desk.batch(), stored=True)]
    assert (await deliver(desk)).state is State.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("error", "reached", "why"),
    [
        (None, True, ""),
        (
            ExchangeError("node-question-failed", peer="p", why="peer-unreachable", status="-"),
            False,
            "peer-unreachable",
        ),
        (
            ExchangeError("node-question-failed", peer="p", why="answer-unexpected", status=503),
            False,
            "answer-unexpected",
        ),
        (ExchangeError("node-question-failed", peer="p", why="caller-unknown", status=401), True, ""),
        (ExchangeError("node-answer-malformed"), False, "node-answer-malformed"),
    ],
)
async def test_a_probe_asks_who_is_there(desk: Desk, error: ExchangeError | None, reached: bool, why: str) -> None:
    if error is not None:
        desk.organisation.info = error
    assert await desk.courier.probe(desk.peer) == (reached, why)


# A void batch in the place of one that arrived after all.


async def given_up(desk: Desk) -> str:
    """Batch 1 was sent, its fate is unknown, a person gave it up, and a void batch has its number; returns the void batch's id."""
    first = desk.seal()
    desk.organisation.sends = [Unknown(why="peer-cut")]
    await deliver(desk)
    with desk.database.begin() as conn:
        batches.move(conn, first.id, State.ABANDONED, at=instant(START), person="王芳", reason="发错了目录")
    return desk.seal(1, void_of=first.id, serial=100).id


GAP = Later(why="peer-expects-another", status=409, code="sequence-gap", expected=2)


async def test_a_void_batch_ends_when_the_batch_that_was_given_up_has_its_number(desk: Desk) -> None:
    void, first = await given_up(desk), desk.batch()
    desk.organisation.sends = [GAP]
    desk.organisation.answers = [acknowledged(first, stored=True)]
    step = await deliver(desk)
    assert (step.state, step.code, desk.batch(void).state) == (State.DISPUTED, "number-taken", State.DISPUTED)
    assert (desk.organisation.asked, desk.refused(first.id)) == ([first.id], ["number-taken"])
    assert (desk.batch().state, desk.receipt()) == (State.ABANDONED, None)
    assert desk.entries() == ["batch.disputed"]
    desk.seal(2)
    desk.organisation.sends = [Later(why="peer-unreachable")]
    assert (await deliver(desk)).batch_id != void, "the route goes on"


@pytest.mark.parametrize("answer", [NeverReceived(), Later(why="peer-unreachable"), None])
async def test_without_proof_the_void_batch_waits(desk: Desk, answer: ReceiptAnswer | None) -> None:
    void, first = await given_up(desk), desk.batch()
    desk.organisation.sends = [GAP]
    forged = Acknowledged(receipt=receipt_for(first, forged=True), status=200, stored=True)
    desk.organisation.answers = [answer or forged]
    assert (await deliver(desk)).state is State.WAITING
    assert (desk.batch(void).state, desk.entries()) == (State.WAITING, [])


async def test_a_void_batch_of_a_void_batch_asks_for_both(desk: Desk) -> None:
    void, first = await given_up(desk), desk.batch()
    with desk.database.begin() as conn:
        batches.move(conn, void, State.ABANDONED, at=instant(START), person="王芳", reason="再次作废")
    last = desk.seal(1, void_of=void, serial=101).id
    desk.organisation.sends = [GAP]
    desk.organisation.answers = [NeverReceived(), acknowledged(first, stored=True)]
    assert (await deliver(desk)).state is State.DISPUTED
    assert (desk.organisation.asked, desk.batch(last).state) == ([void, first.id], State.DISPUTED)


async def test_a_gap_in_front_of_an_ordinary_batch_waits(desk: Desk) -> None:
    desk.seal()
    desk.organisation.sends = [GAP]
    assert (await deliver(desk)).state is State.WAITING
    assert desk.organisation.asked == []


async def test_receipts_are_kept_once(desk: Desk) -> None:
    """The same bad bytes at every attempt fill no disk."""
    batch = desk.seal()
    bad = Acknowledged(receipt=receipt_for(batch, forged=True), status=200, stored=True)
    desk.organisation.sends = [bad]
    await deliver(desk)
    for _ in range(3):
        desk.clock.time += timedelta(minutes=2)
        desk.organisation.answers = [bad]
        await deliver(desk)
    with desk.database.read() as conn:
        assert len(attempts.refused_receipts(conn, batch.id)) == 1
