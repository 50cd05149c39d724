"""A receiver whose state was put back to an old copy: what it lost goes to it again, in order, and everything is as before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.delivery.replay import lost_batches
from gateway.errors import DeliveryError, PeerUnavailableError
from gateway.ledger.entry import decode
from gateway.store import attempts, batches
from gateway.store.entries import DurableLog
from gateway.store.states import State
from tests.delivery.again import EXCHANGE, ROUTE, again, compared, held_there, lost, meddle, preview
from tests.nodes import Folder, Nodes, lay_nodes, permit, run_once


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


def key(number: int) -> str:
    return str(permit(number)["XK_WSH"])


@contextmanager
def put_back(folder: Folder) -> Iterator[None]:
    """What the node does inside is lost afterwards, head memory and all: its whole folder is the copy made before."""
    copy = folder.path.with_name("copy")
    shutil.copytree(folder.path, copy)
    yield
    shutil.rmtree(folder.path)
    copy.rename(folder.path)


async def asked(bureau: Gateway) -> list[int]:
    async with bureau.peer("province") as peer:
        return [batch.sequence for batch in await lost_batches(bureau.database, peer, ROUTE)]


async def test_a_receiver_restored_from_an_old_copy_gets_back_what_it_lost(nodes: Nodes) -> None:
    rows = [permit(number) for number in range(1, 11)]
    nodes.business.write(rows)
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)  # batches 1–3
    with put_back(nodes.province):
        async with nodes.province_listening() as province:
            with nodes.bureau.open() as bureau:
                nodes.business.write([permit(1, XK_NR="变更"), *rows[1:9], permit(11)])  # 10 is withdrawn
                await run_once(bureau)  # batch 4
                nodes.business.write([permit(1, XK_NR="再变更"), *rows[1:9], permit(11), permit(12)])
                await run_once(bureau)  # batch 5
                before = held_there(province)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            assert await asked(bureau) == [4, 5]
            nodes.business.write([permit(1, XK_NR="再变更"), *rows[1:9], permit(11), permit(12), permit(13)])
            assert (await run_once(bureau)).open == 1, "it expects another number and takes nothing new"
            meddle(nodes.province, lost(key(2)))
            looked = await preview(bureau, compare=True)
            assert looked["compare"]["lost"] == [4, 5]
            assert await asked(bureau) == [4, 5], "looking sends nothing"
            done = await again(bureau, compare=True)
            assert done["compare"]["lost"] == [4, 5]
            assert done["chosen"] == {"again": 1}, "what the old copy had lost besides"
            there = held_there(province)
            assert there.pop(key(13)) == (1, "upsert"), "what waited behind them went too"
            assert there == before
            assert compared(await preview(bureau, compare=True)) == {"identical": 13}
            with bureau.database.read() as conn:
                assert batches.open_batches(conn) == []
                fourth = next(b for b in batches.list_batches(conn, exchange=EXCHANGE, limit=99) if b.sequence == 4)
                assert fourth.state is State.RECONCILED
                (kept,) = attempts.refused_receipts(conn, fourth.id)
                assert kept.code == "receipt-again"
            entries = [decode(entry.leaf) for entry in DurableLog(bureau.database).entries(0, 1000)]
            actions = [entry.fields["action"] for entry in entries if entry.kind == "operator.action"]
            assert actions == ["replay", "resync"]


async def test_one_question_is_enough_where_nothing_is_lost(nodes: Nodes) -> None:
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            assert await asked(bureau) == [], "nothing was ever sent"
            nodes.business.write([permit(number) for number in range(1, 17)])
            await run_once(bureau)
            assert await asked(bureau) == []
            every = [1, 2, 3, 4]
            for first in every:
                meddle(
                    nodes.province, ("UPDATE inbox_batch SET sender = sender || ? WHERE sequence >= ?", ("x", first))
                )
                assert await asked(bureau) == every[first - 1 :]
                meddle(nodes.province, ("UPDATE inbox_batch SET sender = substr(sender, 1, 18)", ()))
            assert province.node


async def test_a_package_that_was_erased_cannot_be_sent_again(nodes: Nodes) -> None:
    nodes.business.write([permit(1)])
    with put_back(nodes.province):
        async with nodes.province_listening():
            with nodes.bureau.open() as bureau:
                await run_once(bureau)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            with bureau.database.begin() as conn:
                conn.exec_driver_sql("DELETE FROM package")
            with pytest.raises(DeliveryError, match="replay-erased"):
                await again(bureau, compare=True)
            assert held_there(province) == {}


async def test_a_receiver_that_does_not_say_is_not_sent_anything(nodes: Nodes) -> None:
    nodes.business.write([permit(1)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
    with nodes.bureau.open() as bureau:
        with pytest.raises(PeerUnavailableError) as caught:
            await again(bureau, compare=True)
        assert (caught.value.code, caught.value.facts["why"]) == ("receipts-later", "peer-unreachable")
