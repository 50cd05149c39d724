"""Positions: written so that they compare rightly later, and settled downwards wherever there is a doubt."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SourceError
from gateway.sources.position import Kind, Position
from tests.sources.conftest import code_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
TEN_MINUTES = timedelta(minutes=10)
SHAPES = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M%S"]


def at(value: Any) -> Position:
    position = Position.of(value)
    assert position is not None
    return position


def floor(value: Any, overlap: Any, zone: ZoneInfo = SHANGHAI) -> Any:
    return at(value).floor(overlap, zone, source="permits", cursor="changed")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


VALUES = st.one_of(
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.datetimes(),
    st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    st.text(),
)


@given(value=VALUES)
def test_a_position_is_read_as_it_was_written(value: Any) -> None:
    position = at(value)
    assert Position.parse(position.text(), source="permits") == position


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (123, "integer:123"),
        (Decimal("1.50"), "decimal:1.50"),
        (0.1, "real:0.1"),
        (date(2026, 7, 27), "date:2026-07-27"),
        (local("2026-07-27T09:30:00.000001"), "timestamp:2026-07-27T09:30:00.000001"),
        (local("2026-07-27T09:30:00.000001+08:00"), "instant:2026-07-27T01:30:00.000001Z"),
        ("2026-07-27 09:30:00", "text:2026-07-27 09:30:00"),
        ("a:b", "text:a:b"),
    ],
)
def test_the_written_form_tells_the_type(value: Any, text: str) -> None:
    assert at(value).text() == text


@pytest.mark.parametrize(
    "value", [None, True, b"x", float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), [], timedelta(1)]
)
def test_what_orders_nothing_is_no_position(value: object) -> None:
    assert Position.of(value) is None


@pytest.mark.parametrize(
    ("value", "overlap", "expected"),
    [
        (100, 10, 90),
        (Decimal("1.5"), 1, Decimal("0.5")),
        (0.5, 1, -0.5),
        (date(2026, 7, 27), timedelta(seconds=1), date(2026, 7, 26)),
        (date(2026, 7, 27), timedelta(days=2), date(2026, 7, 25)),
        (date.min, timedelta(days=2), date.min),
        (local("2026-07-27T00:05:00.25"), TEN_MINUTES, local("2026-07-26T23:55:00.25")),
        (local("0001-01-01T00:00:00"), TEN_MINUTES, local("0001-01-01T00:00:00")),
        (datetime.min.replace(tzinfo=UTC), TEN_MINUTES, datetime.min.replace(tzinfo=UTC)),
        ("2026-07-27 09:30:00.25", TEN_MINUTES, "2026-07-27 09:20"),
        ("2026-07-27T09:30:00Z", TEN_MINUTES, "2026-07-27 09:20"),
        ("2026-07-27", TEN_MINUTES, "2026-07-26"),
        ("2026/07/27 09:30", TEN_MINUTES, "2026/07/27 09:20"),
        ("20260727", TEN_MINUTES, "20260726"),
        ("20260727093000", TEN_MINUTES, "20260727092000"),
        ("anything", timedelta(0), "anything"),
        ("anything", 0, "anything"),
        (7, timedelta(0), 7),
    ],
)
def test_the_floor_is_the_overlap_below_the_position(value: Any, overlap: Any, expected: Any) -> None:
    assert floor(value, overlap) == expected


@pytest.mark.parametrize(
    ("value", "overlap"),
    [(7, TEN_MINUTES), ("2026-07-27", 7), ("7", TEN_MINUTES), ("2026-02-30", TEN_MINUTES), (date.max, 7)],
)
def test_an_overlap_of_another_kind_is_refused(value: Any, overlap: Any) -> None:
    with pytest.raises(SourceError) as error:
        floor(value, overlap)
    assert code_of(error) == "cursor-overlap-unusable"


TIMES = st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9998, 1, 1))  # noqa: DTZ001 - texts without zone


@given(
    seen=TIMES,
    back=st.timedeltas(timedelta(0), TEN_MINUTES),
    shape=st.sampled_from(SHAPES),
    other=st.sampled_from(SHAPES[:3]),
)
def test_no_text_within_the_overlap_sorts_before_the_floor(
    seen: datetime, back: timedelta, shape: str, other: str
) -> None:
    """Whatever the separator, and whether or not seconds and their fraction are written."""
    written = other if shape in SHAPES[:3] else shape
    late = (seen - back).strftime(written)
    fractions = ["", ".5"] if "-" in shape and shape.endswith("%S") else [""]
    for fraction in fractions:
        assert floor(seen.strftime(shape) + fraction, TEN_MINUTES) <= late


def test_the_hour_that_the_clocks_repeat_is_read_from_its_first_pass() -> None:
    """In Berlin 2026-10-25 has two hours from 02:00 on: a row of the second pass may be stamped before one of the first."""
    assert floor(local("2026-10-25T02:59:59"), TEN_MINUTES, BERLIN) == local("2026-10-25T01:49:59")
    assert floor(local("2026-10-25T02:59:59"), timedelta(0), BERLIN) == local("2026-10-25T01:59:59")
    assert floor(local("2026-10-25T03:00:00"), TEN_MINUTES, BERLIN) == local("2026-10-25T02:50:00")
    assert floor(local("2026-03-29T02:30:00"), timedelta(0), BERLIN) == local(
        "2026-03-29T02:30:00"
    )  # an hour that is not
    assert floor(local("2026-10-25T02:59:59"), TEN_MINUTES) == local("2026-10-25T02:49:59")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (local("2099-12-31T00:00:00"), "timestamp:2026-07-27T12:00:00"),
        (local("2026-07-27T12:00:00"), "timestamp:2026-07-27T12:00:00"),
        (local("2026-07-27T04:00:01+00:00"), "instant:2026-07-27T04:00:00.000000Z"),
        (date(2026, 7, 28), "date:2026-07-27"),
        ("2099-12-31T00:00:00", "text:2026-07-27 12:00"),
        ("2026-07-27T11:59:59", "text:2026-07-27T11:59:59"),
        ("20991231", "text:20260727"),
        ("乡", "text:乡"),
        (2**70, f"integer:{2**70}"),
    ],
)
def test_a_position_is_never_in_the_future(value: Any, expected: str) -> None:
    assert at(value).capped(local("2026-07-27T12:00:00+08:00"), SHANGHAI).text() == expected


def test_a_position_goes_forward_only() -> None:
    assert at(7).later(at(Decimal("7.5"))).text() == "decimal:7.5"
    assert at("b").later(at("a")).text() == "text:b"
    assert {kind.family for kind in Kind} == {"number", "date", "timestamp", "instant", "text"}
