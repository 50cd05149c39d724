"""Publication periods in runs: fixed once, ended by themselves, for the public alone."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from gateway.catalog.model import Disclosure
from gateway.catalog.publicity import add_months
from gateway.delivery.exchange import Exchange
from gateway.delivery.terms import Terms
from gateway.mapping.disclosure import Sight
from gateway.store import publicity, record_orders, records
from gateway.store.database import Database
from tests.delivery.organisation import Desk, SetClock
from tests.mapping.record_samples import catalog, library
from tests.store.samples import RUN

ZONE = ZoneInfo("Asia/Shanghai")
OF = catalog("administrative-penalty")
AT = "2026-11-22T07:00:00.000000Z"


def exchange(clearance: Disclosure = Disclosure.PUBLIC) -> Exchange:
    """As much of an exchange as the periods look at."""
    looked_at = SimpleNamespace(
        name="e", catalog=OF, source=SimpleNamespace(name="s"), sight=Sight(catalog=OF, clearance=clearance)
    )
    return cast(Exchange, cast(Any, looked_at))


def add(database: Database, key: str, **content: str) -> int:
    whole = {"decided_on": "2026-05-01", "penalty_kinds": "罚款", **content}
    row = records.NewRecord(key, b"d" * 32, json.dumps(whole, ensure_ascii=False), None, None)
    with database.begin() as conn:
        return records.add(conn, [row], catalog=OF.id, source="s", run_id=RUN, at=AT)[0]


def stands(database: Database, number: int) -> tuple[str, str | None]:
    with database.read() as conn:
        [record] = records.fetch(conn, [number])
    return record.op, record.reason


@pytest.fixture
def database(desk: Desk) -> Database:
    return desk.database


@pytest.fixture
def terms(database: Database) -> Terms:
    return Terms(database=database, regimes=library().regimes, zone=ZONE, clock=SetClock())


def test_fixed_once_and_ended_on_the_day_after_the_last(database: Database, terms: Terms) -> None:
    clock = cast(SetClock, terms.clock)
    ordinary, minor = add(database, "1"), add(database, "2", penalty_kinds="警告")
    assert terms.keep(exchange()) == {"not-published": 1}
    assert stands(database, ordinary) == ("upsert", None)
    assert stands(database, minor) == ("withdraw", "not-published")
    with database.read() as conn:
        assert publicity.of(conn, [ordinary, minor])[ordinary].until == "2027-05-01"
        assert minor not in publicity.of(conn, [minor])
    # The record is rewritten as a serious case with an end of its own: what was fixed stays.
    with database.begin() as conn:
        content = '{"decided_on":"2026-10-01","penalty_kinds":"吊销许可证件","publicity_until":"2029-01-01"}'
        records.change(conn, [records.ChangedRecord(ordinary, b"e" * 32, content, None, None)], run_id=RUN, at=AT)
    assert terms.keep(exchange()) == {}
    last = datetime(2027, 5, 1, 23, 59, tzinfo=ZONE)
    clock.time = last
    assert terms.keep(exchange()) == {}
    clock.time = last + timedelta(minutes=2)
    assert terms.keep(exchange()) == {"publicity-over": 1}
    assert stands(database, ordinary) == ("withdraw", "publicity-over")
    assert terms.keep(exchange()) == {}
    # Shared again by a person it is still over.
    with database.begin() as conn:
        record_orders.lift(conn, [ordinary], at=AT)
    assert terms.keep(exchange()) == {"publicity-over": 1}


def test_a_government_exchange_keeps_no_periods(database: Database, terms: Terms) -> None:
    number = add(database, "1", penalty_kinds="警告", decided_on="2010-01-01")
    assert terms.keep(exchange(Disclosure.GOVERNMENT)) == {}
    assert stands(database, number) == ("upsert", None)


def test_what_is_over_before_its_first_publication_is_never_published(database: Database, terms: Terms) -> None:
    number = add(database, "1", decided_on="2020-01-01")
    assert terms.keep(exchange()) == {"publicity-over": 1}
    assert stands(database, number) == ("withdraw", "publicity-over")
    assert add_months(date(2020, 1, 1), 12) < date(2026, 11, 22)
