"""What is due: missed ticks by each policy, and clocks that step either way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.delivery.cron import parse_cron
from gateway.delivery.schedule import Schedule, Tick
from gateway.delivery.ticks import GRACE, CatchUp, due_ticks
from tests.delivery.wallclock import crons, naive_ticks

SHANGHAI = ZoneInfo("Asia/Shanghai")
QUARTERS = Schedule(cron=parse_cron("*/15 * * * *"), zone=SHANGHAI)
EIGHT = datetime(2026, 11, 23, 8, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def due(
    now: datetime,
    catch_up: CatchUp = CatchUp.ONCE,
    *,
    since: datetime = EIGHT - DAY,
    last: datetime | None = EIGHT,
    limit: int = 100,
) -> list[str]:
    ticks = due_ticks(QUARTERS, since=since, last_due=last, now=now, catch_up=catch_up, limit=limit)
    return [tick.due_at[11:16] for tick in ticks]


def test_a_tick_is_due_at_its_instant_and_until_it_has_its_run() -> None:
    for policy in CatchUp:
        assert due(EIGHT + 15 * MINUTE - SECOND, policy) == []
        assert due(EIGHT + 15 * MINUTE, policy) == ["08:15"]
        assert due(EIGHT + 15 * MINUTE, policy, last=EIGHT + 15 * MINUTE) == []


def test_missed_ticks_by_policy() -> None:
    now = EIGHT + 50 * MINUTE
    assert due(now, CatchUp.ONCE) == ["08:45"]
    assert due(now, CatchUp.ALL) == ["08:15", "08:30", "08:45"]
    assert due(now, CatchUp.SKIP) == []
    assert due(EIGHT + 45 * MINUTE + GRACE, CatchUp.SKIP) == ["08:45"]
    assert due(EIGHT + 45 * MINUTE + GRACE + SECOND, CatchUp.SKIP) == []


def test_what_was_never_promised_is_not_caught_up() -> None:
    now = EIGHT + 50 * MINUTE
    for last in (None, EIGHT - DAY):
        assert due(now, CatchUp.ALL, since=EIGHT + 20 * MINUTE, last=last) == ["08:30", "08:45"]
        assert due(now, CatchUp.ONCE, since=EIGHT + 46 * MINUTE, last=last) == []


def test_all_is_bounded_and_goes_on_from_there() -> None:
    now = EIGHT + 3 * DAY
    assert due(now, CatchUp.ALL, limit=2) == ["08:15", "08:30"]
    assert due(now, CatchUp.ALL, last=EIGHT + 30 * MINUTE, limit=1) == ["08:45"]
    assert len(due(now, CatchUp.ALL)) == 100


def test_a_clock_set_back_gives_nothing_until_it_has_caught_up() -> None:
    for policy in CatchUp:
        for back in (SECOND, MINUTE, DAY, 366 * DAY):
            assert due(EIGHT - back, policy) == []
        assert due(EIGHT, policy) == []
        assert due(EIGHT - DAY, policy, since=EIGHT, last=None) == []


def test_a_clock_set_ahead_by_a_year_gives_one_run_under_once() -> None:
    now = EIGHT + 366 * DAY + SECOND
    assert due(now, CatchUp.ONCE) == ["08:00"]
    assert due(now, CatchUp.ONCE, last=EIGHT + 366 * DAY) == []
    assert len(due(now, CatchUp.ALL, limit=5)) == 5


def walk(
    ticks_of: list[datetime], looks: list[datetime], policy: CatchUp, since: datetime
) -> list[tuple[datetime, ...]]:
    """The model: at each look, everything that came and has no later run, then the policy."""
    last, runs = since, []
    for now in looks:
        missed = [at for at in ticks_of if last < at <= now]
        if policy is CatchUp.ONCE:
            missed = missed[-1:]
        elif policy is CatchUp.SKIP:
            missed = [at for at in missed if at >= now - GRACE][-1:]
        runs.append(tuple(missed))
        last = max([last, *missed])
    return runs


@settings(max_examples=60, deadline=None)
@given(
    crons(),
    st.sampled_from(CatchUp),
    st.lists(st.integers(0, 36 * 3600), min_size=1, max_size=12),
    st.sampled_from(["Europe/Berlin", "Asia/Shanghai"]),
)
def test_whatever_the_looks_and_the_clock_no_tick_has_two_runs(
    text: str, policy: CatchUp, seconds: list[int], name: str
) -> None:
    """Looks at any times, also backwards, over the day on which Berlin's clocks jump: as the model says, and every tick once at most."""
    zone = ZoneInfo(name)
    since = datetime(2026, 3, 28, 12, tzinfo=UTC)
    looks = [since + timedelta(seconds=each) for each in seconds]
    when = Schedule(cron=parse_cron(text), zone=zone)
    last: datetime | None = None
    found: list[tuple[Tick, ...]] = []
    for now in looks:
        ticks = due_ticks(when, since=since, last_due=last, now=now, catch_up=policy, limit=10_000)
        found.append(ticks)
        last = ticks[-1].at if ticks else last
    all_ticks = naive_ticks(text, zone, since, since + timedelta(hours=37))
    assert [tuple(tick.at for tick in ticks) for ticks in found] == walk(all_ticks, looks, policy, since)
    flat = [tick.at for ticks in found for tick in ticks]
    assert len(set(flat)) == len(flat)
    assert flat == sorted(flat)
