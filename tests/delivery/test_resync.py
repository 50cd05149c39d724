"""Sending again, between two real nodes: what is chosen goes out once more, and nothing is doubled or rejected for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.delivery.resync import MappingOf, Selection, choose, make_due
from gateway.delivery.run import Order, Resend
from gateway.errors import ConfigError, DeliveryError, PeerUnavailableError
from gateway.store import batches, quarantine, runs, shares
from gateway.store.database import Connection
from gateway.store.entries import DurableLog
from gateway.store.runs import Kind
from tests.delivery.again import (
    EXCHANGE,
    again,
    compared,
    held_at,
    held_there,
    lost,
    meddle,
    planted,
    preview,
    sealed,
)
from tests.nodes import Nodes, lay_nodes, permit, run_once


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


@pytest.fixture
def bureau(nodes: Nodes) -> Iterator[Gateway]:
    """The bureau's node, for tests in which the province comes and goes."""
    with nodes.bureau.open() as gateway:
        yield gateway


def key(number: int) -> str:
    return str(permit(number)["XK_WSH"])


def change_mapping(nodes: Nodes) -> None:
    """Another version of the source mapping, that makes the same documents."""
    mapping = nodes.bureau.path / "mappings" / "sources" / "credit-2018-permits.toml"
    mapping.write_text(mapping.read_text("utf-8") + "\n# another text\n", "utf-8")


