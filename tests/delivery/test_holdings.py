"""What a node tells a sender of what it holds, on both databases' terms: never more than one answer may hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.delivery.holdings import holdings
from gateway.errors import StoreError
from gateway.exchange.digests import RouteDigests
from gateway.store import inbox
from gateway.store.database import Database
from gateway.store.inbox import InboxRow
from tests.store.samples import AT, ROUTE, batch_id, inbox_batch, package

HELD = {f"号{number}": number % 5 + 1 for number in range(1, 400)}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    database.migrate()
    yield database
    database.close()


def hold(database: Database, keys: dict[str, int]) -> None:
    rows = [
        InboxRow(key, version, "upsert", hashlib.sha256(b"<a/>").digest(), b"<a/>", "{}")
        for key, version in keys.items()
    ]
    with database.begin() as conn:
        if inbox.last_sequence(conn, ROUTE) == 0:
            inbox.add_batch(conn, inbox_batch(1), package=package(1), receipt=b"receipt")
        inbox.apply(conn, ROUTE, rows, batch_id=batch_id(1), at=AT)


def test_first_all_buckets_then_the_records_of_each(database: Database) -> None:
    hold(database, HELD)
    whole = holdings(database, ROUTE, "")
    assert whole.records is None
    assert sum(bucket.count for bucket in whole.buckets) == len(HELD)
    opened = [holdings(database, ROUTE, bucket.prefix) for bucket in whole.buckets]
    found = {record.key: record.version for one in opened for record in one.records or ()}
    assert found == HELD
    assert holdings(database, "other/route/x", "") == RouteDigests(route="other/route/x", prefix="")
    assert holdings(database, ROUTE, "ab" * 31).records == ()


def test_a_large_bucket_opens_into_smaller_ones(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(database, HELD)
    fullest = max(holdings(database, ROUTE, "").buckets, key=lambda bucket: bucket.count)
    assert fullest.count > 1
    monkeypatch.setattr("gateway.delivery.holdings._RECORDS", fullest.count - 1)
    smaller = holdings(database, ROUTE, fullest.prefix)
    assert smaller.records is None
    assert sum(bucket.count for bucket in smaller.buckets) == fullest.count
    assert all(bucket.prefix.startswith(fullest.prefix) and len(bucket.prefix) == 4 for bucket in smaller.buckets)
    assert holdings(database, ROUTE, smaller.buckets[0].prefix).records


def test_long_keys_make_a_bucket_large_too(database: Database) -> None:
    """Keys may have 1,024 characters of four bytes: an answer is bounded in bytes, not in records alone."""
    longest = {"𠮷" * 1_020 + f"{number:04}": 1 for number in range(200_000) if _in_first_bucket(number)}
    hold(database, longest)
    (bucket,) = holdings(database, ROUTE, "").buckets
    told = holdings(database, ROUTE, bucket.prefix)
    assert len(longest) * 4_084 > 2 * 1024 * 1024
    assert told.records is None
    assert len(json.dumps(told.to_json()).encode()) < 8 * 1024 * 1024


def _in_first_bucket(number: int) -> bool:
    key = "𠮷" * 1_020 + f"{number:04}"
    return hashlib.sha256(key.encode()).digest()[0] == 0


def test_a_prefix_that_is_none_is_refused(database: Database) -> None:
    for prefix in ("0", "zz", "ab" * 32):
        with pytest.raises(StoreError, match="bucket-prefix"):
            holdings(database, ROUTE, prefix)
