"""What the publisher refuses to sign, and what it says instead."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import LedgerError
from gateway.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from gateway.ledger.folder import TileFolder
from gateway.ledger.keys import generate_key
from gateway.ledger.memory import FileHeadMemory, Remembered
from gateway.ledger.note import NoteSigner
from gateway.ledger.port import StoredCheckpoint
from gateway.ledger.publish import Publisher
from gateway.ledger.report import Verdict
from tests.ledger.memory_log import MemoryLog
from tests.ledger.samples import ORIGIN, add_action
from tests.ledger.world import SIGNER, World, refused, refused_untouched


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_checkpoint_is_signed_stored_and_published(world: World) -> None:
    world.grow(3)
    published = world.restart()
    assert published is not None
    assert published == world.log.newest_checkpoint()
    assert published.note == world.folder.read("checkpoint")
    checkpoint = open_checkpoint(published.note, [SIGNER.verifier], ORIGIN)
    assert checkpoint == Checkpoint(origin=ORIGIN, size=3, root=world.log.head().root)
    remembered = world.memory.read()
    assert remembered is not None
    assert (remembered.size, remembered.root, remembered.at) == (3, published.root, world.clock.moment)


def test_nothing_new_is_nothing_to_do(world: World) -> None:
    assert world.restart() is None
    world.grow(1)
    publisher = world.publisher()
    publisher.start(world.log)
    assert publisher.publish(world.log, world.clock) is not None
    asked = world.clock.moment
    assert publisher.publish(world.log, world.clock) is None
    assert world.clock.moment == asked
    assert len(world.log.checkpoints) == 1


def test_partial_tiles_go_when_the_full_one_is_there(world: World) -> None:
    for size in (100, 200, 257):
        world.grow(size)
        world.restart()
    files = {str(path.relative_to(world.published_path)) for path in world.published_path.rglob("*") if path.is_file()}
    assert files == {
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    }


def test_a_rolled_back_log_is_refused(world: World) -> None:
    world.grow(5)
    world.restart()
    backup = world.log.copy()
    world.grow(10)
    world.restart()
    world.log = backup
    refused_untouched(world, "ledger-rolled-back")


def test_a_log_rolled_back_and_regrown_is_refused(world: World) -> None:
    world.grow(5)
    backup = world.log.copy()
    world.grow(10)
    world.restart()
    world.log = backup
    for number in range(20):
        add_action(world.log, 1_000 + number)
    refused_untouched(world, "ledger-forked")


def test_a_log_rolled_back_under_a_running_process_is_refused(world: World) -> None:
    world.grow(5)
    backup, regrown = world.log.copy(), world.log.copy()
    publisher = world.publisher()
    publisher.start(world.log)
    world.grow(10)
    publisher.publish(world.log, world.clock)
    refused("ledger-rolled-back", lambda: publisher.publish(backup, world.clock))
    for number in range(20):
        add_action(regrown, 1_000 + number)
    refused("ledger-root-differs", lambda: publisher.publish(regrown, world.clock))
    assert max(regrown.checkpoints, default=0) == max(backup.checkpoints, default=0) == 0


def test_lost_head_memory_is_refused(world: World) -> None:
    world.grow(2)
    world.restart()
    world.memory_path.unlink()
    refused_untouched(world, "head-memory-lost")


def test_one_signed_entry_is_enough_to_need_a_memory(world: World) -> None:
    world.grow(1)
    world.restart()
    world.memory_path.unlink()
    shutil.rmtree(world.published_path)
    refused_untouched(world, "head-memory-lost")


def test_lost_head_memory_is_refused_even_if_storage_was_emptied_too(world: World) -> None:
    world.grow(2)
    world.restart()
    world.memory_path.unlink()
    world.log = MemoryLog()
    refused_untouched(world, "head-memory-lost")


def test_head_memory_that_vanishes_under_a_running_process_is_refused(world: World) -> None:
    world.grow(2)
    publisher = world.publisher()
    publisher.start(world.log)
    publisher.publish(world.log, world.clock)
    world.memory_path.unlink()
    world.grow(3)
    refused("head-memory-lost", lambda: publisher.publish(world.log, world.clock))
    assert max(world.log.checkpoints) == 2


@pytest.mark.parametrize("size", [0, 1])
def test_a_fresh_log_needs_no_memory(tmp_path: Path, size: int) -> None:
    world = World(tmp_path, started=False)
    world.grow(size)
    world.publisher().start(world.log)
    remembered = world.memory.read()
    assert remembered is not None
    assert remembered.size == 0
    world.grow(9)  # stopped before the first publication
    world.restart()
    assert world.verify().verdict is Verdict.PROVED


def test_entries_without_any_checkpoint_are_not_a_fresh_log(tmp_path: Path) -> None:
    world = World(tmp_path, started=False)
    world.grow(2)
    refused_untouched(world, "head-memory-lost")


def test_an_unmounted_volume_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, started=False)
    world.memory_path.parent.rmdir()
    refused("ledger-file-failed", world.restart)


def test_head_memory_put_back_is_refused(world: World) -> None:
    world.grow(2)
    world.restart()
    old = world.memory_path.read_bytes()
    world.grow(4)
    world.restart()
    world.memory_path.write_bytes(old)
    refused_untouched(world, "head-memory-behind")


def test_another_logs_head_memory_is_refused(world: World) -> None:
    world.grow(1)
    head = world.log.head()
    world.memory.swap(
        world.memory.read(), Remembered(origin="other.example", size=1, root=head.root, at=world.clock.now())
    )
    refused_untouched(world, "head-memory-of-other-log")


@pytest.mark.parametrize("note", [b"", b"rubbish", b"origin\n1\nroot\n\n"])
def test_a_published_checkpoint_that_is_none_is_refused(world: World, note: bytes) -> None:
    world.grow(1)
    world.restart()
    world.folder.replace("checkpoint", note)
    refused("note-malformed", world.restart)


def test_published_files_of_a_fork_are_refused(world: World) -> None:
    world.grow(3)
    world.restart()
    forged = Checkpoint(origin=ORIGIN, size=2, root=b"\x00" * 32)
    world.folder.replace("checkpoint", sign_checkpoint(forged, SIGNER))
    refused("ledger-forked", world.restart)


def test_stored_checkpoints_are_held_against_their_note(world: World) -> None:
    world.grow(3)
    world.restart()
    newest = world.log.checkpoints[3]
    other = sign_checkpoint(Checkpoint(origin=ORIGIN, size=3, root=b"\x00" * 32), SIGNER)
    for bad, code in [
        (replace(newest, root=b"\x00" * 32), "stored-checkpoint-differs"),
        (StoredCheckpoint(size=3, root=newest.root, note=other), "stored-checkpoint-differs"),
        (StoredCheckpoint(size=3, root=b"\x00" * 32, note=other), "ledger-forked"),
        (replace(newest, note=newest.note[:-2]), "note-malformed"),
    ]:
        world.log.checkpoints[3] = bad
        refused(code, world.restart)


def test_a_checkpoint_changed_under_a_running_process_is_not_published(world: World) -> None:
    world.grow(3)
    publisher = world.publisher()
    publisher.start(world.log)
    publisher.publish(world.log, world.clock)
    other = sign_checkpoint(Checkpoint(origin=ORIGIN, size=3, root=b"\x00" * 32), SIGNER)
    world.log.checkpoints[3] = StoredCheckpoint(size=3, root=b"\x00" * 32, note=other)
    refused("stored-checkpoint-differs", lambda: publisher.publish(world.log, world.clock))


@pytest.mark.parametrize("step", [timedelta(0), timedelta(hours=-1), timedelta(days=-365)])
def test_nothing_is_signed_while_the_clock_does_not_advance(world: World, step: timedelta) -> None:
    world.grow(1)
    world.restart()
    world.grow(2)
    world.clock.step = step
    refused_untouched(world, "clock-regressed")
    world.clock.step = timedelta(days=800)
    assert world.restart() is not None


def test_two_processes_cannot_both_move_the_head(world: World) -> None:
    world.grow(1)
    world.restart()
    world.grow(4)
    slow, fast = world.publisher(), world.publisher()
    slow.start(world.log)
    fast.start(world.log)

    def overtake() -> None:
        world.clock.before_answer = lambda: None
        fast.publish(world.log, world.clock)

    world.clock.before_answer = overtake
    refused("head-memory-moved", lambda: slow.publish(world.log, world.clock))
    world.grow(5)
    assert slow.publish(world.log, world.clock) is not None
    assert sorted(world.log.checkpoints) == [1, 4, 5]


@pytest.mark.parametrize("size", [3, 4, 5])
def test_a_memory_of_a_fork_stops_a_running_process(world: World, size: int) -> None:
    world.grow(3)
    publisher = world.publisher()
    publisher.start(world.log)
    publisher.publish(world.log, world.clock)
    world.grow(5)
    forked = Remembered(origin=ORIGIN, size=size, root=b"\x00" * 32, at=world.clock.now())
    world.memory.swap(world.memory.read(), forked)
    refused("ledger-forked", lambda: publisher.publish(world.log, world.clock))
    assert max(world.log.checkpoints) == 3


def test_checkpoints_of_a_retired_key_are_still_ours(world: World) -> None:
    world.grow(2)
    world.restart()
    successor = NoteSigner(ORIGIN, generate_key(b"\x09" * 32))
    refused("note-unsigned", lambda: world.publisher(signer=successor).start(world.log))
    publisher = world.publisher(signer=successor, retired=[SIGNER.verifier])
    publisher.start(world.log)
    world.grow(3)
    published = publisher.publish(world.log, world.clock)
    assert published is not None
    assert open_checkpoint(published.note, [successor.verifier], ORIGIN).size == 3


def test_a_signer_has_the_name_of_the_log() -> None:
    with pytest.raises(LedgerError, match="signer-of-other-log"):
        Publisher(
            origin="another",
            signer=SIGNER,
            memory=FileHeadMemory(Path("head")),
            folder=TileFolder(Path("published")),
        )
