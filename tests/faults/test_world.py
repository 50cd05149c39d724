"""The checker over real files: two nodes exchange, their databases are read from outside, and tampering with either is found."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.faults.checker import Broken, World, check
from tests.faults.world import read_world
from tests.nodes import Nodes, lay_nodes, permit, run_once

KEYS = "SELECT XK_WSH FROM permits"


def world_of(nodes: Nodes) -> World:
    here, there = (node.path / "var" / "gateway.db" for node in (nodes.bureau, nodes.province))
    return read_world(here, [there], nodes.business.file, keys=KEYS)


async def test_real_nodes_and_what_was_done_to_them(tmp_path: Path) -> None:
    """New, changed, vanished, rejected here: everything is found in its place; what is altered in a file is found as well."""
    nodes = lay_nodes(tmp_path)
    rows = [permit(number) for number in range(1, 8)]
    nodes.business.write(rows)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            changed = [permit(1, XK_NR="许可内容变更"), *rows[1:5], permit(9, XK_JDRQ="nonsense")]
            nodes.business.write(changed)
            await run_once(bureau)
            bureau.notary.publish(final=True)
        province.notary.publish(final=True)
    world = world_of(nodes)
    assert check(world) == (0, 0)
    (route,) = world.wanted
    assert sorted(world.wanted[route].values()) == [(1, "upsert")] * 4 + [(2, "upsert")] + [(2, "withdraw")] * 2
    assert len(world.received) == len(world.sent) == 3
    assert len(world.ledger.checkpoints) > len(world.ledger.entries) / 4
    nodes.business.write([*changed, permit(10)])
    assert broken(nodes) == {"I1"}, "a row that no run has seen yet"
    nodes.business.write(changed)
    tamperings = [
        (nodes.province.path, "DELETE FROM inbox_record WHERE key = (SELECT min(key) FROM inbox_record)", {"I1"}),
        (nodes.bureau.path, "UPDATE batch SET state = 'waiting' WHERE sequence = 2", {"I3", "I6"}),
        (nodes.bureau.path, "UPDATE batch SET package_sha256 = 'x' WHERE sequence = 3", {"I2", "I3"}),
        (nodes.province.path, "UPDATE inbox_batch SET sequence = 9 WHERE sequence = 1", {"I5"}),
    ]
    for folder, statement, invariants in tamperings:
        file = folder / "var" / "gateway.db"
        before = file.read_bytes()
        with contextlib.closing(sqlite3.connect(file)) as conn, conn:
            conn.execute(statement)
        assert broken(nodes) == invariants, statement
        file.write_bytes(before)
    assert check(world_of(nodes)) == (0, 0)


def broken(nodes: Nodes) -> set[str]:
    with pytest.raises(Broken) as caught:
        check(world_of(nodes))
    return {finding.invariant for finding in caught.value.findings}
