"""Rows for the tests of the store: a run, records, batches, all small and all alike."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from gateway.clock import instant
from gateway.store import batches, inbox, records, runs, shares
from gateway.store.batches import NewBatch
from gateway.store.quarantine import Case, Reason
from gateway.store.records import NewRecord
from gateway.store.states import State

__all__ = [
    "AT",
    "CATALOG",
    "EXCHANGE",
    "LEASE",
    "ROUTE",
    "RUN",
    "SOURCE",
    "abandon",
    "add_records",
    "bad_row",
    "batch_id",
    "digest",
    "inbox_batch",
    "later",
    "new_batch",
    "open_run",
    "package",
    "ready_batch",
    "seal_batch",
    "void_batch",
]

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
AT = instant(START)
EXCHANGE, CATALOG, SOURCE = "permits-to-province", "administrative-license", "permits"
ROUTE = "11230000MB1234567X/administrative-license/11230000001234567A"
RUN = "0193aaaa-0000-7000-8000-000000000001"
LEASE = 60.0


def later(seconds: float) -> str:
    """The instant ``seconds`` after the start of the story."""
    return instant(START + timedelta(seconds=seconds))


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def open_run(conn: Connection, run_id: str = RUN, exchange: str = EXCHANGE) -> str:
    assert runs.open_run(conn, run_id=run_id, exchange=exchange, kind=runs.Kind.MANUAL, at=AT, mapping_digest="m" * 64)
    return run_id


def add_records(conn: Connection, *keys: str, deadline: str | None = None, source: str = SOURCE) -> list[int]:
    rows = [NewRecord(key, digest(key), f'{{"document_number":"{key}"}}', "unit", deadline) for key in keys]
    return records.add(conn, rows, catalog=CATALOG, source=source, run_id=RUN, at=AT)


def batch_id(number: int) -> str:
    return str(UUID(int=0x0193_BBBB_0000_7000_8000_0000_0000_0000 + number))


def package(number: int) -> bytes:
    return f"package {number}".encode()


def new_batch(number: int, *, sequence: int | None = None, route: str = ROUTE, exchange: str = EXCHANGE) -> NewBatch:
    """Batch ``number``, whose sequence number is the same unless told otherwise."""
    return NewBatch(
        id=batch_id(number),
        exchange=exchange,
        route=route,
        sequence=number if sequence is None else sequence,
        previous_id=None,
        run_id=RUN,
        total=3,
        upsert=1,
        withdraw=1,
        stop_share=1,
        record_root="a" * 64,
        mapping_digest="b" * 64,
        format="credit-2018/1",
        package_sha256=hashlib.sha256(package(number)).hexdigest(),
        manifest_sha256="c" * 64,
        signer_key_id="d" * 64,
        checkpoint="",
        created_at=later(number),
        next_attempt_at=AT,
        give_up_at=later(172_800),
    )


def ready_batch(conn: Connection, number: int, *, route: str = ROUTE, sequence: int | None = None) -> str:
    batches.add_batch(conn, new_batch(number, route=route, sequence=sequence), package(number))
    return batch_id(number)


def seal_batch(conn: Connection, number: int, ids: list[int], *, sequence: int | None = None) -> str:
    """A ready batch with these records at the versions that they have now."""
    name = ready_batch(conn, number, sequence=sequence)
    shares.seal(conn, EXCHANGE, name, [(row.id, row.version) for row in records.fetch(conn, ids)])
    return name


def abandon(conn: Connection, name: str) -> None:
    batches.move(conn, name, State.ABANDONED, at=AT, person="王芳", reason="发错了目录")


def bad_row(key: str | None, *codes: str, locator: str = "第 1 行", unit: str | None = "unit", row: str = "{}") -> Case:
    reasons = tuple(
        Reason(
            field="subject_code", source="XK_XDR_SHXYM", code=code, weight="reject", value_class="empty", expected=""
        )
        for code in codes
    )
    return Case(key=key, locator=locator, unit=unit, row=row, row_digest=digest(row), reasons=reasons)


def inbox_batch(number: int, *, route: str = ROUTE) -> inbox.InboxBatch:
    return inbox.InboxBatch(
        id=batch_id(number),
        route=route,
        sender="11230000MB1234567X",
        catalog=CATALOG,
        sequence=number,
        package_sha256=hashlib.sha256(package(number)).hexdigest(),
        receipt_sha256=hashlib.sha256(b"receipt").hexdigest(),
        verdict="accepted",
        counts={"total": 1, "created": 1},
        checkpoint="",
        received_at=later(number),
    )


def void_batch(conn: Connection, number: int, name: str) -> str:
    """Batch ``number`` as the void batch in the place of an abandoned one."""
    voided = batches.find_batch(conn, name)
    assert voided is not None
    new = replace(
        new_batch(number, sequence=voided.sequence), total=0, upsert=0, withdraw=0, stop_share=0, void_of=name
    )
    batches.add_batch(conn, new, package(number))
    return new.id
