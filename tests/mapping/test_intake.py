"""Columns of every type a driver gives, taken in as text without loss, or told as unreadable."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.intake import take_in


def texts(column: pl.Series) -> list[str | None]:
    intake = take_in(column, "Asia/Shanghai")
    assert intake.unreadable is None or not intake.unreadable.any()
    return intake.text.to_list()


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series(["森", None]), ["森", None]),
        (pl.Series([1, -2, None]), ["1", "-2", None]),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), ["18446744073709551615"]),
        (pl.Series([date(2019, 9, 1), None]), ["2019-09-01", None]),
        (pl.Series([datetime.fromisoformat("2019-09-01 23:30:00")]), ["2019-09-01 23:30:00"]),
        (pl.Series([datetime.fromisoformat("2019-09-01 23:30:00")]).dt.replace_time_zone("UTC"), ["2019-09-02 07:30:00"]),
        (pl.Series([time(8, 5)]), ["08:05:00"]),
        (pl.Series([Decimal("1.50"), Decimal("100.00"), None]), ["1.5", "100", None]),
        (pl.Series([Decimal(100)], dtype=pl.Decimal(38, 0)), ["100"]),
        (pl.Series([True, False]), ["true", "false"]),
        (pl.Series([None, None]), [None, None]),
        (pl.Series(["a"], dtype=pl.Categorical), ["a"]),
        (pl.Series(["a"], dtype=pl.Enum(["a"])), ["a"]),
        (pl.Series(["森".encode(), None]), ["森", None]),
        (pl.Series([0.2, 1.0, -0.0, 1e-7, 20190901.0, 43709.5, None]), ["0.2", "1", "0", "0.0000001", "20190901", "43709.5", None]),
        (pl.Series([0.2], dtype=pl.Float32), ["0.2"]),
    ],
)  # fmt: skip
def test_native_types_become_what_a_person_would_type(column: pl.Series, expected: list[str | None]) -> None:
    assert texts(column) == expected


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([b"\xff\xfe", None]),
        pl.Series([[1], None]),
        pl.Series([{"a": 1}, None]),
        pl.Series([timedelta(days=1), None]),
        pl.Series([object(), None], dtype=pl.Object),
        pl.Series([float("nan"), None]),
        pl.Series([float("inf"), None]),
        pl.Series([110105194912310021.0, None]),
    ],
)
def test_what_cannot_be_taken_in_is_told(column: pl.Series) -> None:
    intake = take_in(column, "Asia/Shanghai")
    assert intake.text.to_list() == [None, None]
    assert intake.unreadable is not None
    assert intake.unreadable.to_list() == [True, False]


@given(st.decimals(-(10**8), 10**8, places=6, allow_nan=False, allow_infinity=False))
@settings(max_examples=200, deadline=None)
def test_an_amount_that_came_as_a_binary_fraction_is_what_was_typed(amount: Decimal) -> None:
    (text,) = texts(pl.Series([float(amount)]))
    assert text is not None
    assert Decimal(text) == amount
