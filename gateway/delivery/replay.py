"""A receiver that was restored from an old copy has lost whole batches: it waits for a sequence number long past and takes nothing new.

The batches that it lost go to it once more, byte for byte and in order. Here they are closed and stay so: what the first receipt said is
in the ledger. A second receipt is checked like the first and kept beside it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import structlog

from gateway.clock import Clock, instant
from gateway.delivery.exchange import Peer, Progress
from gateway.delivery.sent import check_answer
from gateway.errors import DeliveryError, PackageError, PeerUnavailableError
from gateway.exchange.outcome import Acknowledged, Later, NeverReceived, NotReady, Refused, Unknown
from gateway.exchange.port import Outgoing
from gateway.store import attempts, batches
from gateway.store.batches import Batch
from gateway.store.database import Database
from gateway.store.states import State

__all__ = ["lost_batches", "replay"]

AGAIN = "receipt-again"
_TAKEN = (State.ACKNOWLEDGED, State.RECONCILED, State.DISPUTED)
_ALL = 10_000_000
_log = structlog.get_logger()


async def lost_batches(database: Database, peer: Peer, route: str) -> list[Batch]:
    """The batches of a route that the receiver took and has no more, in order; asks for receipts only.

    It takes batches in order, so what it lost are the last ones: usually one question is enough, else as many as it takes to halve them
    down. Raises PeerUnavailableError ``receipts-later`` when it does not say.
    """
    with database.read() as conn:
        taken = batches.list_batches(conn, route=route, states=_TAKEN, limit=_ALL)
    taken.sort(key=lambda batch: batch.sequence)
    held, lost = 0, len(taken)  # everything before `held` is there, everything from `lost` on is not
    middle = lost - 1
    while held < lost:
        if await _has(peer, taken[middle]):
            held = middle + 1
        else:
            lost = middle
        middle = (held + lost) // 2
    return taken[lost:]


async def _has(peer: Peer, batch: Batch) -> bool:
    answer = await peer.transport.receipt(batch.id)
    match answer:
        case Acknowledged() | NotReady():
            return True
        case NeverReceived():
            return False
        case Refused(code=why) | Later(why=why) | Unknown(why=why):
            raise PeerUnavailableError("receipts-later", peer=peer.name, why=why)


async def replay(database: Database, clock: Clock, peer: Peer, lost: Sequence[Batch], progress: Progress) -> None:
    """Send these batches again, in this order, as they were; then what waits behind them on the route is due at once.

    Raises DeliveryError: ``replay-erased`` before anything is sent when a package is not kept any more, ``replay-stopped`` when the receiver
    does not take one, or its receipt does not hold. Begun again it goes on from there.
    """
    with database.read() as conn:
        erased = [batch for batch in lost if not batches.has_package(conn, batch.id)]
    if erased:
        raise DeliveryError("replay-erased", batch=erased[0].id, sequence=erased[0].sequence, count=len(erased))
    for batch in lost:
        with database.read() as conn:
            data = batches.package_bytes(conn, batch.id)
        outcome = await peer.transport.send(Outgoing(batch_id=batch.id, package=data))
        if not isinstance(outcome, Acknowledged):
            why = getattr(outcome, "code", None) or getattr(outcome, "why", "receipt-follows")
            raise DeliveryError("replay-stopped", batch=batch.id, sequence=batch.sequence, why=why)
        await asyncio.to_thread(_keep, database, clock, batch, peer, outcome.receipt)
        _log.info("batch.replayed", batch=batch.id, route=batch.route, sequence=batch.sequence, status=outcome.status)
        progress("replayed", batch.total)
    if lost:
        await asyncio.to_thread(_hurry, database, clock, lost[0].route)


def _keep(database: Database, clock: Clock, batch: Batch, peer: Peer, receipt: bytes) -> None:
    now = clock.now()
    try:
        check_answer(database, batch, peer, receipt, now)
    except PackageError as error:
        raise DeliveryError("replay-stopped", batch=batch.id, sequence=batch.sequence, why=error.code) from error
    with database.begin() as conn:
        first = attempts.find_receipt(conn, batch.id)
        if first is None or first.sha256 != hashlib.sha256(receipt).hexdigest():
            attempts.refuse_receipt(conn, batch.id, receipt, code=AGAIN, at=instant(now))


def _hurry(database: Database, clock: Clock, route: str) -> None:
    """What waits because the receiver expected another is not kept waiting: it expects it now."""
    with database.begin() as conn:
        for batch in batches.open_batches(conn, route=route):
            if batch.state is State.WAITING:
                batches.put_off(conn, batch.id, next_attempt_at=instant(clock.now()))
