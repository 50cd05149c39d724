"""SIGKILL before and after every commit of a run, on either side: nothing lost, nothing doubled, once in the ledger.

What the two nodes hold at the end is compared by :func:`audited`, which reads both databases with the standard library alone and
shares no code with the gateway.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from gateway.store import batches
from tests.delivery.dying import run_until_killed, serving_until_killed
from tests.delivery.test_exchange import proved
from tests.faults.checker import check
from tests.faults.world import read_world
from tests.nodes import Nodes, lay_nodes, permit, run_once

LAST_COMMIT = 26
"""A first run of two batches commits less often than this."""


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    nodes = lay_nodes(tmp_path)
    nodes.business.write([permit(number) for number in range(1, 7)])
    return nodes


def audited(nodes: Nodes) -> None:
    """Source, receiver and both ledgers agree, from the files themselves: what this story must end with, and the promise as a whole."""
    with contextlib.closing(sqlite3.connect(nodes.business.file)) as source:
        wanted = {key for (key,) in source.execute("SELECT XK_WSH FROM permits")}
    with contextlib.closing(sqlite3.connect(nodes.province.path / "var" / "gateway.db")) as there:
        held = {
            key: version
            for key, version, op in there.execute("SELECT key, version, op FROM inbox_record")
            if op == "upsert"
        }
        received = there.execute("SELECT id, sequence, counts FROM inbox_batch ORDER BY sequence").fetchall()
        told = [json.loads(leaf) for (leaf,) in there.execute("SELECT leaf FROM entry ORDER BY idx")]
    with contextlib.closing(sqlite3.connect(nodes.bureau.path / "var" / "gateway.db")) as here:
        ledger = [json.loads(leaf) for (leaf,) in here.execute("SELECT leaf FROM entry ORDER BY idx")]
        states = Counter(state for (state,) in here.execute("SELECT state FROM batch"))
    assert set(held) == wanted, "every record is there, and no other"
    assert set(held.values()) == {1}, "no record was changed on the way"
    assert sum(json.loads(counts)["created"] for _, _, counts in received) == len(wanted), "each was created once"
    assert [sequence for _, sequence, _ in received] == list(range(1, len(received) + 1)), "no gap"
    assert set(states) == {"reconciled"}
    for entries, kind in ((ledger, "batch.reconciled"), (told, "batch.received")):
        counted = Counter(entry["batch_id"] for entry in entries if entry["kind"] == kind)
        assert counted == Counter(batch_id for batch_id, _, _ in received), f"each batch has one {kind}"
    assert sum(entry["sealed"] for entry in ledger if entry["kind"] == "run.closed") <= len(wanted)
    files = [node.path / "var" / "gateway.db" for node in (nodes.bureau, nodes.province)]
    world = read_world(files[0], files[1:], nodes.business.file, keys="SELECT XK_WSH FROM permits")
    assert check(world) == (0, 0)


async def finished(nodes: Nodes) -> None:
    """The normal code, started again as often as it takes; nothing is repaired by hand but the waiting time."""
    async with nodes.province_listening() as province:
        for _ in range(2):
            with nodes.bureau.open() as bureau:
                with bureau.database.begin() as conn:
                    for batch in batches.open_batches(conn):
                        if batch.state in {"ready", "waiting", "unknown"}:
                            batches.put_off(conn, batch.id, next_attempt_at=batch.created_at)
                        elif batch.state == "sending":
                            # The dead process's lease has to end; the test does not wait for it.
                            conn.exec_driver_sql("UPDATE batch SET lease_until = created_at WHERE id = ?", (batch.id,))
                await run_once(bureau)
                assert proved(bureau)
        assert proved(province)
    audited(nodes)


@pytest.mark.fault("F2", "F3", "F7", "F8", "F9", "F10", "S1", "S13")
@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.slow)])
@pytest.mark.parametrize("at", range(LAST_COMMIT))
async def test_the_sender_is_killed(nodes: Nodes, at: int, when: str) -> None:
    async with nodes.province_listening():
        # How many checkpoints a run signs depends on the time it takes: the last numbers may not be reached.
        assert await run_until_killed(nodes.bureau.path, at, when) in {-signal.SIGKILL, 0}
    await finished(nodes)


async def test_more_commits_than_are_tried_do_not_happen(nodes: Nodes) -> None:
    async with nodes.province_listening():
        assert await run_until_killed(nodes.bureau.path, LAST_COMMIT, "before") == 0
    await finished(nodes)


@pytest.mark.fault("F4", "F5", "F6", "F9", "F10", "S1", "S2")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(5, 9))
async def test_the_receiver_is_killed(nodes: Nodes, at: int, when: str) -> None:
    """Five commits come before the first batch is taken; the sender sees its line cut and has to find out what happened."""
    with serving_until_killed(nodes.province.path, at, when) as url:
        assert url, "it serves"
        nodes.point_bureau_at(url)
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
    await finished(nodes)
