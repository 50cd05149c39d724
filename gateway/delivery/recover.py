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
from gateway.store import runs
from gateway.store.database import Database
from gateway.store.entries import TransactionLog
from gateway.store.runs import RunState

__all__ = ["begin_ledger", "close_interrupted"]

_log = structlog.get_logger()


def begin_ledger(
    database: Database, *, node: Node, origin: str, key: VerifierKey, signer: Signer, clock: Clock
) -> None:
    """Write the first entries of an empty ledger: what log this is, and with which keys this node signs."""
    now = clock.now()
    common = {"node": node.code, "software": __version__}
    certificate = signer.certificate
    # One transaction: a ledger that begins has its keys in it, or has not begun.
    with database.begin() as conn:
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
    """Close the runs that a stop cut off as failed. What they stored is kept and due; the next run accounts for it."""
    with database.begin() as conn:
        for run in runs.open_runs(conn):
            runs.close_run(
                conn, run.id, state=RunState.FAILED, figures={"error": "interrupted"}, at=instant(clock.now())
            )
            _log.warning("run.interrupted", run=run.id, exchange=run.exchange)
