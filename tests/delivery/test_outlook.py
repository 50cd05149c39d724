"""What a schedule holds in store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.catalog.calendar import WorkingDays
from gateway.delivery.cron import parse_cron
from gateway.delivery.outlook import MOST, look_ahead
from gateway.delivery.schedule import Schedule
from gateway.delivery.ticks import CatchUp

NOW = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)
QUARTERS = Schedule(cron=parse_cron("*/15 * * * *"), zone=ZoneInfo("Asia/Shanghai"))
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("catch_up", "due"), [("once", ["08:15"]), ("all", ["08:00", "08:15"]), ("skip", [])])
def test_coming_missed_and_due(catch_up: str, due: list[str]) -> None:
    found = look_ahead(
        QUARTERS,
        since=NOW - 24 * HOUR,
        last_due=NOW - HOUR / 2,
        now=NOW,
        catch_up=CatchUp(catch_up),
        count=2,
    )
    assert [tick.due_at[11:16] for tick in found.coming] == ["08:30", "08:45"]
    assert [tick.due_at[11:16] for tick in found.missed] == ["08:00", "08:15"]
    assert [tick.due_at[11:16] for tick in found.due] == due


def test_before_a_schedule_holds_nothing_is_missed() -> None:
    found = look_ahead(QUARTERS, since=None, last_due=None, now=NOW, catch_up=CatchUp.ALL, count=1)
    assert len(found.coming) == 1
    assert (found.missed, found.due) == ((), ())


def test_after_a_clock_that_was_ahead_runs_come_when_it_has_been_caught_up_with() -> None:
    ahead = NOW + HOUR
    found = look_ahead(QUARTERS, since=NOW - HOUR, last_due=ahead, now=NOW, catch_up=CatchUp.ALL, count=1)
    assert [tick.due_at[11:16] for tick in found.coming] == ["09:30"]
    assert (found.missed, found.due) == ((), ())


def test_what_is_missed_is_counted_up_to_a_bound() -> None:
    found = look_ahead(QUARTERS, since=NOW - 9999 * HOUR, last_due=None, now=NOW, catch_up=CatchUp.ONCE, count=1)
    assert len(found.missed) == MOST
    assert [tick.due_at[11:16] for tick in found.due] == ["08:15"]


def test_a_schedule_that_never_comes_again_has_an_empty_outlook() -> None:
    never = Schedule(cron=parse_cron("0 9 * * sun"), zone=QUARTERS.zone, working_days=WorkingDays())
    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert look_ahead(never, since=later, last_due=None, now=later, catch_up=CatchUp.ONCE, count=3).coming == ()
