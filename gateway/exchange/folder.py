"""File mode, the sender's side: packages put into a folder, receipts found in another (exchange protocol, README) as a
:class:`~gateway.exchange.port.Transport`.

A file appears under a name that nobody takes, is synced, then renamed; the rename is the moment at which the peer may have it. What
fails before it is *later*, what fails in it is *unknown*. A package that was put is *taken, receipt follows*; the receipt comes as a
file. What was read is moved to ``taken/``, never deleted, and found there again when it is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.clock import Clock
from gateway.errors import ExchangeError, PackageError
from gateway.exchange.by_files import TAKEN, ByFiles, Folders
from gateway.exchange.file_names import DIGEST, SHOWN, FileName, Kind, part_of, read_name, shown_of, shown_text
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
from gateway.exchange.problem import PROBLEM_TYPE, STATUSES, read_problem
from gateway.exchange.shown import NOTHING
from gateway.package.batch import parse_batch
from gateway.package.container import open_package
from gateway.package.limits import Limits

__all__ = ["FolderTransport", "name_of"]

_SHOWN_BYTES: Final = 16 * 1024
_PROBLEM_BYTES: Final = 64 * 1024
_CONFLICT: Final = 409
_NAMES_KEPT: Final = 1_000


class FolderTransport(ByFiles):
    """One peer's folders. ``package_of`` gives a sealed batch's bytes by its id: the file's name is made from them.

    Safe for concurrent use within one event loop; :meth:`close` when done.
    """

    def __init__(
        self,
        place: Place,
        *,
        peer: str,
        node: NodeInfo,
        clock: Clock,
        package_of: Callable[[str], bytes | None],
        folders: Folders | None = None,
    ) -> None:
        super().__init__(place, peer=peer, node=node, clock=clock, folders=folders)
        self._package_of = package_of
        self._names: dict[str, FileName] = {}

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Put the package, or find it put. Never overwrites a file with other bytes."""
        started, renaming = self._clock.monotonic(), False
        outcome: Outcome = Taken()
        try:
            async with asyncio.timeout(self._folders.total):
                called, folder = await self._name(outgoing.batch_id, outgoing.package), self._folders.outgoing
                name = str(called)
                await self._show(name, outgoing)
                # What was answered to an earlier attempt is no answer to this one.
                await self._take(_refusal(called))
                if not await stands(self._place, folder, name, outgoing.package):
                    await write_part(self._place, folder, name, outgoing.package)
                    # From here on nobody can say without looking whether the file is there.
                    renaming = True
                    await publish(self._place, folder, name)
        except TimeoutError:
            outcome = Unknown(why="peer-timeout") if renaming else Later(why="peer-timeout")
        except PackageError as error:
            outcome = Refused(status=_CONFLICT, code=error.code)
        except ExchangeError as error:
            if not error.retryable:
                outcome = Refused(status=_CONFLICT, code=error.code)
            else:
                outcome = Unknown(why=error.code) if renaming else Later(why=error.code)
        self._report("exchange.sent", outcome, started, outgoing.batch_id, size=len(outgoing.package))
        return outcome

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        """Look for the receipt, else for a refusal, else for where the package is."""

        async def look() -> ReceiptAnswer:
            name = await self._known(batch_id)
            return NeverReceived() if name is None else await self._look(name)

        return await self._asked(batch_id, look)

    async def arrived(self) -> list[FileName]:
        """The receipts that lie in the incoming folder and are whole or becoming so. Raises ExchangeError, PeerUnavailableError."""
        found = [read_name(entry.name) for entry in await self._place.entries(self._folders.incoming) if entry.regular]
        return [name for name in found if name is not None and name.kind is Kind.RECEIPT]

    async def set_aside(self, batch_id: str) -> None:
        """Move a receipt that belongs to no batch of ours. Raises ExchangeError, PeerUnavailableError."""
        incoming = self._folders.incoming
        named = [str(name) for name in await self.arrived() if name.batch_id == batch_id]
        for each in (f"{name}{ending}" for name in named for ending in (SHOWN, DIGEST, "")):
            if await self._place.find(incoming, each) is not None:
                await lay_aside(self._place, incoming, each, f"{incoming}/{ASIDE}")

    async def _look(self, name: FileName) -> ReceiptAnswer:
        place, incoming, outgoing = self._place, self._folders.incoming, self._folders.outgoing
        receipt = f"{name.stem}{Kind.RECEIPT.value}"
        # 1. a receipt that came, or came earlier and was asked for in vain: a crash between reading and writing down loses nothing
        taken = f"{incoming}/{TAKEN}"
        for folder, other in ((incoming, taken), (taken, incoming)):
            data = await read_whole(place, folder, receipt, self._folders.receipt_bytes, beside=(other,))
            if data is None:
                continue
            shown = await place.read(folder, receipt + SHOWN, _SHOWN_BYTES)
            if shown is None:
                shown = await place.read(other, receipt + SHOWN, _SHOWN_BYTES)
            if folder == incoming:
                await self._take(receipt)
            beside = NOTHING if shown is None else shown_of(shown)
            return Acknowledged(receipt=data, status=200, stored=True, shown=beside)
        # 2. a refusal: it counts until the package is put again
        data = await read_whole(place, incoming, _refusal(name), _PROBLEM_BYTES, beside=(taken,))
        if data is not None and (problem := read_problem(PROBLEM_TYPE, data)) is not None:
            if problem.code == "log-proof-wanted":
                return Later(why="peer-wants-proof", status=_CONFLICT, code=problem.code, expected=problem.expected)
            return Refused(status=STATUSES.get(problem.code, 400), code=problem.code, detail=problem.detail)
        # 3. the package itself
        for folder in (outgoing, f"{outgoing}/{TAKEN}"):
            if await place.find(folder, str(name)) is not None:
                return NotReady()
        # A folder that is not there holds nothing either: that says nothing.
        await place.probe((outgoing, incoming))
        # A part that is still there was never renamed.
        if self._folders.taken_away and await place.find(outgoing, part_of(str(name))) is None:
            return NotReady()
        return NeverReceived()

    async def _take(self, name: str) -> None:
        """Move what was read to ``taken/``; an older one of that name, a receipt that did not hold, makes room."""
        incoming = self._folders.incoming
        taken = f"{incoming}/{TAKEN}"
        for each in (name + SHOWN, name + DIGEST, name):
            if await self._place.find(taken, each) is not None:
                await lay_aside(self._place, taken, each, f"{incoming}/{ASIDE}")
            if await self._place.find(incoming, each) is not None:
                await self._place.rename(incoming, each, taken, each)

    async def _show(self, name: str, outgoing: Outgoing) -> None:
        text, beside = shown_text(outgoing.shown), name + SHOWN
        if text and await self._place.read(self._folders.outgoing, beside, _SHOWN_BYTES) != text:
            await self._place.write(self._folders.outgoing, part_of(beside), text)
            if await self._place.find(self._folders.outgoing, beside) is not None:
                await lay_aside(self._place, self._folders.outgoing, beside, f"{self._folders.outgoing}/{ASIDE}")
            await self._place.rename(self._folders.outgoing, part_of(beside), self._folders.outgoing, beside)

    async def _known(self, batch_id: str) -> FileName | None:
        """What a batch of ours is called; None when there is none of this id."""
        if batch_id in self._names:
            return self._names[batch_id]
        package = await asyncio.to_thread(self._package_of, batch_id)
        return None if package is None else await self._name(batch_id, package)

    async def _name(self, batch_id: str, package: bytes) -> FileName:
        if batch_id not in self._names:
            while len(self._names) >= _NAMES_KEPT:
                self._names.pop(next(iter(self._names)))
            self._names[batch_id] = await asyncio.to_thread(name_of, package)
        return self._names[batch_id]


def _refusal(name: FileName) -> str:
    return f"{name.stem}{Kind.PROBLEM.value}"


def name_of(package: bytes) -> FileName:
    """What a sealed batch is called as a file. Raises PackageError."""
    # Our own bytes, sealed within the limits of their day: only the batch's own figures bound them here.
    limits = Limits(package_bytes=max(len(package), 1))
    header = parse_batch(open_package(package, limits=limits).document, limits=limits).header
    return FileName(
        sender=header.sender.code, catalog=header.catalog, sequence=header.sequence, batch_id=header.batch_id
    )
