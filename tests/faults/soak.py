"""Two daemons left alone for minutes: a source that changes, a line that fails, kills at random moments. ``make soak``.

Runs every few seconds, for the first two thirds with everything at once; then nobody is killed, so that the memory of processes that live on
can be looked at. At the end faults stop, everything comes to rest, and both sides are compared by code that shares nothing with the gateway.
Loopback only; ends by itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import mean

from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.store.entries import DurableLog
from tests.faults.scene import Scene, scene
from tests.faults.tally import Tally
from tests.faults.test_rounds import toxin
from tests.nodes import Folder

__all__ = ["main"]

_STEP = 1.0  # seconds between two looks
_KILLING = 2 / 3
_WARM = 0.4
"""Of the time without kills, this much is for getting warm: caches fill, arenas grow to their size."""
_GROWTH = 1.15
_SLACK = 24.0  # MB; what a chunk of rows takes for a moment


@dataclass(slots=True)
class _Figures:
    """What is counted. Memory in MB, by node, since the last kill."""

    kills: int = 0
    changes: int = 0
    memory: dict[str, list[float]] = field(default_factory=lambda: {"bureau": [], "province": []})


def main(words: Sequence[str] | None = None) -> int:
    """Soak for ``--minutes``; returns 0 when both sides are equal, both ledgers verify and memory is flat."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args(words)
    sys.stdout.write(f"soak: {options.minutes:g} minutes, seed {options.seed}\n")
    counted: dict[str, int] = {}

    def record(name: str, value: object) -> None:
        counted[name] = counted.get(name, 0) + int(str(value))

    with tempfile.TemporaryDirectory(prefix="soak-") as folder, scene(Path(folder), Tally(record)) as stage:
        stage.configure(batch_size=50)
        figures = _soak(stage, options.minutes * 60, Random(options.seed))  # noqa: S311 — told again by its seed
        sys.stdout.write("faults stop; waiting until everything is at rest …\n")
        stage.check(figures.kills)
        stage.stop()
        proved = all(_proved(node) for node in (stage.nodes.bureau, stage.nodes.province))
        batches, records = _sizes(stage)
    flat = all(_flat(values) for values in figures.memory.values())
    lines = [
        f"kills {figures.kills}, changes of the source {figures.changes}, connections {len(stage.line.passed)}",
        f"batches {batches}, records at the receiver {records}",
        f"records lost {counted.get('lost', 0)}, records doubled {counted.get('doubled', 0)}",
        f"both ledgers verify: {'yes' if proved else 'NO'}",
        *(f"memory of {name}: {_memory(values)}" for name, values in figures.memory.items()),
        f"memory flat: {'yes' if flat else 'NO'}",
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0 if proved and flat else 1


def _soak(stage: Scene, seconds: float, chance: Random) -> _Figures:
    figures = _Figures()
    begun = time.monotonic()
    stage.line.poison(lambda _number: toxin(chance))
    nodes = {"province": stage.province, "bureau": stage.bureau}
    next_kill = next_change = next_word = 0.0
    killing = True
    while (passed := time.monotonic() - begun) < seconds:
        for name, start in nodes.items():
            child = start()
            killing = passed < seconds * _KILLING
            if killing and passed >= next_kill and chance.random() < 0.5:
                child.kill()
                figures.kills += 1
                figures.memory[name].clear()
                next_kill = passed + chance.uniform(1.0, 8.0)
            else:
                with suppress(OSError):
                    figures.memory[name].append(_resident(child.pid))
            while child.log.next(0) is not None:
                child.log.seen[:] = child.log.events("daemon.ready")
        if passed >= next_change:
            stage.change(chance)
            figures.changes += 1
            next_change = passed + chance.uniform(0.5, 4.0)
        if passed >= next_word:
            part = "kills, changes, a bad line" if killing else "changes, a bad line"
            sys.stdout.write(f"  {passed:4.0f} s  {part}: {figures.kills} kills, {figures.changes} changes\n")
            sys.stdout.flush()
            next_word = passed + 30.0
        time.sleep(_STEP)
    return figures


def _resident(pid: int) -> float:
    """A process's resident memory in MB (proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def _flat(values: Sequence[float]) -> bool:
    """Whether the last quarter is not above the first one after getting warm, beyond what a chunk of rows takes."""
    kept = values[int(len(values) * _WARM) :]
    if len(kept) < 8:
        return True
    quarter = len(kept) // 4
    return mean(kept[-quarter:]) <= mean(kept[:quarter]) * _GROWTH + _SLACK


def _memory(values: Sequence[float]) -> str:
    kept = values[int(len(values) * _WARM) :] or [0.0]
    quarter = max(len(kept) // 4, 1)
    return f"{mean(kept[:quarter]):.0f} MB → {mean(kept[-quarter:]):.0f} MB over {len(values) * _STEP:.0f} s without a kill"


def _proved(node: Folder) -> bool:
    """The node's ledger from its own bytes, to its last entry."""
    with node.open() as opened:
        log = DurableLog(opened.database)
        report = verify_log(log, [opened.note_signer.verifier], origin=opened.origin)
        return report.verdict is Verdict.PROVED and report.entries == report.signed


def _sizes(stage: Scene) -> tuple[int, int]:
    with stage.nodes.province.open() as province, province.database.read() as conn:
        batches = conn.exec_driver_sql("SELECT count(*) FROM inbox_batch").scalar_one()
        records = conn.exec_driver_sql("SELECT count(*) FROM inbox_record WHERE op = 'upsert'").scalar_one()
    return int(batches), int(records)


if __name__ == "__main__":
    sys.exit(main())
