"""What every storage of the ledger has to do. A storage passes by subclassing :class:`LogConformance` with its own ``storage`` fixture."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import GatewayError, LedgerError
from gateway.ledger.append import append
from gateway.ledger.port import Head, StoredCheckpoint, StoredEntry, Tile
from gateway.ledger.proof import LeafNodes, edge_at
from gateway.ledger.report import Verdict
from gateway.ledger.tree import EMPTY_ROOT, leaf_hash, root_of
from gateway.ledger.verify import verify_folder, verify_log
from tests.ledger.memory_log import Storage
from tests.ledger.samples import ORIGIN, ROUTE, START, add_action, add_batch, add_genesis, fill, own_fields
from tests.ledger.world import SIGNER, World


class LogConformance:
    """Give a fixture ``storage`` that returns an empty :class:`tests.ledger.memory_log.Storage`."""

    def test_an_empty_log(self, storage: Storage) -> None:
        log = storage.log()
        assert log.head() == Head(size=0, root=EMPTY_ROOT, edge=())
        assert list(log.entries(0, 10)) == []
        assert list(log.hashes(0, 0, 10)) == list(log.hashes(1, 0, 10)) == []
        assert log.tile(0, 0) is None
        assert log.newest_checkpoint() is None
        assert log.route_tail(ROUTE) is None

    def test_entries_come_back_as_they_were_put(self, storage: Storage) -> None:
        with storage.transaction() as log:
            add_genesis(log)
        with storage.transaction() as log:
            assert add_batch(log, 1) == 1
            assert add_action(log, 2) == 2
        rows = list(storage.log().entries(0, 3))
        assert [row.index for row in rows] == [0, 1, 2]
        assert [row.kind for row in rows] == ["genesis", "batch.reconciled", "operator.action"]
        assert [(row.route, row.route_seq, row.batch_id) for row in rows] == [
            (None, None, None),
            (ROUTE, 1, "batch-1"),
            (None, None, None),
        ]
        assert all(row.leaf_hash == leaf_hash(row.leaf) for row in rows)
        assert list(storage.log().entries(1, 2)) == rows[1:2]
        assert list(storage.log().entries(2, 99)) == rows[2:]

    def test_head_hashes_and_tiles_follow_the_tree(self, storage: Storage) -> None:
        with storage.transaction() as log:
            fill(log, 515)
        log = storage.log()
        hashes = [leaf_hash(row.leaf) for row in log.entries(0, 515)]
        edge = edge_at(LeafNodes(hashes), 515)
        assert log.head() == Head(size=515, root=root_of(hashes), edge=edge.hashes)
        assert list(log.hashes(0, 500, 600)) == hashes[500:]
        assert log.tile(0, 0) == b"".join(hashes[:256])
        assert log.tile(0, 1) == b"".join(hashes[256:512])
        assert log.tile(0, 2) is log.tile(1, 0) is None
        assert list(log.hashes(1, 0, 9)) == [root_of(hashes[:256]), root_of(hashes[256:512])]
        assert list(log.hashes(1, 1, 2)) == [root_of(hashes[256:512])]
        assert list(log.hashes(2, 0, 9)) == []

    def test_a_transaction_that_fails_leaves_nothing(self, storage: Storage) -> None:
        with storage.transaction() as log:
            fill(log, 255)
        before = storage.log().head()
        with pytest.raises(RuntimeError, match="the business failed"), storage.transaction() as log:  # noqa: PT012  # the failure is inside
            fill(log, 257)
            raise RuntimeError("the business failed")
        log = storage.log()
        assert log.head() == before
        assert len(list(log.entries(0, 300))) == len(list(log.hashes(0, 0, 300))) == 255
        assert log.tile(0, 0) is None
        with storage.transaction() as log:
            fill(log, 257)
        assert storage.log().tile(0, 0) is not None

    @pytest.mark.parametrize("index", [1, 3])
    def test_only_the_next_index_is_taken(self, storage: Storage, index: int) -> None:
        with storage.transaction() as log:
            fill(log, 2)
        row = StoredEntry(
            index=index, leaf=b"x", leaf_hash=leaf_hash(b"x"), kind="anchor", route=None, route_seq=None, batch_id=None
        )
        with pytest.raises(GatewayError), storage.transaction() as log:
            log.put(row, Head(size=index + 1, root=EMPTY_ROOT, edge=(b"\x00" * 32,) * (index + 1).bit_count()), ())
        assert storage.log().head().size == 2

    def test_route_tails_are_each_routes_own(self, storage: Storage) -> None:
        with storage.transaction() as log:
            add_genesis(log)
            add_batch(log, 1)
            add_batch(log, 2, kind="batch.disputed")
            add_batch(log, 1, route="other/route/x")
            add_batch(log, 3)
            add_batch(log, 2)
        log = storage.log()
        tail, other = log.route_tail(ROUTE), log.route_tail("other/route/x")
        assert tail is not None
        assert (tail.index, tail.route_seq) == (5, 3)
        assert other is not None
        assert (other.index, other.route_seq) == (3, 1)

    def test_checkpoints_are_kept_and_never_exchanged(self, storage: Storage) -> None:
        first = StoredCheckpoint(size=1, root=b"\x01" * 32, note=b"first")
        second = StoredCheckpoint(size=20, root=b"\x02" * 32, note=b"second")
        log = storage.log()
        log.put_checkpoint(second)
        log.put_checkpoint(first)
        log.put_checkpoint(second)
        assert storage.log().newest_checkpoint() == second
        with pytest.raises(GatewayError):
            log.put_checkpoint(StoredCheckpoint(size=20, root=b"\x02" * 32, note=b"other"))
        assert storage.log().newest_checkpoint() == second

    def test_appending_refuses_a_gap_a_stranger_and_a_second_genesis(self, storage: Storage) -> None:
        with storage.transaction() as log:
            with pytest.raises(LedgerError, match="genesis-misplaced"):
                add_action(log, 0)
            add_genesis(log)
            with pytest.raises(LedgerError, match="genesis-misplaced"):
                add_genesis(log)
            for seq in (0, 2):
                with pytest.raises(LedgerError, match="route-sequence-gap"):
                    add_batch(log, seq)
            add_batch(log, 1)
            with pytest.raises(LedgerError, match="route-sequence-gap"):
                add_batch(log, 3)
            with pytest.raises(LedgerError, match="entry-route-wrong"):
                append(log, "batch.reconciled", own_fields("batch.reconciled"), at=START)
            with pytest.raises(LedgerError, match="entry-route-wrong"):
                append(log, "operator.action", own_fields("operator.action"), at=START, batch_id="batch-1")
            misplaced = {**own_fields("batch.reconciled"), "previous": 1}
            with pytest.raises(LedgerError, match="entry-route-wrong"):
                append(log, "batch.reconciled", misplaced, at=START, route=ROUTE, route_seq=2, batch_id="batch-2")
        assert storage.log().head().size == 2

    def test_a_grown_log_is_published_and_verified(self, storage: Storage, tmp_path: Path) -> None:
        world = World(tmp_path)
        publisher = world.publisher()
        for size in (1, 200, 256, 270):
            with storage.transaction() as log:
                fill(log, size)
            publisher.start(storage.log())
            published = publisher.publish(storage.log(), world.clock)
            assert published is not None
            assert (published.size, published.root) == (size, storage.log().head().root)
            assert publisher.publish(storage.log(), world.clock) is None
        for report in (
            verify_log(storage.log(), [SIGNER.verifier], origin=ORIGIN),
            verify_folder(world.folder, [SIGNER.verifier], origin=ORIGIN),
        ):
            assert (report.verdict, report.entries, report.signed, report.findings) == (Verdict.PROVED, 270, 270, ())

    def test_a_stored_tile_is_a_tile(self, storage: Storage) -> None:
        data, root = b"\x05" * 8192, b"\x06" * 32
        with storage.transaction() as log:
            add_genesis(log)
            row = StoredEntry(
                index=1, leaf=b"x", leaf_hash=leaf_hash(b"x"), kind="anchor", route=None, route_seq=None, batch_id=None
            )
            head = Head(size=2, root=root, edge=(root,))
            log.put(
                row, head, [Tile(level=0, index=0, data=data, root=root), Tile(level=1, index=0, data=data, root=root)]
            )
        log = storage.log()
        assert log.head() == head
        assert log.tile(0, 0) == log.tile(1, 0) == data
        assert list(log.hashes(1, 0, 1)) == list(log.hashes(2, 0, 1)) == [root]
