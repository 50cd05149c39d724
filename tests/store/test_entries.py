"""The ledger's storage on a database: the ledger's own suite for storages, and what only a database can get wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text

from gateway.errors import StoreError
from gateway.ledger.port import Head, Log, StoredCheckpoint, StoredEntry
from gateway.store.database import Database
from gateway.store.entries import DurableLog, TransactionLog
from tests.ledger.conformance import LogConformance
from tests.ledger.samples import ROUTE, add_action, add_batch, add_genesis, fill


class DatabaseStorage:
    """The ledger's tables as its suite wants to see them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def log(self) -> Log:
        return DurableLog(self._database)

    @contextmanager
    def transaction(self) -> Iterator[Log]:
        with self._database.begin() as conn:
            yield TransactionLog(conn)


class TestLogOnADatabase(LogConformance):
    @pytest.fixture
    def storage(self, database: Database) -> DatabaseStorage:
        return DatabaseStorage(database)


def test_an_index_that_is_taken_is_told_from_a_wrong_head(database: Database) -> None:
    with database.begin() as conn:
        add_genesis(TransactionLog(conn))
    row = StoredEntry(
        index=0, leaf=b"x", leaf_hash=b"\x00" * 32, kind="anchor", route=None, route_seq=None, batch_id=None
    )
    with pytest.raises(StoreError) as refused:
        DurableLog(database).put(row, Head(size=1, root=b"\x00" * 32, edge=(b"\x00" * 32,)), ())
    assert refused.value.facts == {"index": 0, "size": 1}


def test_two_that_append_at_once_take_two_indices(database: Database) -> None:
    with database.begin() as conn:
        add_genesis(TransactionLog(conn))
    start, taken = threading.Barrier(4), []

    def work(number: int) -> None:
        start.wait(10)
        for _ in range(5):
            with database.begin() as conn:
                taken.append(add_action(TransactionLog(conn), number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 21))
    assert DurableLog(database).head().size == 21


def test_a_checkpoint_is_stored_when_the_call_returns(url: str, database: Database) -> None:
    new = StoredCheckpoint(size=1, root=b"\x01" * 32, note=b"note")
    DurableLog(database).put_checkpoint(new)
    other = Database.open(url, read_only=True)
    assert DurableLog(other).newest_checkpoint() == new
    with other.read() as conn:
        assert list(TransactionLog(conn).checkpoints()) == [new]
    other.close()


def test_entries_by_batch_and_by_route(database: Database) -> None:
    with database.begin() as conn:
        log = TransactionLog(conn)
        add_genesis(log)
        for seq in (1, 2, 3):
            add_batch(log, seq)
        add_batch(log, 1, route="other/route/x")
        assert [entry.index for entry in log.of_batch("batch-1")] == [1, 4]
        assert [entry.index for entry in log.of_route(ROUTE, 2, 3)] == [2, 3]
        assert log.of_route(ROUTE, 4, 9) == []


# The triggers: a seat belt that must hold when somebody pulls.

PULLS = [
    "UPDATE entry SET kind = 'x' WHERE idx = 3",
    "UPDATE entry SET leaf = leaf",
    "DELETE FROM entry WHERE idx = 256",
    "DELETE FROM entry",
    "INSERT INTO entry (idx, leaf_hash, kind, leaf) SELECT 3, leaf_hash, kind, leaf FROM entry WHERE idx = 4",
    "UPDATE tile SET data = root",
    "DELETE FROM tile",
    "INSERT INTO tile (level, n, root, data) SELECT level, n, root, root FROM tile",
    "UPDATE checkpoint SET note = root",
    "DELETE FROM checkpoint",
    "UPDATE ledger_head SET size = 256",
    "UPDATE ledger_head SET root = edge",
    "DELETE FROM ledger_head",
    "INSERT INTO ledger_head (id, size, root, edge) SELECT 2, size, root, edge FROM ledger_head",
]
REPLACES = [
    "INSERT OR REPLACE INTO entry (idx, leaf_hash, kind, leaf) SELECT idx, leaf_hash, 'x', leaf FROM entry WHERE idx = 256",
    "INSERT OR REPLACE INTO entry (idx, leaf_hash, kind, leaf) SELECT 3, leaf_hash, 'x', leaf FROM entry WHERE idx = 3",
    "INSERT OR REPLACE INTO entry (idx, leaf_hash, kind, leaf) SELECT 900, leaf_hash, 'x', leaf FROM entry WHERE idx = 3",
    "INSERT OR REPLACE INTO tile (level, n, root, data) SELECT level, n, root, root FROM tile",
    "INSERT OR REPLACE INTO checkpoint (size, root, note) SELECT size, root, root FROM checkpoint",
    "INSERT OR REPLACE INTO ledger_head (id, size, root, edge) SELECT 1, 0, root, edge FROM ledger_head",
]
TRUNCATES = ["TRUNCATE entry", "TRUNCATE tile", "TRUNCATE checkpoint", "TRUNCATE ledger_head"]


def contents(conn: Connection) -> list[Sequence[object]]:
    tables = ("entry ORDER BY idx", "tile", "checkpoint", "ledger_head")
    return [conn.execute(text(f"SELECT * FROM {table}")).all() for table in tables]


def test_what_the_ledger_wrote_stays_as_written(url: str, database: Database) -> None:
    with database.begin() as conn:
        fill(TransactionLog(conn), 257)
    DurableLog(database).put_checkpoint(StoredCheckpoint(size=257, root=b"\x01" * 32, note=b"note"))
    with database.read() as conn:
        before = contents(conn)
    assert [len(rows) for rows in before] == [257, 1, 1, 1]
    for statement in [*PULLS, *(REPLACES if url.startswith("sqlite") else TRUNCATES)]:
        with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
            conn.execute(text(statement))
        with database.read() as conn:
            assert contents(conn) == before, statement
    assert not database.broken


def test_entries_are_found_by_kind_through_their_index(database: Database) -> None:
    with database.begin() as conn:
        log = TransactionLog(conn)
        fill(log, 30)
        found = [entry.index for entry in log.of_kinds(["operator.action", "genesis"])]
        assert found == [0, 7, 14, 21, 28]
        assert [entry.index for entry in log.of_kinds(["operator.action"], start=8)] == [14, 21, 28]
        assert list(log.of_kinds(["batch.reconciled"])) == []
    assert [entry.index for entry in DurableLog(database).of_kinds(["genesis"])] == [0]
    with database.read() as conn:
        if conn.dialect.name == "sqlite":
            plan = conn.execute(
                text("EXPLAIN QUERY PLAN SELECT * FROM entry WHERE route IS NULL AND kind IN ('anchor') AND idx >= 0")
            )
            assert "ix_entry_kind" in str(plan.all())
