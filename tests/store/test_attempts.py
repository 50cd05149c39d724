"""Attempts and receipts: written once, and kept as they came."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import text

from gateway.errors import StoreError
from gateway.store import attempts, batches
from gateway.store.database import Database
from gateway.store.states import State
from tests.store.samples import AT, LEASE, ROUTE, batch_id, later, open_run, ready_batch


@pytest.fixture
def sending(database: Database) -> tuple[Database, str, int]:
    with database.begin() as conn:
        open_run(conn)
        ready_batch(conn, 1)
        ready_batch(conn, 2)
        claim = batches.claim(conn, owner="w", at=AT, lease_seconds=LEASE, route=ROUTE)
    assert claim is not None
    return database, claim.batch_id, claim.fence


def test_attempts_are_counted_and_kept(sending: tuple[Database, str, int]) -> None:
    database, name, fence = sending
    with database.begin() as conn:
        assert attempts.start_attempt(conn, name, fence=fence, at=later(1)) == 1
        attempts.end_attempt(conn, name, 1, at=later(2), outcome="later", status=503, code="busy", detail="忙")
        assert attempts.start_attempt(conn, name, fence=fence, at=later(3)) == 2
        first, second = attempts.list_attempts(conn, name)
        found = batches.find_batch(conn, name)
    assert (first.outcome, first.status, first.code, first.detail, first.ended_at) == (
        "later",
        503,
        "busy",
        "忙",
        later(2),
    )
    assert (second.number, second.fence, second.outcome, second.ended_at) == (2, fence, None, None)
    assert found is not None
    assert found.attempts == 2


def test_an_attempt_ends_once(sending: tuple[Database, str, int]) -> None:
    database, name, fence = sending
    with database.begin() as conn:
        attempts.start_attempt(conn, name, fence=fence, at=later(1))
        attempts.end_attempt(conn, name, 1, at=later(2), outcome="unknown")
        for number in (1, 2):
            with pytest.raises(StoreError, match="attempt-ended"):
                attempts.end_attempt(conn, name, number, at=later(3), outcome="acknowledged")
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        conn.execute(text("UPDATE attempt SET outcome = 'acknowledged'"))


def test_only_a_batch_that_is_being_sent_has_attempts(sending: tuple[Database, str, int]) -> None:
    database, name, fence = sending
    with database.begin() as conn:
        with pytest.raises(StoreError, match="fence-lost"):
            attempts.start_attempt(conn, name, fence=fence + 1, at=later(1))
        batches.move(conn, name, State.UNKNOWN, at=later(1), fence=fence)
        with pytest.raises(StoreError, match="fence-lost"):
            attempts.start_attempt(conn, name, fence=fence, at=later(1))


def test_a_receipt_is_kept_byte_for_byte(sending: tuple[Database, str, int]) -> None:
    database, name, _ = sending
    data = bytes(range(256))
    with database.begin() as conn:
        assert attempts.find_receipt(conn, name) is None
        assert attempts.store_receipt(conn, name, data, verdict="accepted", at=later(1), late=True)
        assert not attempts.store_receipt(conn, name, data, verdict="accepted", at=later(2), late=False)
        found = attempts.find_receipt(conn, name)
    assert found is not None
    assert (found.data, found.sha256, found.late) == (data, hashlib.sha256(data).hexdigest(), True)
    assert found.received_at == later(1), "the first arrival counts"


def test_another_receipt_contradicts(sending: tuple[Database, str, int]) -> None:
    database, name, _ = sending
    with database.begin() as conn:
        attempts.store_receipt(conn, name, b"one", verdict="accepted", at=AT, late=False)
        with pytest.raises(StoreError) as refused:
            attempts.store_receipt(conn, name, b"two", verdict="refused", at=AT, late=False)
        assert refused.value.code == "receipt-contradicts"
        for _ in range(2):
            attempts.refuse_receipt(conn, name, b"two", code="receipt-contradicts", at=later(1))
        attempts.refuse_receipt(conn, name, b"two", code="signature-invalid", at=later(2))
        attempts.refuse_receipt(conn, batch_id(2), b"two", code="receipt-contradicts", at=later(3))
        kept = attempts.refused_receipts(conn, name)
    assert [(one.code, one.data, one.at) for one in kept] == [
        ("receipt-contradicts", b"two", later(1)),
        ("signature-invalid", b"two", later(2)),
    ]


@pytest.mark.parametrize("table", ["package", "receipt", "refused_receipt"])
def test_bytes_are_not_written_over(sending: tuple[Database, str, int], table: str) -> None:
    database, name, _ = sending
    with database.begin() as conn:
        attempts.store_receipt(conn, name, b"one", verdict="accepted", at=AT, late=False)
        attempts.refuse_receipt(conn, name, b"two", code="signature-invalid", at=AT)
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        conn.execute(text(f"UPDATE {table} SET data = data"))
