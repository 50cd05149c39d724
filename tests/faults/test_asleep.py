"""A process that is stopped in its tracks and wakes when others have gone on: what it does then counts only where nothing has changed."""

from __future__ import annotations

import signal
from contextlib import closing
from datetime import timedelta

import pytest

from tests.faults.books import open_read
from tests.faults.children import ready, send_signal
from tests.faults.line import CLEAN, Toxin
from tests.faults.scene import Scene
from tests.faults.worker import second_worker
from tests.nodes import BUREAU, PROVINCE

ROUTE = f"{BUREAU}/administrative-license/{PROVINCE}"


def states(scene: Scene) -> list[tuple[str, int]]:
    """State and fence of every batch, by sequence."""
    with closing(open_read(scene.nodes.bureau.path / "var" / "gateway.db")) as conn:
        return conn.execute("SELECT state, fence FROM batch ORDER BY sequence").fetchall()


@pytest.mark.fault("F20", "S18")
def test_a_sender_that_slept_past_its_lease_writes_nothing(scene: Scene) -> None:
    """Asleep while its answer is on the way; another worker asks, settles and goes on; then it wakes with what it believes to know."""
    province = scene.province()
    bureau = scene.bureau()
    ready(bureau)
    scene.line.poison(Toxin(deaf_down=1_400))
    scene.set_rows(scene.rows | {100: "新增许可"})
    bureau.log.wait_for("run.opened")
    province.log.wait_for("batch.received")
    send_signal(bureau, signal.SIGSTOP)
    scene.line.poison(CLEAN)
    assert second_worker(scene.nodes.bureau.path, ROUTE, ahead=timedelta(minutes=10)) == 0
    settled = states(scene)
    assert settled[0][0] == "reconciled"
    send_signal(bureau, signal.SIGCONT)
    bureau.log.wait_for("batch.fence-lost")
    assert states(scene)[: len(settled)] == settled, "the stale worker changed nothing"
    scene.check()


@pytest.mark.fault("F20", "F25")
def test_a_sender_that_slept_goes_on_where_nothing_has_changed(scene: Scene) -> None:
    scene.configure(timeout="1s")
    province = scene.province()
    bureau = scene.bureau()
    province.log.wait_for("batch.received")
    send_signal(bureau, signal.SIGSTOP)
    province.log.next(2.0)  # nothing is said by the province while the bureau sleeps beyond its own time-out
    send_signal(bureau, signal.SIGCONT)
    scene.check()


@pytest.mark.fault("F20", "F26", "S2")
def test_a_receiver_that_slept_answers_to_nobody(scene: Scene) -> None:
    """Stopped with a batch in its hands: the sender gives it up as unknown; awake, it stores the batch, and is asked for its receipt."""
    scene.configure(timeout="1s")
    province = scene.province()
    bureau = scene.bureau()
    ready(bureau)
    send_signal(province, signal.SIGSTOP)
    bureau.log.wait_for("batch.moved")
    send_signal(province, signal.SIGCONT)
    scene.check()
