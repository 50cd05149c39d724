"""The head memory in a person's hands: how it stands, laying it down before the first start, laying it down again after it was lost.

A node does not start without it, nor with one that the ledger contradicts; so nothing here opens the gateway as its work does.
"""

from __future__ import annotations

import hashlib
from typing import Any

from gateway import __version__
from gateway.app import Gateway
from gateway.clock import Clock, Ids, instant
from gateway.config import Settings
from gateway.errors import LedgerError
from gateway.ledger.append import append
from gateway.ledger.entry import Value
from gateway.ledger.memory import FileHeadMemory
from gateway.opening import locked_gateway
from gateway.store.entries import DurableLog, TransactionLog

__all__ = ["head_status", "init_head", "recover_head"]

Json = dict[str, Any]


def head_status(gateway: Gateway) -> Json:
    """What is remembered, stored, signed and published, and what is wrong with it: ``problem`` is an error's code, None when all is well.

    Changes nothing. Raises LedgerError ``ledger-file-failed`` for a memory that cannot be read at all.
    """
    found: Json = {"memory": None, "entries": 0, "signed": 0, "problem": None, "say": "", "fix": ""}
    language = gateway.settings.node.language
    try:
        memory = FileHeadMemory(gateway.settings.head_memory).read()
        if memory is not None:
            found["memory"] = {"size": memory.size, "root": memory.root.hex(), "at": instant(memory.at)}
        if gateway.journal is None:
            return found
        log = DurableLog(gateway.database)
        newest = log.newest_checkpoint()
        found |= {"entries": log.head().size, "signed": 0 if newest is None else newest.size}
        if memory is None and (found["entries"] > 1 or newest is not None):
            raise LedgerError("head-memory-lost", size=found["entries"])
        if memory is not None:
            gateway.publisher.start(log, now=gateway.clock.now())
    except LedgerError as error:
        found |= {"problem": error.code, "say": error.say(language), "fix": error.fix(language)}
    return found


def init_head(settings: Settings, *, clock: Clock, ids: Ids) -> None:
    """Make the memory's folder and lay an empty memory into it, for a ledger that has not begun.

    Raises LedgerError ``head-memory-present``, ``head-memory-lost`` when the ledger has begun, ``ledger-file-failed``; StoreError
    ``state-held``.
    """
    folder = settings.head_memory.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError("ledger-file-failed", path=folder, reason=error.strerror) from error
    with locked_gateway(settings, what="audit head init", clock=clock, ids=ids) as gateway:
        gateway.publisher.lay_down(DurableLog(gateway.database))


def recover_head(
    settings: Settings, note: bytes | None, *, source: str, person: str, reason: str, clock: Clock, ids: Ids
) -> Json:
    """Lay the memory down again from ``note``, a checkpoint of ours as a peer or witness keeps it; from the database's own newest one if
    None, which proves nothing against a database that was put back.
    A memory that was written under a clock that was ahead is laid down again too.

    Enters a ``recovery``, then signs. Raises LedgerError as :meth:`gateway.ledger.publish.Publisher.examine`, ``recovery-without-checkpoint``.
    """
    with locked_gateway(settings, what="audit head recover", clock=clock, ids=ids) as gateway:
        log = DurableLog(gateway.database)
        newest, head = log.newest_checkpoint(), log.head()
        if note is None:
            if newest is None:
                raise LedgerError("recovery-without-checkpoint")
            note, source = newest.note, "database"
        checkpoint = gateway.publisher.examine(log, note, now=clock.now())
        fields: dict[str, Value] = {
            "node": gateway.node.code,
            "software": __version__,
            "person": person,
            "reason": reason,
            "source": source,
            "found_size": head.size,
            "found_root": head.root.hex(),
            "note_sha256": hashlib.sha256(note).hexdigest(),
        }
        # A crash after this: the entry stands, nothing is signed, and the recovery is simply ordered again.
        with gateway.database.begin() as conn:
            index = append(TransactionLog(conn), "recovery", fields, at=clock.now())
        gateway.publisher.recover(log, note, clock)
        gateway.notary.publish(final=True)
    return {"size": checkpoint.size, "entry": index, "source": source}
