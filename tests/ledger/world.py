"""A ledger with everything around it: storage, head memory, published folder, key, clock."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import LedgerError
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.folder import Folder, TileFolder
from gateway.ledger.keys import generate_key
from gateway.ledger.memory import FileHeadMemory, HeadMemory
from gateway.ledger.note import NoteSigner, VerifierKey
from gateway.ledger.port import Log, StoredCheckpoint
from gateway.ledger.publish import Publisher
from gateway.ledger.report import Report
from gateway.ledger.verify import verify_folder, verify_log
from tests.ledger.memory_log import MemoryLog
from tests.ledger.samples import ORIGIN, START, fill

SIGNER = NoteSigner(ORIGIN, generate_key(b"\x07" * 32))


class StepClock:
    """Advances by a second at every question, unless it is told where to stand."""

    def __init__(self) -> None:
        self.moment = START
        self.step = timedelta(seconds=1)
        self.before_answer: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        self.before_answer()
        self.moment += self.step
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class World:
    """State that outlives a process; :meth:`publisher` is a process started on it. ``started``: one was, while the log was empty."""

    def __init__(self, folder: Path, *, started: bool = True) -> None:
        self.path = folder
        self.log = MemoryLog()
        self.clock = StepClock()
        self.memory_path = folder / "volume" / "head"
        self.memory_path.parent.mkdir(parents=True, exist_ok=True)
        self.published_path = folder / "published"
        if started:
            self.publisher().start(self.log)

    def copy(self, folder: Path) -> World:
        """The same state a second time, in ``folder``, which does not exist yet."""
        shutil.copytree(self.path, folder)
        other = World(folder, started=False)
        other.log = self.log.copy()
        other.clock.moment = self.clock.moment
        return other

    @property
    def memory(self) -> FileHeadMemory:
        return FileHeadMemory(self.memory_path)

    @property
    def folder(self) -> TileFolder:
        return TileFolder(self.published_path)

    def publisher(
        self,
        *,
        signer: NoteSigner = SIGNER,
        memory: HeadMemory | None = None,
        folder: Folder | None = None,
        retired: Sequence[VerifierKey] = (),
    ) -> Publisher:
        return Publisher(
            origin=ORIGIN,
            signer=signer,
            memory=memory or self.memory,
            folder=folder or self.folder,
            retired=retired,
        )

    def restart(self, log: Log | None = None) -> StoredCheckpoint | None:
        """A new process: start, then publish what is due."""
        publisher = self.publisher()
        publisher.start(log or self.log)
        return publisher.publish(log or self.log, self.clock)

    def grow(self, size: int) -> None:
        fill(self.log, size)

    def verify(self, held: Sequence[Checkpoint] = ()) -> Report:
        return verify_log(self.log, [SIGNER.verifier], origin=ORIGIN, held=held)

    def verify_published(self, held: Sequence[Checkpoint] = ()) -> Report:
        return verify_folder(self.folder, [SIGNER.verifier], origin=ORIGIN, held=held)


def refused(code: str, action: Callable[[], object]) -> None:
    """``action`` raises LedgerError ``code``."""
    with pytest.raises(LedgerError) as caught:
        action()
    assert caught.value.code == code


def refused_untouched(world: World, code: str) -> None:
    """Refused at a restart, and nothing was signed, remembered or published."""
    before = world.memory.read(), dict(world.log.checkpoints), world.folder.read("checkpoint")
    refused(code, world.restart)
    assert (world.memory.read(), dict(world.log.checkpoints), world.folder.read("checkpoint")) == before
