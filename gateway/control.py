"""How an order reaches the node: over the daemon's local socket where one runs, else carried out here, under the lock.

The socket is ``<data_dir>/control.sock``, mode 0600; who is at the other end is asked of the kernel (SO_PEERCRED), nobody but our own
user and root is heard. One order a connection, a JSON document a line: ``{"verb": …, "args": {…}}`` in; ``{"told": {stage: count}}``
any number of times, then ``{"done": {…}}`` or ``{"error": {…}}`` out. Who hangs up does not stop the order.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from gateway.app import Gateway
from gateway.clock import RandomIds, SystemClock
from gateway.config import Settings
from gateway.delivery.exchange import Progress
from gateway.errors import DeliveryError, GatewayError, StoreError, error_from_json, error_json
from gateway.memory import few_threads
from gateway.opening import open_gateway
from gateway.orders import ORDERS

__all__ = ["ControlServer", "ask", "perform"]

_NAME = "control.sock"
_LONGEST = 64 * 1024 * 1024  # bytes of one line; a statement has a few thousand, a receipt taken by hand may be large
_TELL_EVERY = 0.2  # seconds
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_log = structlog.get_logger()


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """The socket's path in a form that fits into the 108 bytes of a socket address, however deep the folder lies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)


class ControlServer:
    """Takes orders for ``gateway``, whose process holds the state folder's lock."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._folder = gateway.settings.data_dir
        self._server: asyncio.Server | None = None
        self._orders: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. A socket that a crash left behind is replaced: the lock says that nobody listens on it."""
        (self._folder / _NAME).unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            with _address(self._folder) as address:
                listening.bind(address)
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=_LONGEST)

    async def stop(self) -> None:
        """Take no more orders, let those under way finish."""
        if self._server is not None:
            self._server.close()
            (self._folder / _NAME).unlink(missing_ok=True)
        if self._orders:
            await asyncio.gather(*self._orders, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._orders.add(task)
        try:
            if _stranger(writer):
                _log.warning("control.stranger")
                return
            await self._order(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # hung up, or said nothing that can be read
        finally:
            if task is not None:
                self._orders.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _order(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        document = json.loads(await reader.readline())
        verb, args = str(document["verb"]), dict(document["args"])
        _log.info("control.order", verb=verb)
        told: Counter[str] = Counter()
        work = asyncio.ensure_future(
            ORDERS[verb](self._gateway, args, lambda stage, count: told.update({stage: count}))
        )
        listening = True
        while not work.done():
            await asyncio.wait([work], timeout=_TELL_EVERY)
            if told and listening:
                counted, told_now = dict(told), Counter(told)
                told.subtract(told_now)
                listening = await _say(writer, {"told": counted})
        try:
            answer: dict[str, object] = {"done": work.result()}
        except GatewayError as error:
            answer = {"error": error_json(error)}
        await _say(writer, answer)


async def _say(writer: asyncio.StreamWriter, document: Mapping[str, object]) -> bool:
    """Write a line; False when nobody listens any more."""
    try:
        writer.write(json.dumps(document, ensure_ascii=False, default=str).encode() + b"\n")
        await writer.drain()
    except OSError:
        return False
    return True


def _stranger(writer: asyncio.StreamWriter) -> bool:
    connection = writer.get_extra_info("socket")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return uid not in {os.geteuid(), 0}


def perform(settings: Settings, verb: str, args: Mapping[str, Any], tell: Progress) -> dict[str, Any]:
    """Give an order and wait for what comes of it, as JSON. ``tell`` learns of the progress.

    Raises what the order raises; StoreError ``state-held`` when a process that takes no orders holds the state; DeliveryError
    ``daemon-gone`` when the daemon ended before the answer.
    """

    async def run() -> dict[str, Any]:
        found = await _ask(settings.data_dir, verb, args, tell)
        return await _here(settings, verb, args, tell) if found is None else found

    return asyncio.run(run())


def ask(settings: Settings, verb: str) -> dict[str, Any] | None:
    """What the running daemon says to ``verb``; None when none runs, or none that may be asked by this user."""
    try:
        return asyncio.run(_ask(settings.data_dir, verb, {}, lambda _stage, _count: None))
    except (OSError, GatewayError):
        return None


async def _ask(folder: Path, verb: str, args: Mapping[str, Any], tell: Progress) -> dict[str, Any] | None:
    """The daemon's answer; None when no daemon listens."""
    try:
        with _address(folder) as address:
            reader, writer = await asyncio.open_unix_connection(address, limit=_LONGEST)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except PermissionError as error:
        raise StoreError("control-forbidden", folder=str(folder)) from error
    try:
        await _say(writer, {"verb": verb, "args": dict(args)})
        while line := await reader.readline():
            document = json.loads(line)
            for stage, count in document.get("told", {}).items():
                tell(stage, count)
            if "error" in document:
                raise error_from_json(document["error"])
            if "done" in document:
                return dict(document["done"])
    except (ConnectionError, ValueError) as error:
        raise DeliveryError("daemon-gone", verb=verb) from error
    finally:
        writer.close()
    raise DeliveryError("daemon-gone", verb=verb)


async def _here(settings: Settings, verb: str, args: Mapping[str, Any], tell: Progress) -> dict[str, Any]:
    few_threads(asyncio.get_running_loop())
    with open_gateway(settings, what=verb, clock=SystemClock(), ids=RandomIds()) as gateway:
        gateway.anchors.hold()
        try:
            return await ORDERS[verb](gateway, args, tell)
        finally:
            # Where no daemon runs, whoever works has the ledger stamped: a hold for want of a stamp ends nowhere else.
            await gateway.anchors.step()
            await gateway.witnesses.step()
