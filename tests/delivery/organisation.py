"""The other organisation, as one who sends to it sees it: it answers by a script, and its receipts are sealed with its own key.

:class:`Desk` is our own side of the road: a real journal with sealed batches in it, a courier, and a clock that a test sets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.clock import instant
from gateway.delivery.core import Retry
from gateway.delivery.exchange import Peer, Route
from gateway.delivery.send import Courier
from gateway.errors import ExchangeError
from gateway.exchange.digests import RouteDigests
from gateway.exchange.outcome import Acknowledged, Outcome, ReceiptAnswer
from gateway.exchange.port import NodeInfo, Outgoing
from gateway.ledger.append import append
from gateway.package.batch import build_batch
from gateway.package.container import BATCH, RECEIPT
from gateway.package.forms import Node
from gateway.package.header import Void
from gateway.package.receipt import Figures, Receipt, build_receipt, verdict_of
from gateway.package.sealing import seal
from gateway.store import attempts, batches
from gateway.store.batches import Batch, NewBatch
from gateway.store.database import Database
from gateway.store.entries import TransactionLog
from tests.ledger.samples import own_fields
from tests.package.samples import RECEIVER, draft, ecdsa, lines, stranger
from tests.store.samples import EXCHANGE, RUN, open_run

START = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
ROUTE = Route(draft().route)
RETRY = Retry(
    attempts=3, first=timedelta(seconds=10), factor=2, max=timedelta(minutes=1), give_up_after=timedelta(hours=1)
)
WHOLE = Figures(total=4, created=2, withdrawn=2)


class Organisation:
    """A :class:`gateway.exchange.port.Transport`: every call takes the next answer of its script, and is written down."""

    def __init__(self) -> None:
        self.sends: list[Outcome | Callable[[], Awaitable[Outcome]]] = []
        self.answers: list[ReceiptAnswer | Callable[[], Awaitable[ReceiptAnswer]]] = []
        self.sent: list[Outgoing] = []
        self.asked: list[str] = []
        self.info: NodeInfo | ExchangeError = NodeInfo(code=RECEIVER.code, name=RECEIVER.name, versions=(1,))

    async def send(self, outgoing: Outgoing) -> Outcome:
        self.sent.append(outgoing)
        answer = self.sends.pop(0)
        return await answer() if callable(answer) else answer

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        self.asked.append(batch_id)
        answer = self.answers.pop(0)
        return await answer() if callable(answer) else answer

    async def node(self) -> NodeInfo:
        if isinstance(self.info, ExchangeError):
            raise self.info
        return self.info

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        """It holds nothing."""
        return RouteDigests(route=route, prefix=prefix)

    async def close(self) -> None:
        """Nothing is open."""


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class NoChance:
    """Ids without chance: pauses are not spread."""

    def uuid(self, now: datetime) -> str:
        raise NotImplementedError

    def bytes(self, count: int) -> bytes:
        return b"\x80" + bytes(count - 1)


def receipt_for(batch: Batch, figures: Figures = WHOLE, *, forged: bool = False, **changes: object) -> bytes:
    """The organisation's receipt for ``batch``; two calls seal the same document into other bytes."""
    facts: dict[str, object] = {
        "batch_id": batch.id,
        "route": batch.route,
        "sequence": batch.sequence,
        "package_sha256": batch.package_sha256,
        "receiver": RECEIVER,
        "received_at": START,
        "verdict": verdict_of(figures),
        "figures": figures,
        "sender_checkpoint": batch.checkpoint,
    }
    document = build_receipt(Receipt(**(facts | changes)))  # type: ignore[arg-type]  # a test names the fields that it bends
    return seal(RECEIPT, document, (ecdsa() if forged else stranger()).signer, START)


def acknowledged(batch: Batch, *, stored: bool = False) -> Acknowledged:
    return Acknowledged(receipt=receipt_for(batch), status=200 if stored else 201, stored=stored)


@dataclass(frozen=True, slots=True)
class Desk:
    """A journal with the ledger begun and a run open."""

    database: Database
    clock: SetClock = field(default_factory=SetClock)
    organisation: Organisation = field(default_factory=Organisation)

    def open(self) -> Desk:
        with self.database.begin() as conn:
            open_run(conn)
            append(TransactionLog(conn), "genesis", own_fields("genesis"), at=START)
        return self

    @property
    def peer(self) -> Peer:
        return Peer(
            name="province", node=RECEIVER, trusted=[stranger().certificate], transport=self.organisation, retry=RETRY
        )

    @property
    def courier(self) -> Courier:
        return Courier(database=self.database, clock=self.clock, ids=NoChance(), owner="desk", transfer_seconds=100.0)

    def seal(
        self,
        sequence: int = 1,
        *,
        void_of: str | None = None,
        serial: int | None = None,
        route: Route = ROUTE,
        exchange: str = EXCHANGE,
        deadline: str | None = None,
    ) -> Batch:
        """A sealed batch of four records, or a void one, ready. ``serial`` tells ids apart where sequence numbers do not."""
        number = sequence if serial is None else serial
        _, catalog, receiver = route.split("/")
        of = None if void_of is None else Void(of=void_of, reason="发错了目录")
        changes = {"batch_id": _id(number), "sequence": sequence, "void": of, "catalog": catalog}
        changes["receiver"] = Node(code=receiver, name=RECEIVER.name)
        changes["previous_batch_id"] = _id(sequence - 1) if sequence > 1 else None
        built = build_batch(draft(**changes), [] if void_of else lines())
        data = seal(BATCH, built.xml, ecdsa().signer, START)
        count, at = built.header.count, instant(START)
        with self.database.begin() as conn:
            batches.add_batch(
                conn,
                NewBatch(
                    id=built.header.batch_id,
                    exchange=exchange,
                    route=route,
                    sequence=sequence,
                    previous_id=None,
                    run_id=RUN,
                    total=count.total,
                    upsert=count.upsert,
                    withdraw=count.withdraw,
                    stop_share=count.stop_share,
                    record_root=built.header.record_root.hex(),
                    mapping_digest="b" * 64,
                    format="credit-2018 1",
                    package_sha256=hashlib.sha256(data).hexdigest(),
                    manifest_sha256="c" * 64,
                    signer_key_id="d" * 64,
                    checkpoint=built.header.checkpoint,
                    created_at=at,
                    next_attempt_at=at,
                    give_up_at=instant(START + RETRY.give_up_after),
                    void_of=void_of,
                    deadline=deadline,
                ),
                data,
            )
        return self.batch(_id(number))

    def batch(self, batch_id: str | None = None) -> Batch:
        with self.database.read() as conn:
            found = batches.find_batch(conn, batch_id or _id(1))
        assert found is not None
        return found

    def tries(self, batch_id: str | None = None) -> list[attempts.Attempt]:
        with self.database.read() as conn:
            return attempts.list_attempts(conn, batch_id or _id(1))

    def receipt(self, batch_id: str | None = None) -> attempts.Receipt | None:
        with self.database.read() as conn:
            return attempts.find_receipt(conn, batch_id or _id(1))

    def refused(self, batch_id: str | None = None) -> list[str]:
        with self.database.read() as conn:
            return [one.code for one in attempts.refused_receipts(conn, batch_id or _id(1))]

    def entries(self) -> list[str]:
        """The kinds of the ledger's entries after the first."""
        with self.database.read() as conn:
            return [entry.kind for entry in TransactionLog(conn).entries(1, 100)]


def _id(number: int) -> str:
    return f"0193{number:04x}-0000-7abc-8def-0123456789ab"
