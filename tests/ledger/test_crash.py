"""The power is cut at every single call of a publication, with and without its effect; the next start always finishes the work."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gateway.ledger.report import Verdict
from tests.ledger import naive
from tests.ledger.samples import add_action
from tests.ledger.tripwire import PowerCutError, TrippedFolder, TrippedLog, TrippedMemory, Tripwire
from tests.ledger.world import World

# Sizes before and after: the first entry, within a tile, filling one, passing one, starting on a full one.
STEPS = [(0, 1), (1, 4), (250, 256), (254, 259), (256, 258)]


def publish_until_cut(world: World, wire: Tripwire) -> bool:
    """A process that starts and publishes; True when it came to its end."""
    publisher = world.publisher(memory=TrippedMemory(world.memory, wire), folder=TrippedFolder(world.folder, wire))
    log = TrippedLog(world.log, wire)
    try:
        publisher.start(log)
        assert publisher.publish(log, world.clock) is not None
    except PowerCutError:
        return False
    return True


def check_all(world: World, size: int) -> None:
    """Nothing is lost, nothing is there twice, no two checkpoints contradict, everything is published."""
    assert world.log.head().size == len(world.log.rows) == size
    leaves = [row.leaf for row in world.log.entries(0, size)]
    for checkpoint in world.log.checkpoints.values():
        assert checkpoint.root == naive.root(leaves[: checkpoint.size])
    for report in (world.verify(), world.verify_published()):
        assert (report.verdict, report.entries, report.signed) == (Verdict.PROVED, size, size), report.findings


@pytest.mark.parametrize("persists", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("old", "new"), STEPS)
def test_every_call_may_be_the_last(tmp_path: Path, old: int, new: int, *, persists: bool) -> None:
    template = World(tmp_path / "template", started=old > 0)
    if old:
        template.grow(old)
        template.restart()
    template.grow(new)
    for at in itertools.count():
        world = template.copy(tmp_path / str(at))
        wire = Tripwire(at, persists=persists)
        finished = publish_until_cut(world, wire)
        published = world.restart()
        check_all(world, new)
        assert world.restart() is None
        if finished:
            assert published is None
            assert {"swap memory", "put checkpoint", "replace checkpoint"} <= set(wire.passed)
            break
    assert at > 15


@pytest.mark.parametrize("persists", [False, True], ids=["before", "after"])
def test_the_log_may_grow_before_the_next_start(tmp_path: Path, *, persists: bool) -> None:
    template = World(tmp_path / "template")
    template.grow(254)
    template.restart()
    template.grow(256)
    for at in itertools.count():
        world = template.copy(tmp_path / str(at))
        finished = publish_until_cut(world, Tripwire(at, persists=persists))
        world.grow(270)
        world.restart()
        check_all(world, 270)
        if finished:
            break


def test_crash_after_crash_after_crash(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.grow(1)
    for at, persists in itertools.product(range(40), (False, True)):
        add_action(world.log, at)
        publish_until_cut(world, Tripwire(at, persists=persists))
        world.log = world.log.copy()
    world.restart()
    check_all(world, 81)


def test_a_process_goes_on_after_a_passing_failure(tmp_path: Path) -> None:
    for at, persists in itertools.product(range(3, 30), (False, True)):
        world = World(tmp_path / f"{at}-{persists}")
        world.grow(3)
        wire = Tripwire(at, persists=persists)
        publisher = world.publisher(memory=TrippedMemory(world.memory, wire), folder=TrippedFolder(world.folder, wire))
        log = TrippedLog(world.log, wire)
        for _ in range(2):
            try:
                publisher.publish(log, world.clock)
            except PowerCutError:
                wire.mend()
        wire.mend()
        world.grow(5)
        assert publisher.publish(log, world.clock) is not None
        check_all(world, 5)
