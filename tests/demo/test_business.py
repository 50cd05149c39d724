from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from gateway.catalog.identifiers import is_uscc
from gateway.catalog.loader import Library
from gateway.catalog.publicity import regime_at
from gateway.demo.bureau import BUREAU, Bureau, Office
from gateway.demo.business import PENALTIES, PERMITS, TABLES, Table, rows
from gateway.demo.database import PENALTY_ROWS, PERMIT_ROWS
from gateway.demo.desk import Row
from gateway.demo.subjects import Kind
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from gateway.mapping.plan import RecordPlan
from tests.demo.reading import MAPPINGS, TODAY, frame

COUNTS = {PERMITS.name: PERMIT_ROWS, PENALTIES.name: PENALTY_ROWS}


def all_rows(table: Table, count: int, seed: int = 7, today: date = TODAY) -> list[Row]:
    return [row for chunk in rows(table, count, seed, today=today) for row in chunk]


@pytest.mark.parametrize("seed", [1, 7, 2018])
def test_nothing_is_to_be_said_of_a_good_row(table: Table, seed: int, plans: Mapping[str, RecordPlan]) -> None:
    count = COUNTS[table.name]
    mapped = plans[table.name].map(frame(table, all_rows(table, count, seed)))
    assert mapped.problems.rows() == []
    assert mapped.records.height == count
    assert mapped.records["@key"].n_unique() == count


def test_good_rows_can_be_written_in_the_format_that_the_province_demands(
    table: Table, plans: Mapping[str, RecordPlan], library: Library
) -> None:
    records = plans[table.name].map(frame(table, all_rows(table, COUNTS[table.name]))).records
    fmt = load_format(MAPPINGS / "formats" / "credit-2018", library)
    rendered = DocumentPlan(fmt, library.catalogs[table.catalog], library).render(records)
    assert rendered.problems.rows() == []
    assert rendered.frame.height == COUNTS[table.name]


@pytest.mark.parametrize("today", [date(2024, 2, 29), date(2026, 4, 1), date(2026, 11, 23), date(2031, 1, 1)])
def test_rows_are_good_whatever_the_day(table: Table, today: date, plans: Mapping[str, RecordPlan]) -> None:
    mapped = plans[table.name].map(frame(table, all_rows(table, 700, today=today)))
    assert mapped.problems.rows() == []
    assert all(day < today for day in mapped.records["decided_on"])
    stamped = table.columns.index("UPDATED_AT")
    assert all(str(row[stamped]) < today.isoformat() for row in all_rows(table, 700, today=today))


def test_most_decisions_are_of_the_last_two_years(table: Table, plans: Mapping[str, RecordPlan]) -> None:
    decided = plans[table.name].map(frame(table, all_rows(table, 600))).records["decided_on"]
    recent = (decided >= TODAY - timedelta(days=730)).sum() / 600
    assert 0.9 < recent < 1
    assert decided.is_sorted()


def test_every_publicity_regime_governs_some_penalty(plans: Mapping[str, RecordPlan], library: Library) -> None:
    records = plans[PENALTIES.name].map(frame(PENALTIES, all_rows(PENALTIES, PENALTY_ROWS))).records
    regimes = [regime_at(day, library.regimes) for day in records["decided_on"]]
    assert {regime.id for regime in regimes if regime} == {regime.id for regime in library.regimes}
    assert sum(regime is not None and regime.id == "order-36" for regime in regimes) > PENALTY_ROWS / 5


def test_every_kind_of_subject_licence_and_penalty_appears(plans: Mapping[str, RecordPlan], library: Library) -> None:
    permits = plans[PERMITS.name].map(frame(PERMITS, all_rows(PERMITS, PERMIT_ROWS))).records
    penalties = plans[PENALTIES.name].map(frame(PENALTIES, all_rows(PENALTIES, PENALTY_ROWS))).records
    for records in (permits, penalties):
        assert set(records["subject_kind"]) == set(library.codelists["subject-kinds"].values())
    assert set(library.codelists["license-kinds"].values()) < set(permits["license_kind"])
    assert set(permits["status"]) == {"1", "2"}
    kinds = {kind for value in penalties["penalty_kinds"] for kind in value.split(";")}
    assert {"警告", "罚款", "没收违法所得", "没收非法财物", "吊销许可证件", "责令停产停业", "通报批评"} < kinds


def test_rows_follow_from_the_seed(table: Table) -> None:
    assert all_rows(table, 50) == all_rows(table, 50)
    assert all_rows(table, 50) != all_rows(table, 50, seed=8)


def test_rows_come_in_chunks_numbered_through(table: Table) -> None:
    chunks = list(rows(table, 25, 1, today=TODAY, first=101, size=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [row[0] for chunk in chunks for row in chunk] == list(range(101, 126))
    assert all(len(row) == len(table.columns) for chunk in chunks for row in chunk)
    assert list(rows(table, 0, 1, today=TODAY)) == []


def test_rows_of_the_last_days_only(table: Table, plans: Mapping[str, RecordPlan]) -> None:
    (chunk,) = rows(table, 20, 1, today=TODAY, since=date(2026, 11, 16))
    decided = plans[table.name].map(frame(table, chunk)).records["decided_on"]
    assert (decided.min(), decided.max()) == (date(2026, 11, 16), date(2026, 11, 20))
    with pytest.raises(ValueError, match="weekday"):
        next(rows(table, 1, 1, today=date(2026, 11, 22), since=date(2026, 11, 21)))


def test_a_mapping_finds_all_its_columns_and_leaves_the_clerks_alone(
    table: Table, plans: Mapping[str, RecordPlan]
) -> None:
    mapping = plans[table.name].mapping
    assert mapping is not None
    assert set(table.columns) - set(mapping.columns()) == {"ID", "JBR", "LXDH", "UPDATED_AT"}
    assert set(mapping.columns()) <= set(table.columns)


def test_the_bureau_and_its_offices_have_valid_codes() -> None:
    assert all(is_uscc(code) for code in (BUREAU.code, BUREAU.transport.code, BUREAU.forest.code))


def test_another_bureau_signs_its_own_rows(table: Table) -> None:
    office = Office(name="样本林业局", code="11230000000000019J")
    other = Bureau(name="样本林业局", code="11230000000000019J", transport=office, forest=office)
    (chunk,) = rows(table, 30, 1, today=TODAY, bureau=other)
    for column in ("LY_USCC", "JG_USCC"):
        assert {row[table.columns.index(column)] for row in chunk} == {other.code}


def test_a_penalty_says_its_amounts_in_words_and_in_figures() -> None:
    content, fine, gains = (PENALTIES.columns.index(name) for name in ("CF_CONTENT", "FINE_YUAN", "CONFISCATE_YUAN"))
    found = [row for row in all_rows(PENALTIES, 300) if row[gains] is not None]
    assert found
    assert all(f"{row[amount]!s}元" in str(row[content]) for row in found for amount in (fine, gains))


def test_tables_serve_both_catalogs() -> None:
    assert {table.catalog for table in TABLES.values()} == {"administrative-license", "administrative-penalty"}
    assert {kind.value for kind in Kind} == {"01", "02", "03", "04"}
