"""A node as a process of its own, watched from outside: how much memory it ever held, and that it does not outlive us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.figures import Deadline

__all__ = ["NodeError", "NodeProcess", "running"]

_STOP_SECONDS: Final = 30.0
_READY_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05


class NodeError(Exception):
    """A node's process did not do what it was started for."""


class NodeProcess:
    """``gateway …`` for one configuration. ``peak`` is its largest resident set so far, in bytes (VmHWM of proc_pid_status(5)), ``cpu``
    the processor's seconds that it took (utime and stime of proc_pid_stat(5))."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, output: Path) -> None:
        self._process = process
        self._log = log
        self._output = output
        self.peak = 0
        self.cpu = 0.0

    def running(self) -> bool:
        """Look at the process: note its peak, and say whether it still runs."""
        try:
            folder = Path(f"/proc/{self._process.pid}")
            status = (folder / "status").read_text("ascii", "replace")
            times = (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        except OSError:
            status, times = "", []
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                # The mark only rises, so the last look before the end is all that could be missed.
                self.peak = max(self.peak, int(line.split()[1]) * 1024)
        if times:
            self.cpu = max(self.cpu, (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"))
        return self._process.poll() is None

    def answer(self) -> bytes:
        """What it wrote to standard output. Raises NodeError when it failed."""
        code = self._process.wait(timeout=_STOP_SECONDS)
        if code:
            raise NodeError(f"exit code {code}\n{self._log.read_text('utf-8', 'replace')[-4000:]}")
        return self._output.read_bytes()

    def url(self, deadline: Deadline) -> str:
        """Where a serving node listens, once it says so. Raises NodeError when it does not."""
        until = time.monotonic() + min(_READY_SECONDS, deadline.left())
        while self.running() and time.monotonic() < until:
            for line in self._log.read_text("utf-8", "replace").splitlines():
                event = json.loads(line) if line.startswith("{") else {}
                if event.get("event") == "daemon.ready":
                    return str(event["url"])
            time.sleep(_LOOK_SECONDS)
        raise NodeError(f"not ready\n{self._log.read_text('utf-8', 'replace')[-4000:]}")

    def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        if self.running():
            self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(config: Path, words: Sequence[str], *, log: Path) -> Iterator[NodeProcess]:
    """``gateway WORDS --config CONFIG`` with its standard error in ``log``; stopped at the end of the block."""
    output = log.with_suffix(".out")
    command = [sys.executable, "-m", "gateway", *words, "--config", str(config)]
    with log.open("wb") as said, output.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=said, env=_environment())
        node = NodeProcess(process, log, output)
        try:
            yield node
        finally:
            node.stop()


def _environment() -> dict[str, str]:
    """Ours, but for what polars has put there for itself while this process loaded it: a node is started from a shell."""
    return {**{name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"}, "USER": "bench"}
