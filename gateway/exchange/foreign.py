"""File mode to a receiver that does not speak our protocol: its own files, and its own feedback taken down as a receipt.

A batch becomes the same files at each attempt. They are put like packages (:mod:`gateway.exchange.folder`), with digests beside them. The
receiver returns a feedback file for each; when all are there, what they say is taken down (:mod:`gateway.exchange.recorder`), once: the
receipt is kept beside the feedback in ``taken/``, so that asking again gives the same bytes.
``.BATCHID.put`` says that a batch's files were put.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.errors import ExchangeError, GatewayError
from gateway.exchange.by_files import REFUSED, TAKEN, ByFiles, Folders
from gateway.exchange.carrier import Carried, Carrier
from gateway.exchange.file_names import DIGEST, part_of
from gateway.exchange.outcome import (
    Acknowledged,
    Later,
    NeverReceived,
    NotReady,
    Outcome,
    ReceiptAnswer,
    Refused,
    Taken,
    Unknown,
)
from gateway.exchange.place import ASIDE, Place, lay_aside, publish, read_whole, stands, write_part
from gateway.exchange.port import NodeInfo, Outgoing
from gateway.exchange.recorder import Recorder, Told

__all__ = ["Arrived", "ForeignTransport"]

_CONFLICT: Final = 409
_UNPROCESSABLE: Final = 422
_SETTLED: Final = 60.0  # seconds without a change before feedback without a digest counts as whole
_FEEDBACK_BYTES: Final = 32 * 1024 * 1024
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A batch whose feedback lies in the incoming folder."""

    batch_id: str


