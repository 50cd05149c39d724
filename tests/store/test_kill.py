"""kill -9 in the middle of a commit and right after it: all of it is there, or nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.store import batches, quarantine, runs, shares
from gateway.store.database import Database
from gateway.store.entries import TransactionLog
from gateway.store.states import State
from gateway.store.tables import record, record_content, share
from tests.store.child import ROWS
from tests.store.samples import CATALOG, EXCHANGE, ROUTE, SOURCE, batch_id, package

ROOT = Path(__file__).parent.parent.parent


def start(url: str, story: str, *wrapper: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*wrapper, sys.executable, "-m", "tests.store.child", url, story],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def steps_there(url: str) -> int:
    """How many whole steps the database holds; fails when any part of a step is there without the others."""
    database = Database.open(url)
    with database.read() as conn:
        steps = int(runs.position(conn, EXCHANGE, SOURCE) or 0)
        counted = [conn.scalar(select(func.count()).select_from(table)) for table in (record, record_content, share)]
        assert counted == [steps * ROWS] * 3
        assert shares.outcomes(conn, EXCHANGE) == ({"accepted": steps * ROWS} if steps else {})
        assert not shares.due(conn, EXCHANGE, CATALOG, [SOURCE])
        assert quarantine.count_open(conn) == steps
        assert batches.count_by_state(conn) == ({State.RECONCILED: steps} if steps else {})
        assert [batches.package_bytes(conn, batch_id(step)) for step in range(1, steps + 1)] == [
            package(step) for step in range(1, steps + 1)
        ]
        log = TransactionLog(conn)
        assert log.head().size == steps
        assert [entry.route_seq for entry in log.entries(0, steps + 9)] == list(range(1, steps + 1))
        tail = log.route_tail(ROUTE)
        assert (tail.route_seq if tail else 0) == steps
    with database.begin() as conn:
        assert batches.next_in_route(conn, ROUTE)[0] == steps + 1, "work goes on"
    database.close()
    return steps


@pytest.mark.parametrize(("story", "word", "steps"), [("middle", "written", 1), ("after", "committed", 2)])
def test_killed_before_and_after_the_commit(url: str, story: str, word: str, steps: int) -> None:
    with start(url, story) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == f"{word}\n"
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert steps_there(url) == steps


@pytest.mark.parametrize("commits", [2, 5, 9])
def test_killed_at_any_moment_keeps_every_commit_that_returned(url: str, commits: int) -> None:
    with start(url, "again_and_again") as child:
        assert child.stdout is not None
        for _ in range(commits):
            said = child.stdout.readline()
        child.kill()
        said = (child.stdout.read().split() or [said])[-1]
    assert steps_there(url) in {int(said), int(said) + 1}, "a commit may have happened without a word of it"


def strace_works(folder: Path) -> bool:
    if shutil.which("strace") is None:
        return False
    traced = subprocess.run(["strace", "-qq", "-o", folder / "trace", "true"], capture_output=True, check=False)
    return traced.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("calls", "stride"), [("pwrite64", 7), ("fsync,fdatasync,ftruncate", 1)])
def test_killed_inside_a_commit(sqlite_path: Path, tmp_path: Path, calls: str, stride: int) -> None:
    """strace kills the child as it enters its n-th write to the database's files (every seventh), or its n-th sync (every one)."""
    if not strace_works(tmp_path):
        if os.environ.get("CI") == "true":
            pytest.fail("strace cannot trace here")
        pytest.skip("strace cannot trace here: no kill inside a commit was tried")
    found: list[int] = []
    for number in range(1, 10_000, stride):
        copy = Path(shutil.copy(sqlite_path, tmp_path / f"copy {number}.db"))
        names = [f"{copy}{end}" for end in ("", "-wal", "-shm")]
        wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", *(word for name in names for word in ("-P", name))]
        wrapper += ["-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={number}"]
        with start(f"sqlite:///{copy}", "one_commit", *wrapper) as child:
            said, _ = child.communicate()
        if child.returncode == 0:
            break
        steps = steps_there(f"sqlite:///{copy}")
        assert steps == 1 if said else steps in {0, 1}
        found.append(steps)
    assert found == sorted(found), "there is one moment before which nothing is there and after which everything is"
    assert set(found) == {0, 1}, found


def test_a_disk_that_fails_ends_writing_in_this_process(sqlite_path: Path) -> None:
    with start(f"sqlite:///{sqlite_path}", "no_more_disk") as child:
        said, _ = child.communicate()
    first, second = said.splitlines()
    assert first.startswith("store-write-failed SQLITE_")
    assert second == first.replace("store-write-failed", "store-broken")
    assert steps_there(f"sqlite:///{sqlite_path}") == 1
    with closing(sqlite3.connect(sqlite_path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
