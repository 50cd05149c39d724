"""A node's daemon as a process of its own: started as its users start it, watched by its log, stopped or killed."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

LONGEST = 60.0
"""Seconds that a test waits for something to happen before it fails."""


class Daemon:
    """``gateway serve`` in the folder ``path``; ``wrapper`` is a command that it runs under (strace, faketime)."""

    def __init__(self, path: Path, *, wrapper: Sequence[str] = (), environment: dict[str, str] | None = None) -> None:
        words = [*wrapper, sys.executable, "-m", "gateway", "serve", "--config", str(path / "config.toml")]
        self.process = subprocess.Popen(
            words, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        assert self.process.stderr is not None
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                try:
                    document = json.loads(line)
                except ValueError:
                    document = {"event": "", "text": line}
                self._lines.put(document)
        self._lines.put(None)

    def wait_for(self, event: str, **facts: object) -> dict[str, Any]:
        """The next log line of this event with these facts. Fails when the process ends first, or nothing comes."""
        while True:
            line = self._lines.get(timeout=LONGEST)
            assert line is not None, f"ended before {event}: {self.seen[-5:]}"
            self.seen.append(line)
            if line["event"] == event and all(line.get(name) == value for name, value in facts.items()):
                return line

    def ready(self) -> str:
        """Wait until it works; its receiving address."""
        return str(self.wait_for("daemon.ready").get("url") or "")

    def kill(self) -> None:
        """SIGKILL: nothing is told to anybody."""
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def _ended(self) -> int:
        code = self.process.wait(LONGEST)
        self._reader.join(LONGEST)
        return code

    def events(self) -> list[dict[str, Any]]:
        """Everything that it said, after it has ended."""
        self._reader.join(LONGEST)
        while (line := self._lines.get(timeout=LONGEST)) is not None:
            self.seen.append(line)
        return self.seen


@contextmanager
def daemon(path: Path, **options: Any) -> Iterator[Daemon]:
    """A daemon that is ready; killed at the end if it still runs."""
    started = Daemon(path, **options)
    try:
        started.ready()
        yield started
    finally:
        started.kill()
