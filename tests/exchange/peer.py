"""The other organisation, faked in order to fail: a raw socket server that follows a script per connection.

``Peer(first, second, …)`` plays ``first`` on the first connection, ``second`` on the second; the last script plays on. A script is any
``async def script(line: Line) -> None``; those below cover the ways of failing that a sender must survive. What arrived is in
:attr:`Peer.requests` (whole requests) and :attr:`Peer.connections`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType

PACKAGE_TYPE = "application/vnd.etsi.asic-e+zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One whole request as it came. ``headers`` have lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Line:
    """One connection, in a script's hands."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> tuple[str, str, dict[str, str]]:
        """The request line's method and target, and the headers. Raises IncompleteReadError."""
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = raw.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        return (
            method,
            target,
            {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)},
        )

    async def request(self, *, go_ahead: bool = True) -> Request:
        """A whole request; ``go_ahead`` answers an expectation as it should be answered."""
        method, target, headers = await self.head()
        if go_ahead and "expect" in headers:
            await self.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method=method, target=target, headers=headers, body=body)

    async def say(self, raw: bytes) -> None:
        """Write and wait until the line has taken it."""
        self.writer.write(raw)
        await self.writer.drain()

    def reset(self) -> None:
        """Cut the line with RST instead of FIN."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.writer.transport.abort()

    async def hold(self) -> None:
        """Say nothing until the other side gives up."""
        while await self.reader.read(65536):
            pass


Script = Callable[[Line], Awaitable[None]]


class Peer:
    """A server on 127.0.0.1 that follows its scripts; an async context manager."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = scripts
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        """Where a sender reaches it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Peer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        line = _Recording(reader, writer, self.requests)
        try:
            await script(line)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the sender went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


class _Recording(Line):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[Request]) -> None:
        super().__init__(reader, writer)
        self._requests = requests

    async def request(self, *, go_ahead: bool = True) -> Request:
        request = await super().request(go_ahead=go_ahead)
        self._requests.append(request)
        return request


def answer(
    status: int, body: bytes = b"", *, media_type: str = PACKAGE_TYPE, headers: dict[str, str] | None = None
) -> bytes:
    """The bytes of an answer that is framed as it should be."""
    fields = {"Content-Type": media_type, "Content-Length": str(len(body)), **(headers or {})}
    head = f"HTTP/1.1 {status} Some Reason\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return head.encode() + b"\r\n" + body


def problem(status: int, code: str, *, headers: dict[str, str] | None = None, **more: object) -> bytes:
    """The bytes of a problem answer."""
    body = json.dumps({"code": code, "status": status, "title": code, **more}).encode()
    return answer(status, body, media_type="application/problem+json", headers=headers)


def answers(raw: bytes) -> Script:
    """Reads the request as it should, then says ``raw`` and closes."""

    async def script(line: Line) -> None:
        await line.request()
        await line.say(raw)

    return script


def answers_at_once(raw: bytes) -> Script:
    """Says ``raw`` after the head: no go-ahead, no byte of the body read."""

    async def script(line: Line) -> None:
        await line.head()
        await line.say(raw)
        await line.hold()

    return script


def cuts_answer(raw: bytes, *, reset: bool = False) -> Script:
    """Takes the whole request, says ``raw``, which is only a part of an answer, and cuts the line."""

    async def script(line: Line) -> None:
        await line.request()
        await line.say(raw)
        if reset:
            line.reset()

    return script


async def hangs_up(line: Line) -> None:
    """Closes the line as soon as it has read the head."""
    await line.head()


async def hangs_up_at_once(line: Line) -> None:
    """Closes the line without reading."""


async def never_answers(line: Line) -> None:
    """Takes the whole request and keeps silent."""
    await line.request()
    await line.hold()


async def ignores_everything(line: Line) -> None:
    """Reads the head and keeps silent: no go-ahead either. Without an expectation it takes the body, and keeps silent."""
    await line.request(go_ahead=False)
    await line.hold()


def ignores_expectation(raw: bytes) -> Script:
    """Gives no go-ahead, takes the body of whoever does not wait for one, and answers ``raw``."""

    async def script(line: Line) -> None:
        await line.request(go_ahead=False)
        await line.say(raw)

    return script


def cuts_upload(after: int) -> Script:
    """Gives the go-ahead, reads ``after`` bytes of the body and cuts the line."""

    async def script(line: Line) -> None:
        await line.head()
        await line.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await line.reader.readexactly(after)
        line.reset()

    return script


def endless(head: bytes) -> Script:
    """Answers ``head`` and then bytes without end, as fast as they are taken."""

    async def script(line: Line) -> None:
        await line.request()
        await line.say(head)
        while True:
            await line.say(b"x" * 65536)

    return script


def drips(raw: bytes, *, after: int = 0) -> Script:
    """Says ``after`` bytes of ``raw`` at once, the others one at a time, slowly, and never finishes."""

    async def script(line: Line) -> None:
        await line.request()
        await line.say(raw[:after])
        for byte in raw[after:]:
            await line.say(bytes([byte]))
            with contextlib.suppress(TimeoutError):  # the pause that makes it slow; the sender leaving ends it
                await asyncio.wait_for(line.reader.read(1), 0.01)
        await line.hold()

    return script


def answers_late(raw: bytes, when: asyncio.Event) -> Script:
    """Takes the request and answers only when ``when`` is set, whether anybody is still there or not."""

    async def script(line: Line) -> None:
        await line.request()
        await when.wait()
        await line.say(raw)

    return script


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
