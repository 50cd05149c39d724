"""What peers sent: batches in order, records only upwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import StoreError
from gateway.store import buckets, inbox
from gateway.store.database import Database
from gateway.store.inbox import InboxHeld, InboxRow
from tests.store.samples import AT, ROUTE, batch_id, digest, inbox_batch, later, package

OTHER_ROUTE = "11230000MB1234567X/administrative-penalty/11230000001234567A"


def row(key: str, version: int = 1, op: str = "upsert") -> InboxRow:
    body = f"<Permit>{key}</Permit>".encode() if op == "upsert" else None
    return InboxRow(key, version, op, digest(f"{key} {version}"), body, "{}" if body else None)


def receive(database: Database, number: int, *rows: InboxRow, route: str = ROUTE) -> None:
    with database.begin() as conn:
        inbox.add_batch(conn, inbox_batch(number, route=route), package=package(number), receipt=b"receipt")
        inbox.apply(conn, route, rows, batch_id=batch_id(number), at=later(number))


def test_a_batch_and_its_answer_come_back_byte_for_byte(database: Database) -> None:
    receive(database, 1)
    with database.read() as conn:
        assert inbox.find_batch(conn, batch_id(1)) == inbox_batch(1)
        assert inbox.package_bytes(conn, batch_id(1)) == package(1)
        assert inbox.receipt_bytes(conn, batch_id(1)) == b"receipt"
        assert inbox.find_batch(conn, "never came") is None
        assert inbox.package_bytes(conn, "never came") is inbox.receipt_bytes(conn, "never came") is None


def test_a_route_has_no_gap_and_no_second(database: Database) -> None:
    receive(database, 1)
    receive(database, 2)
    with database.begin() as conn:
        assert (inbox.last_sequence(conn, ROUTE), inbox.last_sequence(conn, OTHER_ROUTE)) == (2, 0)
        for number in (2, 4):
            with pytest.raises(StoreError) as refused:
                inbox.add_batch(conn, inbox_batch(number), package=package(number), receipt=b"receipt")
            assert refused.value.facts == {"route": ROUTE, "expected": 3, "found": number}
        assert [one.sequence for one in inbox.list_batches(conn, limit=9)] == [2, 1]
        assert inbox.list_batches(conn, route=OTHER_ROUTE, limit=9) == []
        assert len(inbox.list_batches(conn, route=ROUTE, limit=1)) == 1


def test_the_same_id_is_refused_on_another_route(database: Database) -> None:
    receive(database, 1)
    with pytest.raises(StoreError, match="store-constraint"):
        receive(database, 1, route=OTHER_ROUTE)


@pytest.mark.parametrize(("given_package", "receipt"), [(b"other", b"receipt"), (package(1), b"other")])
def test_other_bytes_than_their_digest_are_refused(database: Database, given_package: bytes, receipt: bytes) -> None:
    with pytest.raises(StoreError, match="inbox-differs"), database.begin() as conn:
        inbox.add_batch(conn, inbox_batch(1), package=given_package, receipt=receipt)


def test_records_are_held_at_their_newest_version(database: Database) -> None:
    many = [row(str(number)) for number in range(1_203)]
    receive(database, 1, *many)
    receive(database, 2, row("3", 7), row("5", 2, "withdraw"), row("new"))
    with database.read() as conn:
        held = inbox.held_versions(conn, ROUTE, [*(one.key for one in many), "new", "none"])
        assert len(held) == 1_204
        assert held["3"] == InboxHeld("3", 7, "upsert", digest("3 7"))
        assert held["5"] == InboxHeld("5", 2, "withdraw", digest("5 2"))
        assert inbox.held_versions(conn, OTHER_ROUTE, ["3"]) == {}


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_not_above_stops_the_transaction(database: Database, version: int) -> None:
    receive(database, 1, row("a", 2))
    with pytest.raises(StoreError) as refused:
        receive(database, 2, row("b"), row("a", version))
    assert (refused.value.code, refused.value.facts["written"]) == ("inbox-superseded", 1)
    with database.read() as conn:
        assert inbox.held_versions(conn, ROUTE, ["a", "b"]) == {"a": InboxHeld("a", 2, "upsert", digest("a 2"))}
        assert inbox.last_sequence(conn, ROUTE) == 1


def test_buckets_cover_a_route_and_open_by_prefix(database: Database) -> None:
    rows = [row(str(number), number + 1) for number in range(600)]
    receive(database, 1, *rows)
    receive(database, 1 + 1, row("0", 99, "withdraw"))
    expected = [(buckets.key_hash(one.key), 99 if one.key == "0" else one.version) for one in rows]
    with database.read() as conn:
        whole = inbox.bucket_digests(conn, ROUTE)
        assert whole == buckets.digest_buckets(expected)
        assert sum(bucket.count for bucket in whole) == 600
        for bucket in (whole[0], whole[-1]):
            opened = inbox.bucket_digests(conn, ROUTE, bucket.prefix)
            assert opened == buckets.digest_buckets(expected, bytes.fromhex(bucket.prefix))
            listed = inbox.bucket_records(conn, ROUTE, bucket.prefix)
            assert sum(one.count for one in opened) == len(listed) == bucket.count
            assert all(buckets.key_hash(one.key).hex().startswith(bucket.prefix) for one in listed)
        assert inbox.bucket_digests(conn, OTHER_ROUTE) == []
        with pytest.raises(StoreError, match="bucket-prefix"):
            inbox.bucket_digests(conn, ROUTE, "x")


def test_a_small_bucket_is_listed_a_large_one_is_not(database: Database) -> None:
    with database.begin() as conn:
        inbox.add_batch(conn, inbox_batch(1), package=package(1), receipt=b"receipt")
        rows = [inbox.InboxRow(key, 1, "upsert", b"d" * 32, b"<a/>", "{}") for key in ("甲", "乙", "c")]
        inbox.apply(conn, ROUTE, rows, batch_id=batch_id(1), at=AT)
        everything = inbox.small_bucket(conn, ROUTE, "", records=3, key_bytes=7)
        assert everything is not None
        assert sorted(one.key for one in everything) == ["c", "乙", "甲"]
        assert inbox.small_bucket(conn, ROUTE, "", records=2, key_bytes=7) is None
        assert inbox.small_bucket(conn, ROUTE, "", records=3, key_bytes=6) is None, "bytes of UTF-8, not characters"
        assert inbox.small_bucket(conn, "other/route/x", "", records=0, key_bytes=0) == []


def test_what_a_sender_last_sent_is_known_by_catalog(database: Database) -> None:
    for number, verdict in ((1, "accepted"), (2, "partly-accepted"), (3, "refused")):
        given = replace(inbox_batch(number), verdict=verdict, received_at=later(number))
        with database.begin() as conn:
            inbox.add_batch(conn, given, package=package(number), receipt=b"receipt")
    with database.read() as conn:
        sender, catalog, _ = ROUTE.split("/")
        assert inbox.last_received(conn) == {(sender, catalog): later(2)}