class ForeignTransport(ByFiles):
    """One receiver's folders. ``package_of`` gives a sealed batch by its id, ``waiting`` the ids of batches that wait for feedback.

    Safe for concurrent use within one event loop; :meth:`close` when done.
    """

    def __init__(
        self,
        place: Place,
        *,
        peer: str,
        node: NodeInfo,
        clock: Clock,
        carrier: Carrier,
        recorder: Recorder,
        package_of: Callable[[str], bytes | None],
        waiting: Callable[[], Iterable[str]],
        folders: Folders | None = None,
    ) -> None:
        super().__init__(place, peer=peer, node=node, clock=clock, folders=folders)
        self._carrier = carrier
        self._recorder = recorder
        self._package_of = package_of
        self._waiting = waiting
        self._turn = asyncio.Lock()  # feedback is taken down once

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Put the batch's files, those that are not there yet. A file of another batch under the same name is waited for."""
        started, renaming = self._clock.monotonic(), False
        outcome: Outcome = Taken()
        try:
            async with asyncio.timeout(self._folders.total), self._turn:
                carried = await asyncio.to_thread(self._carrier.carry, outgoing.package)
                receipt = await self._receipt(outgoing.batch_id)
                done = receipt is not None or await self._is_put(outgoing.batch_id)
                missing = [] if done else [one for one in carried if not await self._stands(one)]
                for one in missing:
                    await self._clear(one)
                    await write_part(self._place, self._folders.outgoing, one.name, one.data)
                # From here on nobody can say without looking which of the files are there.
                renaming = True
                for one in missing:
                    await publish(self._place, self._folders.outgoing, one.name)
                if not done:
                    await self._mark(outgoing.batch_id)
                if receipt is not None:
                    outcome = Acknowledged(receipt=receipt, status=200, stored=True)
        except TimeoutError:
            outcome = Unknown(why="peer-timeout") if renaming else Later(why="peer-timeout")
        except GatewayError as error:
            if error.code == "file-name-taken":
                outcome = Later(why="file-name-busy", status=_CONFLICT)
            elif not error.retryable:
                outcome = Refused(status=_UNPROCESSABLE, code=error.code)
            else:
                outcome = Unknown(why=error.code) if renaming else Later(why=error.code)
        self._report("exchange.sent", outcome, started, outgoing.batch_id)
        return outcome

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        """Look for feedback on every file of the batch, and take it down when it is complete."""

        async def look() -> ReceiptAnswer:
            package = await asyncio.to_thread(self._package_of, batch_id)
            return NeverReceived() if package is None else await self._look(batch_id, package)

        return await self._asked(batch_id, look, self._turn)

    async def arrived(self) -> list[Arrived]:
        """The batches that wait and have feedback in the incoming folder. Raises ExchangeError, PeerUnavailableError."""
        names = {entry.name for entry in await self._place.entries(self._folders.incoming) if entry.regular}
        found: list[Arrived] = []
        for batch_id in await asyncio.to_thread(lambda: list(self._waiting())):
            package = await asyncio.to_thread(self._package_of, batch_id)
            carried = () if package is None else await asyncio.to_thread(self._carrier.carry, package)
            if any(one.answer in names for one in carried):
                found.append(Arrived(batch_id=batch_id))
        return found

    async def set_aside(self, batch_id: str) -> None:
        """Nothing: feedback is looked for by the batches that wait for it."""

    async def _look(self, batch_id: str, package: bytes) -> ReceiptAnswer:
        # 1. taken down before
        receipt = await self._receipt(batch_id)
        if receipt is not None:
            return Acknowledged(receipt=receipt, status=200, stored=True)
        carried = await asyncio.to_thread(self._carrier.carry, package)
        # 2. feedback on all of its files
        feedback = [await self._feedback(one) for one in carried]
        if all(one is not None for one in feedback):
            return await self._take_down(batch_id, package, carried, [one for one in feedback if one is not None])
        # 3. put, as we wrote down; or put by an attempt that broke off before it was
        if await self._is_put(batch_id):
            return NotReady()
        there = [await self._stands(one) or await self._was_taken(one) for one in carried]
        await self._place.probe((self._folders.outgoing, self._folders.incoming))
        return NotReady() if all(there) else NeverReceived()

    async def _take_down(
        self, batch_id: str, package: bytes, carried: Sequence[Carried], feedback: Sequence[bytes]
    ) -> ReceiptAnswer:
        told: list[Told] = []
        try:
            for one, data in zip(carried, feedback, strict=True):
                answered = await asyncio.to_thread(self._carrier.read, one, data)
                if answered.refused is not None:
                    await self._refused(batch_id, carried)
                    return Refused(status=_UNPROCESSABLE, code="receiver-refused", detail=answered.refused)
                told += answered.told
            receipt = await asyncio.to_thread(self._recorder.take_down, package, told, _as_read(carried, feedback))
        except GatewayError as error:
            # It closes nothing. It is kept, and makes room for the true one.
            for one in carried:
                await self._move(self._folders.incoming, one.answer, ASIDE)
            _log.warning("feedback.refused", peer=self._peer, batch=batch_id, code=error.code)
            return Unknown(why=error.code)
        # The receipt is there before the feedback moves: a crash in between asks again and finds it.
        incoming, name = self._folders.incoming, _kept(batch_id)
        await write_part(self._place, incoming, name, receipt)
        for each in (name + DIGEST, name):
            await self._place.rename(incoming, part_of(each), f"{incoming}/{TAKEN}", each)
        for one in carried:
            await self._move(incoming, one.answer, TAKEN)
        return Acknowledged(receipt=receipt, status=200, stored=False)

    async def _receipt(self, batch_id: str) -> bytes | None:
        folder = f"{self._folders.incoming}/{TAKEN}"
        return await read_whole(self._place, folder, _kept(batch_id), self._folders.receipt_bytes)

    async def _feedback(self, one: Carried) -> bytes | None:
        """Feedback that is whole: by its digest, or where the receiver gives none because nobody has touched it for a while."""
        incoming = self._folders.incoming
        entry = await self._place.find(incoming, one.answer)
        if entry is None:
            return None
        if await self._place.find(incoming, one.answer + DIGEST) is not None:
            return await read_whole(self._place, incoming, one.answer, _FEEDBACK_BYTES)
        if self._clock.now().timestamp() - entry.changed < _SETTLED:
            return None
        return await self._place.read(incoming, one.answer, _FEEDBACK_BYTES)

    async def _stands(self, one: Carried) -> bool:
        """Whether the file lies there. Raises ExchangeError ``file-name-taken`` when one of another batch lies in its place."""
        return await stands(self._place, self._folders.outgoing, one.name, one.data)

    async def _was_taken(self, one: Carried) -> bool:
        try:
            return await stands(self._place, f"{self._folders.outgoing}/{TAKEN}", one.name, one.data)
        except ExchangeError as error:
            if error.retryable:
                raise
            return False  # an earlier batch's, of the same hour

    async def _clear(self, one: Carried) -> None:
        """Feedback on another batch's file of this name must not be taken for this one's."""
        await self._move(self._folders.incoming, one.answer, ASIDE)

    async def _is_put(self, batch_id: str) -> bool:
        return await self._place.find(self._folders.outgoing, _mark(batch_id)) is not None

    async def _mark(self, batch_id: str) -> None:
        """Write down that all files of the batch were put: receivers take them away, and their names do not tell the batch."""
        outgoing, mark = self._folders.outgoing, _mark(batch_id)
        await self._place.write(outgoing, part_of(mark), f"{batch_id}\n".encode())
        await self._place.rename(outgoing, part_of(mark), outgoing, mark)

    async def _refused(self, batch_id: str, carried: Sequence[Carried]) -> None:
        """After a person's word the files go again: what lay there moves out of the way."""
        outgoing = self._folders.outgoing
        if await self._is_put(batch_id):
            await lay_aside(self._place, outgoing, _mark(batch_id), f"{outgoing}/{REFUSED}")
        for one in carried:
            await self._move(self._folders.incoming, one.answer, TAKEN)
            for folder in (outgoing, f"{outgoing}/{TAKEN}"):
                await self._move(folder, one.name, REFUSED, below=outgoing)

    async def _move(self, folder: str, name: str, to: str, *, below: str | None = None) -> None:
        for each in (name + DIGEST, name):
            if await self._place.find(folder, each) is not None:
                await lay_aside(self._place, folder, each, f"{below or folder}/{to}")


def _kept(batch_id: str) -> str:
    return f"{batch_id}.receipt.asice"


def _mark(batch_id: str) -> str:
    return f".{batch_id}.put"


def _as_read(carried: Sequence[Carried], feedback: Sequence[bytes]) -> bytes:
    """What a receipt gives the digest of: the feedback file, or where there are several their ``sha256sum`` lines in the order of the files."""
    if len(feedback) == 1:
        return feedback[0]
    lines = (f"{hashlib.sha256(data).hexdigest()}  {one.answer}\n" for one, data in zip(carried, feedback, strict=True))
    return "".join(lines).encode()
