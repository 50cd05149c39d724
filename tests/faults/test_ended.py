"""Processes that are told to stop, run out of memory, or have nobody who reads what they say."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.faults.books import at_rest
from tests.faults.children import LONGEST, ready, stop
from tests.faults.line import CLEAN, Toxin
from tests.faults.scene import Scene
from tests.faults.test_rounds import toxin
from tests.faults.tools import memory_limit

F_SETPIPE_SZ = 1031


@pytest.mark.fault("F39", "S6")
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_told_to_stop_at_any_moment(scene: Scene, seed: int) -> None:
    """SIGTERM in the middle of everything: they end by themselves within their limit, well, and the next start goes on."""
    scene.configure(timeout="2s")
    chance = Random(seed)  # noqa: S311 — a story that can be told again
    for _ in range(5):
        scene.change(chance)
        scene.line.poison(lambda _number: toxin(chance))
        nodes = [scene.province(), scene.bureau()]
        nodes[1].log.next(chance.uniform(0.01, 2.0))
        chance.shuffle(nodes)
        for node in nodes:
            assert stop(node) == 0, node.log.seen[-5:]
        scene.running.clear()
    scene.check(5)


@pytest.mark.fault("F39", "S1")
def test_told_to_stop_while_a_package_is_on_its_way(scene: Scene) -> None:
    """It waits for the answer as long as it may drain, and writes down what it knows."""
    province = scene.province()
    bureau = scene.bureau()
    ready(bureau)
    scene.line.poison(Toxin(late=1.0, late_from=1_300))
    province.log.wait_for("batch.received")
    assert stop(bureau) == 0
    assert [line["state"] for line in bureau.log.events("batch.moved")][:1] == ["acknowledged"]
    scene.line.poison(CLEAN)
    scene.check()


@pytest.mark.fault("F41")
@pytest.mark.slow
@pytest.mark.parametrize("who", ["bureau", "province"])
def test_killed_for_its_memory(scene: Scene, who: str) -> None:
    """The kernel takes the process away in the middle of its work, as kill -9 does."""
    scene.configure(batch_size=2_000)
    scene.check(0)
    node = {"bureau": scene.bureau, "province": scene.province}[who]()
    status = Path(f"/proc/{node.pid}/status").read_text("utf-8")
    resident = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))
    # Pages that were there before count against whoever first had them; what comes now counts here.
    with memory_limit(node.pid, 8 << 20):
        scene.set_rows({number: f"许可内容{number}" for number in range(1, 4_000)})
        assert node.ended() == -signal.SIGKILL, resident
    scene.check()


@pytest.mark.fault("F41")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(scene: Scene) -> None:
    """The most that either node ever used, for six thousand rows and for thirty thousand."""
    scene.configure(batch_size=2_000, timeout="60s")
    peaks: dict[str, list[int]] = {"bureau": [], "province": []}
    for count in (6_000, 30_000):
        scene.nodes.business.file.unlink()
        scene.set_rows({number: f"许可内容{number}" for number in range(1, count + 1)})
        scene.check()
        for name, node in (("bureau", scene.bureau()), ("province", scene.province())):
            status = Path(f"/proc/{node.pid}/status").read_text("utf-8")
            peaks[name] += [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    for name, (few, many) in peaks.items():
        assert many < 1.4 * few, f"{name}: {few} kB for the fewer, {many} kB for five times as many"


def unread(scene: Scene, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A daemon whose log goes into a pipe of one page that nobody reads."""
    read, write = os.pipe()
    fcntl.fcntl(write, F_SETPIPE_SZ, 4096)
    words = [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "config.toml")]
    process = subprocess.Popen(words, stderr=write)
    os.close(write)
    return process, read


@pytest.mark.fault("F42")
def test_a_log_that_nobody_reads_stops_nothing(scene: Scene) -> None:
    """Lines are dropped and counted; records and their evidence are not. Who reads again learns how many there were."""
    scene.province()
    process, read = unread(scene, scene.nodes.bureau.path)
    try:
        for number in range(100, 106):
            scene.set_rows(scene.rows | {number: "新增许可"})
            scene.wait_until(lambda: at_rest(scene.nodes))
        lines = open(read, encoding="utf-8")  # noqa: PTH123, SIM115 — a descriptor has no path; closed below
        told = next(line for line in map(_event, lines) if line["event"] == "log.lines-dropped")
        assert int(str(told["count"])) > 0
        process.send_signal(signal.SIGTERM)
        for _ in lines:
            pass
        lines.close()
        assert process.wait(LONGEST) == 0
    finally:
        process.kill()
        process.wait()
    scene.check()


def _event(line: str) -> dict[str, object]:
    try:
        document: dict[str, object] = json.loads(line)
    except ValueError:
        return {"event": ""}
    return document


@pytest.mark.fault("F42")
@pytest.mark.slow
def test_a_log_on_a_full_disk_stops_nothing(scene: Scene) -> None:
    scene.province()
    words = [sys.executable, "-m", "gateway", "serve", "--config", str(scene.nodes.bureau.path / "config.toml")]
    with Path("/dev/full").open("wb") as full, subprocess.Popen(words, stderr=full) as process:
        try:
            scene.wait_until(lambda: at_rest(scene.nodes))
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONGEST) == 0
        finally:
            process.kill()
    scene.check()