async def test_the_same_records_under_the_same_mapping_are_unchanged_there(nodes: Nodes) -> None:
    nodes.business.write([permit(number) for number in range(1, 7)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            before = held_there(province)
            looked = await preview(bureau, keys=[key(2), key(5), "nobody's"])
            assert (looked["sends"], looked["chosen"], looked["ops"]) == (2, {"again": 2}, {"upsert": 2})
            assert sorted(looked["samples"]["again"]) == [key(2), key(5)]
            assert sealed(bureau) == 2, "looking changes nothing"
            done = await again(bureau, keys=[key(2), key(5), "nobody's"])
            assert {name: done[name] for name in looked} == looked, "what was shown is what went"
            assert (done["statement"]["carried"], done["statement"]["sealed"], done["statement"]["rows"]) == (2, 2, 0)
            assert done["statement"]["answered"]["unchanged"] == 2
            assert held_there(province) == before
            with bureau.database.read() as conn:
                last = runs.last_run(conn, EXCHANGE)
                assert last is not None
                assert (last.kind, last.person, last.reason) == (Kind.RESYNC, "王芳", "对方数据库恢复")
            kinds = [entry.kind for entry in DurableLog(bureau.database).entries(0, 1000)]
            assert kinds.count("operator.action") == 1
            again_run = await run_once(bureau)
            assert (again_run.sealed, again_run.unchanged) == (0, 6), "nothing is left over"


async def test_under_another_mapping_a_record_goes_out_as_a_new_version(nodes: Nodes) -> None:
    """A version stands for one rendering: the receiver would reject the same version with other bytes."""
    nodes.business.write([permit(1), permit(2), permit(3)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        change_mapping(nodes)
        with nodes.bureau.open() as bureau:
            looked = await preview(bureau, keys=[key(1), key(2)])
            assert looked["chosen"] == {"raised": 2}
            done = await again(bureau, keys=[key(1), key(2)])
            assert done["statement"]["answered"]["updated"] == 2
            assert held_there(province) == {key(1): (2, "upsert"), key(2): (2, "upsert"), key(3): (1, "upsert")}
            once_more = await again(bureau, keys=[key(1), key(3)])
            assert once_more["chosen"] == {"again": 1, "raised": 1}
            assert held_there(province)[key(1)] == (2, "upsert"), "raised once for one mapping"
            assert (await run_once(bureau)).sealed == 0


async def test_raising_for_one_exchange_sends_nothing_at_another(nodes: Nodes) -> None:
    """Two exchanges share a source, and so the records and their versions."""
    nodes.business.write([permit(1), permit(2)])
    async with nodes.province_listening():
        config = nodes.bureau.path / "config.toml"
        one = config.read_text("utf-8").partition("[exchanges.permits-to-province]")[2]
        config.write_text(config.read_text("utf-8") + "\n[exchanges.second]" + one, "utf-8")
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            assert (await run_once(bureau, "second")).answered.unchanged == 2
        change_mapping(nodes)
        with nodes.bureau.open() as bureau:
            assert (await again(bureau, all=True))["chosen"] == {"raised": 2}
            assert (await run_once(bureau, "second")).sealed == 0
            nodes.business.write([permit(1, XK_NR="变更"), permit(2)])
            assert (await run_once(bureau)).sealed == 1
            assert (await run_once(bureau, "second")).sealed == 1, "a change still goes to both"


async def test_selections_narrow_each_other(nodes: Nodes) -> None:
    nodes.business.write(
        [
            permit(1, XK_JDRQ="2026-09-01"),
            permit(2, XK_JDRQ="2026-09-02"),
            permit(3, XK_JDRQ="2026-09-03"),
            permit(4, XK_JDRQ="2026-09-03", XK_LYDWDM="11230000000000019J"),
        ]
    )
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            with bureau.database.read() as conn:
                (batch,) = batches.list_batches(conn, limit=9)

            async def chosen(**args: object) -> list[str]:
                found = await preview(bureau, **args)
                return sorted(name for shown in found["samples"].values() for name in shown)

            assert await chosen(since="2026-09-02", until="2026-09-02") == [key(2)]
            assert await chosen(since="2026-09-02") == [key(2), key(3), key(4)]
            assert await chosen(since="2026-09-02", unit="11230000000000019J") == [key(4)]
            assert await chosen(since="2026-09-02", keys=[key(1), key(3)]) == [key(3)]
            assert await chosen(batch=batch.id, keys=[key(1)]) == [key(1)]
            assert await chosen(rejected=True) == []
            assert await chosen(by="changed", since="2020-01-01") == [key(1), key(2), key(3), key(4)]
            assert await chosen(by="changed", until="2020-01-01") == []
            assert await chosen(all=True) == [key(1), key(2), key(3), key(4)]
            assert (await again(bureau, rejected=True))["statement"] is None, "nothing to send opens no run"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({}, "resync-nothing-chosen"),
        ({"since": "2026-09-02", "until": "2026-09-01"}, "resync-days-reversed"),
        ({"batch": "0193a5b0-1111-7222-8333-444455556666"}, "resync-batch-unknown"),
        ({"since": "yesterday"}, "resync-argument"),
        ({"all": True, "mapping": "tomorrow"}, "resync-argument"),
        ({"keys": [str(number) for number in range(10_001)]}, "resync-keys"),
        ({"all": True, "exchange": "nothing"}, "exchange-unknown"),
    ],
)
async def test_an_order_that_says_nothing_clear_is_refused(bureau: Gateway, args: dict[str, object], code: str) -> None:
    with pytest.raises((ConfigError, DeliveryError)) as caught:
        await again(bureau, **args)
    assert caught.value.code == code
    assert caught.value.say("zh-CN") != code
    assert caught.value.say("en") != code


async def test_what_is_under_way_stays_with_its_batch(nodes: Nodes) -> None:
    nodes.business.write([permit(1), permit(2)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)  # nobody listens
        found = await again(bureau, all=True)
        assert (found["chosen"], found["sends"], found["statement"]) == ({"under-way": 2}, 0, None)
        assert sealed(bureau) == 1


async def test_a_rejected_record_goes_out_again_when_its_receiver_was_mended(nodes: Nodes) -> None:
    catalog = nodes.province.path / "mappings" / "catalogs" / "administrative-license.toml"
    kind = catalog.read_text("utf-8")
    before, mark, after = kind.partition("[rules.name-is-not-number]")
    catalog.write_text(before + mark + after.replace('"notice"', '"reject"', 1), "utf-8")
    nodes.business.write([permit(1), permit(2, XK_XKWS=permit(2)["XK_WSH"])])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            assert (await run_once(bureau)).answered.rejected == 1
    catalog.write_text(kind, "utf-8")
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            done = await again(bureau, rejected=True)
            assert done["statement"]["answered"]["created"] == 1
            assert held_there(province) == {key(1): (1, "upsert"), key(2): (1, "upsert")}
            with bureau.database.read() as conn:
                assert quarantine.count_open(conn) == 0


@pytest.mark.fault("S17")
async def test_compare_finds_what_hands_have_changed_and_mends_it(nodes: Nodes) -> None:
    rows = [permit(number) for number in range(1, 9)]
    nodes.business.write(rows)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            rows[1] = permit(2, XK_NR="变更")
            nodes.business.write([row for row in rows if row["XK_WSH"] != key(3)])
            await run_once(bureau)
            assert compared(await preview(bureau, compare=True)) == {"identical": 8}
            assert (await again(bureau, compare=True))["statement"] is None
            meddle(
                nodes.province,
                lost(key(1)),
                held_at(key(2), 1),
                held_at(key(3), 1),  # it never got the withdrawal
                held_at(key(4), 7),  # as if we had been restored from an old backup
                planted("nobody's", key(5)),
            )
            looked = await preview(bureau, compare=True)
            assert compared(looked) == {
                "identical": 4, "different": 2, "missing": 1, "unknown": 1, "withdrawn": 1, "stray": 1
            }  # fmt: skip
            assert looked["chosen"] == {"again": 3, "raised": 1}
            assert looked["compare"]["samples"]["missing"][0] == {
                "key": key(1), "ours": {"version": 1, "op": "upsert", "accepted": 1}, "theirs": None
            }  # fmt: skip
            narrowed = await preview(bureau, compare=True, keys=[key(1), key(8)])
            assert narrowed["chosen"] == {"again": 1}
            done = await again(bureau, compare=True)
            answered = done["statement"]["answered"]
            assert (answered["created"], answered["updated"], answered["withdrawn"]) == (1, 2, 1)
            assert answered["rejected"] == 0
            there = held_there(province)
            assert (there[key(1)], there[key(2)], there[key(3)]) == ((1, "upsert"), (2, "upsert"), (2, "withdraw"))
            assert there[key(4)] == (8, "upsert")
            assert compared(await preview(bureau, compare=True)) == {"identical": 8, "unknown": 1, "stray": 1}
            rows[3] = permit(4, XK_NR="又改")
            nodes.business.write([row for row in rows if row["XK_WSH"] != key(3)])
            assert (await run_once(bureau)).answered.updated == 1, "later changes get through"


async def test_a_record_that_we_forgot_having_sent_is_raised_above_what_they_hold(nodes: Nodes) -> None:
    """We hold the record and never sent it, they hold it: our journal is an old one."""
    nodes.business.write([permit(1), permit(2)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            meddle(
                nodes.bureau, ("DELETE FROM share WHERE record_id = (SELECT id FROM record WHERE key = ?)", (key(1),))
            )
            meddle(
                nodes.province, ("UPDATE inbox_record SET version = 3, digest = zeroblob(32) WHERE key = ?", (key(1),))
            )
            looked = await preview(bureau, compare=True)
            assert compared(looked) == {"identical": 1, "unknown": 1}
            assert looked["chosen"] == {"raised": 1}
            done = await again(bureau, compare=True)
            assert done["statement"]["answered"]["updated"] == 1
            assert held_there(province)[key(1)] == (4, "upsert")


async def test_a_receiver_that_cannot_be_asked_changes_nothing(nodes: Nodes) -> None:
    nodes.business.write([permit(1)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
    with nodes.bureau.open() as bureau:
        with pytest.raises(PeerUnavailableError) as caught:
            await again(bureau, compare=True)
        assert caught.value.retryable
        with bureau.database.read() as conn:
            assert [run.kind for run in runs.list_runs(conn, EXCHANGE, limit=9)] == [Kind.MANUAL]


async def test_another_exchange_on_the_same_route_is_neither_missing_nor_unknown(nodes: Nodes) -> None:
    nodes.business.write([permit(1), permit(2)])
    other = nodes.business.file.with_name("other.db")
    async with nodes.province_listening():
        config = nodes.bureau.path / "config.toml"
        config.write_text(
            config.read_text("utf-8")
            + f'\n[sources.other]\nkind = "sql"\nmapping = "credit-2018-permits"\nurl = "sqlite:///{other}"\n'
            'query = "SELECT * FROM permits"\n\n[exchanges.other-to-province]\ncatalog = "administrative-license"\n'
            'source = "other"\nformat = "credit-2018"\npeer = "province"\nbatch_size = 4\n',
            "utf-8",
        )
        type(nodes.business)(other).write([permit(7), permit(8)])
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            await run_once(bureau, "other-to-province")
            assert compared(await preview(bureau, compare=True)) == {"identical": 2}
            assert compared(await preview(bureau, compare=True, exchange="other-to-province")) == {"identical": 2}
            meddle(nodes.province, lost(key(1)), lost(key(7)), held_at(key(8), 4))
            assert compared(await preview(bureau, compare=True)) == {"identical": 1, "missing": 1}
            found = await preview(bureau, compare=True, exchange="other-to-province")
            assert compared(found) == {"different": 1, "missing": 1}
            meddle(nodes.bureau, ("UPDATE share SET accepted = 0 WHERE exchange = ?", ("other-to-province",)))
            assert compared(await preview(bureau, compare=True)) == {"identical": 1, "missing": 1}, (
                "not by a receipt of ours, and yet the other exchange's"
            )


@pytest.mark.fault("S18")
async def test_a_second_resync_and_a_run_at_the_same_moment_double_nothing(nodes: Nodes) -> None:
    nodes.business.write([permit(number) for number in range(1, 13)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            nodes.business.write([permit(number, XK_NR="变更") for number in range(1, 13)])
            results = await asyncio.gather(
                run_once(bureau), again(bureau, all=True), again(bureau, all=True), run_once(bureau)
            )
            assert set(held_there(province).values()) == {(2, "upsert")}
            with bureau.database.read() as conn:
                assert shares.outcomes(conn, EXCHANGE) == {"accepted": 12}
                assert batches.open_batches(conn) == []
            updated = sum(
                one["statement"]["answered"]["updated"] if isinstance(one, dict) else one.answered.updated
                for one in results
                if not isinstance(one, dict) or one["statement"]
            )
            assert updated == 12, "each change took effect once"


async def test_a_resync_that_was_cut_off_leaves_its_records_due(nodes: Nodes) -> None:
    """Stopped right after the transaction that opened its run: the next run takes them along."""
    nodes.business.write([permit(1), permit(2), permit(3)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            meddle(nodes.province, lost(key(2)))

            async with bureau.exchange(EXCHANGE) as exchange:
                with bureau.database.read() as conn:
                    chosen = choose(conn, exchange, Selection(keys=(key(2),)))

                def prepare(conn: Connection, _run_id: str) -> Sequence[int]:
                    bureau.runner.stop()
                    return make_due(conn, exchange, chosen, mapping=MappingOf.TODAY)

                order = Order(kind=Kind.RESYNC, person="王芳", reason="test", resend=Resend(prepare=prepare))
                with pytest.raises(DeliveryError, match="run-stopped"):
                    await bureau.runner.run(exchange, order, lambda _stage, _count: None)
        with nodes.bureau.open() as bureau:
            statement = await run_once(bureau)
            assert (statement.sealed, statement.answered.created) == (1, 1)
            assert held_there(province)[key(2)] == (1, "upsert")
