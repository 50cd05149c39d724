"""One record's whole way, between two real nodes over mutual TLS on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.errors import DeliveryError, MappingError, StoreError
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.orders import ORDERS
from gateway.store import attempts, batches, inbox, quarantine, runs, shares
from gateway.store.entries import DurableLog
from gateway.store.quarantine import Stage
from gateway.store.runs import RunState
from gateway.store.states import State
from tests.nodes import BUREAU, PROVINCE, Nodes, lay_nodes, permit, run_once

ROUTE = f"{BUREAU}/administrative-license/{PROVINCE}"


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


def held_there(province: Gateway) -> dict[str, tuple[int, str]]:
    """Key → version and operation of everything that the province holds for the route, withdrawn records included."""
    with province.database.read() as conn:
        buckets = inbox.bucket_digests(conn, ROUTE)
        return {
            record.key: (record.version, record.op)
            for bucket in buckets
            for record in inbox.bucket_records(conn, ROUTE, bucket.prefix)
        }


def proved(gateway: Gateway) -> bool:
    """The ledger verifies, to its last entry. A node that serves signs within seconds, not at once: it is told to here."""
    gateway.notary.publish(final=True)
    log = DurableLog(gateway.database)
    report = verify_log(log, [gateway.note_signer.verifier], origin=gateway.origin)
    return report.verdict is Verdict.PROVED and report.entries == report.signed


@pytest.mark.sends(catalog="administrative-license", format="credit-2018", mode="service")
async def test_new_changed_vanished_and_nothing_twice(nodes: Nodes) -> None:
    rows = [permit(number) for number in range(1, 11)]
    nodes.business.write(rows)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            first = await run_once(bureau)
            assert (first.rows, first.sealed, first.batches, first.answered.created) == (10, 10, 3, 10)
            again = await run_once(bureau)
            assert (again.rows, again.unchanged, again.sealed, again.batches) == (10, 10, 0, 0)
            rows[0] = permit(1, XK_NR="许可内容变更")
            nodes.business.write(rows[:9])
            third = await run_once(bureau)
            assert (third.rows, third.vanished, third.unchanged, third.sealed) == (9, 1, 8, 2)
            assert (third.answered.updated, third.answered.withdrawn) == (1, 1)
            # What vanished and comes back is a third version, and created again.
            nodes.business.write(rows)
            fourth = await run_once(bureau)
            assert (fourth.sealed, fourth.answered.created) == (1, 1)
            assert held_there(province)[str(rows[9]["XK_WSH"])] == (3, "upsert")
            assert proved(bureau)
        assert proved(province)


@pytest.mark.fault("F34", "S15")
async def test_one_bad_row_never_stops_the_others(nodes: Nodes) -> None:
    """The first and the last row are bad, and one in the middle has no key."""
    rows = [permit(number) for number in range(1, 8)]
    rows[0]["XK_XDR_SHXYM"] = "91230500MA1B3N1N2N"
    rows[3]["XK_WSH"] = None
    rows[6]["XK_JDRQ"] = "2026-02-30"
    nodes.business.write(rows)
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            statement = await run_once(bureau)
            assert (statement.rows, statement.quarantined, statement.sealed) == (7, 3, 4)
            assert set(statement.quarantined_by) == {"identifier-invalid", "key-missing", "date-invalid"}
            with bureau.database.read() as conn:
                cases = list(quarantine.cases(conn))
            assert len(cases) == 3
            for case in cases:
                assert all("91230500MA1B3N1N2N" not in reason.value_class for reason in case.reasons)
                assert json.loads(case.row)["XK_XDR_MC"], "the row is kept for the unit that has to mend it"
            nodes.business.write([permit(number) for number in range(1, 8)])
            mended = await run_once(bureau)
            assert (mended.quarantined, mended.sealed, mended.answered.created) == (0, 3, 3)
            with bureau.database.read() as conn:
                assert quarantine.count_open(conn) == 0


async def test_a_defective_row_is_no_reason_to_withdraw_its_record(nodes: Nodes) -> None:
    nodes.business.write([permit(1), permit(2)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            nodes.business.write([permit(1), permit(2, XK_JDRQ="nonsense")])
            statement = await run_once(bureau)
            assert (statement.vanished, statement.sealed, statement.quarantined) == (0, 0, 1)
            assert all(held == (1, "upsert") for held in held_there(province).values())


async def test_the_same_number_twice(nodes: Nodes) -> None:
    """Word for word the same: once. With other content: the first goes on, the second is for the unit to sort out."""
    nodes.business.write([permit(1), permit(1), permit(2), permit(2, XK_NR="另一内容")])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            statement = await run_once(bureau)
            assert (statement.rows, statement.sealed, statement.unchanged) == (4, 2, 1)
            assert dict(statement.quarantined_by) == {"key-duplicate": 1}
            again = await run_once(bureau)
            assert (again.sealed, again.unchanged, dict(again.quarantined_by)) == (0, 3, {"key-duplicate": 1})


@pytest.mark.fault("F30")
async def test_what_the_receiver_rejects_waits_and_goes_out_again_corrected(nodes: Nodes) -> None:
    """The province refuses what the bureau only reports: one word in the province's own catalog."""
    catalog = nodes.province.path / "mappings" / "catalogs" / "administrative-license.toml"
    before, mark, after = catalog.read_text("utf-8").partition("[rules.name-is-not-number]")
    catalog.write_text(before + mark + after.replace('"notice"', '"reject"', 1), "utf-8")
    odd = permit(2, XK_XKWS=permit(2)["XK_WSH"])
    nodes.business.write([permit(1), odd])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            statement = await run_once(bureau)
            assert (statement.answered.created, statement.answered.rejected) == (1, 1)
            assert dict(statement.noticed_by) == {"same-text": 1}
            with bureau.database.read() as conn:
                (case,) = quarantine.cases(conn, stage=Stage.RECEIVER)
                (reason,) = case.reasons
                assert (case.key, reason.code, reason.source) == (odd["XK_WSH"], "same-text", "XK_XKWS")
                (share,) = [one for one in shares.of_batch(conn, batches.list_batches(conn, limit=1)[0].id) if one.code]
                assert share.outcome == "rejected"
            assert (await run_once(bureau)).sealed == 0, "a rejected record waits for its correction"
            assert odd["XK_WSH"] not in held_there(province)
            nodes.business.write([permit(1), permit(2)])
            corrected = await run_once(bureau)
            assert (corrected.sealed, corrected.answered.created) == (1, 1)
            with bureau.database.read() as conn:
                assert quarantine.count_open(conn) == 0


