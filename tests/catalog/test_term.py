"""Whether and until when a record is published, judged from the shipped regimes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gateway.catalog.loader import load_catalogs
from gateway.catalog.term import Term, term_of

LIBRARY = load_catalogs(Path(__file__).parents[2] / "mappings")
PENALTY = LIBRARY.catalogs["administrative-penalty"]


def term(**content: str) -> Term:
    return term_of(PENALTY, {"decided_on": "2026-05-01", "penalty_kinds": "罚款", **content}, LIBRARY.regimes)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # 第36号令: minor is not published, ordinary at most a year, serious at most three
        ({"penalty_kinds": "警告"}, ("minor", None, "not-published")),
        ({"penalty_kinds": "警告;通报批评"}, ("minor", None, "not-published")),
        ({"penalty_kinds": "警告;罚款"}, ("general", date(2027, 5, 1), "")),
        ({}, ("general", date(2027, 5, 1), "")),
        ({"publicity_until": "2026-09-01"}, ("general", date(2026, 9, 1), "")),
        ({"publicity_until": "2029-05-01"}, ("general", date(2027, 5, 1), "")),
        ({"penalty_kinds": "罚款;吊销许可证件"}, ("serious", date(2029, 5, 1), "")),
        ({"penalty_kinds": "限制从业", "publicity_until": "2028-01-01"}, ("serious", date(2028, 1, 1), "")),
        # order 58 and notice 527, each by its own day
        ({"decided_on": "2024-02-29"}, ("general", date(2027, 2, 28), "")),
        ({"decided_on": "2024-02-29", "penalty_kinds": "警告"}, ("general", date(2027, 2, 28), "")),
        ({"decided_on": "2024-02-29", "violation_kind": "违反安全生产规定"}, ("safety", date(2027, 2, 28), "")),
        ({"decided_on": "2020-01-31"}, ("general", date(2021, 1, 31), "")),
        ({"decided_on": "2020-01-31", "penalty_kinds": "责令停产停业"}, ("serious", date(2023, 1, 31), "")),
        ({"decided_on": "2026-03-31"}, ("general", date(2029, 3, 31), "")),
        ({"decided_on": "2019-06-30"}, ("", None, "regime-unknown")),
        ({"decided_on": ""}, ("", None, "regime-unknown")),
        # a person under eighteen on the day of the decision
        ({"person_id": "11010520080502002X"}, ("general", date(2027, 5, 1), "")),
    ],
)
def test_penalties(content: dict[str, str], expected: tuple[str, date | None, str]) -> None:
    found = term(**content)
    assert (found.gravity, found.until, found.refused) == expected


def test_decisions_about_minors_are_not_published() -> None:
    from gateway.catalog.identifiers import resident_check_character

    for born, refused in (("20080501", ""), ("20080502", "minor-person"), ("20150101", "minor-person")):
        body = f"230102{born}001"
        number = body + resident_check_character(body)
        assert term(person_id=number).refused == refused, born


def test_without_a_rule_there_is_no_end() -> None:
    of = LIBRARY.catalogs["administrative-license"]
    assert term_of(of, {"decided_on": "2010-01-01"}, LIBRARY.regimes) == Term()
