"""Appending, with storage in memory, by the suite that every storage passes; and what only a large log shows."""

from __future__ import annotations

import pytest

from gateway.errors import LedgerError
from gateway.ledger.entry import decode
from gateway.ledger.proof import LeafNodes, LogNodes, edge_at
from gateway.ledger.tree import leaf_hash, root_of
from tests.ledger.conformance import LogConformance
from tests.ledger.memory_log import MemoryLog, MemoryStorage, Storage
from tests.ledger.samples import ROUTE, add_batch, add_genesis, fill


class TestMemoryStorage(LogConformance):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()


def test_previous_points_along_the_route() -> None:
    log = MemoryLog()
    add_genesis(log)
    for seq, route in [(1, ROUTE), (1, "other/route/x"), (2, ROUTE), (2, "other/route/x"), (3, ROUTE)]:
        add_batch(log, seq, route=route)
    entries = [decode(row.leaf) for row in log.entries(1, 6)]
    assert [entry.number("previous") for entry in entries] == [-1, -1, 1, 2, 3]
    assert [entry.number("route_seq") for entry in entries] == [1, 1, 2, 2, 3]


def test_a_tile_is_not_made_from_hashes_that_are_missing() -> None:
    log = MemoryLog()
    fill(log, 255)
    del log.rows[17]
    with pytest.raises(LedgerError, match="ledger-hash-missing"):
        fill(log, 256)


@pytest.mark.slow
def test_tiles_of_tiles() -> None:
    log = MemoryLog()
    fill(log, 65_536 + 300)
    hashes = [leaf_hash(row.leaf) for row in log.entries(0, log.head().size)]
    assert sorted(log.tiles) == [(0, index) for index in range(257)] + [(1, 0)]
    assert log.tile(1, 0) == b"".join(root_of(hashes[at : at + 256]) for at in range(0, 65_536, 256))
    assert list(log.hashes(2, 0, 1)) == [root_of(hashes[:65_536])]
    for size in (65_535, 65_536, 65_537, 65_836):
        assert edge_at(LogNodes(log), size) == edge_at(LeafNodes(hashes), size)
    assert log.head().root == root_of(hashes)
