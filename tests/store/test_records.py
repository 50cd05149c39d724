"""Records: held by key, numbered in order, one version up at every change."""

from __future__ import annotations

import pytest

from gateway.errors import StoreError
from gateway.store import records
from gateway.store.database import Database
from gateway.store.records import ChangedRecord, Held, NewRecord, StoredRecord
from tests.store.samples import AT, CATALOG, RUN, SOURCE, add_records, digest, later, open_run

MANY = 1_203  # not a whole number of chunks


def test_many_are_added_and_found_by_key(database: Database) -> None:
    keys = [f"黑交许〔2026〕{number}号" for number in range(MANY)]
    with database.begin() as conn:
        open_run(conn)
        ids = add_records(conn, *keys)
    assert len(set(ids)) == MANY
    with database.read() as conn:
        held = records.held(conn, CATALOG, SOURCE, [*keys, "unknown"])
        assert held == {key: Held(number, 1, digest(key), "upsert") for key, number in zip(keys, ids, strict=True)}
        assert records.held(conn, CATALOG, "other source", keys) == {}
        assert records.held(conn, "other catalog", SOURCE, keys) == {}
        assert records.held(conn, CATALOG, SOURCE, []) == {}


def test_nothing_to_add_is_nothing(database: Database) -> None:
    with database.begin() as conn:
        assert records.add(conn, [], catalog=CATALOG, source=SOURCE, run_id=RUN, at=AT) == []


def test_ids_go_on_where_they_were(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        first = add_records(conn, "a", "b")
    with database.begin() as conn:
        second = add_records(conn, "c", source="other")
    assert max(first) < min(second)


def test_a_key_is_held_once(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        add_records(conn, "a")
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        add_records(conn, "b", "a")
    with database.begin() as conn:
        assert set(records.held(conn, CATALOG, SOURCE, ["a", "b"])) == {"a"}
        add_records(conn, "a", source="other")


def test_records_come_back_in_the_order_asked_for(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ids = add_records(conn, *(str(number) for number in range(MANY)))
        wanted = [*reversed(ids), ids[3]]
        assert [row.id for row in records.fetch(conn, wanted)] == wanted
        assert records.fetch(conn, []) == []
        with pytest.raises(StoreError) as missing:
            records.fetch(conn, [ids[0], 999_999])
        assert missing.value.facts == {"record": 999_999}


def test_content_comes_back_as_it_was(database: Database) -> None:
    new = NewRecord("键", digest("x"), '{"content":"𠮷\\n\u3000"}', None, "2026-12-01")
    with database.begin() as conn:
        open_run(conn)
        ids = records.add(conn, [new], catalog=CATALOG, source=SOURCE, run_id=RUN, at=AT)
    with database.read() as conn:
        assert records.fetch(conn, ids) == [
            StoredRecord(ids[0], SOURCE, "键", 1, "upsert", None, "2026-12-01", None, '{"content":"𠮷\\n\u3000"}')
        ]


def test_every_change_is_the_next_version(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ids = add_records(conn, "a", "b", "c")
        records.change(
            conn,
            [
                ChangedRecord(ids[0], digest("A"), "{}", "other", "2026-12-24"),
                ChangedRecord(ids[2], digest("C"), "{}", None, None),
            ],
            run_id=RUN,
            at=later(1),
        )
        assert records.take_back(conn, ids[:2], op="withdraw", reason="revoked", run_id=RUN, at=later(2)) == 2
        held = records.held(conn, CATALOG, SOURCE, ["a", "b", "c"])
        found = [(held[key].version, held[key].op) for key in "abc"]
        assert found == [(3, "withdraw"), (2, "withdraw"), (2, "upsert")]
        assert held["a"].digest == digest("A")
        (withdrawn,) = records.fetch(conn, ids[:1])
        assert (withdrawn.reason, withdrawn.unit, withdrawn.deadline) == ("revoked", "other", "2026-12-24")


def test_taking_back_twice_is_once_and_the_other_order_is_another(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ids = add_records(conn, "a")
        assert records.take_back(conn, ids, op="withdraw", reason="gone", run_id=RUN, at=AT) == 1
        assert records.take_back(conn, ids, op="withdraw", reason="gone", run_id=RUN, at=AT) == 0
        assert records.take_back(conn, ids, op="stop-share", reason="repaired", run_id=RUN, at=AT) == 1
        assert records.held(conn, CATALOG, SOURCE, ["a"])["a"].version == 3


def test_what_comes_back_is_shared_again(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ids = add_records(conn, "a")
        records.take_back(conn, ids, op="withdraw", reason="gone", run_id=RUN, at=AT)
        records.change(conn, [ChangedRecord(ids[0], digest("a"), "{}", None, None)], run_id=RUN, at=AT)
        (row,) = records.fetch(conn, ids)
    assert (row.version, row.op, row.reason) == (3, "upsert", None)


def test_present_are_those_that_are_shared(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ids = add_records(conn, *(str(number) for number in range(MANY)))
        add_records(conn, "x", source="other")
        records.take_back(conn, ids[:600], op="withdraw", reason="gone", run_id=RUN, at=AT)
        assert sorted(records.present(conn, CATALOG, SOURCE)) == ids[600:]
        assert records.counts(conn, CATALOG) == {"upsert": MANY - 600 + 1, "withdraw": 600}
        assert records.counts(conn, CATALOG, "other") == {"upsert": 1}


def test_an_op_that_nobody_knows_is_refused(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        ids = add_records(conn, "a")
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        records.take_back(conn, ids, op="delete", reason="", run_id=RUN, at=AT)
