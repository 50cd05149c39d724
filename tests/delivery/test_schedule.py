"""Schedules in a zone: the rule at changes of the clocks, working days, and a walk through every minute as the model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.calendar import WorkingDays
from gateway.delivery.cron import parse_cron
from gateway.delivery.schedule import Schedule, Tick, Why
from tests.delivery.wallclock import changes, crons, naive_ticks

BERLIN, NEW_YORK, SHANGHAI = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Shanghai"))
HOUR = timedelta(hours=1)
# Every change of clocks of these years; Shanghai had summer time until 1991, Lord Howe changes by half an hour.
CHANGES = [
    (zone, moment, by)
    for zone, first, last in (
        (BERLIN, 2025, 2027),
        (NEW_YORK, 2025, 2027),
        (SHANGHAI, 1988, 1991),
        (ZoneInfo("Australia/Lord_Howe"), 2026, 2026),
    )
    for moment, by in changes(zone, first, last)
]


def schedule(text: str, zone: ZoneInfo = SHANGHAI, working_days: WorkingDays | None = None) -> Schedule:
    return Schedule(cron=parse_cron(text), zone=zone, working_days=working_days)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day_of(moment: datetime, when: Schedule, hours: int = 30) -> tuple[Tick, ...]:
    return when.between(moment - timedelta(hours=hours), moment + timedelta(hours=hours), 10_000)


def test_shanghai_has_changes_to_test_with() -> None:
    assert len([moment for zone, moment, _ in CHANGES if zone is SHANGHAI]) == 8


def test_a_time_that_the_clocks_skip_is_due_when_they_have_jumped() -> None:
    spring = utc("2026-03-29T01:00:00")
    ticks = day_of(spring, schedule("30 2 * * *", BERLIN))
    assert [(tick.due_at[:16], tick.wall.isoformat()[:16], tick.why) for tick in ticks] == [
        ("2026-03-28T01:30", "2026-03-28T02:30", ()),
        ("2026-03-29T01:00", "2026-03-29T02:30", (Why.MOVED,)),
        ("2026-03-30T00:30", "2026-03-30T02:30", ()),
    ]


def test_a_time_that_the_clocks_repeat_is_due_the_first_time_only() -> None:
    autumn = utc("2026-11-01T06:00:00")
    ticks = day_of(autumn, schedule("30 1 * * *", NEW_YORK))
    assert [(tick.due_at[:16], tick.why) for tick in ticks] == [
        ("2026-10-31T05:30", ()),
        ("2026-11-01T05:30", (Why.FIRST,)),
        ("2026-11-02T06:30", ()),
    ]


def test_many_skipped_times_are_one_tick_and_a_repeated_hour_is_not_run_again() -> None:
    every = schedule("*/15 * * * *", BERLIN)
    spring, autumn = utc("2026-03-29T01:00:00"), utc("2026-10-25T01:00:00")
    around = every.between(spring - HOUR / 2, spring + HOUR / 2, 99)
    assert [(tick.due_at[11:16], tick.why) for tick in around] == [
        ("00:45", ()),
        ("01:00", ()),  # 03:00 is a tick of its own: what was skipped before it falls together with it
        ("01:15", ()),
        ("01:30", ()),
    ]
    around = every.between(autumn - HOUR / 2, autumn + HOUR * 3 / 2, 99)
    assert [tick.due_at[11:16] for tick in around] == ["00:45", "02:00", "02:15", "02:30"]


def test_the_day_that_samoa_left_out() -> None:
    ticks = schedule("0 12 * * *", ZoneInfo("Pacific/Apia")).between(
        utc("2011-12-29T00:00:00"), utc("2012-01-01T00:00:00"), 99
    )
    assert [(tick.due_at[:16], tick.why) for tick in ticks] == [
        ("2011-12-29T22:00", ()),
        ("2011-12-30T10:00", (Why.MOVED,)),  # 12:00 on 30 December never was: midnight of the 31st
        ("2011-12-30T22:00", ()),
        ("2011-12-31T22:00", ()),
    ]


@pytest.mark.parametrize("text", ["30 2 * * *", "*/20 * * * *", "0 0-4 * * *", "59 23 * * *", "0 0 * * sun"])
@pytest.mark.parametrize(("zone", "moment", "by"), CHANGES, ids=str)
def test_every_change_of_clocks_against_a_walk_through_its_minutes(
    text: str, zone: ZoneInfo, moment: datetime, by: timedelta
) -> None:
    start, end = moment - 26 * HOUR, moment + 26 * HOUR
    ticks = schedule(text, zone).between(start, end, 10_000)
    assert [tick.at for tick in ticks] == naive_ticks(text, zone, start, end)
    assert any(Why.MOVED in tick.why for tick in ticks) <= (by > timedelta())
    assert any(Why.FIRST in tick.why for tick in ticks) <= (by < timedelta())


@settings(max_examples=60, deadline=None)
@given(crons(), st.sampled_from(CHANGES), st.integers(-40 * 60, 40 * 60), st.integers(0, 59))
def test_any_schedule_near_a_change_against_a_walk(
    text: str, change: tuple[ZoneInfo, datetime, timedelta], minutes: int, seconds: int
) -> None:
    zone, moment, _ = change
    start = moment + timedelta(minutes=minutes, seconds=seconds)
    end = start + 20 * HOUR
    when = schedule(text, zone)
    expected = naive_ticks(text, zone, start, end)
    assert [tick.at for tick in when.between(start, end, 10_000)] == expected
    newest = when.newest(start, end)
    assert (newest and newest.at) == (expected[-1] if expected else None)


def test_the_newest_of_a_year_of_seconds_is_found_at_once() -> None:
    every = schedule("* * * * * *")
    newest = every.newest(utc("2025-11-22T00:00:00"), utc("2026-11-22T00:00:00.5"))
    assert newest is not None
    assert newest.due_at == "2026-11-22T00:00:00.000000Z"
    assert every.newest(utc("2026-11-22T00:00:00.1"), utc("2026-11-22T00:00:00.9")) is None
    assert every.newest(utc("2026-11-22T00:00:00.9"), utc("2026-11-22T00:00:01")) is not None


def days(ticks: Sequence[Tick]) -> list[str]:
    return [tick.wall.strftime("%m-%d") for tick in ticks]


def test_working_days_only_drops_holidays_and_adds_nothing() -> None:
    start, end = utc("2025-09-28T00:00:00"), utc("2025-10-13T00:00:00")
    weekdays = schedule("0 9 * * mon-fri", working_days=WorkingDays())
    assert days(weekdays.between(start, end, 99)) == ["09-29", "09-30", "10-09", "10-10"]
    daily = schedule("0 9 * * *", working_days=WorkingDays())
    # Sunday 28 September and Saturday 11 October were worked in exchange for the holiday.
    assert days(daily.between(start, end, 99)) == ["09-28", "09-29", "09-30", "10-09", "10-10", "10-11"]


def test_the_operators_table_comes_first() -> None:
    mine = WorkingDays(overrides={date(2026, 11, 23): False})
    ticks = schedule("0 9 * * mon-fri", working_days=mine).between(
        utc("2026-11-20T00:00:00"), utc("2026-11-25T00:00:00"), 9
    )
    assert days(ticks) == ["11-20", "11-24"]


def test_a_year_that_is_not_announced_is_said_to_be_assumed() -> None:
    last_of_known, first_of_assumed = schedule("0 9 * * *", working_days=WorkingDays()).between(
        utc("2026-12-31T00:00:00"), utc("2027-01-02T00:00:00"), 9
    )
    assert (last_of_known.due_at[:10], last_of_known.why) == ("2026-12-31", ())
    assert (first_of_assumed.due_at[:10], first_of_assumed.why) == ("2027-01-01", (Why.ASSUMED,))
    # Where every day counts, no calendar is asked.
    free = schedule("0 9 * * *").after(utc("2027-01-02T00:00:00"))
    assert free is not None
    assert free.why == ()


def test_year_ends_and_leap_days() -> None:
    turn = schedule("0,59 0,23 * * *").between(utc("2026-12-31T15:00:00"), utc("2026-12-31T17:00:00"), 9)
    assert [tick.wall.isoformat()[:16] for tick in turn] == ["2026-12-31T23:59", "2027-01-01T00:00", "2027-01-01T00:59"]
    leap = schedule("0 9 29 2 *").between(utc("2026-01-01T00:00:00"), utc("2110-01-01T00:00:00"), 99)
    years = [tick.wall.year for tick in leap]
    assert years[:2] == [2028, 2032]
    assert 2100 not in years
    assert {2096, 2104} <= set(years)


def test_a_schedule_without_any_working_day_ends() -> None:
    never = schedule("* * * * sat,sun", working_days=WorkingDays())
    tick = never.after(utc("2026-01-01T00:00:00"))
    assert tick is not None
    assert days([tick]) == ["01-04"]  # a Sunday that is worked
    assert never.after(utc("2027-01-01T00:00:00")) is None


def test_every_part_that_decides_is_in_the_promise() -> None:
    texts = [
        schedule("0 9 * * *").promise,
        schedule("1 9 * * *").promise,
        schedule("0 9 * * *", BERLIN).promise,
        schedule("0 9 * * *", working_days=WorkingDays()).promise,
    ]
    assert len(set(texts)) == len(texts)
    assert schedule("0  9 * * *").promise == texts[0]
