"""A person takes records back, and they stay back: from a bureau to its province, over several runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway import withdrawal
from gateway.app import Gateway
from gateway.errors import ConfigError, DeliveryError
from gateway.ledger.entry import decode
from gateway.store.entries import DurableLog
from gateway.store.pauses import Scope
from tests.nodes import Nodes, lay_nodes, permit, run_once

ORDER = {"catalog": "administrative-license", "person": "张三", "reason": "法院判决", "basis": "（2026）黑01行终1号"}
KEY = "黑森交许〔2026〕1号"


def quiet(_stage: str, _count: int) -> None: ...


def held(gateway: Gateway) -> Mapping[str, tuple[int, str]]:
    """What the receiver holds, by key: version and operation."""
    with gateway.database.read() as conn:
        rows = conn.exec_driver_sql("SELECT key, version, op FROM inbox_record").all()
    return {key: (version, op) for key, version, op in rows}


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    laid = lay_nodes(tmp_path)
    laid.business.write([permit(1), permit(2), permit(3)])
    return laid


async def test_withdrawn_stays_withdrawn_until_it_is_shared_again(nodes: Nodes) -> None:
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            done = await withdrawal.withdraw(bureau, {**ORDER, "keys": [KEY], "code": "revoked"}, quiet)
            assert (done["records"], done["failed"]) == (1, {})
            assert [one["answered"]["withdrawn"] for one in done["statements"]] == [1]
            assert held(province)[KEY] == (2, "withdraw")

            # Its row is still there, and then it changes: it stays back, and so it does in a run that reads everything.
            assert (await run_once(bureau, full=True)).sealed == 0
            nodes.business.write([permit(1, XK_NR="改过的内容"), permit(2), permit(3)])
            assert (await run_once(bureau, full=True)).sealed == 0
            assert held(province)[KEY] == (2, "withdraw")
            with pytest.raises(DeliveryError, match="record-held-back"):
                await withdrawal.correct(bureau, {**ORDER, "keys": [KEY]}, quiet)
            with pytest.raises(DeliveryError, match="record-held-back"):
                await withdrawal.withdraw(bureau, {**ORDER, "keys": [KEY], "code": "revoked"}, quiet)
            [listed] = withdrawal.list_orders(bureau)
            assert (listed["key"], listed["basis"], listed["person"]) == (KEY, ORDER["basis"], "张三")

            again = await withdrawal.share_again(bureau, {**ORDER, "keys": [KEY]}, quiet)
            assert [one["answered"]["created"] for one in again["statements"]] == [1]
            assert held(province)[KEY] == (3, "upsert")
            assert (await run_once(bureau)).sealed == 0
            with pytest.raises(DeliveryError, match="record-not-held-back"):
                await withdrawal.share_again(bureau, {**ORDER, "keys": [KEY]}, quiet)
            actions = [entry for entry in map(_entry, DurableLog(bureau.database).entries(0, 100)) if entry]
            assert [one["action"] for one in actions] == ["record-withdraw", "record-share-again"]
            assert "黑01行终1号" in actions[0]["subject"]
            assert KEY not in actions[0]["subject"]
        with province.database.read() as conn:
            bodies = conn.exec_driver_sql("SELECT package FROM inbox_batch").all()
        assert len(bodies) == 3


def _entry(stored: Any) -> dict[str, Any] | None:
    entry = decode(stored.leaf)
    return dict(entry.fields) if entry.kind == "operator.action" else None


async def test_stop_share_says_so_and_may_follow_a_withdrawal(nodes: Nodes) -> None:
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            order = {**ORDER, "keys": [KEY], "code": "credit-repaired"}
            await withdrawal.stop_share(bureau, order, quiet)
            assert held(province)[KEY] == (2, "stop-share")
            await withdrawal.withdraw(bureau, {**order, "code": "revoked"}, quiet)
            assert held(province)[KEY] == (3, "withdraw")


async def test_an_order_stands_while_nothing_can_be_sent(nodes: Nodes) -> None:
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            bureau.decisions.pause(Scope.EXCHANGE, "permits-to-province", person="a", reason="b")
            done = await withdrawal.withdraw(bureau, {**ORDER, "keys": [KEY], "code": "revoked"}, quiet)
            assert done["failed"]["permits-to-province"]["code"] == "exchange-paused"
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            bureau.decisions.resume(Scope.EXCHANGE, "permits-to-province", person="a", reason="b")
            statement = await run_once(bureau)
            assert statement.withdraw == 1
            assert held(province)[KEY] == (2, "withdraw")


async def test_ordered_withdrawals_are_no_mass_change(nodes: Nodes) -> None:
    numbers = range(1, 8)
    nodes.business.write([permit(number) for number in numbers])
    async with nodes.province_listening():
        config = nodes.bureau.path / "config.toml"
        config.write_text(config.read_text("utf-8") + "guard = { number = 1, share = 0.0 }\n", "utf-8")
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            bureau.decisions.pause(Scope.EXCHANGE, "permits-to-province", person="a", reason="b")
            keys = [f"黑森交许〔2026〕{number}号" for number in numbers if number > 2]
            await withdrawal.withdraw(bureau, {**ORDER, "keys": keys, "code": "revoked"}, quiet)
            bureau.decisions.resume(Scope.EXCHANGE, "permits-to-province", person="a", reason="b")
            assert (await run_once(bureau)).withdraw == 5


async def test_a_corrected_row_goes_out_at_once_and_an_uncorrected_one_is_told(nodes: Nodes) -> None:
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            nodes.business.write([permit(1, XK_NR="更正后的内容"), permit(2), permit(3)])
            done = await withdrawal.correct(bureau, {**ORDER, "keys": [KEY, "黑森交许〔2026〕2号"]}, quiet)
            assert (done["corrected"], done["unchanged"]) == (1, 1)
            assert held(province)[KEY] == (2, "upsert")


async def test_unknown_records_and_bad_words(nodes: Nodes) -> None:
    with nodes.bureau.open() as bureau:
        for change, code in (
            ({"keys": ["没有"]}, "record-unknown"),
            ({"keys": []}, "record-order-argument"),
            ({"keys": [KEY], "catalog": "没有"}, "catalog-unknown"),
        ):
            with pytest.raises(ConfigError, match=code):
                await withdrawal.withdraw(bureau, {**ORDER, "code": "revoked", **change}, quiet)


async def test_bad_words_of_a_known_record(nodes: Nodes) -> None:
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            for change in ({"code": "Revoked!"}, {"basis": ""}, {"basis": "甲" * 2001}):
                with pytest.raises(ConfigError, match="record-order-argument"):
                    await withdrawal.withdraw(bureau, {**ORDER, "keys": [KEY], "code": "revoked", **change}, quiet)
            assert withdrawal.list_orders(bureau) == []
    with sqlite3.connect(nodes.bureau.path / "var" / "gateway.db") as conn:
        assert conn.execute("SELECT count(*) FROM record_order").fetchone() == (0,)
    conn.close()
