"""Storage that was changed behind the ledger's back: nothing is signed over it, nothing of it is published."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import LedgerError
from gateway.ledger.port import StoredEntry, Tile
from gateway.ledger.report import Verdict
from gateway.ledger.tree import leaf_hash
from tests.ledger.memory_log import MemoryLog
from tests.ledger.world import World, refused, refused_untouched


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def tamper_leaf(log: MemoryLog, index: int) -> None:
    log.rows[index] = replace(log.rows[index], leaf=log.rows[index].leaf.replace(b"name", b"fame"))


def tamper_leaf_and_hash(log: MemoryLog, index: int) -> None:
    tamper_leaf(log, index)
    log.rows[index] = replace(log.rows[index], leaf_hash=leaf_hash(log.rows[index].leaf))


def tamper_hash(log: MemoryLog, index: int) -> None:
    log.rows[index] = replace(log.rows[index], leaf_hash=b"\x00" * 32)


def tamper_order(log: MemoryLog, index: int) -> None:
    first, second = log.rows[index - 1], log.rows[index]
    log.rows[index - 1], log.rows[index] = replace(second, index=index - 1), replace(first, index=index)


def remove(log: MemoryLog, index: int) -> None:
    del log.rows[index]


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (tamper_leaf, "stored-leaf-differs"),
        (tamper_hash, "stored-leaf-differs"),
        (tamper_leaf_and_hash, "ledger-root-differs"),
        (tamper_order, "ledger-root-differs"),
        (remove, "ledger-entry-missing"),
    ],
)
@pytest.mark.parametrize("index", [6, 8, 9])
def test_tampered_new_entries_are_never_signed(
    world: World, tamper: Callable[[MemoryLog, int], None], code: str, index: int
) -> None:
    world.grow(5)
    world.restart()
    world.grow(10)
    tamper(world.log, index)
    refused_untouched(world, code)


def test_a_missing_entry_is_named(world: World) -> None:
    world.grow(5)
    world.restart()
    world.grow(10)
    remove(world.log, 7)
    with pytest.raises(LedgerError) as caught:
        world.restart()
    assert caught.value.facts == {"index": 7}


def test_a_tampered_head_is_never_signed(world: World) -> None:
    world.grow(5)
    world.restart()
    world.grow(10)
    good = world.log.current
    for bad in (replace(good, root=b"\x00" * 32), replace(good, edge=(b"\x00" * 32, *good.edge[1:]))):
        world.log.current = bad
        refused_untouched(world, "ledger-root-differs")


def test_tampered_old_hashes_are_noticed_at_start(world: World) -> None:
    world.grow(5)
    world.restart()
    tamper_hash(world.log, 3)
    refused_untouched(world, "ledger-forked")


def tamper_tile(log: MemoryLog) -> None:
    tile = log.tiles[0, 0]
    log.tiles[0, 0] = replace(tile, data=bytes([tile.data[0] ^ 1]) + tile.data[1:])


def cut_tile(log: MemoryLog) -> None:
    log.tiles[0, 0] = replace(log.tiles[0, 0], data=log.tiles[0, 0].data[:-1])


def tamper_tile_root(log: MemoryLog) -> None:
    log.tiles[0, 0] = replace(log.tiles[0, 0], root=b"\x00" * 32)


def swap_tile(log: MemoryLog) -> None:
    data = b"\x00" * 8192
    log.tiles[0, 0] = Tile(level=0, index=0, data=data, root=b"\x00" * 32)


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (tamper_tile, "stored-tile-differs"),
        (cut_tile, "tile-malformed"),
        (tamper_tile_root, "ledger-root-differs"),
        (swap_tile, "ledger-root-differs"),
        (lambda log: log.tiles.clear(), "ledger-hash-missing"),
        (lambda log: tamper_leaf(log, 3), "stored-leaf-differs"),
        (lambda log: tamper_hash(log, 290), "stored-leaf-differs"),
        (lambda log: remove(log, 3), "ledger-hash-missing"),
    ],
)
def test_what_the_signature_does_not_cover_is_not_published(
    world: World, tamper: Callable[[MemoryLog], None], code: str
) -> None:
    world.grow(5)
    world.restart()
    published = world.folder.read("checkpoint")
    world.grow(300)
    good = world.log.copy()
    tamper(world.log)
    refused(code, world.restart)
    assert world.folder.read("checkpoint") == published
    assert world.verify_published().verdict is Verdict.PROVED
    good.checkpoints = world.log.checkpoints
    world.log = good
    world.restart()
    assert (world.verify_published().verdict, world.verify_published().entries) == (Verdict.PROVED, 300)


class HidingLog(MemoryLog):
    """Knows the hash of entry 3 but has lost its bytes."""

    def entries(self, start: int, stop: int) -> Iterator[StoredEntry]:
        return (row for row in super().entries(start, stop) if row.index != 3)


def test_an_entry_whose_bytes_are_lost_is_not_published(world: World) -> None:
    world.grow(5)
    world.restart()
    world.grow(6)
    hiding = HidingLog()
    vars(hiding).update(vars(world.log))
    refused("ledger-entry-missing", lambda: world.restart(hiding))


def test_a_published_file_that_was_changed_is_told_and_not_overwritten(world: World) -> None:
    world.grow(260)
    tile = world.published_path / "tile" / "0" / "000"
    tile.parent.mkdir(parents=True)
    tile.write_bytes(b"something else")
    refused("published-file-differs", world.restart)
    assert tile.read_bytes() == b"something else"


def test_a_lost_folder_is_published_again(world: World) -> None:
    world.grow(1)
    world.restart()
    world.grow(270)
    world.restart()
    shutil.rmtree(world.published_path)
    assert world.restart() == world.log.newest_checkpoint()
    assert world.verify_published().entries == 270
    assert world.verify_published().verdict is Verdict.PROVED
