"""What becomes of one record in a resync, and how two sides of a comparison are told: every case by itself, without a database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.delivery.compare import Verdict, verdict
from gateway.delivery.exchange import Exchange
from gateway.delivery.resync import Fate, MappingOf, Versions, fate
from gateway.exchange.digests import RouteRecord
from gateway.store.standing import Carrier, Standing
from gateway.store.states import State

WHOLE, PART = SimpleNamespace(whole=True), SimpleNamespace(whole=False)
TODAY = SimpleNamespace(mapping_digest="today", format_id="credit-2018", format_version="2", sight=WHOLE)
EXCHANGE = cast(Exchange, TODAY)
CARRIERS = {
    "now": Carrier(sequence=3, mapping_digest="today", format="credit-2018 2", state=State.RECONCILED, kept=True),
    "then": Carrier(sequence=2, mapping_digest="older", format="credit-2018 2", state=State.RECONCILED, kept=True),
    "format": Carrier(sequence=1, mapping_digest="older", format="credit-2018 1", state=State.RECONCILED, kept=True),
    "erased": Carrier(sequence=1, mapping_digest="today", format="credit-2018 2", state=State.RECONCILED, kept=False),
    "open": Carrier(sequence=4, mapping_digest="today", format="credit-2018 2", state=State.UNKNOWN, kept=True),
    "disputed": Carrier(sequence=5, mapping_digest="today", format="credit-2018 2", state=State.DISPUTED, kept=True),
}


def record(**changes: Any) -> Standing:
    """Shared at version 2, taken, unchanged since, under today's mapping."""
    usual = Standing(1, "k", "upsert", 2, 2, 2, "now", "accepted")
    return usual._replace(**changes)


@pytest.mark.parametrize(
    ("one", "held", "expected"),
    [
        (record(), 0, Fate.AGAIN),
        (record(outcome="rejected", accepted=0), 0, Fate.AGAIN),
        (record(batch_id="then"), 0, Fate.RAISED),
        (record(batch_id="then", op="withdraw"), 0, Fate.AGAIN),
        (record(batch_id="then", version=3), 0, Fate.DUE),
        (record(sealed=None, accepted=None, batch_id=None, outcome=None), 0, Fate.DUE),
        (record(batch_id=None, outcome=None, sealed=0, accepted=0), 0, Fate.RAISED),
        (record(batch_id=None, outcome=None, op="withdraw"), 0, Fate.AGAIN),
        (record(sealed=0), 0, Fate.AGAIN),
        (record(sealed=0, batch_id="then"), 0, Fate.RAISED),
        (record(), 1, Fate.AGAIN),
        (record(), 2, Fate.RAISED),
        (record(op="stop-share"), 7, Fate.RAISED),
        (record(version=3), 3, Fate.RAISED),
        (record(version=4), 3, Fate.DUE),
        (record(sealed=None, accepted=None, batch_id=None, outcome=None), 2, Fate.RAISED),
        (record(batch_id="open", outcome=None), 0, Fate.UNDER_WAY),
        (record(batch_id="open", outcome=None), 9, Fate.UNDER_WAY),
        (record(batch_id="disputed", outcome=None), 0, Fate.AGAIN),
    ],
)
def test_under_todays_mapping(one: Standing, held: int, expected: Fate) -> None:
    assert fate(one, CARRIERS, EXCHANGE, MappingOf.TODAY, held) is expected


@pytest.mark.parametrize(
    ("one", "held", "expected"),
    [
        (record(), 0, Fate.AS_SENT),
        (record(batch_id="then"), 0, Fate.AS_SENT),
        (record(batch_id="then", version=3), 0, Fate.AS_SENT),
        (record(op="withdraw"), 0, Fate.AS_SENT),
        (record(op="withdraw", version=3), 0, Fate.TAKEN_BACK),
        (record(batch_id="format"), 0, Fate.OTHER_FORMAT),
        (record(batch_id="erased"), 0, Fate.ERASED),
        (record(batch_id=None, outcome=None), 0, Fate.NEVER_SENT),
        (record(sealed=None, accepted=None, batch_id=None, outcome=None), 0, Fate.NEVER_SENT),
        (record(), 1, Fate.AS_SENT),
        (record(), 3, Fate.HELD_ABOVE),
        (record(batch_id="open", outcome=None), 0, Fate.UNDER_WAY),
    ],
)
def test_as_sent(one: Standing, held: int, expected: Fate) -> None:
    assert fate(one, CARRIERS, EXCHANGE, MappingOf.AS_SENT, held) is expected


@pytest.mark.parametrize(("carrier", "expected"), [("now", Fate.AS_SENT), ("then", Fate.OTHER_SIGHT)])
def test_who_may_not_see_all_gets_nothing_of_an_older_mapping_again(carrier: str, expected: Fate) -> None:
    limited = cast(Exchange, SimpleNamespace(**{**vars(TODAY), "sight": PART}))
    assert fate(record(batch_id=carrier), CARRIERS, limited, MappingOf.AS_SENT, 0) is expected


def there(version: int, op: str = "upsert") -> RouteRecord:
    return RouteRecord("k", version, op, "0" * 64)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (record(), there(2), Verdict.IDENTICAL),
        (record(version=3), there(2), Verdict.IDENTICAL),
        (record(), there(1), Verdict.DIFFERENT),
        (record(), there(3), Verdict.DIFFERENT),
        (record(), None, Verdict.MISSING),
        (None, there(1), Verdict.UNKNOWN),
        (record(sealed=None, accepted=None, batch_id=None, outcome=None), there(1), Verdict.UNKNOWN),
        (record(accepted=0, outcome="rejected"), there(1), Verdict.UNKNOWN),
        (record(version=3, sealed=3, batch_id="open", outcome=None), there(3), Verdict.UNDER_WAY),
        (record(version=3, sealed=3, batch_id="open", outcome=None), there(2), Verdict.IDENTICAL),
        (record(version=3, sealed=3, batch_id="open", outcome=None), there(4), Verdict.DIFFERENT),
        (record(op="withdraw"), there(1), Verdict.WITHDRAWN),
        (record(op="withdraw"), there(1, "stop-share"), Verdict.DIFFERENT),
        (record(), there(3, "withdraw"), Verdict.WITHDRAWN),
        (record(op="withdraw", version=3), there(1), Verdict.DIFFERENT),
    ],
)
def test_how_two_sides_are_told(ours: Standing | None, theirs: RouteRecord | None, expected: Verdict) -> None:
    assert verdict(ours, theirs) is expected


def test_versions_by_record() -> None:
    held = Versions()
    for number in (9, 3, 700):
        held.put(number, number * 2)
    held.sort()
    assert [held.of(number) for number in (3, 9, 700, 1, 4, 701)] == [6, 18, 1400, 0, 0, 0]
