"""A part of the set, spread over all of it; ``make tamper`` runs the rest."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from gateway.ledger.report import Verdict
from tests.evidence.world import World
from tests.tamper.cases import all_cases, cases_of, judge
from tests.tamper.disputed import dispute
from tests.tamper.setting import given

EVERY = 31  # of some 3,700 cases a side


def test_a_dispute_cannot_be_changed(tmp_path: Path) -> None:
    start = given(dispute(tmp_path), "bureau", tmp_path)
    untouched = start.evidence.verify(start.evidence.policy, [start.evidence.newest])
    found = {finding.code for one in untouched.by_question.values() for finding in one.findings}
    assert found == {"evidence-dispute-open"}, found
    judged = [(case.name, judge(start, case)) for case in islice(cases_of(start, "batch.disputed"), 0, None, 7)]
    assert len(judged) > 8
    assert [(name, problem) for name, problem in judged if problem is not None] == []


@pytest.mark.parametrize("side", ["bureau", "province"])
def test_no_tampering_passes(world: World, tmp_path: Path, side: str) -> None:
    start = given(world, side, tmp_path)
    untouched = start.evidence.verify(start.evidence.policy, [start.evidence.newest])
    assert untouched.verdict is Verdict.PROVED, untouched
    judged = [(case.name, judge(start, case)) for case in islice(all_cases(start), 0, None, EVERY)]
    assert len(judged) > 30
    assert [(name, problem) for name, problem in judged if problem is not None] == []
