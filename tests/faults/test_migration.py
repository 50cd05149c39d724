"""An upgrade that is killed at any of its statements: the database is the old one or the new one, and its ledger is the same."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event

from gateway.store import schema
from gateway.store.database import Database
from tests.faults.books import journal
from tests.faults.checker import find
from tests.faults.children import LONGEST
from tests.faults.scene import Scene
from tests.faults.world import read_world

_server = multiprocessing.get_context("forkserver")


def older(current: Path, target: Path) -> str:
    """A database as the version before had it, with everything in it that there is in ``current``; returns that version."""
    script = ScriptDirectory(str(schema._FOLDER))
    head = script.get_revision("head")
    assert head is not None
    before = str(head.down_revision)
    database = Database.open(f"sqlite:///{target}", upgrading=True)
    with database._writing() as conn:
        command.upgrade(schema._config(conn), before)
    database.close()
    with closing(sqlite3.connect(target, isolation_level=None)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("ATTACH ? AS now", (str(current),))
        conn.execute("BEGIN")
        guards = conn.execute("SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            conn.execute(f"DROP TRIGGER main.{name}")
        tables = conn.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall()
        for (table,) in tables:
            if table == "alembic_version":
                continue
            here = {row[1] for row in conn.execute(f"PRAGMA main.table_info({table})")}
            common = ", ".join(row[1] for row in conn.execute(f"PRAGMA now.table_info({table})") if row[1] in here)
            if common:
                conn.execute(f"DELETE FROM main.{table}")  # rows that a migration puts there
                conn.execute(f"INSERT INTO main.{table} ({common}) SELECT {common} FROM now.{table}")
        for _, guard in guards:
            conn.execute(guard)
        conn.execute("COMMIT")
    return before


def _upgrade(path: Path, last: int) -> None:
    """The child: migrate, and die at the ``last`` statement from 0."""
    numbers = count()

    def die(conn: Connection, *_: object) -> None:
        if next(numbers) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    database = Database.open(f"sqlite:///{path}", upgrading=True)
    assert database._writer is not None
    event.listen(database._writer, "before_cursor_execute", die)
    database.migrate()
    database.close()


def upgrade(path: Path, last: int) -> int | None:
    process = _server.Process(target=_upgrade, args=(path, last))
    process.start()
    process.join(LONGEST)
    return process.exitcode


def version(path: Path) -> str:
    with closing(sqlite3.connect(path)) as conn:
        return str(conn.execute("SELECT version_num FROM alembic_version").fetchone()[0])


@pytest.mark.fault("F40")
def test_killed_at_every_statement_of_an_upgrade(scene: Scene, tmp_path: Path) -> None:
    scene.check(0)
    scene.stop()
    old = tmp_path / "old.db"
    before = older(journal(scene.nodes.bureau), old)
    kills = 0
    for last in count():
        path = Path(shutil.copy(old, tmp_path / "upgraded.db"))
        code = upgrade(path, last)
        if code == 0:
            break
        kills += 1
        assert code == -signal.SIGKILL
        assert version(path) == before, "all of it, or nothing"
        assert upgrade(path, 10**9) == 0, "the next start does it"
        for end in ("", "-wal", "-shm"):
            path.with_name(f"upgraded.db{end}").unlink(missing_ok=True)
    assert kills > 3
    # The upgraded journal in the place of the current one: the checker finds the same world, roots from leaves, and work goes on.
    here = journal(scene.nodes.bureau)
    for end in ("-wal", "-shm"):
        here.with_name(f"gateway.db{end}").unlink(missing_ok=True)
    shutil.move(path, here)
    findings, lost, doubled = find(
        read_world(here, [journal(scene.nodes.province)], scene.nodes.business.file, keys="SELECT XK_WSH FROM permits")
    )
    assert (findings, lost, doubled) == ([], 0, 0)
    scene.set_rows(scene.rows | {60: "新增许可"})
    scene.check(kills)
