"""People and schedules at the same moment: pauses stop what is due, two orders are one run after the other, nothing is done twice."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise

import pytest

from tests.faults.books import journal, open_read
from tests.faults.scene import Scene
from tests.faults.test_restored import gateway

SIGNED = ("--person", "值班员", "--reason", "演练")


def received(scene: Scene) -> int:
    """How many batches the province has."""
    with closing(open_read(journal(scene.nodes.province))) as conn:
        return int(conn.execute("SELECT count(*) FROM inbox_batch").fetchone()[0])


@pytest.mark.fault("S6")
@pytest.mark.slow
def test_a_pause_acts_at_once_with_hundreds_due(scene: Scene) -> None:
    """At most what is on its way still arrives; a restart changes nothing; whoever says so lets it go on, and all of it arrives."""
    scene.configure(batch_size=1)
    scene.set_rows({number: f"许可内容{number}" for number in range(1, 301)})
    scene.line.down()
    scene.bureau().log.wait_for("run.closed", sealed=300)
    scene.line.up()
    province = scene.province()
    for _ in range(20):
        province.log.wait_for("batch.received")
    assert gateway(scene.nodes.bureau.path, "pause", "--peer", "province", *SIGNED).returncode == 0
    paused = received(scene)
    assert paused < 280
    scene.clear()
    province, bureau = scene.province(), scene.bureau()
    bureau.log.wait_for("run.closed")
    bureau.log.wait_for("run.closed")
    assert received(scene) <= paused + 1, "what was on its way when the word was given"
    assert gateway(scene.nodes.bureau.path, "resume", "--peer", "province", *SIGNED).returncode == 0
    scene.check()


@pytest.mark.fault("S18", "F19")
def test_orders_at_once_beside_the_schedule_are_runs_one_after_the_other(scene: Scene) -> None:
    """Four people press the button at once, while the daemon runs every second: runs follow each other, nothing goes out twice."""
    scene.province()
    bureau = scene.bureau()
    bureau.log.wait_for("daemon.ready")
    with ThreadPoolExecutor(4) as people:
        orders = [people.submit(gateway, scene.nodes.bureau.path, "run", "--all", *SIGNED) for _ in range(4)]
        codes = {order.result().returncode for order in orders}
    assert codes <= {0, 3}
    scene.check(4)
    with closing(sqlite3.connect(journal(scene.nodes.bureau))) as conn:
        spans = conn.execute(
            "SELECT started_at, closed_at FROM run WHERE closed_at IS NOT NULL ORDER BY started_at"
        ).fetchall()
        sealed = conn.execute("SELECT sum(total) FROM batch").fetchone()
    assert len(spans) >= 5
    assert all(first[1] <= second[0] for first, second in pairwise(spans)), "one after the other"
    assert sealed == (7,)
