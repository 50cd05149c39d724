"""A receipt that comes by another way than as an answer: a file, a person's hand."""

from __future__ import annotations

import asyncio

import pytest

from gateway.clock import instant
from gateway.delivery.ledgers import PeerLedgers
from gateway.delivery.reconcile import Reconciler
from gateway.errors import PackageError, StoreError
from gateway.exchange.outcome import Later, Outcome, Refused, Unknown
from gateway.store import batches
from gateway.store.entries import TransactionLog
from gateway.store.states import State
from tests.delivery.organisation import ROUTE, START, WHOLE, Desk, acknowledged, receipt_for
from tests.package.samples import SENDER


async def brought_to(desk: Desk, state: State) -> None:
    """Batch 1, sealed and brought to ``state`` by what the organisation answers."""
    batch = desk.seal()
    ends: dict[State, Outcome] = {
        State.WAITING: Later(why="peer-unreachable"),
        State.UNKNOWN: Unknown(why="peer-cut"),
        State.REFUSED: Refused(status=403, code="route-forbidden"),
        State.ACKNOWLEDGED: acknowledged(batch),
    }
    if state in ends:
        desk.organisation.sends = [ends[state]]
        await desk.courier.deliver(ROUTE, desk.peer)
    assert desk.batch().state is state


@pytest.mark.parametrize("state", [State.WAITING, State.UNKNOWN, State.REFUSED])
async def test_it_closes_the_question_wherever_bytes_may_have_left(desk: Desk, state: State) -> None:
    await brought_to(desk, state)
    fence = desk.batch().fence
    data = receipt_for(desk.batch())
    assert desk.courier.take_receipt(desk.batch().id, desk.peer, data) is State.ACKNOWLEDGED
    stored = desk.receipt()
    assert stored is not None
    assert (stored.data, stored.late, desk.batch().fence) == (data, True, fence + 1)
    assert await desk.courier.deliver(ROUTE, desk.peer) is None, "nothing is tried again"
    assert desk.courier.take_receipt(desk.batch().id, desk.peer, data) is State.ACKNOWLEDGED, (
        "once more says nothing new"
    )
    assert desk.refused() == []


async def test_it_stops_the_worker_that_is_sending(desk: Desk) -> None:
    batch = desk.seal()

    async def meanwhile() -> Outcome:
        taken = await asyncio.to_thread(desk.courier.take_receipt, batch.id, desk.peer, receipt_for(batch))
        assert taken is State.ACKNOWLEDGED
        return Unknown(why="peer-timeout")

    desk.organisation.sends = [meanwhile]
    assert await desk.courier.deliver(ROUTE, desk.peer) is None
    assert desk.batch().state is State.ACKNOWLEDGED
    assert [(one.outcome, one.code) for one in desk.tries()] == [("acknowledged", "receipt-by-another-way")]


async def test_before_any_byte_left_there_is_nothing_that_it_could_answer(desk: Desk) -> None:
    await brought_to(desk, State.READY)
    assert desk.courier.take_receipt(desk.batch().id, desk.peer, receipt_for(desk.batch())) is State.READY
    assert (desk.receipt(), desk.refused()) == (None, ["receipt-unexpected"])


async def test_for_a_batch_that_was_given_up_it_is_evidence_only(desk: Desk) -> None:
    await brought_to(desk, State.UNKNOWN)
    with desk.database.begin() as conn:
        batches.move(conn, desk.batch().id, State.ABANDONED, at=instant(START), person="王芳", reason="发错了目录")
    assert desk.courier.take_receipt(desk.batch().id, desk.peer, receipt_for(desk.batch())) is State.ABANDONED
    assert (desk.receipt(), desk.refused()) == (None, ["receipt-unexpected"])


async def test_one_that_does_not_hold_is_kept_and_named(desk: Desk) -> None:
    await brought_to(desk, State.UNKNOWN)
    with pytest.raises(PackageError, match="receipt-package-digest"):
        desk.courier.take_receipt(desk.batch().id, desk.peer, receipt_for(desk.batch(), package_sha256="0" * 64))
    with pytest.raises(PackageError):
        desk.courier.take_receipt(desk.batch().id, desk.peer, b"not a receipt")
    assert desk.refused()[0] == "receipt-package-digest"
    assert (len(desk.refused()), desk.batch().state) == (2, State.UNKNOWN)


async def test_for_a_batch_that_does_not_exist(desk: Desk) -> None:
    with pytest.raises(StoreError, match="batch-missing"):
        desk.courier.take_receipt("nobody", desk.peer, b"")


async def test_two_that_contradict_make_a_dispute_in_the_ledger(desk: Desk) -> None:
    """Both are sound and sealed by the peer: which one holds is for people to find out."""
    await brought_to(desk, State.ACKNOWLEDGED)
    first = desk.receipt()
    assert first is not None
    other = receipt_for(desk.batch())
    assert other != first.data
    assert desk.courier.take_receipt(desk.batch().id, desk.peer, other) is State.DISPUTED
    assert (desk.refused(), desk.receipt()) == (["receipt-contradicts"], first)
    with desk.database.read() as conn:
        (entry,) = TransactionLog(conn).entries(1, 9)
    assert entry.kind == "batch.disputed"
    said = entry.leaf.decode()
    assert f'"node":"{SENDER.code}"' in said
    assert f'"receipt_sha256":"{first.sha256}"' in said
    assert '"code":"receipt-contradicts"' in said
    assert f'"created":{WHOLE.created}' in said
    reconciler = Reconciler(
        database=desk.database, node=SENDER, ledgers=PeerLedgers(node=SENDER, keys={}), clock=desk.clock
    )
    reconciler.reconcile(desk.peer, desk.batch().id)
    assert (desk.batch().state, desk.entries()) == (State.DISPUTED, ["batch.disputed"]), "a dispute is not settled over"
    assert desk.courier.take_receipt(desk.batch().id, desk.peer, receipt_for(desk.batch())) is State.DISPUTED
    assert desk.entries() == ["batch.disputed"]


async def test_what_is_reconciled_stays_reconciled(desk: Desk) -> None:
    await brought_to(desk, State.ACKNOWLEDGED)
    reconciler = Reconciler(
        database=desk.database, node=SENDER, ledgers=PeerLedgers(node=SENDER, keys={}), clock=desk.clock
    )
    for _ in range(2):
        reconciler.reconcile(desk.peer, desk.batch().id)
    assert desk.courier.take_receipt(desk.batch().id, desk.peer, receipt_for(desk.batch())) is State.RECONCILED
    assert (desk.refused(), desk.entries()) == (["receipt-contradicts"], ["batch.reconciled"])
