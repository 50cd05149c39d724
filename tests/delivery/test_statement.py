"""A statement balances, or the run does not close."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.idset import IdSet
from gateway.delivery.statement import Answered, Statement
from gateway.errors import DeliveryError

GOOD = Statement(
    run_id="r",
    exchange="e",
    rows=100,
    vanished=3,
    carried=2,
    unchanged=80,
    quarantined=5,
    sealed=20,
    upsert=17,
    withdraw=3,
    batches=2,
    batch_totals=20,
    answered=Answered(created=10, updated=4, withdrawn=3, rejected=1),
    quarantined_by={"required-missing": 4, "too-long": 1},
)


def test_a_right_account_closes() -> None:
    GOOD.balance()
    assert (GOOD.read, GOOD.open) == (105, 2)
    figures = GOOD.figures()
    assert figures["read"] == figures["unchanged"] + figures["quarantined"] + figures["sealed"]


@pytest.mark.parametrize(
    "name", ["rows", "vanished", "carried", "unchanged", "quarantined", "sealed", "upsert", "withdraw", "batch_totals"]
)
def test_one_record_too_many_anywhere_is_noticed(name: str) -> None:
    with pytest.raises(DeliveryError, match="statement-unbalanced"):
        dataclasses.replace(GOOD, **{name: getattr(GOOD, name) + 1}).balance()


def test_more_answers_than_records_are_noticed() -> None:
    with pytest.raises(DeliveryError, match="answered"):
        dataclasses.replace(GOOD, answered=Answered(created=21)).balance()


@given(st.lists(st.integers(0, 100_000)))
def test_an_id_set_is_a_set(numbers: list[int]) -> None:
    ids = IdSet()
    fresh = [number for number in numbers if ids.add(number)]
    assert len(fresh) == len(set(numbers)) == len(ids)
    assert list(ids) == sorted(set(numbers))
    assert all(number in ids for number in numbers)
    assert 100_001 not in ids
