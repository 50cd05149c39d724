"""A node's daemon in a child process that meets its fate: killed, or stopped in its tracks, at a named point of its work.

Children are forked from a server that has everything imported and nothing running: a kill costs no start-up. What is broken in them
(:mod:`tests.faults.builds`) is broken in the child alone.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Literal, Protocol

import gateway.opening
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.daemon import serve
from gateway.exchange.service import ServiceTransport
from gateway.ledger.folder import TileFolder
from gateway.ledger.memory import FileHeadMemory
from gateway.logs import configure
from gateway.memory import few_threads
from gateway.opening import open_gateway
from gateway.store.database import Connection, Database
from tests.faults import builds

__all__ = ["CALLS", "LONGEST", "Child", "Fate", "Program", "Running", "Told", "ready", "send_signal", "stop"]

LONGEST = 120.0
"""Seconds that a test waits for something to happen before it fails."""

CALLS = (
    "FileHeadMemory.swap",
    "TileFolder.create",
    "TileFolder.replace",
    "ServiceTransport.send",
    "ServiceTransport.receipt",
)
"""Points that are no transactions: what is done to files and to the line."""

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.faults.children"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What happens when the child passes ``point`` for the ``nth`` time (from 0), ``before`` it takes effect or ``after``.

    A point is the function that opens a transaction (``Sealer._commit``), or one of :data:`CALLS`. Before a transaction means: everything
    in it is written, nothing committed. ``kill`` is SIGKILL by its own hand; ``wait`` tells the parent and goes on when told to.
    """

    point: str
    when: Literal["before", "after"] = "before"
    nth: int = 0
    act: Literal["kill", "wait"] = "kill"


