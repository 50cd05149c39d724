"""What is due, what was sealed, and what receivers made of it."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from gateway.errors import StoreError
from gateway.store import records, shares
from gateway.store.database import Database
from gateway.store.records import ChangedRecord
from gateway.store.shares import ListedOutcome, Share
from tests.store.samples import (
    AT,
    CATALOG,
    EXCHANGE,
    RUN,
    SOURCE,
    abandon,
    add_records,
    digest,
    open_run,
    ready_batch,
    seal_batch,
)


def due(conn: Connection, exchange: str = EXCHANGE) -> list[int]:
    return list(shares.due(conn, exchange, CATALOG, [SOURCE]))


def change(conn: Connection, number: int) -> None:
    records.change(conn, [ChangedRecord(number, digest("new"), "{}", None, None)], run_id=RUN, at=AT)


def withdraw(conn: Connection, number: int) -> None:
    records.take_back(conn, [number], op="withdraw", reason="revoked", run_id=RUN, at=AT)


def rejected(key: str, version: int = 1) -> ListedOutcome:
    return ListedOutcome(key, version, "rejected", "subject-code-invalid", "XK_XDR_SHXYM", "校验码不符")


def test_the_earliest_deadline_goes_first(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        none = add_records(conn, "a", "b")
        late = add_records(conn, "c", deadline="2026-12-24")
        soon = add_records(conn, "d", "e", deadline="2026-11-30")
        assert due(conn) == [*soon, *late, *none]
        assert shares.due(conn, EXCHANGE, CATALOG, [SOURCE]).typecode == "q"


def test_only_the_sources_and_the_catalog_of_the_exchange(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        here = add_records(conn, "a", deadline="2026-12-24")
        there = add_records(conn, "b", source="other", deadline="2026-11-30")
        assert list(shares.due(conn, EXCHANGE, CATALOG, [SOURCE, "other"])) == [*there, *here]
        assert list(shares.due(conn, EXCHANGE, CATALOG, ["other"])) == there
        assert not shares.due(conn, EXCHANGE, CATALOG, [])
        assert not shares.due(conn, EXCHANGE, "administrative-penalty", [SOURCE])


def test_what_is_sealed_is_due_again_when_it_changes_for_each_exchange_by_itself(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        first, second = add_records(conn, "a", "b")
        seal_batch(conn, 1, [first, second])
        assert due(conn) == []
        assert due(conn, "permits-to-ministry") == [first, second]
        change(conn, second)
        assert due(conn) == [second], "also while the batch is under way"


def test_a_withdrawal_goes_out_only_after_the_record_did(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        first, second = add_records(conn, "a", "b")
        seal_batch(conn, 1, [first])
        withdraw(conn, first)
        withdraw(conn, second)
        assert due(conn) == [first]
        change(conn, second)
        assert due(conn) == [first, second]


def test_a_receipt_settles_the_whole_batch(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ids = add_records(conn, "a", "b", "c", "d")
        name = seal_batch(conn, 1, ids[:3])
        superseded = ListedOutcome("c", 1, "unchanged", "superseded", "", "")
        assert shares.outcomes(conn, EXCHANGE) == {"open": 3}
        assert shares.settle(conn, EXCHANGE, name, [rejected("a"), superseded]) == 3
        assert shares.outcomes(conn, EXCHANGE) == {"accepted": 1, "rejected": 1, "unchanged": 1}
        assert list(shares.of_batch(conn, name)) == [
            Share(ids[0], "a", 1, "rejected", "subject-code-invalid", "XK_XDR_SHXYM", "校验码不符"),
            Share(ids[1], "b", 1, "accepted", None, None, None),
            Share(ids[2], "c", 1, "unchanged", "superseded", "", ""),
        ]
        assert shares.settle(conn, EXCHANGE, name, [rejected("a"), rejected("b")]) == 0, "settled once"
        assert due(conn) == ids[3:]


def test_a_rejected_record_goes_out_again_when_it_changes(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        (number,) = add_records(conn, "a")
        shares.settle(conn, EXCHANGE, seal_batch(conn, 1, [number]), [rejected("a")])
        assert due(conn) == []
        change(conn, number)
        assert due(conn) == [number]


def test_a_rejection_under_another_version_changes_nothing(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        name = seal_batch(conn, 1, add_records(conn, "a", "b"))
    with pytest.raises(StoreError) as refused, database.begin() as conn:
        shares.settle(conn, EXCHANGE, name, [rejected("a", version=2)])
    assert refused.value.code == "outcome-unmatched"
    with database.read() as conn:
        assert shares.outcomes(conn, EXCHANGE) == {"open": 2}


def test_a_late_receipt_does_not_speak_for_a_later_sealing(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        first, second = add_records(conn, "a", "b")
        old = seal_batch(conn, 1, [first, second])
        change(conn, first)
        new = seal_batch(conn, 2, [first])
        assert shares.settle(conn, EXCHANGE, old, [rejected("a"), rejected("b")]) == 1
        assert [share.outcome for share in shares.of_batch(conn, new)] == [None]
        assert shares.settle(conn, EXCHANGE, new, []) == 1


def test_an_abandoned_batch_gives_its_records_back(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        known, new = add_records(conn, "a", "b")
        shares.settle(conn, EXCHANGE, seal_batch(conn, 1, [known]), [])
        change(conn, known)
        name = seal_batch(conn, 2, [known, new])
        assert due(conn) == []
        abandon(conn, name)
        assert shares.release(conn, name) == 2
        assert due(conn) == [known, new]
        assert list(shares.of_batch(conn, name)) == []


def test_a_record_of_an_abandoned_batch_may_have_arrived_so_its_withdrawal_is_due(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        (number,) = add_records(conn, "a")
        name = seal_batch(conn, 1, [number])
        abandon(conn, name)
        shares.release(conn, name)
        withdraw(conn, number)
        assert due(conn) == [number]


def test_sending_again_at_an_operators_order(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        done, under_way, unknown = add_records(conn, "a", "b", "c")
        shares.settle(conn, EXCHANGE, seal_batch(conn, 1, [done]), [])
        seal_batch(conn, 2, [under_way])
        assert due(conn) == [unknown]
        assert shares.send_again(conn, EXCHANGE, [done, under_way, unknown]) == 1
        assert due(conn) == [done, unknown]
        again = seal_batch(conn, 3, [done])
        assert due(conn) == [unknown]
        abandon(conn, again)
        shares.release(conn, again)
        assert due(conn) == [unknown], "the receiver holds this version already"


def test_a_batch_is_stored_before_its_records_are_sealed(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        (number,) = add_records(conn, "a")
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        shares.seal(conn, EXCHANGE, "no such batch", [(number, 1)])


def test_an_unknown_outcome_is_refused(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        name = seal_batch(conn, 1, add_records(conn, "a"))
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        shares.settle(conn, EXCHANGE, name, [ListedOutcome("a", 1, "perhaps", "", "", "")])


def test_an_empty_batch_settles_to_nothing(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        assert shares.settle(conn, EXCHANGE, ready_batch(conn, 1), []) == 0
