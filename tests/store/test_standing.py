"""Which records a person means, and how they stand, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Connection, update

from gateway.store import batches, records, shares, standing
from gateway.store.database import Database
from gateway.store.records import ChangedRecord, NewRecord
from gateway.store.shares import ListedOutcome
from gateway.store.standing import Carrier, Standing, Wanted
from gateway.store.states import State
from gateway.store.tables import batch, package
from tests.store.samples import (
    AT,
    CATALOG,
    EXCHANGE,
    RUN,
    SOURCE,
    abandon,
    add_records,
    batch_id,
    digest,
    later,
    new_batch,
    open_run,
    seal_batch,
)
from tests.store.samples import package as sample

OTHER = "permits-to-ministry"


def keys(conn: Connection, exchange: str = EXCHANGE, **what: object) -> list[str]:
    return [one.key for one in standing.wanted(conn, exchange, CATALOG, SOURCE, Wanted(**what))]  # type: ignore[arg-type]


def decided(conn: Connection, key: str, day: str, deadline: str | None, unit: str = "unit", at: str = AT) -> int:
    content = f'{{"document_number":"{key}","decided_on":"{day}","note":"a \\"quoted\\" 100% word?"}}'
    row = NewRecord(key, digest(key), content, unit, deadline)
    return records.add(conn, [row], catalog=CATALOG, source=SOURCE, run_id=RUN, at=at)[0]


def test_only_what_was_ever_shared_or_has_to_be(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        sealed, gone, new, back = add_records(conn, "a", "b", "c", "d")
        add_records(conn, "elsewhere", source="other")
        seal_batch(conn, 1, [sealed, back])
        records.take_back(conn, [gone, back], op="withdraw", reason="revoked", run_id=RUN, at=AT)
        assert keys(conn) == ["a", "c", "d"], "b was taken back before anybody got it"
        assert keys(conn, OTHER) == ["a", "c"]
        assert new not in [one.id for one in standing.standing(conn, EXCHANGE, [sealed])]


def test_earliest_deadline_first(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        decided(conn, "late", "2026-12-01", "2026-12-10")
        decided(conn, "none", "2026-01-01", None)
        decided(conn, "soon", "2026-11-01", "2026-11-10")
        assert keys(conn) == ["soon", "late", "none"]


def test_by_the_decision_date_in_the_content(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        for day in (1, 2, 3, 4):
            decided(conn, f"k{day}", f"2026-09-0{day}", f"2026-09-1{day}")
        decided(conn, "far", "2026-09-02", "2028-09-01")
        asked = ("decided_on", date(2026, 9, 2), date(2026, 9, 3))
        assert keys(conn, decided=asked) == ["k2", "k3", "far"]
        assert keys(conn, decided=("decided_on", date.min, date(2026, 9, 1))) == ["k1"]
        assert keys(conn, decided=("decided_on", date(2026, 9, 4), date.max)) == ["k4"]
        assert keys(conn, decided=("no_such_field", date.min, date.max)) == []


def test_by_the_time_of_change_unit_batch_outcome_and_key_together(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        first = decided(conn, "a", "2026-09-01", None, unit="u1", at=later(0))
        second = decided(conn, "b", "2026-09-02", None, unit="u2", at=later(10))
        third = decided(conn, "c", "2026-09-03", None, unit="u1", at=later(20))
        old = seal_batch(conn, 1, [first, second])
        new = seal_batch(conn, 2, [third])
        shares.settle(conn, EXCHANGE, old, [ListedOutcome("b", 1, "rejected", "x", "", "")])
        assert keys(conn, changed=(later(0), later(20))) == ["a", "b"]
        assert keys(conn, changed=("", later(10))) == ["a"]
        assert keys(conn, changed=(later(10), "~")) == ["b", "c"]
        assert keys(conn, unit="u1") == ["a", "c"]
        assert keys(conn, batch_id=old) == ["a", "b"]
        assert keys(conn, batch_id=new) == ["c"]
        assert keys(conn, rejected=True) == ["b"]
        assert keys(conn, keys=["c", "a", "nobody's"]) == ["a", "c"]
        assert keys(conn, unit="u1", keys=["a", "b"]) == ["a"]
        assert keys(conn, unit="u1", rejected=True) == []
        assert keys(conn, unit="u2", rejected=True, batch_id=old, keys=["b"], changed=(later(10), later(11))) == ["b"]
        asked = ("decided_on", date(2026, 9, 1), date(2026, 9, 3))
        assert keys(conn, decided=asked, keys=["a", "b", "c"]) == [], "without a deadline there was no decision date"


def test_how_a_record_stands(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        done, travelling, new = add_records(conn, "a", "b", "c")
        shares.settle(conn, EXCHANGE, seal_batch(conn, 1, [done]), [])
        seal_batch(conn, 2, [travelling])
        records.change(conn, [ChangedRecord(done, digest("new"), "{}", None, None)], run_id=RUN, at=AT)
        found = {one.id: one for one in standing.standing(conn, EXCHANGE, [new, done, travelling])}
        assert found[done] == Standing(done, "a", "upsert", 2, 1, 1, batch_id(1), "accepted")
        assert found[travelling] == Standing(travelling, "b", "upsert", 1, 1, 0, batch_id(2), None)
        assert found[new] == Standing(new, "c", "upsert", 1, None, None, None, None)
        assert [found[number].under_way for number in (done, travelling, new)] == [False, True, False]
        by_key = standing.standing_of_keys(conn, EXCHANGE, CATALOG, SOURCE, ["a", "c", "x"])
        assert by_key == {"a": found[done], "c": found[new]}
        assert list(standing.accepted(conn, EXCHANGE, CATALOG)) == [("a", 1, done)]
        assert list(standing.accepted(conn, EXCHANGE, "administrative-penalty")) == []
        assert standing.shared_elsewhere(conn, [EXCHANGE], CATALOG, ["a", "b", "c"]) == {"a", "b"}
        assert standing.shared_elsewhere(conn, [OTHER], CATALOG, ["a"]) == set()


def test_the_batches_that_carried_records(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        batches.add_batch(conn, replace(new_batch(1), mapping_digest="e" * 64, format="other/2"), sample(1))
        seal_batch(conn, 2, [])
        abandon(conn, batch_id(2))
        conn.execute(package.delete().where(package.c.batch_id == batch_id(2)))
        assert standing.carriers(conn, EXCHANGE) == {
            batch_id(1): Carrier(sequence=1, mapping_digest="e" * 64, format="other/2", state=State.READY, kept=True),
            batch_id(2): Carrier(
                sequence=2, mapping_digest="b" * 64, format="credit-2018/1", state=State.ABANDONED, kept=False
            ),
        }
        assert standing.carriers(conn, OTHER) == {}


@pytest.mark.parametrize(("least", "expected"), [(0, 2), (2, 2), (5, 5), (1, 2)])
def test_a_version_is_raised_above_its_own_and_to_the_least(database: Database, least: int, expected: int) -> None:
    with database.begin() as conn:
        open_run(conn)
        (number,) = add_records(conn, "a")
        before = records.held(conn, CATALOG, SOURCE, ["a"])["a"]
        assert records.raise_versions(conn, [(number, least)]) == 1
        assert records.held(conn, CATALOG, SOURCE, ["a"])["a"] == before._replace(version=expected)
        (stored,) = records.fetch(conn, [number])
        assert stored.content == '{"document_number":"a"}'


def test_raising_for_one_exchange_leaves_the_others_at_rest(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        settled, travelling, changed, unsealed = add_records(conn, "a", "b", "c", "d")
        seal_batch(conn, 1, [settled, travelling, changed, unsealed])
        for sequence, numbers in ((2, [settled, changed]), (3, [travelling])):
            other = replace(new_batch(sequence), exchange=OTHER)
            batches.add_batch(conn, other, sample(sequence))
            shares.seal(conn, OTHER, other.id, [(number, 1) for number in numbers])
        shares.settle(conn, OTHER, batch_id(2), [])
        records.change(conn, [ChangedRecord(changed, digest("new"), "{}", None, None)], run_id=RUN, at=AT)
        rows = [(settled, 0), (travelling, 0), (changed, 9), (unsealed, 0)]
        assert shares.leave_undisturbed(conn, EXCHANGE, rows) == 1
        records.raise_versions(conn, rows)
        assert list(shares.due(conn, OTHER, CATALOG, [SOURCE])) == [travelling, changed, unsealed], (
            "what travels there, what changed and what was never sent there is due; what is settled is not"
        )
        assert list(shares.due(conn, EXCHANGE, CATALOG, [SOURCE])) == [settled, travelling, changed, unsealed]


def test_the_records_of_a_disputed_batch_can_be_sent_again(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        (number,) = add_records(conn, "a")
        name = seal_batch(conn, 1, [number])
        assert shares.send_again(conn, EXCHANGE, [number]) == 0
        conn.execute(update(batch).where(batch.c.id == name).values(state="disputed"))
        assert shares.send_again(conn, EXCHANGE, [number]) == 1


def test_a_withdrawal_sent_once_more_is_no_new_one(database: Database) -> None:
    """The guard against mass withdrawals counts what is taken back, not what is said again."""
    with database.begin() as conn:
        open_run(conn)
        (number,) = add_records(conn, "a")
        seal_batch(conn, 1, [number])
        records.take_back(conn, [number], op="withdraw", reason="revoked", run_id=RUN, at=AT)
        assert shares.due_withdrawals(conn, EXCHANGE, CATALOG, SOURCE) == 1
        shares.settle(conn, EXCHANGE, seal_batch(conn, 2, [number]), [])
        shares.send_again(conn, EXCHANGE, [number])
        assert list(shares.due(conn, EXCHANGE, CATALOG, [SOURCE])) == [number]
        assert shares.due_withdrawals(conn, EXCHANGE, CATALOG, SOURCE) == 0
