"""Records passed on from level to level: key, unit and version of their owner, withdrawals, positions, keys of another sender."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import withdrawal
from gateway.app import Gateway
from gateway.clock import instant
from gateway.config import load_settings
from gateway.delivery.exchange import route_of
from gateway.delivery.held_records import HeldRecords
from gateway.delivery.onward import OTHER_OWNER, preview_onward
from gateway.delivery.run import Order
from gateway.errors import Findings, SourceError
from gateway.store import feedback, inbox, quarantine, records
from gateway.store.inbox import InboxRow
from gateway.store.origins import origins
from tests.levels.chain import CATALOG, NAMES, Chain, lay_chain
from tests.nodes import BUREAU, permit, run_once

LEVELS = ("bureau", "head", "province")
AT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return lay_chain(tmp_path, LEVELS)


def held(gateway: Gateway, sender: str) -> dict[str, tuple[int, str]]:
    """Key → version and operation of what ``gateway`` holds from ``sender``."""
    route = route_of(NAMES[sender][0], CATALOG, gateway.node.code)
    with gateway.database.read() as conn:
        return {
            one.key: (one.version, one.op)
            for bucket in inbox.bucket_digests(conn, route)
            for one in inbox.bucket_records(conn, route, bucket.prefix)
        }


def bodies(gateway: Gateway, sender: str) -> Mapping[str, str | None]:
    route = route_of(NAMES[sender][0], CATALOG, gateway.node.code)
    with gateway.database.read() as conn:
        rows = conn.exec_driver_sql("SELECT key, content FROM inbox_record WHERE route = ?", (route,)).all()
    return {str(row[0]): row[1] for row in rows}


async def test_key_unit_and_version_go_all_the_way_and_so_does_a_withdrawal(chain: Chain) -> None:
    rows = [permit(number) for number in range(1, 8)]
    chain.business.write(rows)
    async with chain.open() as nodes:
        first = await chain.up(nodes)
        assert [(one["rows"], one["sealed"], one["batches"]) for one in first] == [(7, 7, 2), (7, 7, 2)]
        assert held(nodes["head"], "bureau") == held(nodes["province"], "head") != {}
        assert bodies(nodes["head"], "bureau") == bodies(nodes["province"], "head")
        with nodes["head"].database.read() as conn:
            ids = list(records.present(conn, CATALOG, "from-below"))
            assert {one.unit for one in records.fetch(conn, ids)} == {BUREAU}
            assert {one.route for one in origins(conn, ids).values()} == {
                route_of(BUREAU, CATALOG, nodes["head"].node.code)
            }
        # Nothing new: nothing is read again, nothing is sent.
        again = await chain.up(nodes)
        assert [(one["rows"], one["sealed"]) for one in again] == [(7, 0), (0, 0)]
        # A → B → A while the level between looks only at the end; one record vanishes at its owner.
        changed = [permit(1, XK_NR="许可内容变更"), *rows[1:6]]
        chain.business.write(changed)
        await run_once(nodes["bureau"], "up")
        chain.business.write(rows[:6])
        await run_once(nodes["bureau"], "up")
        moved = await run_once(nodes["head"], "up")
        assert (moved.rows, moved.sealed, moved.withdraw, moved.answered.withdrawn) == (2, 1, 1, 1)
        # The record is as it was, so nothing goes on; what was taken back goes on with its version.
        last = str(rows[6]["XK_WSH"])
        assert held(nodes["province"], "head")[last] == held(nodes["head"], "bureau")[last] == (2, "withdraw")
        chain.business.write([permit(1, XK_NR="又变更"), *rows[1:]])
        await chain.up(nodes)
        first_key = str(rows[0]["XK_WSH"])
        assert held(nodes["province"], "head")[first_key] == held(nodes["head"], "bureau")[first_key] == (4, "upsert")
        assert held(nodes["province"], "head")[last] == (3, "upsert")
        # Taken back by a person: the code goes on, and the words, up to the last.
        basis = "信用修复决定书（2026）第8号"
        order = {"catalog": CATALOG, "keys": [last], "code": "credit-repaired", "basis": basis}
        signed = {"person": "张三", "reason": "信用修复"}
        await withdrawal.stop_share(nodes["bureau"], {**order, **signed}, lambda _stage, _count: None)
        await chain.up(nodes)
        for name, sender in (("head", "bureau"), ("province", "head")):
            with nodes[name].database.read() as conn:
                found = conn.exec_driver_sql(
                    "SELECT version, op, reason, basis FROM inbox_record WHERE route LIKE ? AND op <> 'upsert'",
                    (f"{NAMES[sender][0]}/%",),
                ).all()
            assert [tuple(one) for one in found] == [(4, "stop-share", "credit-repaired", basis)]


def receive(gateway: Gateway, sender: str, sequence: int, *rows: InboxRow) -> None:
    """Put a batch of ``sender`` into the inbox, as receiving would have."""
    route = route_of(sender, CATALOG, gateway.node.code)
    at = instant(AT)
    data = f"{route} {sequence}".encode()
    digest = hashlib.sha256(data).hexdigest()
    batch = inbox.InboxBatch(
        id=f"{sender}-{sequence}",
        route=route,
        sender=sender,
        catalog=CATALOG,
        sequence=sequence,
        package_sha256=digest,
        receipt_sha256=digest,
        verdict="accepted",
        counts={},
        checkpoint="",
        received_at=at,
    )
    with gateway.database.begin() as conn:
        inbox.add_batch(conn, batch, package=data, receipt=data)
        inbox.apply(conn, route, rows, batch_id=batch.id, at=at)


async def test_a_key_belongs_to_who_shares_it(chain: Chain) -> None:
    """A second sender of the same key is held back, until the first has taken the record back."""
    chain.business.write([permit(1), permit(2)])
    async with chain.open() as nodes:
        await chain.up(nodes)
        head = nodes["head"]
        other = NAMES["ministry"][0]
        source = HeldRecords(
            name="from-below",
            database=head.database,
            catalog=head.mappings.catalog(CATALOG),
            routes=[route_of(code, CATALOG, head.node.code) for code in (BUREAU, other)],
        )
        with head.database.read() as conn:
            rows = conn.exec_driver_sql("SELECT key, content, digest FROM inbox_record ORDER BY key").all()
        key, content, digest = rows[0]
        receive(head, other, 1, InboxRow(key, 9, "upsert", digest, b"<x/>", content.replace("道路旅客", "道路货物")))
        async with head.exchange("up") as exchange:
            both = replace(exchange, source=source)
            shown = preview_onward(head.database, both, source, full=False)
            assert (shown.rows, dict(shown.quarantined_by)) == (1, {OTHER_OWNER: 1})
            stopped = await head.runner.run(both, Order(person="t"), lambda _stage, _count: None)
            assert stopped is not None
            assert (stopped.rows, stopped.quarantined, stopped.sealed) == (1, 1, 0)
            with head.database.read() as conn:
                (case,) = quarantine.cases(conn, exchange="up")
                assert (case.key, [reason.expected for reason in case.reasons]) == (key, [BUREAU])
                ((_, told),) = feedback.after(conn, route_of(other, CATALOG, head.node.code), 0, limit=9)
                assert (told.key, told.version, told.code, told.level_code) == (key, 9, OTHER_OWNER, head.node.code)
            chain.business.write([permit(2)])
            await run_once(nodes["bureau"], "up")
            # From the beginning: the first sender's withdrawal comes first, then the record is the other's.
            taken = await head.runner.run(both, Order(person="t", full=True), lambda _stage, _count: None)
            assert taken is not None
            assert (taken.quarantined, taken.sealed, taken.upsert, taken.vanished) == (0, 1, 1, 0)
        assert held(nodes["province"], "head")[key] == (9, "upsert")


async def test_a_position_goes_on_within_a_batch(chain: Chain) -> None:
    chain.business.write([permit(number) for number in range(1, 6)])
    async with chain.open() as nodes:
        await run_once(nodes["bureau"], "up")
        head = nodes["head"]
        route = route_of(BUREAU, CATALOG, head.node.code)
        source = HeldRecords(name="x", database=head.database, catalog=head.mappings.catalog(CATALOG), routes=[route])
        pieces = list(source.held_chunks(None, size=3))
        assert [len(one.arrivals) for one in pieces] == [3, 2]
        rest = list(source.held_chunks(pieces[0].position, size=3))
        assert [one.arrivals for one in rest] == [pieces[1].arrivals]
        assert list(source.held_chunks(pieces[1].position, size=3)) == []
        assert not source.read("{}").complete
        assert source.read(None).complete
        with pytest.raises(SourceError, match="position-malformed"):
            source.read("[1]")


def test_records_never_go_back_to_who_sent_them(chain: Chain) -> None:
    text = (
        f'\n[peers.bureau]\ncode = "{BUREAU}"\nname = "x"\nurl = "https://127.0.0.1:1"\ncertificates = ["certs/bureau-signing.crt"]\n'
        f'\n[sources.below]\nkind = "records"\ncatalog = "{CATALOG}"\npeers = ["bureau", "nobody"]\n'
        f'\n[exchanges.up]\ncatalog = "{CATALOG}"\nsource = "below"\nformat = "credit-2018"\npeer = "bureau"\n'
    )
    chain.folders["head"].configure(text)
    with pytest.raises(Findings) as found:
        load_settings(chain.folders["head"].path / "config.toml")
    assert {one.code for one in found.value.findings} == {"config-records-back", "config-name-unknown"}
