"""Valid fields for every kind of entry, and logs filled with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.ledger.append import append
from gateway.ledger.entry import Value
from gateway.ledger.kinds import KINDS, FieldType
from gateway.ledger.port import Log

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ORIGIN = "11230000MB1234567X/ledger"
ROUTE = "11230000MB1234567X/administrative-license/11230000MB7654321Y"

_VALUES: dict[FieldType, Value] = {
    FieldType.NAME: "name",
    FieldType.TEXT: "说明",
    FieldType.COUNT: 0,
    FieldType.SEQUENCE: 1,
    FieldType.INDEX: -1,
    FieldType.DIGEST: "ab" * 32,
    FieldType.DIGEST_OR_NONE: "",
    FieldType.INSTANT: "2026-11-22T06:02:37.000000Z",
    FieldType.BASE64: "AAEC",
    FieldType.KEY: "AAEC",
}


def all_fields(kind: str, **changes: Value) -> dict[str, Value]:
    """Every field that ``kind`` declares."""
    fields = {name: _VALUES[declared] for name, declared in KINDS[kind].fields.items()}
    if "run_id" in fields and kind != "run.closed":
        fields["run_id"] = ""
    return {**fields, **changes}


def own_fields(kind: str, **changes: Value) -> dict[str, Value]:
    """The fields that a caller of ``append`` gives: those of the route come apart."""
    fields = all_fields(kind, **changes)
    if KINDS[kind].routed:
        for name in ("route", "route_seq", "previous", "batch_id"):
            del fields[name]
    return fields


def add_genesis(log: Log) -> None:
    append(log, "genesis", own_fields("genesis", origin=ORIGIN), at=START)


def add_batch(log: Log, seq: int, *, kind: str = "batch.reconciled", route: str = ROUTE, **changes: Value) -> int:
    return append(
        log,
        kind,
        own_fields(kind, **changes),
        at=START + timedelta(seconds=seq),
        route=route,
        route_seq=seq,
        batch_id=f"batch-{seq}",
    )


def add_action(log: Log, number: int) -> int:
    fields = own_fields("operator.action", subject=f"subject {number}")
    return append(log, "operator.action", fields, at=START + timedelta(seconds=number))


def fill(log: Log, size: int, *, total: int = 3, created: int = 2) -> None:
    """Bring ``log`` up to ``size`` entries: genesis, then batches on one route, every seventh entry an operator's action."""
    tail = log.route_tail(ROUTE)
    seq = 0 if tail is None else tail.route_seq
    for index in range(log.head().size, size):
        if index == 0:
            add_genesis(log)
        elif index % 7 == 0:
            add_action(log, index)
        else:
            seq += 1
            add_batch(log, seq, total=total, created=created, rejected=total - created)