async def test_an_unreachable_peer_delays_and_loses_nothing(nodes: Nodes) -> None:
    nodes.business.write([permit(number) for number in range(1, 7)])
    with nodes.bureau.open() as bureau:
        statement = await run_once(bureau)
        assert (statement.sealed, statement.open) == (6, 6)
        with bureau.database.read() as conn:
            waiting = batches.open_batches(conn)
            assert [batch.state for batch in waiting] == [State.WAITING, State.READY], "nothing overtakes"
            sealed = [batches.package_bytes(conn, batch.id) for batch in waiting]
            assert waiting[0].next_attempt_at > waiting[0].created_at
        with bureau.database.begin() as conn:
            batches.put_off(conn, waiting[0].id, next_attempt_at=waiting[0].created_at)
    nodes.business.write([permit(number) for number in range(1, 7)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            later = await run_once(bureau)
            assert (later.unchanged, later.sealed) == (6, 0)
            with bureau.database.read() as conn:
                assert batches.open_batches(conn) == []
                tries = attempts.list_attempts(conn, waiting[0].id)
                assert [one.outcome for one in tries] == ["later", "acknowledged"]
        with province.database.read() as conn:
            assert [inbox.package_bytes(conn, batch.id) for batch in waiting] == sealed, (
                "the very bytes that were sealed"
            )


async def test_an_emptied_source_is_not_taken_for_a_mass_deletion(nodes: Nodes) -> None:
    """More withdrawals than the guard lets pass: nothing is sealed; the listing back: nothing happened; a person's word: they go."""
    rows = [permit(number) for number in range(1, 151)]
    nodes.business.write(rows)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            nodes.business.write([])
            with pytest.raises(DeliveryError, match="mass-change") as caught:
                await run_once(bureau)
            assert (caught.value.facts["withdrawals"], caught.value.facts["held"]) == (150, 150)
            assert all(op == "upsert" for _, op in held_there(province).values())
            nodes.business.write(rows)
            await run_once(bureau)
            assert all(op == "upsert" for _, op in held_there(province).values())
            nodes.business.write(rows[:10])
            with pytest.raises(DeliveryError, match="mass-change"):
                await run_once(bureau)
            with bureau.database.read() as conn:
                held = runs.last_run(conn, "permits-to-province")
            assert held is not None
            assert (held.figures["withdrawals"], held.figures["changes"]) == (140, 0)
            signed = {"run": held.id, "person": "李局长", "reason": "证照清理"}
            done = await ORDERS["approve"](bureau, signed, lambda _stage, _count: None)
            statement = done["statement"]
            assert (statement["vanished"], statement["answered"]["withdrawn"]) == (140, 140)
            actions = [
                entry for entry in DurableLog(bureau.database).entries(0, 1000) if entry.kind == "operator.action"
            ]
            assert len(actions) == 1
            assert proved(bureau)
            with pytest.raises(DeliveryError, match="run-overtaken"):
                await ORDERS["approve"](bureau, signed, lambda _stage, _count: None)


async def test_what_was_refused_waits_for_a_person_and_then_goes_on(nodes: Nodes) -> None:
    """The province does not take the catalog from us; when that is mended, a person orders the same bytes out again."""
    config = nodes.province.path / "config.toml"
    allowed = config.read_text("utf-8")
    config.write_text(allowed.replace('["administrative-license"]', '["administrative-penalty"]'), "utf-8")
    nodes.business.write([permit(1)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            assert (await run_once(bureau)).open == 1
            with bureau.database.read() as conn:
                (batch,) = batches.open_batches(conn)
                assert attempts.list_attempts(conn, batch.id)[-1].code == "route-forbidden"
                assert batch.state is State.REFUSED
            nodes.business.write([permit(1), permit(2)])
            later = await run_once(bureau)
            assert (later.sealed, later.open) == (1, 1), "sealed behind it, and waiting for it"
    config.write_text(allowed, "utf-8")
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            args = {"exchanges": ["permits-to-province"], "retry": True, "person": "tester", "reason": "test"}
            await ORDERS["run"](bureau, args, lambda _stage, _count: None)
            with bureau.database.read() as conn:
                assert batches.open_batches(conn) == []
                assert [one.outcome for one in attempts.list_attempts(conn, batch.id)] == ["refused", "acknowledged"]
            kinds = [entry.kind for entry in DurableLog(bureau.database).entries(0, 100)]
            assert kinds.count("operator.action") == 1
            assert proved(bureau)


async def test_a_source_that_changed_its_columns_fails_the_run_and_says_which(nodes: Nodes) -> None:
    nodes.business.write([permit(1)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            nodes.business.write([{"XK_WSH": "1"}], columns=("XK_WSH",))
            with pytest.raises(MappingError, match="column-missing"):
                await run_once(bureau)
            with bureau.database.read() as conn:
                last = runs.last_run(conn, "permits-to-province")
                assert last is not None
                assert (last.state, last.figures["error"]) == (RunState.FAILED, "column-missing")
            nodes.business.write([permit(1)])
            assert (await run_once(bureau)).unchanged == 1


async def test_a_second_process_on_the_same_state_is_refused(nodes: Nodes) -> None:
    with nodes.bureau.open(), pytest.raises(StoreError) as caught, nodes.bureau.open():
        pass
    assert caught.value.code == "state-held"
    assert caught.value.facts["what"] == "test"


async def test_batches_say_what_the_protocol_asks(nodes: Nodes) -> None:
    """Sequence without a gap, each batch names its predecessor, checkpoints travel both ways, receipts are for the very bytes."""
    nodes.business.write([permit(number) for number in range(1, 10)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            nodes.business.write([permit(number, XK_NR="改") for number in range(1, 10)])
            await run_once(bureau)
            with bureau.database.read() as conn:
                sealed = sorted(batches.list_batches(conn, limit=100), key=lambda batch: batch.sequence)
            assert [batch.sequence for batch in sealed] == [1, 2, 3, 4, 5, 6]
            assert [batch.previous_id for batch in sealed] == [None, *(batch.id for batch in sealed[:-1])]
            assert all(batch.state is State.RECONCILED for batch in sealed)
            assert all(batch.checkpoint.startswith(f"credit-gateway/{BUREAU}\n") for batch in sealed)
            kinds = [entry.kind for entry in DurableLog(bureau.database).entries(0, 1000)]
            assert kinds[:2] == ["genesis", "key.added"]
            assert (kinds.count("batch.reconciled"), kinds.count("run.closed")) == (6, 2)
        with province.database.read() as conn:
            assert inbox.last_sequence(conn, ROUTE) == 6
        assert [entry.kind for entry in DurableLog(province.database).entries(0, 1000)].count("batch.received") == 6
