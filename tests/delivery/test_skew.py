"""The watch over our own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.delivery.skew import ClockWatch, is_off

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
LIMIT = timedelta(minutes=5)
SECOND, YEAR = timedelta(seconds=1), timedelta(days=365)
SKEWS = st.lists(st.timedeltas(-YEAR, YEAR), max_size=5)


def watch(**skews: timedelta) -> ClockWatch:
    found = ClockWatch(LIMIT)
    for peer, skew in skews.items():
        found.observe(peer, NOW + skew, NOW)
    return found


def test_nobody_has_answered_yet() -> None:
    assert not watch().held
    assert watch().skew is None


@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_itself_is_within(sign: int) -> None:
    assert not watch(a=sign * LIMIT).held
    assert watch(a=sign * (LIMIT + SECOND)).held


def test_one_that_is_wrong_or_lies_cannot_stop_us() -> None:
    assert not watch(liar=YEAR, honest=SECOND).held
    assert not watch(honest=SECOND, liar=-YEAR, other_liar=YEAR).held
    assert watch(a=YEAR, b=YEAR).held


def test_a_peer_in_another_zone_shows_the_same_instant() -> None:
    clock = ClockWatch(LIMIT)
    clock.observe("a", NOW.astimezone(timezone(timedelta(hours=8))), NOW)
    assert not clock.held


def held_after(*words: tuple[str, timedelta | None]) -> list[bool]:
    """Whether the clock is held after each word of a peer."""
    clock, found = ClockWatch(LIMIT), []
    for peer, skew in words:
        clock.observe(peer, None if skew is None else NOW + skew, NOW)
        found.append(clock.held)
    return found


def test_the_newest_word_of_a_peer_counts() -> None:
    assert held_after(("a", YEAR), ("a", SECOND)) == [True, False]


def test_who_no_longer_answers_has_no_word() -> None:
    assert held_after(("a", YEAR), ("b", SECOND), ("b", None)) == [True, False, True]


def test_while_nobody_answers_the_last_judgement_stands() -> None:
    assert held_after(("a", YEAR), ("a", None), ("b", SECOND), ("b", None)) == [True, True, False, False]


def test_the_skew_told_is_that_of_who_agrees_most() -> None:
    assert watch(a=YEAR, b=-2 * LIMIT).skew == -2 * LIMIT


def test_it_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    with capture_logs() as lines:
        clock = ClockWatch(LIMIT)
        for skew in (SECOND, YEAR, YEAR, YEAR - SECOND, SECOND, SECOND):
            clock.observe("a", NOW + skew, NOW)
    assert [(line["event"], line["held"], line["log_level"]) for line in lines] == [
        ("clock.skew", True, "error"),
        ("clock.skew", False, "warning"),
    ]
    assert lines[0]["seconds"] == {"a": 365 * 86400}


@given(SKEWS, st.timedeltas(SECOND, YEAR))
def test_off_means_all_of_some(skews: list[timedelta], limit: timedelta) -> None:
    assert is_off(skews, limit) == (skews != [] and min(abs(skew) for skew in skews) > limit)
    assert not is_off([*skews, timedelta()], limit), "whoever agrees with us lets us go on"
