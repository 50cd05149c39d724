"""A process that is killed: ``python -m tests.store.child URL STORY``. It says on its output how far it came."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from sqlalchemy import Connection

from gateway.errors import StoreError
from gateway.ledger.port import Head, StoredEntry
from gateway.store import batches, quarantine, records, runs, shares
from gateway.store.database import Database
from gateway.store.entries import TransactionLog
from gateway.store.quarantine import Stage
from gateway.store.records import NewRecord
from gateway.store.states import State
from tests.store.samples import (
    AT,
    CATALOG,
    EXCHANGE,
    LEASE,
    ROUTE,
    RUN,
    SOURCE,
    add_records,
    bad_row,
    digest,
    later,
    new_batch,
    open_run,
    package,
)

ROWS = 40


def say(word: str) -> None:
    print(word, flush=True)


def wait_to_be_killed() -> None:
    sys.stdin.read()


def commit_a(conn: Connection, step: int) -> list[int]:
    """Records, quarantine and watermark."""
    ids = add_records(conn, *(f"{step}/{number}" for number in range(ROWS)))
    quarantine.note(
        conn,
        [bad_row(f"bad {step}", "too-long")],
        exchange=EXCHANGE,
        source=SOURCE,
        stage=Stage.SOURCE,
        run_id=RUN,
        at=AT,
    )
    runs.advance(conn, exchange=EXCHANGE, source=SOURCE, position=str(step), run_id=RUN, at=AT)
    return ids


def commit_b(conn: Connection, step: int, ids: list[int]) -> None:
    """A batch with its bytes and its records."""
    batches.add_batch(conn, new_batch(step), package(step))
    shares.seal(conn, EXCHANGE, new_batch(step).id, [(number, 1) for number in ids])


def commit_c(conn: Connection, step: int) -> None:
    """Receipt, outcomes, state and ledger entry."""
    claim = batches.claim(conn, owner="child", at=later(step), lease_seconds=LEASE, route=ROUTE)
    assert claim is not None
    for state in (State.ACKNOWLEDGED, State.RECONCILED):
        batches.move(conn, claim.batch_id, state, at=AT, fence=claim.fence)
    shares.settle(conn, EXCHANGE, claim.batch_id, [])
    log = TransactionLog(conn)
    size = log.head().size
    leaf = f"entry {size}".encode()
    row = StoredEntry(
        index=size,
        leaf=leaf,
        leaf_hash=digest(leaf.decode()),
        kind="batch.reconciled",
        route=ROUTE,
        route_seq=step,
        batch_id=claim.batch_id,
    )
    log.put(row, Head(size=size + 1, root=digest(str(size)), edge=(digest(str(size)),)), ())


def whole_step(conn: Connection, step: int) -> None:
    ids = commit_a(conn, step)
    commit_b(conn, step, ids)
    commit_c(conn, step)


def begin(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        whole_step(conn, 1)


def middle(database: Database) -> None:
    """Dies inside the second transaction, everything written and nothing committed."""
    begin(database)
    with database.begin() as conn:
        whole_step(conn, 2)
        say("written")
        wait_to_be_killed()


def after(database: Database) -> None:
    """Dies right after the second commit has returned."""
    begin(database)
    with database.begin() as conn:
        whole_step(conn, 2)
    say("committed")
    wait_to_be_killed()


def again_and_again(database: Database) -> None:
    """Commits until it dies, telling of every commit that returned."""
    begin(database)
    say("1")
    for step in range(2, 10_000):
        with database.begin() as conn:
            whole_step(conn, step)
        say(str(step))


def one_commit(database: Database) -> None:
    """One transaction; whoever started it kills it at a system call of his choice."""
    with database.begin() as conn:
        open_run(conn)
        whole_step(conn, 1)
    say("committed")


def no_more_disk(database: Database) -> None:
    """The kernel refuses to let a file grow (EFBIG), as a broken or full disk would."""
    begin(database)
    assert database._place.endswith(".db")
    size = Path(f"{database._place}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 65_536, resource.RLIM_INFINITY))
    rows = [NewRecord(f"large {number}", digest(str(number)), "x" * 1_000, None, None) for number in range(2_000)]
    for _ in range(2):
        try:
            with database.begin() as conn:
                records.add(conn, rows, catalog=CATALOG, source=SOURCE, run_id=RUN, at=AT)
        except StoreError as error:
            say(f"{error.code} {error.facts['reason']}")
        # Room again, but whether the log is whole nobody knows: the second try must be refused all the same.
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


STORIES = {story.__name__: story for story in (begin, middle, after, again_and_again, one_commit, no_more_disk)}

if __name__ == "__main__":
    STORIES[sys.argv[2]](Database.open(sys.argv[1]))
