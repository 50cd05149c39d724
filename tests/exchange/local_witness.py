"""A witness on loopback that keeps the rules of C2SP tlog-witness, and can be told to break them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from gateway.errors import LedgerError
from gateway.exchange.listener import Listener
from gateway.ledger.checkpoint import Checkpoint, parse_checkpoint
from gateway.ledger.cosignature import Cosigner
from gateway.ledger.encoding import from_base64
from gateway.ledger.keys import generate_key
from gateway.ledger.note import VerifierKey, open_note
from gateway.ledger.proof import check_consistency

SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    old: int
    hashes: tuple[str, ...]
    checkpoint: Checkpoint


class LocalWitness:
    """Remembers the newest checkpoint of each log that it knows; cosigns only what continues it."""

    def __init__(self, *logs: VerifierKey, name: str = "witness.example/w1", seed: int = 21) -> None:
        self.cosigner = Cosigner(name, generate_key(bytes([seed]) * 32))
        self.key = self.cosigner.verifier
        self.logs = {key.name: key for key in logs}
        self.held: dict[str, Checkpoint] = {}
        self.asked: list[Asked] = []
        self.now = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
        self.answer: Callable[[web.Response], web.Response] = lambda response: response
        self.gate: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[LocalWitness]:
        """The witness answers below ``url``."""
        application = web.Application()
        application.router.add_post("/w1/add-checkpoint", self._serve)
        listener = Listener(application, host="127.0.0.1", port=0)
        await listener.start()
        self.url = f"{listener.url}/w1"
        try:
            yield self
        finally:
            await listener.stop()

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        return self.answer(self._judge(body))

    def _judge(self, body: bytes) -> web.Response:
        head, _, note = body.partition(b"\n\n")
        first, *hashes = head.decode().split("\n")
        word, _, number = first.partition(" ")
        if word != "old" or len(hashes) > 63 or str(int(number)) != number:
            return web.Response(status=400)
        text = note.decode().rpartition("\n\n")[0] + "\n"
        checkpoint, old = parse_checkpoint(text), int(number)
        self.asked.append(Asked(old, tuple(hashes), checkpoint))
        key = self.logs.get(checkpoint.origin)
        if key is None:
            return web.Response(status=404)
        try:
            open_note(note, [key])
        except LedgerError:
            return web.Response(status=403)
        if old > checkpoint.size:
            return web.Response(status=400)
        held = self.held.get(checkpoint.origin)
        if old != (0 if held is None else held.size):
            return self._conflict(held)
        if held is not None and old == checkpoint.size and held.root != checkpoint.root:
            return self._conflict(held)
        proof = [from_base64(one) or b"" for one in hashes]
        if (held is None and proof) or (held is not None and not _continues(held, checkpoint, proof)):
            return web.Response(status=422)
        self.held[checkpoint.origin] = checkpoint
        return web.Response(body=self.cosigner.line(text, self.now).encode())

    @staticmethod
    def _conflict(held: Checkpoint | None) -> web.Response:
        size = 0 if held is None else held.size
        return web.Response(status=409, body=f"{size}\n".encode(), content_type=SIZE_TYPE)


def _continues(held: Checkpoint, new: Checkpoint, proof: list[bytes]) -> bool:
    try:
        check_consistency(held.size, held.root, new.size, new.root, proof)
    except LedgerError:
        return False
    return True
