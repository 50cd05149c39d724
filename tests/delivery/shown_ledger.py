"""A ledger of the other side, open to a test that bends it."""

from __future__ import annotations

from gateway.exchange.shown import Shown
from gateway.ledger.checkpoint import Checkpoint, sign_checkpoint
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner
from gateway.ledger.proof import LogNodes, consistency_proof, edge_at
from tests.ledger.memory_log import MemoryLog
from tests.ledger.samples import fill

ORIGIN = "credit-gateway/11230700001001013H"


class ShownLedger:
    """A log of up to ``size`` entries; another ``total`` gives another history from the second entry on."""

    def __init__(self, size: int = 40, *, total: int = 3, seed: int = 9, origin: str = ORIGIN) -> None:
        self.log = MemoryLog()
        fill(self.log, size, total=total)
        self.signer = NoteSigner(origin, generate_key(bytes([seed]) * 32))
        self.key = str(self.signer.verifier)

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(origin=self.signer.verifier.name, size=size, root=edge_at(LogNodes(self.log), size).root())

    def note(self, size: int) -> str:
        return sign_checkpoint(self.checkpoint(size), self.signer).decode()

    def proof(self, size: int, since: int) -> tuple[bytes, ...]:
        old, new = sorted((size, since))
        return () if old in {0, new} else consistency_proof(LogNodes(self.log), old, new)

    def shown(self, size: int, since: int | None) -> Shown:
        if since is None:
            return Shown(key=self.key)
        return Shown(key=self.key, since=since, proof=self.proof(size, since))
