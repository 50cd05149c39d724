"""A person's word that what is in quarantine shall be tried again: what the next run does by itself, what has to be made due, what must
be read again at its source."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.delivery.exchange import Exchange
from gateway.delivery.resync import Chosen, Compared, MappingOf, Versions, make_due
from gateway.store.database import Connection
from gateway.store.quarantine import Stage, StoredCase
from gateway.store.standing import standing_of_keys

__all__ = ["Retried", "retry_cases"]

_CONFLICT = "version-conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What becomes of cases, in cases: ``due`` go out with the next run, ``source`` wait for their row to be read again (a full run reads every
    row), ``under_way`` are in a batch whose receipt is still to come, ``gone`` have no record any more."""

    due: int = 0
    source: int = 0
    under_way: int = 0
    gone: int = 0


def retry_cases(conn: Connection, exchange: Exchange, cases: Iterable[StoredCase]) -> Retried:
    """Have the records of open cases of ``exchange`` tried again by its next run, in the caller's transaction.

    A record that the receiver rejected because it holds this version with other content goes out under a new version. The cases stay open
    until their record is sealed, taken or changed.
    """
    wanted = [case for case in cases if case.exchange == exchange.name and case.closed_at is None]
    sealing = {case.key for case in wanted if case.stage is not Stage.SOURCE and case.key is not None}
    stood = standing_of_keys(conn, exchange.name, exchange.catalog.id, exchange.source.name, sorted(sealing))
    held = Versions()
    conflicts = {case.key for case in wanted if any(reason.code == _CONFLICT for reason in case.reasons)}
    for key, one in stood.items():
        if key in conflicts:
            held.put(one.id, one.version)
    held.sort()
    ids = array("q", (one.id for one in stood.values()))
    chosen = Chosen(ids=ids, fates={}, ops={}, samples={}, compared=Compared(held=held))
    due = make_due(conn, exchange, chosen, mapping=MappingOf.TODAY)
    return Retried(
        due=len(due),
        source=sum(1 for case in wanted if case.stage is Stage.SOURCE),
        under_way=len(stood) - len(due),
        gone=len(sealing) - len(stood),
    )
