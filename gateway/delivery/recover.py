"""After a stop of any kind: the first lines of the ledger, runs that were cut off, receipts that wait to be reconciled.

There is no special code for crashes beyond this: every step of delivery finds its own state in the journal and goes on from there.
"""

from __future__ import annotations

import base64

import structlog

from gateway import __version__
from gateway.clock import Clock, instant
from gateway.ledger.append import append
from gateway.ledger.note import VerifierKey
from gateway.package.cms import Signer
from gateway.package.forms import Node
from gateway.store import batches, runs
from gateway.store.database import Connection, Database
from gateway.store.entries import TransactionLog
from gateway.store.runs import RunState

__all__ = ["begin_ledger", "close_interrupted"]

_log = structlog.get_logger()


def begin_ledger(conn: Connection, *, node: Node, origin: str, key: VerifierKey, signer: Signer, clock: Clock) -> None:
    """Write the first entries of an empty ledger: what log this is, and with which key this node signs; in one transaction, for a ledger that
    begins has its keys in it, or has not begun.
    """
    now = clock.now()
    common = {"node": node.code, "software": __version__}
    certificate = signer.certificate
    log = TransactionLog(conn)
    if log.head().size:
        return
    append(log, "genesis", {**common, "origin": origin, "verifier_key": str(key), "node_name": node.name}, at=now)
    append(
        log,
        "key.added",
        {
            **common,
            "purpose": "package",
            "owner": node.code,
            "key_id": signer.key_id,
            "key": base64.b64encode(signer.certificate_der).decode(),
            "valid_from": instant(certificate.not_valid_before_utc),
            "valid_to": instant(certificate.not_valid_after_utc),
            "person": "",
        },
        at=now,
    )
    _log.info("ledger.begun", origin=origin)


def close_interrupted(database: Database, clock: Clock) -> None:
    """Close the runs that a stop cut off as failed, and end the leases of whoever is dead; the caller alone works on the state.

    What those runs stored is kept and due; the next run accounts for it. What was being sent is found as unknown, and asked for.
    """
    with database.begin() as conn:
        batches.end_leases(conn, at=instant(clock.now()))
        for run in runs.open_runs(conn):
            runs.close_run(
                conn, run.id, state=RunState.FAILED, figures={"error": "interrupted"}, at=instant(clock.now())
            )
            _log.warning("run.interrupted", run=run.id, exchange=run.exchange)
