"""Publicity periods: by the day of the decision, with and without a gravity."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.publicity import Regime, add_months, bounds, parse_regimes, regime_at
from gateway.errors import Finding

SHIPPED = Path(__file__).parents[2] / "mappings/codelists/publicity-regimes.toml"

ONE = """
[regimes.{id}]
zh = "甲"
en = "A"
valid_from = {start}
{end}
[regimes.{id}.periods.general]
zh = "一般"
en = "General"
min_months = {least}
max_months = {most}
"""


def regime(id: str, start: str, end: str = "", *, least: int = 3, most: int = 12) -> str:  # noqa: A002 — the word of the file
    return ONE.format(id=id, start=start, end=f"valid_to = {end}" if end else "", least=least, most=most)


def parse(text: str) -> tuple[tuple[Regime, ...], list[tuple[str, str]]]:
    findings: list[Finding] = []
    regimes = parse_regimes("publicity-regimes.toml", text.encode(), findings)
    return regimes, [(finding.code, finding.key) for finding in findings]


@pytest.fixture
def shipped() -> tuple[Regime, ...]:
    regimes, findings = parse(SHIPPED.read_text("utf-8"))
    assert findings == []
    return regimes


@pytest.mark.parametrize(
    ("decided_on", "expected"),
    [
        (date(2019, 6, 30), None),
        (date(2019, 7, 1), "2019-527"),
        (date(2023, 4, 30), "2019-527"),
        (date(2023, 5, 1), "order-58"),
        (date(2026, 3, 31), "order-58"),
        (date(2026, 4, 1), "order-36"),
        (date(2099, 1, 1), "order-36"),
    ],
)
def test_the_regime_of_a_day(shipped: tuple[Regime, ...], decided_on: date, expected: str | None) -> None:
    found = regime_at(decided_on, shipped)
    assert (found.id if found else None) == expected


@pytest.mark.parametrize(
    ("decided_on", "gravity", "expected"),
    [
        (date(2019, 10, 10), None, (date(2020, 1, 10), date(2022, 10, 10))),
        (date(2019, 10, 10), "general", (date(2020, 1, 10), date(2020, 10, 10))),
        (date(2019, 10, 10), "grave", (date(2022, 10, 10), date(2022, 10, 10))),
        (date(2024, 2, 29), None, (date(2024, 5, 29), date(2027, 2, 28))),
        (date(2024, 2, 29), "safety", (date(2025, 2, 28), date(2027, 2, 28))),
        (date(2026, 4, 1), None, (date(2026, 4, 1), date(2029, 4, 1))),
        (date(2026, 4, 1), "minor", (date(2026, 4, 1), date(2026, 7, 1))),
        (date(2026, 4, 1), "serious", (date(2027, 4, 1), date(2029, 4, 1))),
        (date(2018, 5, 15), None, None),
    ],
)
def test_bounds(
    shipped: tuple[Regime, ...], decided_on: date, gravity: str | None, expected: tuple[date, date] | None
) -> None:
    assert bounds(decided_on, shipped, gravity) == expected


def test_a_gravity_that_the_regime_does_not_know(shipped: tuple[Regime, ...]) -> None:
    with pytest.raises(KeyError):
        bounds(date(2024, 1, 1), shipped, "minor")


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2023, 11, 30), 3, date(2024, 2, 29)),
        (date(2022, 11, 30), 3, date(2023, 2, 28)),
        (date(2023, 12, 31), 0, date(2023, 12, 31)),
        (date(2023, 12, 31), 12, date(2024, 12, 31)),
        (date(2023, 1, 31), 1, date(2023, 2, 28)),
        (date(9999, 11, 30), 1, date(9999, 12, 30)),
        (date(9999, 12, 31), 36, date.max),
    ],
)
def test_the_corresponding_day(day: date, months: int, expected: date) -> None:
    assert add_months(day, months) == expected


@settings(max_examples=100, deadline=None)
@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 40))
def test_months_later_is_that_month_and_never_a_later_day(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day <= day.day


def test_regimes_come_oldest_first() -> None:
    regimes, findings = parse(regime("b", "2023-01-01") + regime("a", "2020-01-01", "2022-12-31"))
    assert findings == []
    assert [item.id for item in regimes] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (regime("a", "2023-01-01", "2022-01-01"), ("regime-dates-reversed", "regimes.a.valid_to")),
        (regime("a", "2023-01-01", least=12, most=3), ("regime-period-reversed", "regimes.a.periods.general")),
        (regime("a", "2023-01-01") + regime("b", "2024-01-01"), ("regime-overlap", "regimes.b.valid_from")),
        (
            regime("a", "2023-01-01", "2024-01-01") + regime("b", "2024-01-01"),
            ("regime-overlap", "regimes.b.valid_from"),
        ),
        (regime("a", '"2023-01-01"'), ("catalog-type-wrong", "regimes.a.valid_from")),
        (regime("a", "2023-01-01T00:00:00"), ("catalog-type-wrong", "regimes.a.valid_from")),
        (regime("a", "2023-01-01", least=-1), ("catalog-number-too-small", "regimes.a.periods.general.min_months")),
        (regime("a", "2023-01-01") + "days = 3\n", ("catalog-key-unknown", "regimes.a.periods.general.days")),
        (regime('"A B"', "2023-01-01"), ("catalog-name-invalid", "regimes.A B")),
        (
            '[regimes.a]\nzh="甲"\nen="A"\nvalid_from=2023-01-01\nperiods={}',
            ("catalog-value-empty", "regimes.a.periods"),
        ),
        ("", ("catalog-key-missing", "regimes")),
        ("[regimes", ("catalog-toml-invalid", "line 1")),
        ("[regimes.a]\n[regimes.b]\n[regimes.a]\n", ("catalog-table-twice", "regimes.a")),
    ],
)
def test_a_mistake_is_found(text: str, expected: tuple[str, str]) -> None:
    assert expected in parse(text)[1]
