"""Columns of values: typed where they are of one type, in one plain form where they are not, unreadable where they are nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.values import Unreadable, as_series, plain

SHANGHAI = ZoneInfo("Asia/Shanghai")
NINE = datetime(2026, 7, 27, 9, 30)  # noqa: DTZ001 - local
BAD = Unreadable(value_class="not-text")


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([None, None], pl.String(), [None, None]),
        (["乡", None, ""], pl.String(), ["乡", None, ""]),
        (["乡".encode(), None], pl.String(), ["乡", None]),
        ([1, None, -(2**63)], pl.Int64(), [1, None, -(2**63)]),
        ([1, 2**63], pl.String(), ["1", "9223372036854775808"]),
        ([0.2, None], pl.Float64(), [0.2, None]),
        ([Decimal("0.20"), Decimal("1E+2"), None], pl.Decimal(38, 2), [Decimal("0.20"), Decimal("100.00"), None]),
        ([Decimal(1), Decimal("1E-39")], pl.String(), ["1", "0." + "0" * 38 + "1"]),
        ([Decimal("1E+38")], pl.String(), ["1" + "0" * 38]),
        ([date(2026, 7, 27), None], pl.Date(), [date(2026, 7, 27), None]),
        ([NINE, None], pl.Datetime("us"), [NINE, None]),
        ([datetime(2026, 7, 27, 1, 30, tzinfo=UTC), NINE], pl.Datetime("us"), [NINE, NINE]),
        ([date(2026, 7, 27), NINE], pl.String(), ["2026-07-27", "2026-07-27 09:30:00"]),
        ([True, False, None], pl.String(), ["true", "false", None]),
        ([1, "1", 1.0, 0.5, 1e21, Decimal("1.0")], pl.String(), ["1", "1", "1", "0.5", "1" + "0" * 21, "1.0"]),
        (
            [time(9, 30), timedelta(hours=-30, seconds=-1), timedelta(hours=1)],
            pl.String(),
            ["09:30:00", "-30:00:01", "01:00:00"],
        ),
        ([{"乡": [1]}, [NINE]], pl.String(), ['{"乡": [1]}', '["2026-07-27 09:30:00"]']),
        ([UUID(int=1), memoryview(b"x")], pl.String(), ["00000000-0000-0000-0000-000000000001", "x"]),
    ],
)
def test_one_type_is_kept_and_several_are_spelled(values: list[Any], dtype: pl.DataType, expected: list[Any]) -> None:
    series, unreadable = as_series("c", values, SHANGHAI)
    assert series.name == "c"
    assert series.dtype == dtype
    assert series.to_list() == expected
    assert unreadable == {}


@pytest.mark.parametrize(
    ("values", "dtype", "places"),
    [
        ([b"x", b"\xff", None, b"\xc3("], pl.String(), [1, 3]),
        ([0.2, float("nan"), float("-inf")], pl.Float64(), [1, 2]),
        ([Decimal(1), Decimal("NaN"), Decimal("Infinity")], pl.Decimal(38, 0), [1, 2]),
        ([BAD, date(2026, 7, 27), None], pl.Date(), [0]),
        ([BAD, 1, "x"], pl.String(), [0]),
        ([BAD, BAD], pl.String(), [0, 1]),
        ([b"\xff"], pl.String(), [0]),
    ],
)
def test_an_unreadable_value_costs_neither_the_others_nor_their_type(
    values: list[Any], dtype: pl.DataType, places: list[int]
) -> None:
    series, unreadable = as_series("c", values, SHANGHAI)
    assert series.dtype == dtype
    assert list(unreadable) == places
    lost = [None if place in places else value for place, value in enumerate(values)]
    assert [value is None for value in series.to_list()] == [value is None for value in lost]


MIXED = st.one_of(
    st.none(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.binary(max_size=3),
    st.dates(),
    st.booleans(),
)


@given(values=st.lists(MIXED, min_size=1, max_size=20))
def test_a_value_is_spelled_alike_whatever_stands_beside_it(values: list[Any]) -> None:
    together, unreadable = as_series("c", [*values, "text", 1], SHANGHAI)
    for place, value in enumerate(values):
        alone, bad = as_series("c", [value, "text", 1], SHANGHAI)
        assert alone[0] == together[place]
        assert bool(bad) == (place in unreadable)


@pytest.mark.parametrize(
    ("number", "text"), [("1E+3", "1000"), ("0.2000", "0.2"), ("10.00", "10"), ("-0.50", "-0.5"), ("100", "100")]
)
def test_a_plain_number_has_no_exponent_and_no_idle_zeros(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text