class _Watch:
    """Counts how often points are passed, and lets the fate happen."""

    def __init__(self, fate: Fate | None, pipe: Pipe) -> None:
        self._fate = fate
        self._pipe = pipe
        self._passed = 0

    def at(self, point: str, when: str) -> None:
        fate = self._fate
        if fate is None or (fate.point, fate.when) != (point, when):
            return
        self._passed += 1
        if self._passed != fate.nth + 1:
            return
        if fate.act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        self._pipe.send("waiting")
        self._pipe.recv()

    def database(self) -> type[Database]:
        """A database whose transactions are points under the name of the function that opens them."""
        watch = self

        class Watched(Database):
            def begin(self) -> AbstractContextManager[Connection]:  # type: ignore[override]  # entered, and no more
                return watch.transaction(sys._getframe(1).f_code.co_qualname, super().begin())

        return Watched

    @contextmanager
    def transaction(self, point: str, block: AbstractContextManager[Connection]) -> Iterator[Connection]:
        with block as conn:
            yield conn
            self.at(point, "before")
        self.at(point, "after")

    def install(self) -> None:
        """Whatever this process opens from now on is watched."""
        vars(gateway.opening)["Database"] = self.database()
        for owner, name in ((FileHeadMemory, "swap"), (TileFolder, "create"), (TileFolder, "replace")):
            setattr(owner, name, self._call(f"{owner.__name__}.{name}", getattr(owner, name)))
        for name in ("send", "receipt"):
            setattr(ServiceTransport, name, self._question(f"ServiceTransport.{name}", getattr(ServiceTransport, name)))

    def _call(self, point: str, real: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(real)
        def call(*args: Any) -> Any:
            self.at(point, "before")
            result = real(*args)
            self.at(point, "after")
            return result

        return call

    def _question(self, point: str, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(real)
        async def call(*args: Any) -> Any:
            self.at(point, "before")
            result = await real(*args)
            self.at(point, "after")
            return result

        return call


def _live(folder: Path, fate: Fate | None, build: str | None, pipe: Pipe, log: Pipe) -> None:
    """The child: ``gateway serve``, without the command line around it."""
    os.dup2(log.fileno(), 2)
    log.close()
    sys.stderr = open(2, "w", buffering=1, closefd=False, encoding="utf-8")  # noqa: SIM115 — the parent's pipe, for good
    configure()
    _Watch(fate, pipe).install()
    if build is not None:
        builds.install(build)

    async def until_told() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        few_threads(loop)
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        settings = load_settings(folder / "config.toml")
        with open_gateway(settings, what="serve", clock=SystemClock(), ids=RandomIds(), signing=False) as opened:
            await serve(opened, stop)

    asyncio.run(until_told())


class Told:
    """What a process says on its log, line by line."""

    def __init__(self, descriptor: int) -> None:
        self._lines: Queue[dict[str, Any] | None] = Queue()
        self.seen: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                try:
                    document = json.loads(line)
                except ValueError:
                    document = {"event": "", "text": line}
                self._lines.put(document)
        self._lines.put(None)

    def next(self, timeout: float = LONGEST) -> dict[str, Any] | None:
        """The next line, or None when nothing more is said, or nothing within ``timeout`` seconds."""
        with suppress(Empty):
            line = self._lines.get(timeout=timeout)
            if line is None:
                self._lines.put(None)
            else:
                self.seen.append(line)
            return line
        return None

    def wait_for(self, event: str, **facts: object) -> dict[str, Any]:
        """The next line of this event with these facts. Fails when the process ends first, or it does not come in time."""
        deadline = time.monotonic() + LONGEST
        while (line := self.next(max(deadline - time.monotonic(), 0.0))) is not None:
            if line["event"] == event and all(line.get(name) == value for name, value in facts.items()):
                return line
        raise AssertionError(f"no {event} {facts}: {self.seen[-6:]}")

    def rest(self) -> list[dict[str, Any]]:
        """Everything that it said, after it has ended."""
        self._reader.join(LONGEST)
        while self.next(0) is not None:
            pass
        return self.seen

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of one event, as far as they were read."""
        return [line for line in self.seen if line["event"] == name]


class Running(Protocol):
    """A node's daemon in another process. ``sound``: nothing is wrong with it."""

    log: Told
    sound: bool

    @property
    def pid(self) -> int:
        """The process number."""
        ...

    def ended(self, timeout: float = LONGEST) -> int | None:
        """Its exit code once it has ended, negative by a signal; None when it still runs after ``timeout`` seconds."""
        ...

    def kill(self) -> None:
        """SIGKILL, and gone."""
        ...


def ready(node: Running) -> str:
    """Wait until it works; its receiving address."""
    return str(node.log.wait_for("daemon.ready").get("url") or "")


def send_signal(node: Running, number: int) -> None:
    """Nothing happens when it is gone."""
    with suppress(ProcessLookupError):
        os.kill(node.pid, number)


def stop(node: Running) -> int | None:
    """SIGTERM, and its exit code."""
    send_signal(node, signal.SIGTERM)
    code = node.ended()
    node.log.rest()
    return code


class Program:
    """``gateway serve`` in ``folder``, as its users start it, under an environment of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        read, write = os.pipe()
        words = [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "config.toml")]
        self._process = subprocess.Popen(words, stderr=write, env={**os.environ, **environment})
        os.close(write)
        self.log = Told(read)
        self.sound = False

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    def ended(self, timeout: float = LONGEST) -> int | None:
        """Its exit code once it has ended; None when it still runs after ``timeout`` seconds."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return None

    def kill(self) -> None:
        """SIGKILL, and gone."""
        self._process.kill()
        self._process.wait(LONGEST)
        self.log.rest()


class Child:
    """The daemon of the node in ``folder``, from now until it ends or is killed. ``sound``: nothing is wrong with it."""

    def __init__(self, folder: Path, *, fate: Fate | None = None, build: str | None = None) -> None:
        read, write = os.pipe()
        self._pipe, theirs = _server.Pipe()
        log = Pipe(write, readable=False)
        self.process = _server.Process(target=_live, args=(folder, fate, build, theirs, log))
        self.process.start()
        log.close()
        theirs.close()
        self.log = Told(read)
        self.sound = fate is None and build is None

    @property
    def pid(self) -> int:
        """The process number."""
        assert self.process.pid is not None
        return self.process.pid

    def waiting(self) -> bool:
        """Wait until it stands at its point; False when it ended, or does not get there."""
        with suppress(EOFError, OSError):
            return self._pipe.poll(LONGEST) and self._pipe.recv() == "waiting"
        return False

    def go_on(self) -> None:
        """Let it pass its point."""
        with suppress(OSError):
            self._pipe.send("go")

    def ended(self, timeout: float = LONGEST) -> int | None:
        """Its exit code once it has ended; None when it still runs after ``timeout`` seconds."""
        self.process.join(timeout)
        return self.process.exitcode

    def kill(self) -> None:
        """SIGKILL, and gone."""
        self.process.kill()
        self.process.join(LONGEST)
        self.log.rest()
        self._pipe.close()
