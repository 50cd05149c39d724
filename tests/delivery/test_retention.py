"""Retention (T26, scenario 19): bytes go when their time is over and nothing keeps them; what the ledger says of them verifies for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import Gateway
from gateway.clock import RandomIds, SystemClock, instant
from gateway.config import load_settings
from gateway.custody import hold, list_holds, release, retention
from gateway.delivery.retention import Eraser
from gateway.errors import ConfigError, StoreError
from gateway.exchange.intake import ReceiptTaken
from gateway.ledger.append import append
from gateway.ledger.entry import decode
from gateway.ledger.folder import TileFolder
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_folder, verify_log
from gateway.opening import open_gateway
from gateway.orders import ORDERS
from gateway.package.container import open_package
from gateway.package.forms import Node
from gateway.receiving import open_receiver
from gateway.store import attempts, batches, inbox
from gateway.store.database import Database
from gateway.store.entries import DurableLog, TransactionLog
from gateway.store.states import State
from tests.delivery.own_ledger import SetClock
from tests.ledger.samples import own_fields
from tests.nodes import BUREAU, PERMIT, Folder, Nodes, lay_nodes, permit, run_once

ORDER = {"person": "档案管理员", "reason": "保存期满"}
YEARS = timedelta(days=1461)
ENDS = {State.RECONCILED: "batch.reconciled", State.ABANDONED: "batch.abandoned", State.DISPUTED: "batch.disputed"}
SUBJECT = str(PERMIT["XK_XDR_SHXYM"])


@pytest.fixture
async def nodes(tmp_path: Path) -> Nodes:
    """Two batches went from the bureau to the province."""
    nodes = lay_nodes(tmp_path)
    nodes.business.write([permit(number) for number in range(1, 7)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
    return nodes


@contextmanager
def later(folder: Folder, after: timedelta = YEARS) -> Iterator[Gateway]:
    """The node, years on."""
    clock = SetClock()
    clock.moment = SystemClock().now() + after
    with open_gateway(load_settings(folder.path / "config.toml"), what="test", clock=clock, ids=RandomIds()) as gateway:
        yield gateway


async def erased(gateway: Gateway, **args: object) -> dict[str, object]:
    return await retention(gateway, {**ORDER, **args}, lambda _stage, _count: None)


def packages(gateway: Gateway) -> dict[str, bytes | None]:
    """What is left of each package, by batch."""
    found: dict[str, bytes | None] = {}
    with gateway.database.read() as conn:
        for batch in batches.list_batches(conn, limit=100):
            found[batch.id] = None
            with suppress(StoreError):
                found[batch.id] = batches.package_bytes(conn, batch.id)
        for one in inbox.list_batches(conn, limit=100):
            found[one.id] = inbox.package_bytes(conn, one.id)
    return found


async def test_nothing_goes_before_its_time(nodes: Nodes) -> None:
    for folder in (nodes.bureau, nodes.province):
        with later(folder, timedelta(days=1459)) as gateway:
            assert await erased(gateway) == {"erased": [], "bytes": 0, "kept": []}
            assert all(packages(gateway).values())


async def test_what_is_past_its_time_goes_on_both_sides_and_the_ledger_says_so(nodes: Nodes) -> None:
    for folder in (nodes.bureau, nodes.province):
        with later(folder) as gateway:
            before = packages(gateway)
            assert len(before) == 2
            planned = await erased(gateway, dry_run=True)
            assert packages(gateway) == before, "a dry run takes nothing away"
            done = await erased(gateway)
            assert done == planned
            assert set(packages(gateway).values()) == {None}
            log = DurableLog(gateway.database)
            entries = {one.index: decode(one.leaf) for one in log.entries(0, log.head().size)}
            told = [entry for entry in entries.values() if entry.kind == "erasure"]
            assert {entry.text("batch_id") for entry in told} == set(before)
            for entry in told:
                of = entries[entry.number("erased")]
                assert of.kind in {"batch.reconciled", "batch.received"}
                assert of.text("batch_id") == entry.text("batch_id")
                assert of.text("package_sha256") == entry.text("package_sha256")
                package = before[entry.text("batch_id")]
                assert package is not None
                assert hashlib.sha256(package).hexdigest() == entry.text("package_sha256")
                assert (entry.text("person"), entry.text("reason")) == (ORDER["person"], ORDER["reason"])
            gateway.notary.publish(final=True)
            known = [gateway.note_signer.verifier]
            assert verify_log(log, known, origin=gateway.origin).verdict is Verdict.PROVED
            published = TileFolder(gateway.settings.publish_dir)
            assert verify_folder(published, known, origin=gateway.origin).verdict is Verdict.PROVED
            assert await erased(gateway) == {"erased": [], "bytes": 0, "kept": []}


async def test_the_bytes_are_gone_from_the_disk(nodes: Nodes) -> None:
    with later(nodes.bureau) as gateway:
        kept = [package for package in packages(gateway).values() if package]
    assert _on_disk(nodes.bureau, kept[0][100:400])
    with later(nodes.bureau, YEARS * 2) as gateway:
        await erased(gateway)
    assert not [package for package in kept if _on_disk(nodes.bureau, package[100:400])]


def _on_disk(folder: Folder, piece: bytes) -> bool:
    return any(piece in file.read_bytes() for file in (folder.path / "var").glob("gateway.db*"))


async def test_whoever_asks_for_erased_bytes_is_told_so(nodes: Nodes) -> None:
    with later(nodes.bureau) as bureau:
        (first, *_) = packages(bureau)
        await erased(bureau)
        with bureau.database.read() as conn:
            with pytest.raises(StoreError, match="package-erased"):
                batches.package_bytes(conn, first)
            with pytest.raises(StoreError, match="batch-missing"):
                batches.package_bytes(conn, "none")


async def test_receipts_digests_and_records_stay(nodes: Nodes) -> None:
    with later(nodes.bureau) as bureau:
        await erased(bureau)
        with bureau.database.read() as conn:
            for batch in batches.list_batches(conn, limit=10):
                receipt = attempts.find_receipt(conn, batch.id)
                assert receipt is not None
                assert hashlib.sha256(receipt.data).hexdigest() == receipt.sha256


async def test_a_second_delivery_of_an_erased_batch_gets_the_stored_receipt(nodes: Nodes) -> None:
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        (first, *_) = batches.list_batches(conn, limit=10)
        package, receipt = batches.package_bytes(conn, first.id), attempts.find_receipt(conn, first.id)
    assert receipt is not None
    with later(nodes.province) as province:
        await erased(province)
        size = DurableLog(province.database).head().size
        answer = await open_receiver(province).take(BUREAU, first.id, package)
        assert isinstance(answer, ReceiptTaken)
        assert (answer.new, answer.receipt) == (False, receipt.data)
        assert DurableLog(province.database).head().size == size, "nothing is taken or entered twice"
        assert set(packages(province).values()) == {None}, "and the bytes do not come back"


# What keeps a payload


async def test_a_hold_on_a_batch_keeps_that_batch(nodes: Nodes) -> None:
    with later(nodes.province) as province:
        first, second = sorted(packages(province))
        done = await hold(province, {"scope": "batch", "name": first, **ORDER}, lambda _stage, _count: None)
        report = await erased(province)
        assert [one["batch_id"] for one in report["erased"]] == [second]  # type: ignore[attr-defined]
        assert [(one["batch_id"], one["hold"]) for one in report["kept"]] == [(first, done["hold"])]  # type: ignore[attr-defined]
        assert packages(province)[first]
        await release(province, {"hold": done["hold"], **ORDER}, lambda _stage, _count: None)
        await erased(province)
        assert set(packages(province).values()) == {None}
        actions = [decode(one.leaf) for one in DurableLog(province.database).of_kinds(["operator.action"])]
        assert [entry.text("action") for entry in actions] == ["hold.add", "hold.release"]
        assert actions[0].text("subject") == f"hold {done['hold']} batch {first}"


async def test_a_hold_on_a_subject_keeps_every_batch_that_speaks_of_it_and_names_nobody(nodes: Nodes) -> None:
    with later(nodes.bureau) as bureau:
        await hold(bureau, {"scope": "subject", "name": SUBJECT, **ORDER}, lambda _stage, _count: None)
        other = {"scope": "subject", "name": "91110000000000000X", **ORDER}
        await hold(bureau, other, lambda _stage, _count: None)
        report = await erased(bureau)
        assert (report["erased"], len(report["kept"])) == ([], 2)  # type: ignore[arg-type]
        assert [one["scope"] for one in list_holds(bureau)] == ["subject", "subject"]
        leaves = b"".join(one.leaf for one in DurableLog(bureau.database).of_kinds(["operator.action"]))
        assert SUBJECT.encode() not in leaves
        await release(bureau, {"hold": 1, **ORDER}, lambda _stage, _count: None)
        assert len((await erased(bureau))["erased"]) == 2  # type: ignore[arg-type]


async def test_a_hold_is_of_something_and_once(nodes: Nodes) -> None:
    def tell(_stage: str, _count: int) -> None: ...

    with nodes.bureau.open() as bureau:
        with pytest.raises(ConfigError, match="batch-unknown"):
            await hold(bureau, {"scope": "batch", "name": "none", **ORDER}, tell)
        with pytest.raises(ConfigError, match="hold-name-short"):
            await hold(bureau, {"scope": "subject", "name": "张三", **ORDER}, tell)
        await hold(bureau, {"scope": "subject", "name": SUBJECT, **ORDER}, tell)
        with pytest.raises(StoreError, match="hold-exists"):
            await hold(bureau, {"scope": "subject", "name": SUBJECT, **ORDER}, tell)
        await release(bureau, {"hold": 1, **ORDER}, tell)
        with pytest.raises(StoreError, match="hold-missing"):
            await release(bureau, {"hold": 1, **ORDER}, tell)
        again = await hold(bureau, {"scope": "subject", "name": SUBJECT, **ORDER}, tell)
        assert again == {"hold": 2}, "a number is given once"
        leaves = [one.leaf for one in DurableLog(bureau.database).of_kinds(["operator.action"])]
        assert len(leaves) == 3


async def test_what_is_not_settled_never_goes(tmp_path: Path) -> None:
    nodes = lay_nodes(tmp_path)
    nodes.business.write([permit(1)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)  # nobody listens
    with later(nodes.bureau, YEARS * 10) as bureau:
        assert (await erased(bureau))["erased"] == []
        (package,) = packages(bureau).values()
        assert package
        assert open_package(package)


async def test_what_was_given_up_goes_when_its_void_batch_is_settled(tmp_path: Path) -> None:
    nodes = lay_nodes(tmp_path)
    nodes.business.write([permit(1)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)  # nobody listens
        with bureau.database.read() as conn:
            (given_up,) = batches.open_batches(conn)
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau, bureau.database.read():
            async with bureau.peer_of(given_up.route) as peer:
                void = await bureau.decisions.abandon(given_up.id, peer, **ORDER)
    with later(nodes.bureau) as bureau:
        assert (await erased(bureau))["erased"] == [], "its number is not settled"
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await ORDERS["retry"](bureau, {"batch": void, **ORDER}, lambda _stage, _count: None)
    with later(nodes.bureau, YEARS * 2) as bureau:
        done = await erased(bureau)
        assert {one["batch_id"] for one in done["erased"]} == {given_up.id, void}  # type: ignore[attr-defined]
        (entry,) = [
            decode(one.leaf)
            for one in DurableLog(bureau.database).of_kinds(["erasure"])
            if decode(one.leaf).text("batch_id") == given_up.id
        ]
        of = next(
            one for one in DurableLog(bureau.database).entries(entry.number("erased"), entry.number("erased") + 1)
        )
        assert of.kind == "batch.abandoned"


def test_what_no_checkpoint_covers_never_goes(nodes: Nodes) -> None:
    """The same batches, entered but not signed over: a journal whose checkpoints are of before them."""
    with later(nodes.province) as province:
        received = next(
            one.index for one in DurableLog(province.database).entries(0, 100) if one.kind == "batch.received"
        )
        with province.database.begin() as conn:
            conn.exec_driver_sql("DROP TRIGGER keep_checkpoint_delete")
            conn.exec_driver_sql("DELETE FROM checkpoint WHERE size > ?", (received,))
        eraser = Eraser(
            database=province.database,
            node=province.node,
            clock=province.clock,
            after=province.settings.document.ledger.retention,
        )
        done = eraser.run(**ORDER, dry_run=True, disputed=False, tell=lambda _stage, _count: None)
        assert done.erased == ()


@settings(deadline=None, max_examples=40)
@given(
    ages=st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    states=st.lists(st.sampled_from(list(State)), min_size=8, max_size=8),
    signed=st.integers(0, 9),
    keep=st.integers(183, 2500),
    disputed=st.booleans(),
)
def test_only_settled_signed_and_old_enough(
    tmp_path_factory: pytest.TempPathFactory,
    ages: list[int],
    states: list[State],
    signed: int,
    keep: int,
    disputed: bool,
) -> None:
    """Against the rule said once more, over journals of batches of every age and state."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('journal')}/gateway.db")
    database.migrate()
    clock = SetClock()
    now: datetime = clock.moment
    settled: set[str] = set()
    ends = {State.RECONCILED, State.ABANDONED, *([State.DISPUTED] if disputed else [])}
    with database.begin() as conn:
        log = TransactionLog(conn)
        append(log, "genesis", own_fields("genesis"), at=now)
        conn.exec_driver_sql(
            "INSERT INTO run (id, exchange, kind, started_at, state, mapping_digest) "
            "VALUES ('r', 'e', 'manual', ?, 'closed', '')",
            (instant(now),),
        )
        for number, (age, state) in enumerate(zip(ages, states, strict=False)):
            closed = instant(now - timedelta(days=age, hours=1))
            conn.exec_driver_sql(
                "INSERT INTO batch (id, exchange, route, sequence, run_id, state, total, upsert, withdraw, stop_share, "
                "record_root, mapping_digest, format, package_sha256, manifest_sha256, signer_key_id, checkpoint, "
                "created_at, next_attempt_at, attempts, fence, closed_at) VALUES (?, 'e', 'a/b/c', ?, 'r', ?, 0, 0, 0, 0, "
                "'', '', '', ?, '', '', '', ?, ?, 0, 0, ?)",
                (f"b{number}", number + 1, state.value, "ab" * 32, closed, closed, closed),
            )
            conn.exec_driver_sql("INSERT INTO package (batch_id, data) VALUES (?, ?)", (f"b{number}", b"bytes"))
            kind = ENDS.get(state, "batch.disputed")
            append(log, kind, own_fields(kind), at=now, route="a/b/c", route_seq=number + 1, batch_id=f"b{number}")
            if state in ends and age >= keep and number + 1 < signed:
                settled.add(f"b{number}")
        if signed:
            conn.exec_driver_sql("INSERT INTO checkpoint (size, root, note) VALUES (?, ?, ?)", (signed, b"", b""))
    eraser = Eraser(database=database, node=Node(code="c", name="n"), clock=clock, after=timedelta(days=keep))
    done = eraser.run(**ORDER, dry_run=False, disputed=disputed, tell=lambda _stage, _count: None)
    assert {one.batch_id for one in done.erased} == settled
    with database.read() as conn:
        left = {row[0] for row in conn.exec_driver_sql("SELECT batch_id FROM package")}
    assert left == {f"b{number}" for number in range(len(ages))} - settled
    database.close()
