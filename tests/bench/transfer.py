"""From end to end: the bureau's process reads, seals and sends over loopback TLS, the province's process receives and answers."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from gateway.clock import parse_instant
from tests.bench.figures import Deadline, Progress, Rate
from tests.bench.process import NodeError, NodeProcess, running
from tests.bench.scene import EXCHANGE, Scene

__all__ = ["MEMORY_BUDGET", "Transfer", "transfer"]

MEMORY_BUDGET: Final = 400_000_000
"""Bytes that each node may hold at most, however many rows pass through it."""
_LOOK_SECONDS: Final = 0.1
_COUNT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One exchange of ``rows`` rows. Memory and sizes are bytes; ``process`` counts from the start of the sender's process to its end,
    ``reading`` up to the first sealed batch, ``sending`` from there to the closed statement."""

    rows: int
    process: float
    reading: float
    sending: float
    sender_cpu: float
    receiver_cpu: float
    sender_reading: int
    sender_peak: int
    receiver_idle: int
    receiver_peak: int
    sender_journal: int
    receiver_journal: int
    packages: int
    statement: dict[str, Any]

    @property
    def whole(self) -> Rate:
        """Rows from the start of the sender's process to its end."""
        return Rate(records=self.rows, seconds=self.process)

    @property
    def right(self) -> bool:
        """Whether every row arrived and was accounted for."""
        said = self.statement
        return bool(said["rows"] == said["sealed"] == said["answered"]["created"] == self.rows and said["open"] == 0)

    @property
    def within_budget(self) -> bool:
        """Whether both nodes stayed within their memory."""
        return max(self.sender_peak, self.receiver_peak) <= MEMORY_BUDGET

    def to_json(self) -> dict[str, object]:
        """The figures as a JSON object."""
        return {
            "rows": self.rows,
            "seconds": {"process": self.process, "reading": self.reading, "sending": self.sending},
            "rate": round(self.whole.per_second, 1),
            "cpu_seconds": {"sender": self.sender_cpu, "receiver": self.receiver_cpu},
            "memory": {
                "budget": MEMORY_BUDGET,
                "sender": {"reading": self.sender_reading, "peak": self.sender_peak},
                "receiver": {"idle": self.receiver_idle, "peak": self.receiver_peak},
                "within_budget": self.within_budget,
            },
            "bytes": {
                "sender_journal": self.sender_journal,
                "receiver_journal": self.receiver_journal,
                "packages": self.packages,
            },
            "right": self.right,
            "statement": self.statement,
        }


def transfer(scene: Scene, *, progress: Progress, deadline: Deadline) -> Transfer:
    """Run the exchange once. Raises NodeError, OutOfTimeError."""
    with running(scene.config("province"), ["serve"], log=scene.folder / "province.log") as province:
        scene.point_at(province.url(deadline))
        receiver_idle = province.peak
        started = time.perf_counter()
        words = ["run", EXCHANGE, "--json"]
        with running(scene.config("bureau"), words, log=scene.folder / "bureau.log") as bureau:
            reading = _watch(scene, bureau, province, progress=progress, deadline=deadline)
            took = time.perf_counter() - started
            (statement,) = json.loads(bureau.answer())
        province.running()
    progress.done()
    opened, first, closed, packages = _told(scene)
    return Transfer(
        rows=scene.count,
        process=took,
        reading=_seconds(opened, first),
        sending=_seconds(first, closed),
        sender_cpu=bureau.cpu,
        receiver_cpu=province.cpu,
        sender_reading=reading,
        sender_peak=bureau.peak,
        receiver_idle=receiver_idle,
        receiver_peak=province.peak,
        sender_journal=scene.journal("bureau").stat().st_size,
        receiver_journal=scene.journal("province").stat().st_size,
        packages=packages,
        statement=statement,
    )


def _watch(scene: Scene, bureau: NodeProcess, province: NodeProcess, *, progress: Progress, deadline: Deadline) -> int:
    """Look at both processes until the sender's ends; returns the sender's peak when it had read everything."""
    counted, reading = time.monotonic(), 0
    while bureau.running():
        if not province.running():
            raise NodeError("the receiving node ended before the sender")
        time.sleep(min(_LOOK_SECONDS, deadline.left()))
        if time.monotonic() - counted >= _COUNT_SECONDS:
            stored, sealed, settled = _counted(scene)
            counted = time.monotonic()
            if not sealed:
                reading = bureau.peak
            progress.tell(
                f"sending {scene.count:,}: stored {stored:,}, sealed {sealed:,}, reconciled {settled:,}; "
                f"peak memory {bureau.peak / 1e6:,.0f} and {province.peak / 1e6:,.0f} MB"
            )
    return reading


def _counted(scene: Scene) -> tuple[int, int, int]:
    """How many records the sender has stored, sealed and reconciled, asked in a way that costs it nothing."""
    try:
        with closing(_read(scene)) as connection:
            (stored,) = connection.execute("SELECT coalesce(max(id), 0) FROM record").fetchone()
            sealed, settled = connection.execute(
                "SELECT coalesce(sum(total), 0), coalesce(sum(total) FILTER (WHERE state = 'reconciled'), 0) FROM batch"
            ).fetchone()
    except sqlite3.OperationalError:  # not made yet
        return 0, 0, 0
    return stored, sealed, settled


def _told(scene: Scene) -> tuple[str, str, str, int]:
    """When the run opened, when its first batch was sealed, when it closed; the bytes of all packages."""
    with closing(_read(scene)) as connection:
        opened, closed = connection.execute("SELECT started_at, closed_at FROM run").fetchone()
        (first,) = connection.execute("SELECT min(created_at) FROM batch").fetchone()
        (packages,) = connection.execute("SELECT sum(length(data)) FROM package").fetchone()
    return opened, first, closed, packages


def _read(scene: Scene) -> sqlite3.Connection:
    return sqlite3.connect(f"{scene.journal('bureau').resolve().as_uri()}?mode=ro", uri=True, timeout=0.2)


def _seconds(start: str, end: str) -> float:
    return (parse_instant(end) - parse_instant(start)).total_seconds()
