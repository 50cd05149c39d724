"""The machine's clock is set back, set ahead, or wrong from the start: signing waits, nothing else does, and nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.books import journal, open_read
from tests.faults.scene import Scene
from tests.faults.test_restored import gateway
from tests.faults.tools import faketime_library
from tests.nodes import Folder

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


class Clock:
    """The clock of one process, set from outside while it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(timedelta())

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process is started with to be under this clock."""
        return {
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            # A clock that is set does not touch the one that only counts.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead: timedelta) -> None:
        """Ahead of the machine's, or behind."""
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{ahead.total_seconds():+.0f}\n", "utf-8")
        whole.rename(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


def remembered(node: Folder) -> tuple[int, datetime]:
    """What a node let itself sign last, and when: entries and time."""
    _origin, size, _root, at, *_ = (node.path / "var" / "head-memory").read_text("utf-8").split("\n")
    return int(size), datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def ordered(scene: Scene) -> None:
    """A run that a person orders from the daemon."""
    done = gateway(scene.nodes.bureau.path, "run", "--all", "--person", "值班员", "--reason", "演练")
    assert done.returncode in {0, 3}, done.stderr


def entries(node: Folder) -> int:
    """How much its ledger holds."""
    with closing(open_read(journal(node))) as conn:
        (count,) = conn.execute("SELECT count(*) FROM entry").fetchone()
    return int(count)


def recover(scene: Scene) -> None:
    """What was signed under a clock that was ahead holds nothing up any more; a person says so, and the ledger tells of it."""
    scene.clear()
    words = ("--from-database", "--person", "值班员", "--reason", "时钟曾走快，已校正")
    done = gateway(scene.nodes.bureau.path, "audit", "head", "recover", *words)
    assert done.returncode == 0, done.stderr


def proved(node: Folder) -> None:
    """The ledger verifies, to its last entry."""
    done = gateway(node.path, "audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.fault("F23", "S10")
def test_a_clock_that_is_set_back_stops_signatures_and_nothing_else(scene: Scene, clock: Clock) -> None:
    scene.configure(timeout="2s")
    scene.province()
    bureau = scene.program(scene.nodes.bureau.path, clock.environment)
    scene.until_at_rest(bureau)
    before = remembered(scene.nodes.bureau)
    clock.set(-timedelta(minutes=3))
    scene.set_rows(scene.rows | {90: "新增许可"})
    # The ticks of these minutes have had their runs; a person may order one.
    ordered(scene)
    bureau.log.wait_for("hold.begun", code="clock-regressed")
    scene.until_at_rest(bureau)
    assert remembered(scene.nodes.bureau)[1] < before[1] + timedelta(seconds=30), "nothing signed under the old time"
    signed = remembered(scene.nodes.bureau)[0]
    assert entries(scene.nodes.bureau) > signed
    clock.set(timedelta())
    bureau.log.wait_for("hold.ended", code="clock-regressed")
    bureau.log.wait_for("checkpoint.published")
    assert remembered(scene.nodes.bureau)[0] > signed
    scene.check()
    scene.stop()
    proved(scene.nodes.bureau)


@pytest.mark.fault("F23", "S10")
def test_a_node_whose_clock_was_set_back_does_not_start_and_says_why(scene: Scene, clock: Clock) -> None:
    """It would log what it did under times that have been; it starts when the clock is right, and nobody has to do more."""
    scene.settle()
    scene.stop()
    signed = remembered(scene.nodes.bureau)
    clock.set(-timedelta(minutes=3))
    bureau = scene.program(scene.nodes.bureau.path, clock.environment, wait=False)
    assert bureau.ended() == 3, "to be tried again later"
    assert any("clock-regressed" in str(line) for line in bureau.log.rest())
    assert remembered(scene.nodes.bureau) == signed
    clock.set(timedelta())
    scene.set_rows(scene.rows | {90: "新增许可"})
    scene.check()


@pytest.mark.fault("F23", "S10")
@pytest.mark.slow
def test_a_clock_that_is_set_while_the_node_works_is_noticed(scene: Scene, clock: Clock) -> None:
    """Within its housekeeping the peers are asked, and runs and signatures wait until the clock is right."""
    scene.province()
    bureau = scene.program(scene.nodes.bureau.path, clock.environment)
    scene.until_at_rest(bureau)
    bureau.log.wait_for("checkpoint.published")
    clock.set(HOUR)
    bureau.log.wait_for("hold.begun", code="clock-skew")
    scene.set_rows(scene.rows | {91: "新增许可"})
    clock.set(timedelta())
    bureau.log.wait_for("hold.ended", code="clock-skew")
    ordered(scene)
    scene.check()


@pytest.mark.fault("F23", "S10", "S11")
@pytest.mark.slow
@pytest.mark.parametrize("ahead", [2 * HOUR, -HOUR, timedelta(days=30)])
def test_what_was_written_down_under_another_clock_holds_nobody_up(
    scene: Scene, clock: Clock, ahead: timedelta
) -> None:
    """Times of leases, pauses and tries, set by a clock that is put right afterwards."""
    scene.configure(timeout="2s")
    scene.line.down()
    bureau = scene.program(scene.nodes.bureau.path, clock.environment)
    bureau.log.wait_for("batch.moved", state="waiting")
    clock.set(ahead)
    bureau.log.wait_for("peer.out-of-reach")
    clock.set(timedelta())
    scene.line.up()
    scene.province()
    scene.until_at_rest(bureau)
    if ahead > timedelta():
        recover(scene)
    scene.check()
    scene.stop()
    proved(scene.nodes.bureau)


@pytest.mark.fault("F23", "S4", "S10")
@pytest.mark.slow
def test_what_was_sealed_under_a_wrong_clock_is_refused_and_goes_again(scene: Scene, clock: Clock) -> None:
    """Nobody could be asked what time it was. The receiver believes no signature of next month; a person gives the batch up."""
    scene.configure(timeout="2s", batch_size=100)
    scene.line.down()
    clock.set(timedelta(days=30))
    bureau = scene.program(scene.nodes.bureau.path, clock.environment)
    bureau.log.wait_for("run.closed", sealed=7)
    scene.clear()
    clock.set(timedelta())
    recover(scene)
    scene.line.up()
    scene.province()
    sound = scene.bureau()
    refused = sound.log.wait_for("batch.moved", state="refused", code="signature-invalid")
    given_up = gateway(
        scene.nodes.bureau.path, "batches", "abandon", refused["batch"], "--person", "值班员", "--reason", "时钟有误"
    )
    assert given_up.returncode == 0, given_up.stderr
    ordered(scene)
    scene.check()


@pytest.mark.fault("F24", "S10")
@pytest.mark.parametrize("ahead", [timedelta(days=90), pytest.param(HOUR, marks=pytest.mark.slow)])
def test_a_clock_that_is_far_off_at_the_start_signs_nothing(scene: Scene, clock: Clock, ahead: timedelta) -> None:
    """The peers are asked before anything is signed or run; one signature under next year's time would stop all of this year's."""
    clock.set(ahead)
    scene.province()
    bureau = scene.program(scene.nodes.bureau.path, clock.environment)
    bureau.log.wait_for("hold.begun", code="clock-skew")
    assert remembered(scene.nodes.bureau)[0] == 0, "nothing was signed"
    scene.clear()
    clock.set(timedelta())
    scene.check()
    scene.stop()
    assert remembered(scene.nodes.bureau)[1] < datetime.now(UTC)
    proved(scene.nodes.bureau)


@pytest.mark.fault("F24")
@pytest.mark.slow
@pytest.mark.parametrize("ahead", [-20 * YEAR, 10 * YEAR])
def test_a_clock_so_far_off_that_no_certificate_is_valid(scene: Scene, clock: Clock, ahead: timedelta) -> None:
    """Then no peer can say what time it is, because TLS fails; our own certificate says that it cannot be now."""
    clock.set(ahead)
    scene.province()
    bureau = scene.program(scene.nodes.bureau.path, clock.environment)
    bureau.log.wait_for("hold.begun", code="certificate-not-valid")
    assert remembered(scene.nodes.bureau)[0] == 0, "nothing was signed"
    scene.clear()
    clock.set(timedelta())
    scene.check()
