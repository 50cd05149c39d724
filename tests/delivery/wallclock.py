"""Schedules once more, as simply as can be: walk every minute, look at the clock on the wall, and see what has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

__all__ = ["changes", "crons", "fits", "naive_ticks"]

MINUTE = timedelta(minutes=1)
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _number(word: str) -> int:
    if word in MONTHS:
        return MONTHS.index(word) + 1
    return DAYS.index(word) if word in DAYS else int(word)


def _in(text: str, value: int, lowest: int) -> bool:
    for item in text.lower().split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        low = lowest if span == "*" else _number(first)
        high = 99 if span == "*" else _number(last or first)
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False


def fits(cron: str, wall: datetime) -> bool:
    """Whether five fields fit a minute on the wall."""
    minute, hour, day, month, weekday = cron.split()
    return (
        _in(minute, wall.minute, 0)
        and _in(hour, wall.hour, 0)
        and _in(day, wall.day, 1)
        and _in(month, wall.month, 1)
        and _in(weekday, wall.weekday(), 0)
    )


def naive_ticks(
    cron: str, zone: ZoneInfo, after: datetime, until: datetime, counts: Callable[[date], bool] = lambda _: True
) -> list[datetime]:
    """The instants (UTC, whole minutes) after ``after``, up to ``until``, at which the wall first showed a fitting minute or passed it."""
    moment = after.astimezone(UTC).replace(second=0, microsecond=0)
    # What the clock showed at the latest up to now; a day is more than any change of clocks.
    shown = max(_wall(moment - timedelta(minutes=minutes), zone) for minutes in range(24 * 60))
    found: list[datetime] = []
    while (moment := moment + MINUTE) <= until:
        wall, come = _wall(moment, zone), False
        while shown < wall:
            shown += MINUTE
            come = come or (fits(cron, shown) and counts(shown.date()))
        if come and moment > after:
            found.append(moment)
    return found


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def changes(zone: ZoneInfo, first: int, last: int) -> Iterator[tuple[datetime, timedelta]]:
    """Every change of the zone's clocks in these years: the hour (UTC) at whose beginning they differ, and by how much."""
    moment, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    while moment < end:
        before, after = ((moment + timedelta(hours=hour)).astimezone(zone).utcoffset() for hour in (-1, 0))
        assert before is not None
        assert after is not None
        if before != after:
            yield moment, after - before
        moment += timedelta(hours=1)


def _fields(lowest: int, highest: int) -> st.SearchStrategy[str]:
    numbers = st.integers(lowest, highest)
    spans = st.tuples(numbers, numbers).map(sorted)
    steps = st.integers(1, highest - lowest)
    item = st.one_of(
        numbers.map(str),
        spans.map(lambda span: f"{span[0]}-{span[1]}"),
        st.tuples(spans, steps).map(lambda both: f"{both[0][0]}-{both[0][1]}/{both[1]}"),
        steps.map(lambda step: f"*/{step}"),
    )
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


def _weekdays() -> st.SearchStrategy[str]:
    days = st.sampled_from(range(7))
    item = st.one_of(
        days.map(DAYS.__getitem__),
        st.tuples(days, days).map(sorted).map(lambda span: f"{DAYS[span[0]]}-{DAYS[span[1]]}"),
    )
    return st.lists(item, min_size=1, max_size=3).map(",".join)


def crons() -> st.SearchStrategy[str]:
    """Expressions of five fields; at most one of day and weekday is restricted, and hours early in the day are likelier."""
    hours = st.one_of(_fields(0, 23), _fields(0, 3))
    dates = st.one_of(
        st.tuples(st.just("*"), st.just("*"), _weekdays()),
        st.tuples(_fields(1, 31), st.just("*"), st.just("*")),
        st.just(("*", "*", "*")),
    )
    return st.tuples(_fields(0, 59), hours, dates).map(lambda one: " ".join((one[0], one[1], *one[2])))
