"""What only a person decides, between two real nodes: a batch given up, tried again, a receipt taken by hand, a held run let go on."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.errors import ConfigError, DeliveryError, PackageError, StoreError
from gateway.orders import ORDERS
from gateway.store import batches, inbox
from gateway.store.entries import DurableLog
from gateway.store.states import State
from tests.delivery.test_exchange import ROUTE, held_there, proved
from tests.nodes import Nodes, lay_nodes, permit, run_once

SIGNED = {"person": "李局长", "reason": "目录填错"}
EXCHANGE = "permits-to-province"


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    nodes = lay_nodes(tmp_path)
    nodes.business.write([permit(number) for number in range(1, 5)])
    return nodes


async def order(gateway: Gateway, verb: str, **args: Any) -> dict[str, Any]:
    return await ORDERS[verb](gateway, args, lambda _stage, _count: None)


def kinds(gateway: Gateway) -> list[str]:
    return [entry.kind for entry in DurableLog(gateway.database).entries(0, 1000)]


async def unsent(nodes: Nodes) -> str:
    """A batch that is sealed and could not be handed over: nobody listens."""
    with nodes.bureau.open() as bureau:
        assert (await run_once(bureau)).open == 4
        with bureau.database.read() as conn:
            (batch,) = batches.open_batches(conn)
    return batch.id


async def test_a_batch_given_up_leaves_no_hole_and_its_records_go_out_anew(nodes: Nodes) -> None:
    batch_id = await unsent(nodes)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            done = await order(bureau, "abandon", batch=batch_id, **SIGNED)
            assert done["state"] == "abandoned"
            with bureau.database.read() as conn:
                void = batches.find_batch(conn, done["void"])
            assert void is not None
            assert (void.state, void.sequence, void.total, void.void_of) == (State.RECONCILED, 1, 0, batch_id)
            statement = await run_once(bureau)
            assert (statement.carried, statement.sealed, statement.answered.created) == (0, 4, 4)
            assert kinds(bureau).count("batch.abandoned") == 1
            assert proved(bureau)
        with province.database.read() as conn:
            assert [(one.sequence, one.counts["total"]) for one in reversed(inbox.list_batches(conn, limit=9))] == [
                (1, 0),
                (2, 4),
            ]
        assert {version for version, _ in held_there(province).values()} == {1}
        assert proved(province)


async def test_what_the_receiver_has_taken_cannot_be_given_up(nodes: Nodes) -> None:
    """Our state is that of before the answer came (a restored backup of one row): asked, the receiver shows its receipt."""
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        with province.database.read() as conn:
            (taken,) = inbox.list_batches(conn, limit=9)
            receipt = inbox.receipt_bytes(conn, taken.id)
        assert receipt is not None
        with nodes.bureau.open() as bureau:
            _forget(bureau, taken.id)
            done = await order(bureau, "abandon", batch=taken.id, **SIGNED)
            assert (done["void"], done["state"]) == (None, "reconciled")


def _forget(bureau: Gateway, batch_id: str) -> None:
    """As if the answer had never come (the ledger keeps its entry: this is not a state that a crash can leave)."""
    with bureau.database.begin() as conn:
        conn.exec_driver_sql("DELETE FROM receipt WHERE batch_id = ?", (batch_id,))
        conn.exec_driver_sql(
            "UPDATE batch SET state = 'unknown', next_attempt_at = '2099-01-01T00:00:00.000000Z' WHERE id = ?",
            (batch_id,),
        )


async def test_a_receiver_that_cannot_be_asked_leaves_the_question_open(nodes: Nodes) -> None:
    batch_id = await unsent(nodes)
    with nodes.bureau.open() as bureau:
        with pytest.raises(DeliveryError, match="abandon-unsure"):
            await order(bureau, "abandon", batch=batch_id, **SIGNED)
        assert "batch.abandoned" not in kinds(bureau)


async def test_only_the_first_open_batch_of_a_route_is_given_up(nodes: Nodes) -> None:
    nodes.business.write([permit(number) for number in range(1, 7)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        with bureau.database.read() as conn:
            first, second = batches.open_batches(conn)
        with pytest.raises(DeliveryError, match="abandon-out-of-turn") as refused:
            await order(bureau, "abandon", batch=second.id, **SIGNED)
        assert refused.value.facts["first"] == first.id


async def test_a_receipt_that_came_by_another_way_closes_the_batch(nodes: Nodes) -> None:
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        with province.database.read() as conn:
            (taken,) = inbox.list_batches(conn, limit=9)
            receipt = inbox.receipt_bytes(conn, taken.id)
    assert receipt is not None
    with nodes.bureau.open() as bureau:
        _forget(bureau, taken.id)
        with pytest.raises(PackageError):
            await order(bureau, "receipt", batch=taken.id, data=base64.b64encode(b"PK?" + receipt).decode())
        done = await order(bureau, "receipt", batch=taken.id, data=base64.b64encode(receipt).decode())
        assert done["state"] == "reconciled"


async def test_trying_again_at_once_sends_the_same_bytes(nodes: Nodes) -> None:
    batch_id = await unsent(nodes)
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        package = batches.package_bytes(conn, batch_id)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            assert await order(bureau, "retry", batch=batch_id, **SIGNED) == {"was": "waiting", "state": "reconciled"}
        with province.database.read() as conn:
            assert inbox.package_bytes(conn, batch_id) == package


async def test_many_changes_are_held_too_and_only_as_many_let_pass_as_were_seen(nodes: Nodes) -> None:
    rows = [permit(number) for number in range(1, 151)]
    nodes.business.write(rows)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            nodes.business.write([{**row, "XK_NR": "批量改错"} for row in rows[:120]] + rows[120:])
            with pytest.raises(DeliveryError, match="mass-change") as held:
                await run_once(bureau)
            assert (held.value.facts["withdrawals"], held.value.facts["changes"]) == (0, 120)
            with bureau.database.read() as conn:
                run_id = conn.exec_driver_sql("SELECT id FROM run ORDER BY started_at DESC LIMIT 1").scalar_one()
            nodes.business.write([{**row, "XK_NR": "批量改错"} for row in rows])
            with pytest.raises(DeliveryError, match="mass-change"):
                await order(bureau, "approve", run=run_id, **SIGNED)
            assert {version for version, _ in held_there(province).values()} == {1}
            with bureau.database.read() as conn:
                run_id = conn.exec_driver_sql("SELECT id FROM run ORDER BY started_at DESC LIMIT 1").scalar_one()
            done = await order(bureau, "approve", run=run_id, **SIGNED)
            assert done["statement"]["answered"]["updated"] == 150


async def test_orders_about_what_does_not_exist_are_refused(nodes: Nodes) -> None:
    with nodes.bureau.open() as bureau:
        for verb, args, code in (
            ("retry", {"batch": "0193aaaa-0000-7000-8000-000000000001"}, "batch-unknown"),
            ("approve", {"run": "0193aaaa-0000-7000-8000-000000000001"}, "run-not-held"),
            ("pause", {"scope": "exchange", "name": "nobody"}, "exchange-unknown"),
            ("pause", {"scope": "peer", "name": "nobody"}, "peer-unknown"),
            ("resume", {"scope": "exchange", "name": EXCHANGE}, "not-paused"),
        ):
            with pytest.raises((ConfigError, DeliveryError, StoreError), match=code):
                await order(bureau, verb, **args, **SIGNED)
        assert ROUTE.startswith(bureau.node.code)
