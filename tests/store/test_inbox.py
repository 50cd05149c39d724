"""What peers sent: batches in order, records only upwards, heads of ledgers never forked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import StoreError
from gateway.store import buckets, inbox
from gateway.store.database import Database
from gateway.store.inbox import InboxHeld, InboxRow, SenderHead
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


def test_the_largest_head_of_a_peer_is_remembered(database: Database) -> None:
    first = SenderHead(sender="peer", size=10, root=b"\x01" * 32, note=b"ten", at=AT)
    larger = replace(first, size=20, root=b"\x02" * 32, note=b"twenty", at=later(1))
    with database.begin() as conn:
        assert inbox.sender_head_of(conn, "peer") is None
        assert inbox.remember_head(conn, first)
        assert inbox.remember_head(conn, larger)
        assert not inbox.remember_head(conn, replace(larger, at=later(2)))
        assert not inbox.remember_head(conn, first), "a void batch brings an older one"
        assert inbox.sender_head_of(conn, "peer") == larger
        with pytest.raises(StoreError) as forked:
            inbox.remember_head(conn, replace(larger, root=b"\x03" * 32))
        assert forked.value.facts == {"sender": "peer", "size": 20}
        assert inbox.remember_head(conn, replace(first, sender="other"))
