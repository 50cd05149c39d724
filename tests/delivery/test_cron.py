"""Cron expressions: what is read, what is refused and why."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.cron import parse_cron
from gateway.errors import ConfigError
from tests.delivery.wallclock import crons, fits

MONDAY = datetime(2026, 11, 23)  # noqa: DTZ001  # times on the wall have no zone


def times(text: str, count: int, start: datetime = MONDAY) -> list[str]:
    cron, found = parse_cron(text), []
    for _ in range(count):
        wall = cron.next(start)
        assert wall is not None
        found.append(wall.strftime("%a %d %b %H:%M:%S"))
        start = wall + timedelta(seconds=1)
    return found


def test_five_fields() -> None:
    assert times("*/15 8-18 * * mon-fri", 2) == ["Mon 23 Nov 08:00:00", "Mon 23 Nov 08:15:00"]
    assert times("45 18 * * mon-fri", 2, datetime(2026, 11, 27)) == ["Fri 27 Nov 18:45:00", "Mon 30 Nov 18:45:00"]  # noqa: DTZ001


def test_six_fields_have_seconds_in_front() -> None:
    assert times("30 0 8 * * *", 2) == ["Mon 23 Nov 08:00:30", "Tue 24 Nov 08:00:30"]
    assert parse_cron("  30  0 8 * *   * ").text == "30 0 8 * * *"


def test_names_whatever_their_case() -> None:
    assert times("0 0 1 JAN,mar-Apr *", 4) == [
        "Fri 01 Jan 00:00:00",
        "Mon 01 Mar 00:00:00",
        "Thu 01 Apr 00:00:00",
        "Sat 01 Jan 00:00:00",
    ]
    assert times("0 0 * * SUN", 1) == ["Sun 29 Nov 00:00:00"]


def test_a_step_after_names_counts() -> None:
    """APScheduler's own reading would pass over it."""
    assert [each[7:10] for each in times("0 0 1 jan-dec/5 *", 3)] == ["Jan", "Jun", "Nov"]


def test_a_29_february_that_skips_eight_years() -> None:
    cron = parse_cron("0 0 29 2 *")
    assert cron.next(datetime(2096, 3, 1)) == datetime(2104, 2, 29)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "schedule-fields"),
        ("@daily", "schedule-fields"),
        ("0 8 * *", "schedule-fields"),
        ("0 0 8 * * mon 2026", "schedule-fields"),
        ("60 8 * * *", "schedule-field"),
        ("0 24 * * *", "schedule-field"),
        ("0 8 0 * *", "schedule-field"),
        ("0 8 32 * *", "schedule-field"),
        ("0 8 * 13 *", "schedule-field"),
        ("*/0 8 * * *", "schedule-field"),
        ("*/60 8 * * *", "schedule-field"),
        ("18-8 8 * * *", "schedule-field"),
        ("5/15 8 * * *", "schedule-field"),
        ("1,,2 8 * * *", "schedule-field"),
        ("-5 8 * * *", "schedule-field"),
        ("٣ 8 * * *", "schedule-field"),
        ("0 8 L * *", "schedule-field"),
        ("0 8 last * *", "schedule-field"),
        ("0 8 * * mon-fri!", "schedule-field"),
        ("0 8 * * fri-mon", "schedule-field"),
        ("0 8 * * monday", "schedule-field"),
        ("0 8 * janx *", "schedule-field"),
        ("0 8 * mon *", "schedule-field"),
        ("0 8 * * 1-5", "schedule-weekday-digits"),
        ("0 8 * * mon#1", "schedule-weekday-digits"),
        ("0 8 * * mon-fri/2", "schedule-weekday-digits"),
        ("0 8 1 * mon", "schedule-two-days"),
        ("0 8 */2 * mon-fri", "schedule-two-days"),
        ("0 8 30 2 *", "schedule-never"),
        ("0 8 31 feb,apr,jun *", "schedule-never"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cron(text)
    assert caught.value.code == code


def test_a_field_that_is_not_restricted_is_free_however_it_is_written() -> None:
    assert times("0 8 1-31 * mon", 1) == ["Mon 23 Nov 08:00:00"]
    assert times("0 8 24 * mon-sun", 1) == ["Tue 24 Nov 08:00:00"]


@given(crons(), st.integers(0, 60 * 24 * 800))
def test_the_next_time_fits_and_none_before_it(text: str, minutes: int) -> None:
    start = MONDAY + timedelta(minutes=minutes)
    found = parse_cron(text).next(start)
    assert found is not None
    assert fits(text, found)
    gap = min(int((found - start).total_seconds()) // 60, 2000)
    assert not any(fits(text, start + timedelta(minutes=each)) for each in range(gap))
