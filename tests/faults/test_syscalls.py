"""Every system call of a commit and of a publication may be the last one, or fail: all or nothing, no second try, and a restart goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.faults.children import Child, Fate
from tests.faults.scene import Scene
from tests.faults.tools import Strace

COMMIT_C = Fate(point="Reconciler.reconcile", act="wait")
"""Everything of commit C is written, nothing committed: some twenty writes to the log and a sync follow, then the publication's files."""


def at_commit_c(scene: Scene, faults: list[str], *, dies: bool) -> Iterator[tuple[Child, str]]:
    """For each fault: new rows, a bureau that stands before its commit C, the fault from there on, and how it ended."""
    for number, fault in enumerate(faults, start=1):
        scene.set_rows({**scene.rows, 1000 + number: "新增许可", 1: f"第{number}次变更"})
        scene.province()
        bureau = scene.bureau(fate=COMMIT_C)
        assert bureau.waiting()
        with Strace(bureau.pid, [], fault) as _:
            bureau.go_on()
            code = bureau.ended(20)
        if dies:
            assert code == -signal.SIGKILL, f"{fault}: {code} {bureau.log.rest()[-4:]}"
        yield bureau, fault
        scene.check()


def writes(ending: str, last: int, stride: int) -> list[str]:
    return [f"pwrite64:{ending}:when={number}" for number in range(1, last, stride)]


@pytest.mark.fault("F8", "F7", "S13")
def test_killed_inside_the_final_transaction(scene: Scene) -> None:
    for _ in at_commit_c(scene, ["pwrite64:signal=KILL:when=3", "fdatasync:signal=KILL:when=1"], dies=True):
        pass


@pytest.mark.fault("F8", "F7", "F9", "F10", "S13")
@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_killed_at_every_call_of_the_final_transaction_and_its_publication(scene: Scene, part: int) -> None:
    faults = [
        *writes("signal=KILL", 22, 1),
        *(f"{call}:signal=KILL:when=1" for call in ("fdatasync", "fsync", "rename", "write")),
    ]
    for _ in at_commit_c(scene, faults[part::3], dies=True):
        pass


@pytest.mark.fault("F13", "F14", "F16", "S13")
@pytest.mark.parametrize(
    "error", ["EIO", pytest.param("ENOSPC", marks=pytest.mark.slow), pytest.param("EROFS", marks=pytest.mark.slow)]
)
def test_a_disk_that_fails_ends_the_process(scene: Scene, error: str) -> None:
    """The write, the sync, the files of the publication: told as failed, the process ends by itself and says so, a restart goes on."""
    faults = [f"{call}:error={error}:when=1+" for call in ("pwrite64", "fdatasync", "fsync", "rename")]
    for bureau, fault in at_commit_c(scene, faults, dies=False):
        assert bureau.ended(0) == 1, f"{fault}: {bureau.log.rest()[-4:]}"
        assert any(line["event"] == "daemon.failed" for line in bureau.log.rest()), fault


@pytest.mark.fault("F13", "S13")
@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_each_write_of_the_final_transaction_fails_once(scene: Scene, part: int) -> None:
    """It would work a moment later; nobody tries."""
    faults = [*writes("error=EIO", 22, 2), "fdatasync:error=EIO:when=1"]
    for bureau, fault in at_commit_c(scene, faults[part::3], dies=False):
        assert bureau.ended(0) == 1, f"{fault}: {bureau.log.rest()[-4:]}"
