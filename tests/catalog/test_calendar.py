"""Working days: whose word counts, and what is only assumed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.calendar import WorkingDays, parse_working_days
from gateway.errors import Finding

UNANNOUNCED = 2090


def parse(text: str) -> tuple[WorkingDays, list[tuple[str, str]]]:
    findings: list[Finding] = []
    days = parse_working_days("working-days.csv", text.encode(), findings)
    return days, [(finding.code, finding.key) for finding in findings]


def test_announced_holidays_and_adjusted_working_days() -> None:
    days = WorkingDays()
    assert not days.is_working(date(2025, 10, 8))  # a Wednesday of 国庆
    assert days.is_working(date(2025, 10, 11))  # a Saturday worked in exchange
    assert not days.is_working(date(2025, 10, 12))
    assert not days.assumed(date(2025, 10, 8))


def test_seven_working_days_over_a_long_holiday() -> None:
    days = WorkingDays()
    assert days.add(date(2025, 9, 30), 7) == date(2025, 10, 16)
    assert days.add(date(2025, 10, 1), 1) == date(2025, 10, 9)
    assert days.add(date(2025, 10, 1), 0) == date(2025, 10, 1)


def test_the_operator_comes_first() -> None:
    days = WorkingDays(overrides={date(2025, 10, 8): True, date(2025, 10, 9): False})
    assert days.is_working(date(2025, 10, 8))
    assert not days.is_working(date(2025, 10, 9))
    assert days.add(date(2025, 10, 1), 2) == date(2025, 10, 10)


def test_a_year_not_yet_announced_is_assumed() -> None:
    days = WorkingDays()
    monday = date(UNANNOUNCED, 5, 1)
    assert monday.weekday() == 0
    assert days.is_working(monday)
    assert days.assumed(monday)
    assert not days.is_working(monday - timedelta(days=1))


def test_one_override_does_not_announce_a_year() -> None:
    day = date(UNANNOUNCED, 5, 1)
    days = WorkingDays(overrides={day: False})
    assert not days.is_working(day)
    assert not days.assumed(day)
    assert days.assumed(day + timedelta(days=1))


def test_a_table_from_new_year_to_national_day_announces_its_year() -> None:
    days = WorkingDays(overrides={date(UNANNOUNCED, 1, 1): False, date(UNANNOUNCED, 10, 1): False})
    assert not days.assumed(date(UNANNOUNCED, 6, 1))
    assert days.assumed(date(UNANNOUNCED + 1, 6, 1))


def test_the_end_of_the_calendar_is_no_crash() -> None:
    assert WorkingDays().add(date(9999, 12, 30), 7) == date.max


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        WorkingDays().add(date(2025, 1, 1), -1)


@settings(max_examples=100, deadline=None)
@given(st.dates(date(2003, 1, 1), date(2030, 1, 1)), st.integers(1, 30))
def test_a_deadline_is_a_working_day_with_so_many_before_it(day: date, count: int) -> None:
    days = WorkingDays()
    end = days.add(day, count)
    between = [day + timedelta(days=step) for step in range(1, (end - day).days + 1)]
    assert days.is_working(end)
    assert sum(days.is_working(other) for other in between) == count


def test_the_table_takes_both_languages_and_spreadsheet_dates() -> None:
    days, findings = parse("date,working,note\n2027-01-01,否,元旦\n2027/1/3,yes,\n2027-10-01,no,\n,,\n2027-02-20,是,\n")
    assert findings == []
    assert dict(days.overrides) == {
        date(2027, 1, 1): False,
        date(2027, 1, 3): True,
        date(2027, 10, 1): False,
        date(2027, 2, 20): True,
    }


def test_mistakes_in_the_table_are_found_together() -> None:
    _, findings = parse("date,working,note\n2027-02-30,否,\n2027-03-01,maybe,\n,否,\n2027-01-01,否,\n2027/1/1,是,\n")
    assert findings == [
        ("catalog-date-invalid", "row 2"),
        ("working-days-answer", "row 3"),
        ("catalog-cell-empty", "row 4"),
        ("working-days-twice", "row 6"),
    ]
