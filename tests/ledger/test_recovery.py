"""Head memory that was lost is laid down again from what a peer holds, and from nothing less."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.ledger.checkpoint import Checkpoint, sign_checkpoint
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner
from gateway.ledger.report import Verdict
from tests.ledger.samples import ORIGIN
from tests.ledger.world import SIGNER, World, refused


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def lose_memory(world: World) -> tuple[bytes, bytes]:
    """Memory lost after two checkpoints; what a peer kept of both."""
    notes = []
    for size in (2, 5):
        world.grow(size)
        published = world.restart()
        assert published is not None
        notes.append(published.note)
    world.memory_path.unlink()
    world.grow(6)
    return notes[0], notes[1]


def test_recovery_from_the_newest_checkpoint_that_a_peer_holds(world: World) -> None:
    _, newest = lose_memory(world)
    publisher = world.publisher()
    assert publisher.recover(world.log, newest, world.clock).size == 5
    assert publisher.publish(world.log, world.clock) is not None
    assert world.verify().verdict is Verdict.PROVED


def test_recovery_not_from_an_older_one(world: World) -> None:
    older, _ = lose_memory(world)
    refused("recovery-note-old", lambda: world.publisher().recover(world.log, older, world.clock))
    assert world.memory.read() is None


def test_recovery_not_from_one_that_the_log_contradicts(world: World) -> None:
    lose_memory(world)
    ahead = sign_checkpoint(Checkpoint(origin=ORIGIN, size=9, root=b"\x00" * 32), SIGNER)
    refused("ledger-rolled-back", lambda: world.publisher().recover(world.log, ahead, world.clock))
    forked = sign_checkpoint(Checkpoint(origin=ORIGIN, size=6, root=b"\x00" * 32), SIGNER)
    refused("ledger-forked", lambda: world.publisher().recover(world.log, forked, world.clock))
    stranger = NoteSigner(ORIGIN, generate_key(b"\x0a" * 32))
    strange = sign_checkpoint(Checkpoint(origin=ORIGIN, size=6, root=world.log.head().root), stranger)
    refused("note-unsigned", lambda: world.publisher().recover(world.log, strange, world.clock))
    assert world.memory.read() is None


def test_no_recovery_where_nothing_was_lost(world: World) -> None:
    world.grow(1)
    published = world.restart()
    assert published is not None
    refused("head-memory-present", lambda: world.publisher().recover(world.log, published.note, world.clock))


def test_recovery_when_the_clock_was_ahead_and_is_right_again(world: World) -> None:
    right = world.clock.now()
    world.grow(2)
    world.clock.moment = right + timedelta(days=30)
    assert world.restart() is not None
    world.clock.moment = right + timedelta(minutes=1)
    refused("clock-regressed", lambda: world.publisher().start(world.log, now=world.clock.now()))
    newest = world.log.newest_checkpoint()
    assert newest is not None
    publisher = world.publisher()
    assert publisher.recover(world.log, newest.note, world.clock).size == 2
    publisher.start(world.log, now=world.clock.now())
    world.grow(3)
    assert world.restart() is not None
    assert world.verify().verdict is Verdict.PROVED


def test_recovery_from_a_clock_that_was_ahead_not_below_what_is_remembered(world: World) -> None:
    world.grow(1)
    older = world.restart()
    assert older is not None
    world.clock.moment += timedelta(days=30)
    world.grow(2)
    assert world.restart() is not None
    world.clock.moment -= timedelta(days=29)
    refused("recovery-note-old", lambda: world.publisher().recover(world.log, older.note, world.clock))
