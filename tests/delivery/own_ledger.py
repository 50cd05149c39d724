"""A node's own ledger with everything around it and a clock that the test sets: journal, head memory, published folder, notary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.delivery.holds import Holds
from gateway.delivery.notary import Notary
from gateway.ledger.append import append
from gateway.ledger.entry import Entry, decode
from gateway.ledger.folder import TileFolder
from gateway.ledger.keys import generate_key
from gateway.ledger.memory import FileHeadMemory
from gateway.ledger.note import NoteSigner
from gateway.ledger.port import StoredCheckpoint
from gateway.ledger.publish import Publisher
from gateway.ledger.report import Report
from gateway.ledger.verify import verify_folder, verify_log
from gateway.package.forms import Node
from gateway.store.database import Database
from gateway.store.entries import DurableLog, TransactionLog
from tests.ledger.samples import own_fields
from tests.nodes import BUREAU

ORIGIN = f"credit-gateway/{BUREAU}"
SIGNER = NoteSigner(ORIGIN, generate_key(b"\x05" * 32))


class SetClock:
    """Stands where it was set; sleeping sets it forward. Every question is a microsecond later, so that signing may go on."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.moment += timedelta(microseconds=1)
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def pass_(self, **time: float) -> None:
        self.moment += timedelta(**time)


class OwnLedger:
    """The ledger; made by :func:`own_ledger`."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.node = Node(code=BUREAU, name="示例林业局")
        self.database = database
        self.clock = SetClock()
        self.published = TileFolder(folder / "ledger")
        self.publisher = Publisher(
            origin=ORIGIN, signer=SIGNER, memory=FileHeadMemory(folder / "head-memory"), folder=self.published
        )
        self.notary = Notary(database=database, publisher=self.publisher, holds=Holds(self.clock), clock=self.clock)
        self.notary.start()
        fields = own_fields("genesis", node=BUREAU, origin=ORIGIN, verifier_key=str(SIGNER.verifier))
        with database.begin() as conn:
            append(TransactionLog(conn), "genesis", fields, at=self.clock.now())
        self.notary.publish(final=True)

    @property
    def log(self) -> DurableLog:
        return DurableLog(self.database)

    def work(self, count: int = 1) -> None:
        """Something is entered and signed."""
        for _ in range(count):
            with self.database.begin() as conn:
                append(TransactionLog(conn), "operator.action", own_fields("operator.action"), at=self.clock.now())
        self.notary.publish(final=True)

    def newest(self) -> StoredCheckpoint:
        found = self.log.newest_checkpoint()
        assert found is not None
        return found

    def entries(self, kind: str) -> list[Entry]:
        return [decode(stored.leaf) for stored in self.log.of_kinds([kind])]

    def verified(self) -> tuple[Report, Report]:
        """The log in its storage, and as published."""
        known = [SIGNER.verifier]
        return verify_log(self.log, known, origin=ORIGIN), verify_folder(self.published, known, origin=ORIGIN)


@contextmanager
def own_ledger(folder: Path) -> Iterator[OwnLedger]:
    """A ledger that has begun."""
    database = Database.open(f"sqlite:///{folder}/gateway.db")
    database.migrate()
    try:
        yield OwnLedger(folder, database)
    finally:
        database.close()
