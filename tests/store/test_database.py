"""The doors of the store: modes, settings, one writer, snapshots, and no write after one that failed."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import ProgrammingError

from gateway.errors import StoreError
from gateway.store import engines
from gateway.store.database import Database
from gateway.store.tables import run
from tests.store.samples import AT, EXCHANGE, RUN, add_records, open_run


def runs_stored(database: Database) -> int:
    with database.read() as conn:
        return conn.execute(select(func.count()).select_from(run)).scalar_one()


def test_a_block_commits_at_its_end_or_not_at_all(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        assert runs_stored(database) == 0, "a reader sees nothing before the commit"
    assert runs_stored(database) == 1
    with pytest.raises(KeyError), database.begin() as conn:  # noqa: PT012  # the failure is inside the transaction
        open_run(conn, "another", "another")
        raise KeyError
    assert runs_stored(database) == 1
    assert not database.broken


def test_a_reader_sees_one_state_throughout(database: Database) -> None:
    with database.read() as conn:
        assert conn.scalar(select(func.count()).select_from(run)) == 0
        with database.begin() as writing:
            open_run(writing)
        assert conn.scalar(select(func.count()).select_from(run)) == 0
    assert runs_stored(database) == 1


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StoreError, match="store-read-failed"), database.read() as conn:
        open_run(conn)
    assert runs_stored(database) == 0
    assert not database.broken, "a refused reader says nothing about the disk"


def test_open_for_reading_only(url: str, database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
    reader = Database.open(url, read_only=True)
    assert runs_stored(reader) == 1
    with pytest.raises(StoreError, match="store-read-only"), reader.begin():
        pass
    with pytest.raises(StoreError, match="store-read-only"):
        reader.migrate()
    reader.close()


def test_reading_needs_no_writer_to_be_there(sqlite_path: Path) -> None:
    assert not sqlite_path.with_name("gateway.db-wal").exists()
    reader = Database.open(f"sqlite:///{sqlite_path}", read_only=True)
    assert runs_stored(reader) == 0
    reader.close()


def test_there_must_be_something_to_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="store-missing"):
        Database.open(f"sqlite:///{tmp_path / 'none.db'}", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_violated_constraint_is_named_without_its_values(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        add_records(conn, "黑交许〔2026〕1号")
    with pytest.raises(StoreError) as refused, database.begin() as conn:
        add_records(conn, "黑交许〔2026〕1号")
    assert refused.value.code == "store-constraint"
    assert "record" in str(refused.value.facts["constraint"])
    assert "黑交许" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__, "the driver's message quotes values"
    assert not database.broken


def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        add_records(conn, "of a run that does not exist")


def test_a_transaction_inside_a_transaction_is_a_mistake(sqlite_database: Database) -> None:
    with sqlite_database.begin(), pytest.raises(RuntimeError, match="inside"), sqlite_database.begin():
        pass
    with sqlite_database.begin() as conn:
        open_run(conn)


def test_writers_of_one_process_take_turns(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        conn.execute(text("CREATE TABLE counter (value INTEGER)"))
        conn.execute(text("INSERT INTO counter VALUES (0)"))

    def count() -> None:
        for _ in range(25):
            with database.begin() as conn:
                value = conn.execute(text("SELECT value FROM counter")).scalar_one()
                if conn.dialect.name == "postgresql":
                    value = conn.execute(text("SELECT value FROM counter FOR UPDATE")).scalar_one()
                conn.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as conn:
        assert conn.scalar(text("SELECT value FROM counter")) == 100


# What follows is about SQLite's files and settings.


def test_files_and_folders_belong_to_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "state" / "gateway.db"
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    with database.begin() as conn:
        open_run(conn)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["gateway.db", "gateway.db-shm", "gateway.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    database.close()


def test_a_file_that_others_may_read_is_narrowed(sqlite_path: Path) -> None:
    sqlite_path.chmod(0o644)
    Database.open(f"sqlite:///{sqlite_path}").close()
    assert stat.S_IMODE(sqlite_path.stat().st_mode) == 0o600


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    folder.chmod(0o770)
    with pytest.raises(StoreError, match="store-folder-open"):
        Database.open(f"sqlite:///{folder / 'gateway.db'}")
    assert list(folder.iterdir()) == []


def test_what_makes_commits_durable_is_set(sqlite_database: Database) -> None:
    with sqlite_database.begin() as conn:
        found = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    with sqlite_database.read() as conn:
        assert conn.exec_driver_sql("PRAGMA query_only").scalar() == 1


@pytest.mark.parametrize(
    ("name", "value"), [("journal_mode", "off"), ("synchronous", 3), ("foreign_keys", 0), ("busy_timeout", 1)]
)
def test_a_setting_that_does_not_hold_is_refused(
    sqlite_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str | int
) -> None:
    """Demand what SQLite does not answer: the answer must be read, not assumed."""
    demands = [(known, value if known == name else expected) for known, expected in engines._SQLITE_DEMANDS]
    monkeypatch.setattr(engines, "_SQLITE_DEMANDS", tuple(demands))
    with pytest.raises(StoreError) as refused:
        Database.open(f"sqlite:///{sqlite_path}")
    assert (refused.value.code, refused.value.facts["setting"]) == ("store-setting", name)


@contextmanager
def written_by_another(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_another_writer_is_waited_for_then_named(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_BUSY_MILLISECONDS", 50)
    monkeypatch.setattr(engines, "_SQLITE_DEMANDS", ())
    database = Database.open(f"sqlite:///{sqlite_path}")
    with written_by_another(sqlite_path):
        with pytest.raises(StoreError, match="store-busy"), database.begin():
            pass
        assert runs_stored(database) == 0, "readers go on"
    assert not database.broken, "nothing was written, so nothing is in doubt"
    with database.begin() as conn:
        open_run(conn)
    database.close()


def fill_up(database: Database) -> None:
    """Write until SQLite says that the disk is full: here, that its file may not grow."""
    with database.begin() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for number in range(10_000):
            open_run(conn, f"run {number}", f"exchange {number}")


def test_nothing_is_written_after_a_write_that_failed(sqlite_path: Path) -> None:
    database = Database.open(f"sqlite:///{sqlite_path}")
    with pytest.raises(StoreError) as failed:
        fill_up(database)
    assert (failed.value.code, failed.value.facts["reason"]) == ("store-write-failed", "SQLITE_FULL")
    assert database.broken
    for _ in range(2):
        with pytest.raises(StoreError) as refused, database.begin():
            pass
        assert (refused.value.code, refused.value.facts["reason"]) == ("store-broken", "SQLITE_FULL")
    assert runs_stored(database) == 0, "what is there can still be read"
    database.close()

    again = Database.open(f"sqlite:///{sqlite_path}")
    with again.begin() as conn:
        open_run(conn)
    again.close()


def test_a_failed_write_cannot_be_swallowed(sqlite_path: Path) -> None:
    database = Database.open(f"sqlite:///{sqlite_path}")
    with database.begin() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Exception, match="full"):
            conn.execute(insert(run), [_row(number) for number in range(10_000)])
    assert database.broken
    with pytest.raises(StoreError, match="store-broken"), database.begin():
        pass
    database.close()


def _row(number: int) -> dict[str, object]:
    return {
        "id": f"{RUN} {number}",
        "exchange": f"{EXCHANGE} {number}",
        "kind": "manual",
        "started_at": AT,
        "state": "open",
        "mapping_digest": "m" * 64,
    }


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_a_commit_whose_server_went_away_is_not_tried_again(database: Database) -> None:
    """It may have failed and yet have happened; only a new process, reading what is there, can know."""
    with pytest.raises(StoreError) as failed, database.begin() as conn:  # noqa: PT012  # it fails at its end
        open_run(conn)
        backend = conn.scalar(text("SELECT pg_backend_pid()"))
        with database.read() as other:
            other.execute(text("SELECT pg_terminate_backend(:backend)"), {"backend": backend})
    assert failed.value.code == "store-write-failed"
    assert database.broken
    with pytest.raises(StoreError, match="store-broken"), database.begin():
        pass
    assert runs_stored(database) == 0


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_a_deadlock_undoes_one_and_breaks_nothing(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn, "a", "a")
        open_run(conn, "b", "b")
    met = threading.Barrier(2)
    outcomes: list[str] = []

    def lock(first: str, second: str) -> None:
        try:
            with database.begin() as conn:
                for number, name in enumerate((first, second)):
                    conn.execute(select(run).where(run.c.id == name).with_for_update())
                    if number == 0:
                        met.wait(10)
            outcomes.append("committed")
        except StoreError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=lock, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["committed", "store-busy"]
    assert not database.broken


def test_errors_never_show_what_was_bound(database: Database) -> None:
    with pytest.raises(StoreError) as refused, database.begin() as conn:
        conn.execute(text("INSERT INTO package (batch_id, data) VALUES (:id, :data)"), {"id": "x", "data": b"geheim"})
    assert "geheim" not in repr(refused.value)
    with pytest.raises((StoreError, ProgrammingError)) as wrong, database.begin() as conn:
        conn.execute(text("INSERT INTO nowhere VALUES (:data)"), {"data": "geheim"})
    assert "geheim" not in f"{wrong.value}{wrong.value.__cause__}"
