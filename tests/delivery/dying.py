"""A process that kills itself at its n-th commit, just before it becomes durable or just after; or at its n-th change to a folder.

Children are forked from a server that has everything imported and nothing running: a kill costs no start-up.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import gateway.opening
from gateway.app import Gateway
from gateway.daemon import serve
from gateway.exchange.folder_place import FolderPlace
from gateway.store.database import Connection, Database
from tests.nodes import Folder, run_once

Work = Callable[[Gateway], Coroutine[Any, Any, Any]]
"""What a gateway is told to do."""

_LONGEST = 120.0
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.delivery.dying"])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _dying(at: int, *, before: bool) -> type[Database]:
    """A database whose ``at``-th writing transaction (from 0) is the process's last: undone with it, or done and never told."""
    numbers = count()

    class Dying(Database):
        @contextmanager
        def begin(self) -> Iterator[Connection]:
            number = next(numbers)
            with super().begin() as conn:
                yield conn
                if number == at and before:
                    _die()
            if number == at:
                _die()

    return Dying


def _inject(at: int, when: str) -> None:
    """Whatever opens the journal in this process gets one that dies."""
    vars(gateway.opening)["Database"] = _dying(at, before=when == "before")


def _inject_in_folders(at: int) -> None:
    """Before the ``at``-th file (from 0) that this process writes, or gives its name or another place."""
    numbers = count()
    for name in ("_write", "_rename"):
        real = getattr(FolderPlace, name)

        def dying(*args: Any, real: Callable[..., Any] = real) -> Any:
            if next(numbers) == at:
                _die()
            return real(*args)

        setattr(FolderPlace, name, dying)


def _work(folder: Path, at: int, work: Work) -> None:
    _inject_in_folders(at)
    with Folder(folder).open() as opened:
        asyncio.run(work(opened))


def _run(folder: Path, at: int, when: str) -> None:
    _inject(at, when)
    with Folder(folder).open() as opened:
        asyncio.run(run_once(opened))


async def _serve_until_killed(folder: Path, told: Pipe) -> None:
    with Folder(folder).open() as opened:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(opened, stop, tell=told.send))
        await serving


def _serve(folder: Path, at: int, when: str, told: Pipe) -> None:
    _inject(at, when)
    asyncio.run(_serve_until_killed(folder, told))


async def run_until_killed(folder: Path, at: int, when: str) -> int:
    """A run of the node in ``folder``, killed ``before`` or ``after`` its ``at``-th commit; its exit code: -9 when it was."""
    process = _server.Process(target=_run, args=(folder, at, when))
    process.start()
    return await asyncio.to_thread(_ended, process)


async def work_until_killed(folder: Path, at: int, work: Work) -> int:
    """``work`` (a function of a module) with the gateway in ``folder``, killed before its ``at``-th change to a folder; its exit code."""
    process = _server.Process(target=_work, args=(folder, at, work))
    process.start()
    return await asyncio.to_thread(_ended, process)


def _ended(process: BaseProcess) -> int:
    process.join(_LONGEST)
    code = process.exitcode
    process.kill()
    assert code is not None, "it neither ended nor died"
    return code


@contextmanager
def serving_until_killed(folder: Path, at: int, when: str) -> Iterator[str]:
    """The node in ``folder`` serves until its ``at``-th commit; the block gets its address, if it lives to tell it."""
    here, there = _server.Pipe(duplex=False)
    process = _server.Process(target=_serve, args=(folder, at, when, there))
    process.start()
    there.close()
    try:
        try:
            url = str(here.recv()) if here.poll(_LONGEST) else ""
        except EOFError:
            url = ""
        yield url
    finally:
        process.kill()
        process.join()
