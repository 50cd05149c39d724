"""What a node asks of a peer beside sending: later feedback, and the batches that the peer shares with it (the other end of ``sharing``)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from gateway.errors import ExchangeError, PeerUnavailableError
from gateway.exchange.answer import Trial
from gateway.exchange.port import PACKAGE_TYPE, Outgoing
from gateway.exchange.service import ServiceTransport
from gateway.exchange.shown import Shown, read_shown

__all__ = ["ServiceShares", "SharedBatch", "SharedPackage"]

_BATCH_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LIST_BYTES: Final = 1024 * 1024
_FEEDBACK_BYTES: Final = 8 * 1024 * 1024
_GONE: Final = {"not-found", "method-not-allowed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBatch:
    """A batch that the peer has laid out. ``answered``: the peer has our receipt for it."""

    id: str
    sequence: int
    sha256: str
    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPackage:
    """Its bytes, and what came beside them."""

    data: bytes = field(repr=False)
    shown: Shown


class ServiceShares:
    """The questions to the peer called ``peer``, over ``transport``; ``package_bytes`` bounds a package."""

    def __init__(self, transport: ServiceTransport, *, peer: str, package_bytes: int) -> None:
        self._transport = transport
        self._peer = peer
        self._package_bytes = package_bytes

    async def feedback(self, route: str, after: int) -> bytes | None:
        """Sealed feedback for ``route`` behind ``after``; None when there is nothing, or when the peer knows no such thing.

        Raises ExchangeError ``question-failed``, PeerUnavailableError ``question-later``.
        """
        trial = await self._transport.question("GET", f"/routes/{route}/feedback?after={after}", budget=_FEEDBACK_BYTES)
        if trial.status == HTTPStatus.NO_CONTENT:
            return None
        if trial.problem is not None and trial.problem.code in _GONE:
            return None
        return self._sealed(trial)

    async def listed(self, catalog: str, *, after: int, limit: int) -> list[SharedBatch]:
        """What is laid out for us behind sequence number ``after``, oldest first. Raises as :meth:`feedback`, ``shares-malformed``."""
        path = f"/batches?catalog={catalog}&after={after}&limit={limit}"
        trial = await self._transport.question("GET", path, budget=_LIST_BYTES)
        self._held(trial, "application/json")
        try:
            return [_shared(one) for one in json.loads(trial.body)["batches"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ExchangeError("shares-malformed", peer=self._peer) from error

    async def package(self, batch_id: str, *, held: int) -> SharedPackage:
        """One of them; ``held`` is the size of the peer's ledger that we know. Raises as :meth:`feedback`."""
        trial = await self._transport.question("GET", f"/batches/{batch_id}?held={held}", budget=self._package_bytes)
        return SharedPackage(data=self._sealed(trial), shown=read_shown(trial.headers))

    async def hand_over(self, batch_id: str, receipt: bytes, shown: Shown) -> None:
        """Bring our receipt for it, as often as is needed. Raises as :meth:`feedback`."""
        outgoing = Outgoing(batch_id=batch_id, package=receipt, shown=shown)
        self._held(await self._transport.question("PUT", f"/batches/{batch_id}/receipt", outgoing), "application/json")

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()

    def _sealed(self, trial: Trial) -> bytes:
        self._held(trial, PACKAGE_TYPE)
        return trial.body

    def _held(self, trial: Trial, media_type: str) -> None:
        """Raises unless the answer is what was asked for."""
        if trial.flaw is None and trial.status == HTTPStatus.OK and trial.media_type == media_type:
            return
        why = trial.flaw or ("answer-unexpected" if trial.problem is None else trial.problem.code)
        facts = {"peer": self._peer, "why": why, "status": trial.status or "-"}
        passing = trial.status is None or trial.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if passing or trial.flaw is not None or trial.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise PeerUnavailableError("question-later", **facts)
        raise ExchangeError("question-failed", **facts)


def _shared(one: Mapping[str, object]) -> SharedBatch:
    match one:
        case {"id": str(batch_id), "sequence": int(sequence), "sha256": str(sha256), "answered": bool(answered)} if (
            _BATCH_ID.fullmatch(batch_id) and _SHA256.fullmatch(sha256) and sequence > 0
        ):
            return SharedBatch(id=batch_id, sequence=sequence, sha256=sha256, answered=answered)
        case _:
            raise ValueError
