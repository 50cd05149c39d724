"""The ledger: one entry in a durable transaction of its own, as every batch makes two."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from gateway.app import Gateway
from gateway.clock import instant
from gateway.ledger.append import append
from gateway.ledger.entry import Value, encode
from gateway.ledger.kinds import KINDS, FieldType
from gateway.store.entries import TransactionLog
from tests.bench.figures import Deadline, Figure, Meter
from tests.bench.plain import PlainTable
from tests.bench.scene import Scene

__all__ = ["measure_ledger"]

_ENTRIES: Final = 1_000
_KIND: Final = "run.closed"


def measure_ledger(scene: Scene, gateway: Gateway, *, deadline: Deadline) -> Figure:
    """Append entries, each durable before the next, beside a bare table that keeps the same bytes as durably."""
    meter = Meter("append to the ledger, each durable", peer="sqlite3 insert and commit", unit="entries")
    now = gateway.clock.now()
    examples: dict[FieldType, Value] = {
        FieldType.NAME: "bench",
        FieldType.DIGEST: "0" * 64,
        FieldType.INSTANT: instant(now),
        FieldType.COUNT: 5_000,
    }
    fields = {name: examples[kind] for name, kind in KINDS[_KIND].fields.items()}
    leaf = encode(_KIND, fields, now)
    with closing(PlainTable(scene.folder / "bare-entries.db", ("number", "leaf"))) as bare:
        for number in range(_ENTRIES):
            with meter.own(1), gateway.database.begin() as conn:
                append(TransactionLog(conn), _KIND, fields, at=now)
            with meter.other(1):
                bare.keep([(number, leaf)])
            deadline.left()
    return meter.figure()
