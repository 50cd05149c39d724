"""The line between two nodes, in a test's hands: a TCP proxy on loopback that refuses, cuts, holds back, swallows, drips or spoils bytes.

It sees ciphertext alone: TLS stays between the two nodes. It lives in a thread of its own, so that tests may wait for processes meanwhile.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

__all__ = ["CLEAN", "Line", "Passed", "Toxin"]

_PIECE = 16 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxin:
    """What is done to one connection. Counts are bytes from its beginning; None: it does not happen.

    ``refuse`` resets it at once. ``cut_up`` and ``cut_down`` reset it after so many bytes to, or from, the receiver. ``deaf_up`` and
    ``deaf_down`` swallow everything after so many bytes and keep the line open. ``late`` holds what comes from the receiver after
    ``late_from`` bytes back for so many seconds, ``drip`` passes it byte by byte with that pause. ``spoil_up`` and ``spoil_down``
    change one byte.
    """

    refuse: bool = False
    cut_up: int | None = None
    cut_down: int | None = None
    deaf_up: int | None = None
    deaf_down: int | None = None
    late: float = 0.0
    late_from: int = 0
    drip: float = 0.0
    spoil_up: int | None = None
    spoil_down: int | None = None


CLEAN = Toxin()


@dataclass(slots=True)
class Passed:
    """What went over one connection: bytes to the receiver and from it."""

    up: int = 0
    down: int = 0


class Line:
    """Listens on :attr:`port` from the beginning to the end; :meth:`lead_to` says where the receiver is, :meth:`poison` what it suffers.

    ``passed`` are the connections so far, oldest first. A context manager.
    """

    def __init__(self) -> None:
        self._target: int | None = None
        self._toxins: Callable[[int], Toxin] = lambda _number: CLEAN
        self._count = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.passed: list[Passed] = []

    @property
    def url(self) -> str:
        """Where the sender believes that the receiver is."""
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> Line:
        self._thread.start()
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
        self._do(self._gather)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lead_to(self, url: str) -> None:
        """The receiver is at ``url`` now."""
        self._target = int(url.rpartition(":")[2])

    def poison(self, toxin: Toxin | Callable[[int], Toxin]) -> None:
        """What new connections suffer: the same each, or by their number from now on."""
        self._count = 0
        self._toxins = toxin if callable(toxin) else lambda _number: toxin

    def mend(self) -> None:
        """New connections pass as they are, and those that suffer are cut."""
        self.poison(CLEAN)
        self.cut()

    def cut(self) -> None:
        """Every connection that there is ends now."""
        self._do(self._gather)

    def down(self) -> None:
        """Nobody listens any more: connections are refused by the system itself."""

        async def close() -> None:
            if self._server is not None:
                self._server.close()
                self._server = None

        self._do(close)

    def up(self) -> None:
        """Listen again, on the same port."""

        async def open_() -> None:
            if self._server is None:
                self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_PIECE)
                self.port = self._server.sockets[0].getsockname()[1]

        self._do(open_)

    def _do(self, work: Callable[[], object]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(30)  # type: ignore[arg-type]  # all are coroutines

    async def _gather(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        toxin = self._toxins(self._count)
        self._count += 1
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._lead(reader, writer, toxin)
        finally:
            self._tasks.discard(task)
            _reset(writer)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, toxin: Toxin) -> None:
        if toxin.refuse or self._target is None:
            return
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=_PIECE)
        passed = Passed()
        self.passed.append(passed)
        up = _Way(reader, their_writer, toxin.cut_up, toxin.deaf_up, toxin.spoil_up, _counter(passed, "up"))
        counter = _counter(passed, "down")
        down = _Way(their_reader, writer, toxin.cut_down, toxin.deaf_down, toxin.spoil_down, counter, toxin)
        ways = [asyncio.create_task(way.carry()) for way in (up, down)]
        try:
            # A way that was cut takes the other one along; one that came to its end by itself does not.
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            _reset(their_writer)


class _CutError(OSError):
    """The line is cut here."""


@dataclass(slots=True)
class _Way:
    """One direction of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    cut: int | None
    deaf: int | None
    spoil: int | None
    count: Callable[[int], None]
    slow: Toxin = CLEAN
    at: int = 0

    async def carry(self) -> None:
        if self.cut == 0:
            raise _CutError
        while piece := await self.reader.read(_PIECE):
            if self.cut is not None:
                piece = piece[: self.cut - self.at]
            if self.spoil is not None and self.at <= self.spoil < self.at + len(piece):
                spoilt = bytearray(piece)
                spoilt[self.spoil - self.at] ^= 0x55
                piece = bytes(spoilt)
            heard = piece if self.deaf is None else piece[: max(self.deaf - self.at, 0)]
            self.at += len(piece)
            self.count(len(piece))
            if self.slow.late and self.at > self.slow.late_from:
                await asyncio.sleep(self.slow.late)
            await self._pass(heard)
            if self.cut is not None and self.at >= self.cut:
                raise _CutError
        if self.deaf is None:
            with suppress(OSError, RuntimeError):
                self.writer.write_eof()
        else:
            await asyncio.Event().wait()  # until the other side gives up, or the line is mended

    async def _pass(self, piece: bytes) -> None:
        if not self.slow.drip:
            self.writer.write(piece)
            await self.writer.drain()
            return
        for byte in piece:
            self.writer.write(bytes([byte]))
            await self.writer.drain()
            await asyncio.sleep(self.slow.drip)


def _counter(passed: Passed, name: str) -> Callable[[int], None]:
    def count(number: int) -> None:
        setattr(passed, name, getattr(passed, name) + number)

    return count


def _reset(writer: asyncio.StreamWriter) -> None:
    """Cut with RST, as a machine that is gone would."""
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
