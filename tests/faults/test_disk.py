"""Disks that are full, out of files, or not to be written: work stops before it breaks, is told of, and goes on when there is room."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.children import Running
from tests.faults.scene import Scene
from tests.faults.test_restored import gateway
from tests.faults.tools import tmpfs
from tests.nodes import Folder

WHO = ["bureau", "province"]


def node(scene: Scene, who: str) -> Folder:
    return {"bureau": scene.nodes.bureau, "province": scene.nodes.province}[who]


def child(scene: Scene, who: str) -> Running:
    return scene.running[node(scene, who).path]


@contextmanager
def small_disk(scene: Scene, who: str, *, size: str, least: int, inodes: int = 0) -> Iterator[Path]:
    """The node's state on a disk of its own of ``size``; it holds work back below ``least`` free bytes."""
    folder = node(scene, who)
    config = folder.path / "config.toml"
    config.write_text(config.read_text("utf-8").replace("[daemon]", f"[daemon]\nfree_space = {least}", 1), "utf-8")
    state = folder.path / "var"
    with tmpfs(state, size=size, inodes=inodes):
        yield state
        scene.clear()


def fill(disk: Path, leave: int) -> Path:
    """A file that takes everything but ``leave`` bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while shutil.disk_usage(disk).free > leave:
            file.write(b"\0" * 4096)
    return ballast


@pytest.mark.fault("F14")
@pytest.mark.parametrize("who", [pytest.param("bureau", marks=pytest.mark.slow), "province"])
def test_work_is_held_back_before_the_disk_is_full(scene: Scene, who: str) -> None:
    with small_disk(scene, who, size="24m", least=8 << 20) as disk:
        scene.check(0)
        ballast = fill(disk, leave=4 << 20)
        child(scene, who).log.wait_for("hold.begun", code="space-low")
        scene.set_rows(scene.rows | {60: "新增许可"})
        if who == "province":
            # Refused before anything of it was stored; the sender comes back when the receiver said, or when a person says so.
            scene.bureau().log.wait_for("batch.moved", state="waiting")
        ballast.unlink()
        child(scene, who).log.wait_for("hold.ended", code="space-low")
        if who == "province":
            retry(scene)
        else:
            # One that had been let in a moment before may still open; the schedule asks every second.
            seen = [line["event"] for line in scene.bureau().log.seen]
            held = seen[seen.index("hold.begun") + 1 : seen.index("hold.ended")]
            assert held.count("run.opened") <= 1
        scene.check()
        scene.stop()


def retry(scene: Scene) -> None:
    """A person orders what waits to be tried now."""
    done = gateway(scene.nodes.bureau.path, "run", "--all", "--retry", "--person", "值班员", "--reason", "演练")
    assert done.returncode in {0, 3}, done.stderr


@pytest.mark.fault("F14")
@pytest.mark.parametrize("who", ["bureau", pytest.param("province", marks=pytest.mark.slow)])
def test_a_full_disk_ends_the_process_and_room_lets_it_go_on(scene: Scene, who: str) -> None:
    """Nothing watches the disk: the write itself fails."""
    with small_disk(scene, who, size="24m", least=0) as disk:
        scene.check(0)
        ballast = fill(disk, leave=0)
        scene.set_rows({number: f"许可内容{number}" for number in range(1, 120)})
        assert child(scene, who).ended() == 1, child(scene, who).log.rest()[-5:]
        assert any(line["event"] == "daemon.failed" for line in child(scene, who).log.rest())
        ballast.unlink()
        scene.check()
        scene.stop()


@pytest.mark.fault("F15")
@pytest.mark.parametrize("who", [pytest.param("bureau", marks=pytest.mark.slow), "province"])
def test_a_disk_without_a_file_left(scene: Scene, who: str) -> None:
    """A file system can be full of files while it has room."""
    with small_disk(scene, who, size="24m", least=1 << 20, inodes=2_000) as disk:
        scene.check(0)
        ballast = disk / "files"
        ballast.mkdir()
        free = os.statvfs(disk).f_favail
        for number in range(free - 100):
            (ballast / str(number)).touch()
        child(scene, who).log.wait_for("hold.begun", code="space-low")
        scene.set_rows(scene.rows | {60: "新增许可"})
        shutil.rmtree(ballast)
        child(scene, who).log.wait_for("hold.ended", code="space-low")
        retry(scene)
        scene.check()


@pytest.mark.fault("F15")
@pytest.mark.parametrize("who", [pytest.param("bureau", marks=pytest.mark.slow), "province"])
def test_no_descriptor_left(scene: Scene, who: str) -> None:
    """The process may open nothing more: it ends or waits, and loses nothing; with room it goes on, or a new one does."""
    scene.check(0)
    doomed = child(scene, who)
    allowed = resource.prlimit(doomed.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(doomed.pid, resource.RLIMIT_NOFILE, (3, allowed[1]))
    scene.set_rows(scene.rows | {70: "新增许可"})
    # Longer than its housekeeping, which notices what work did not.
    if doomed.ended(8.0) is None:
        resource.prlimit(doomed.pid, resource.RLIMIT_NOFILE, allowed)
    else:
        assert doomed.ended() == 1
        assert any(line["event"] == "daemon.failed" for line in doomed.log.rest())
    scene.check()


@pytest.mark.fault("F16")
@pytest.mark.parametrize("who", WHO)
def test_a_disk_that_may_only_be_read_is_said_at_the_start(scene: Scene, who: str) -> None:
    with small_disk(scene, who, size="24m", least=0) as disk:
        scene.settle()
        scene.stop()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        refused = gateway(node(scene, who).path, "serve")
        assert refused.returncode == 3, refused.stderr
        assert "state-unwritable" in refused.stderr
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        scene.set_rows(scene.rows | {80: "新增许可"})
        scene.check()
