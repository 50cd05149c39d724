"""Sending again as it was: the stored lines byte for byte, whatever the mapping says today, and a word for each that cannot go."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.errors import StoreError
from gateway.package.batch import ParsedBatch, parse_batch
from gateway.package.container import open_package
from gateway.store import batches, quarantine, shares
from tests.delivery.again import EXCHANGE, again, compared, held_there, lost, meddle, preview
from tests.nodes import Nodes, lay_nodes, permit, run_once


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


def key(number: int) -> str:
    return str(permit(number)["XK_WSH"])


def packages(gateway: Gateway) -> list[ParsedBatch]:
    """Everything sealed, in order."""
    with gateway.database.read() as conn:
        listed = sorted(batches.list_batches(conn, limit=100), key=lambda batch: batch.sequence)
        return [parse_batch(open_package(batches.package_bytes(conn, batch.id)).document) for batch in listed]


def lines(batch: ParsedBatch) -> dict[str, bytes]:
    return {record.key: record.line for record in batch.records}


def change_mapping(nodes: Nodes, text: str = "\n# another text\n") -> None:
    mapping = nodes.bureau.path / "mappings" / "sources" / "credit-2018-permits.toml"
    mapping.write_text(mapping.read_text("utf-8") + text, "utf-8")


async def test_the_lines_of_then_under_the_mapping_of_then(nodes: Nodes) -> None:
    """Two mappings, batches of four: records last sent under the one and the other never share a batch."""
    rows = [permit(number) for number in range(1, 7)]
    nodes.business.write(rows)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        change_mapping(nodes)
        rows[0], rows[4] = permit(1, XK_NR="变更"), permit(5, XK_NR="变更")
        nodes.business.write(rows)
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        change_mapping(nodes, "# a third\n")
        with nodes.bureau.open() as bureau:
            before = packages(bureau)
            assert len({batch.header.mapping_digest for batch in before}) == 2
            meddle(nodes.province, *(lost(key(number)) for number in range(1, 7)))
            looked = await preview(bureau, all=True, mapping="as-sent")
            assert (looked["chosen"], looked["sends"], looked["refused"]) == ({"as-sent": 6}, 6, 0)
            done = await again(bureau, all=True, mapping="as-sent")
            assert (done["statement"]["sealed"], done["statement"]["answered"]["created"]) == (6, 6)
            last = {name: (line, batch) for batch in before for name, line in lines(batch).items()}
            sent = packages(bureau)[len(before) :]
            assert sum(len(batch.records) for batch in sent) == 6
            for batch in sent:
                for name, line in lines(batch).items():
                    was, carrier = last[name]
                    assert line == was, "byte for byte"
                    assert batch.header.mapping_digest == carrier.header.mapping_digest
                    assert batch.header.format == carrier.header.format
            there = held_there(province)
            assert (there[key(1)], there[key(2)]) == ((2, "upsert"), (1, "upsert"))
            assert compared(await preview(bureau, compare=True)) == {"identical": 6}
            assert (await run_once(bureau)).sealed == 0


async def test_what_the_receiver_has_already_is_unchanged_there(nodes: Nodes) -> None:
    nodes.business.write([permit(1), permit(2)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        change_mapping(nodes)
        with nodes.bureau.open() as bureau:
            done = await again(bureau, keys=[key(1)], mapping="as-sent")
            assert done["statement"]["answered"] == {
                "created": 0, "updated": 0, "unchanged": 1, "withdrawn": 0, "rejected": 0
            }  # fmt: skip


async def test_every_record_that_cannot_go_says_why(nodes: Nodes) -> None:
    rows = [permit(number) for number in range(1, 6)]
    nodes.business.write(rows[:4])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)  # 1–4 in the first batch
            nodes.business.write(rows)
            await run_once(bureau)  # 5 in the second
            with bureau.database.read() as conn:
                first = next(batch for batch in batches.list_batches(conn, limit=9) if batch.sequence == 1)
            with bureau.database.begin() as conn:
                conn.exec_driver_sql("DELETE FROM package WHERE batch_id = ?", (first.id,))
            before = held_there(province)
            looked = await preview(bureau, all=True, mapping="as-sent")
            assert looked["chosen"] == {"as-sent-erased": 4, "as-sent": 1}
            assert (looked["sends"], looked["refused"]) == (1, 4)
            done = await again(bureau, all=True, mapping="as-sent")
            statement = done["statement"]
            assert (statement["carried"], statement["sealed"], statement["quarantined"]) == (5, 1, 4)
            assert statement["quarantined_by"] == {"as-sent-erased": 4}
            assert held_there(province) == before
            with bureau.database.read() as conn:
                cases = list(quarantine.cases(conn, code="as-sent-erased"))
                assert sorted(str(case.key) for case in cases) == [key(number) for number in range(1, 5)]
            assert (await run_once(bureau)).sealed == 0, "what could not be repeated is not due for it"
            under_today = await again(bureau, keys=[key(1), key(2)])
            assert under_today["statement"]["sealed"] == 2
            with bureau.database.read() as conn:
                assert len(list(quarantine.cases(conn, code="as-sent-erased"))) == 2, "sent: the case is closed"


async def test_a_record_that_was_taken_back_does_not_come_back(nodes: Nodes) -> None:
    """Its withdrawal is due and not sealed yet; the last line that was sent would publish it again."""
    nodes.business.write([permit(1), permit(2)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            meddle(nodes.province, lost(key(1)))
            meddle(
                nodes.bureau,
                ("UPDATE record SET op = 'stop-share', version = 2, reason = 'repaired' WHERE key = ?", (key(1),)),
            )
            looked = await preview(bureau, all=True, mapping="as-sent")
            assert looked["chosen"] == {"as-sent-withdrawn": 1, "as-sent": 1}
            done = await again(bureau, keys=[key(1)], mapping="as-sent")
            assert (done["statement"]["sealed"], done["statement"]["quarantined"]) == (0, 1)
            # An earlier resync was cut off: which version was sealed last is known from the line alone.
            meddle(nodes.bureau, ("UPDATE share SET version = 0", ()))
            done = await again(bureau, all=True, mapping="as-sent")
            assert (done["statement"]["sealed"], done["statement"]["quarantined_by"]) == (1, {"as-sent-withdrawn": 1})


async def test_a_withdrawal_is_repeated_as_it_was(nodes: Nodes) -> None:
    nodes.business.write([permit(1), permit(2)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            nodes.business.write([permit(1)])
            await run_once(bureau)
            meddle(nodes.province, lost(key(2)))
            done = await again(bureau, keys=[key(2)], mapping="as-sent")
            assert done["statement"]["answered"]["withdrawn"] == 1
            assert held_there(province)[key(2)] == (2, "withdraw")


async def test_another_format_by_now_is_said_before_anything_is_sent(nodes: Nodes) -> None:
    nodes.business.write([permit(1)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            meddle(nodes.bureau, ("UPDATE batch SET format = ?", ("credit-2015 1",)))
            assert (await preview(bureau, all=True, mapping="as-sent"))["chosen"] == {"as-sent-format": 1}


async def test_a_record_that_they_hold_at_a_higher_version_is_not_sent_for_nothing(nodes: Nodes) -> None:
    nodes.business.write([permit(1)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            meddle(nodes.province, ("UPDATE inbox_record SET version = 5", ()))
            looked = await preview(bureau, compare=True, mapping="as-sent")
            assert (looked["chosen"], looked["refused"]) == ({"as-sent-superseded": 1}, 1)
            assert (await again(bureau, compare=True, mapping="as-sent"))["statement"] is None


async def test_a_package_that_was_changed_in_the_store_is_not_sealed_again(nodes: Nodes) -> None:
    nodes.business.write([permit(1)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            meddle(
                nodes.bureau,
                ("DROP TRIGGER keep_package_update", ()),
                ("UPDATE package SET data = CAST(data || x'00' AS BLOB)", ()),
            )
            with pytest.raises(StoreError, match="package-differs"):
                await again(bureau, all=True, mapping="as-sent")
            with bureau.database.read() as conn:
                assert shares.outcomes(conn, EXCHANGE) == {"accepted": 1}
