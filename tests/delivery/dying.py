"""A process that kills itself at its n-th commit: just before it becomes durable, or just after. Run as a program by the kill tests.

python -m tests.delivery.dying FOLDER run|serve N before|after
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import gateway.app
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.daemon import serve
from gateway.store.database import Connection, Database
from tests.nodes import Folder, run_once


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(at: int, *, before: bool) -> type[Database]:
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


async def _serve(folder: Folder) -> None:
    settings = load_settings(folder.path / "config.toml")
    with gateway.app.open_gateway(settings, what="serve", clock=SystemClock(), ids=RandomIds()) as opened:
        listener = opened.listener()
        await listener.start()
        sys.stdout.write(f"{listener.url}\n")
        sys.stdout.flush()
        await listener.stop()
        await serve(opened, asyncio.Event())


def main(folder: str, part: str, at: str, when: str) -> None:
    """Work until the end, or until the chosen commit."""
    # The injection: whatever opens the journal in this process gets one that dies.
    setattr(gateway.app, "Database", dying(int(at), before=when == "before"))  # noqa: B010 — not a name that mypy knows here
    node = Folder(Path(folder))
    if part == "serve":
        asyncio.run(_serve(node))
    else:
        with node.open() as opened:
            asyncio.run(run_once(opened))


if __name__ == "__main__":
    main(*sys.argv[1:])
