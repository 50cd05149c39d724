"""File mode, the receiving side: looks through a peer's folder and hands what is whole to the same work as service mode does.

A package is taken when its name is whole and its digest fits, in the order of the sequence numbers; its receipt is put, then the
package moves to ``taken/``, or to ``refused/`` with a ``.problem.json`` as answer. A crash in between repeats the work, which answers
with the stored receipt. What is none of ours and no longer changes moves to ``aside/``. Nothing is deleted, no link is followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, assert_never

import structlog

from gateway.clock import Clock
from gateway.errors import ExchangeError, PeerUnavailableError
from gateway.exchange.by_files import REFUSED, TAKEN, Folders
from gateway.exchange.file_names import (
    DIGEST,
    SHOWN,
    FileName,
    Kind,
    in_print,
    is_passing,
    part_of,
    read_name,
    shown_of,
    shown_text,
    sibling,
)
from gateway.exchange.intake import Intake, Pending, ProblemAnswer, ReceiptTaken
from gateway.exchange.place import ASIDE, Entry, Place, lay_aside, publish, read_whole, stands, write_part
from gateway.exchange.problem import Problem
from gateway.exchange.shown import NOTHING, Shown

__all__ = ["FileIntake", "Looked"]

_SHOWN_BYTES: Final = 16 * 1024
_SETTLED: Final = timedelta(minutes=10).total_seconds()
_NOT_NOW: Final = frozenset({"unavailable", "too-many-requests", "internal-error"})
_FIRST_REST: Final = 15.0  # seconds before a package that had to wait is opened again; doubles
_LONGEST_REST: Final = 240.0
_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Looked:
    """What one look through a folder found, by file name: ``waiting`` are not whole yet or not in turn, ``aside`` none of ours."""

    taken: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Rest:
    """A package that had to wait: with what beside it, since when it rests and for how long. Seconds of the monotonic clock."""

    shown: Shown
    until: float
    pause: float


class FileIntake:
    """The incoming folder of the peer with the code ``caller``; ``intake`` is the work behind it, ``package_bytes`` its budget."""

    def __init__(
        self,
        place: Place,
        intake: Intake,
        *,
        peer: str,
        caller: str,
        clock: Clock,
        package_bytes: int,
        folders: Folders | None = None,
    ) -> None:
        self._place = place
        self._intake = intake
        self._peer = peer
        self._caller = caller
        self._clock = clock
        self._package_bytes = package_bytes
        self._folders = folders or Folders()
        self._rests: dict[str, _Rest] = {}
        self._told: set[str] = set()

    async def look(self) -> Looked:
        """Take what can be taken now. Raises PeerUnavailableError and ExchangeError when the folder cannot be looked through, and what
        the work behind raises."""
        looked = Looked()
        entries = await self._place.entries(self._folders.incoming)
        packages: list[tuple[FileName, Entry]] = []
        for entry in entries:
            name = read_name(entry.name)
            if name is not None and name.kind is Kind.PACKAGE:
                packages.append((name, entry))
            elif name is None and self._is_foreign(entry):
                await self._aside(entry, "file-foreign", looked)
        for name, entry in sorted(packages, key=lambda one: (one[0].catalog, one[0].sequence, str(one[0]))):
            try:
                await self._package(name, entry, looked)
            except ExchangeError as error:
                if error.retryable:
                    raise
                # Something that bears a package's name and is none: a link, a folder, a digest of a gigabyte.
                await self._aside(entry, error.code, looked)
        self._rests = {name: rest for name, rest in self._rests.items() if name in looked.waiting}
        return looked

    async def close(self) -> None:
        """Let go of connections."""
        await self._place.close()

    async def _package(self, name: FileName, entry: Entry, looked: Looked) -> None:
        text, incoming = str(name), self._folders.incoming
        if not entry.regular:
            raise ExchangeError("file-irregular", name=text)
        if entry.size > self._package_bytes:
            problem = Problem(code="package-too-large", detail=f"at most {self._package_bytes} bytes")
            await self._refuse(name, problem, looked)
            return
        beside = await self._place.read(incoming, text + SHOWN, _SHOWN_BYTES)
        shown = NOTHING if beside is None else shown_of(beside)
        rest = self._rests.get(text)
        if rest is not None and rest.shown == shown and self._clock.monotonic() < rest.until:
            looked.waiting[text] = "file-rests"
            return
        on_its_way = (f"{incoming}/{TAKEN}", f"{incoming}/{REFUSED}")
        package = await read_whole(self._place, incoming, text, self._package_bytes, beside=on_its_way)
        if package is None:
            looked.waiting[text] = "file-incomplete"
            if self._clock.now().timestamp() - entry.changed > _SETTLED:
                self._tell("file.incomplete", text)
            return
        answer = await self._intake.take(self._caller, name.batch_id, package, shown)
        match answer:
            case ReceiptTaken(receipt=receipt, shown=shown_back):
                await self._put(f"{name.stem}{Kind.RECEIPT.value}", receipt, shown_back)
                await self._move(text, TAKEN)
                looked.taken.append(text)
                self._rests.clear()  # others may have waited for this one
            case Pending():
                self._wait(text, "receipt-follows", shown, looked)
            case ProblemAnswer(problem=problem) if problem.code in _NOT_NOW or _in_turn_later(problem, name):
                self._wait(text, problem.code, shown, looked)
            case ProblemAnswer(problem=problem) if problem.code == "log-proof-wanted":
                await self._put(f"{name.stem}{Kind.PROBLEM.value}", problem.to_json(), NOTHING)
                self._wait(text, problem.code, shown, looked)
            case ProblemAnswer(problem=problem):
                await self._refuse(name, problem, looked)
            case _:
                assert_never(answer)

    async def _refuse(self, name: FileName, problem: Problem, looked: Looked) -> None:
        await self._put(f"{name.stem}{Kind.PROBLEM.value}", problem.to_json(), NOTHING)
        await self._move(str(name), REFUSED)
        looked.refused[str(name)] = problem.code

    async def _put(self, name: str, data: bytes, shown: Shown) -> None:
        """An answer into the outgoing folder. One that stands there with other bytes was not put by us, or is older: it goes aside."""
        place, outgoing = self._place, self._folders.outgoing
        aside = f"{outgoing}/{ASIDE}"
        try:
            if await stands(place, outgoing, name, data):
                return
        except ExchangeError as error:
            if error.retryable:
                raise
            await lay_aside(place, outgoing, name, aside)
        if text := shown_text(shown):
            await place.write(outgoing, part_of(name + SHOWN), text)
            if await place.find(outgoing, name + SHOWN) is not None:
                await lay_aside(place, outgoing, name + SHOWN, aside)
            await place.rename(outgoing, part_of(name + SHOWN), outgoing, name + SHOWN)
        await write_part(place, outgoing, name, data)
        await publish(place, outgoing, name)

    async def _move(self, name: str, to: str) -> None:
        """The package last: as long as it stands in the folder it is taken up again."""
        incoming = self._folders.incoming
        for each in (name + SHOWN, name + DIGEST, name):
            if await self._place.find(incoming, each) is not None:
                await lay_aside(self._place, incoming, each, f"{incoming}/{to}")

    def _wait(self, name: str, code: str, shown: Shown, looked: Looked) -> None:
        before = self._rests.get(name)
        pause = _FIRST_REST if before is None or before.shown != shown else min(before.pause * 2, _LONGEST_REST)
        self._rests[name] = _Rest(shown, self._clock.monotonic() + pause, pause)
        looked.waiting[name] = code

    def _is_foreign(self, entry: Entry) -> bool:
        """None of ours, not under way, and not changing any more."""
        if entry.folder or is_passing(entry.name):
            return False
        of = sibling(entry.name)
        if of is not None and read_name(of) is not None and entry.regular:
            return False
        return self._clock.now().timestamp() - entry.changed > _SETTLED

    async def _aside(self, entry: Entry, code: str, looked: Looked) -> None:
        incoming = self._folders.incoming
        try:
            await lay_aside(self._place, incoming, entry.name, f"{incoming}/{ASIDE}")
        except PeerUnavailableError as error:
            # What cannot be moved is in nobody's way: it is told, and packages are taken all the same.
            looked.waiting[in_print(entry.name)] = code
            self._tell("file.not-moved", in_print(entry.name), why=error.code)
            return
        looked.aside.append(in_print(entry.name))
        _log.warning("file.set-aside", peer=self._peer, name=in_print(entry.name), code=code, size=entry.size)

    def _tell(self, event: str, name: str, **facts: object) -> None:
        """One event for one file, however often it is looked at."""
        if name not in self._told:
            self._told.add(name)
            _log.warning(event, peer=self._peer, name=name, **facts)


def _in_turn_later(problem: Problem, name: FileName) -> bool:
    """Whether an earlier batch has to come first; one whose number is past can never be taken."""
    return problem.code == "sequence-gap" and problem.expected is not None and problem.expected < name.sequence
