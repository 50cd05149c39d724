from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from gateway.catalog.loader import Library
from gateway.catalog.model import Weight
from gateway.demo.business import TABLES, Table, rows
from gateway.demo.defects import DEFECTS, Defect
from gateway.demo.desk import Row
from gateway.mapping.checks import compile_checks
from gateway.mapping.plan import RecordPlan
from gateway.mapping.problems import CODES
from tests.demo.reading import TODAY, frame

ELSEWHERE = {
    "integer-invalid",
    "pattern-mismatch",
    "too-short",
    "schema-violation",
    # what a peer's clearance, a format of sheets or another sender's key makes of a record
    "key-personal",
    "template-none",
    "template-several",
    "key-of-another-sender",
    "version-conflict",
    "row-malformed",
    "element-unexpected",
    "element-not-taken",
    "key-mismatch",
    "rows-disagree",
    "rows-few",
    "rows-many",
}


def spoilt(defect: Defect, seed: int) -> tuple[Row, Row]:
    """A good row, and a later one with the defect."""
    table = TABLES[defect.table]
    (chunk,) = rows(table, 1_500, seed, today=TODAY)
    good = [dict(zip(table.columns, row, strict=True)) for row in chunk]
    row = next(row for row in good[seed * 10 :] if defect.fits(row))
    changed = defect.cells(row, good[0])
    assert {column: row[column] for column in changed} != changed, "a defect changes something"
    return chunk[0], tuple({**row, **changed}.values())


@pytest.mark.parametrize("defect", DEFECTS, ids=[f"{defect.table}-{defect.id}" for defect in DEFECTS])
@pytest.mark.parametrize("seed", [1, 2, 3, 90])
def test_a_defect_is_told_by_its_code_and_by_no_other(
    defect: Defect, seed: int, plans: Mapping[str, RecordPlan]
) -> None:
    first, second = spoilt(defect, seed)
    mapped = plans[defect.table].map(frame(TABLES[defect.table], [first, second]))
    problems = list(mapped.problems.select("@row", "code", "weight").iter_rows())
    if defect.code == "key-duplicate":
        assert problems == []
        assert mapped.records["@key"].n_unique() == 1
        assert mapped.records["decided_on"].is_sorted()
        return
    expected = [("2", defect.code, defect.weight.value), *(("2", code, "notice") for code in defect.also)]
    assert Counter(problems) == Counter(expected)
    assert mapped.records["@row"].to_list() == (["1"] if defect.weight is Weight.REJECT else ["1", "2"])


def test_defects_have_names_of_their_own_and_known_codes() -> None:
    assert len({(defect.table, defect.id) for defect in DEFECTS}) == len(DEFECTS)
    assert {defect.code for defect in DEFECTS} == CODES - ELSEWHERE


def test_every_problem_that_the_rules_can_find_in_a_table_has_a_defect(
    table: Table, plans: Mapping[str, RecordPlan], library: Library
) -> None:
    plan = plans[table.name]
    reachable = {(check.code, check.weight) for check in compile_checks(plan.catalog, library)}
    steps = (step for field in plan.fields for step in field.steps)
    reachable |= {(problem.code, Weight.REJECT) for step in steps for problem in step.compiled.problems}
    reachable |= {(code, Weight.REJECT) for code in ("character-forbidden", "column-unreadable", "key-duplicate")}
    assert {(defect.code, defect.weight) for defect in DEFECTS if defect.table == table.name} == reachable
