"""Ten thousand stories of bad luck, and none in which anything is lost, doubled or left lying; and a hundred ways to break that rule.

A failing seed is told by ``python -m tests.faults.simulator --seed N``.
"""

from __future__ import annotations

import re

import pytest

from tests.faults.checker import Broken, check, find
from tests.faults.daemon import RETRY
from tests.faults.mutants import FOUND_AS, Mutant
from tests.faults.simulator import Simulator, simulate

SEEDS = 10_000
HELPING = 500
WITHIN = 200
"""Every mutant is found within so many seeds."""

# What must have happened in a few hundred stories, or they tell nothing: words of the trace.
HAPPENINGS = (
    "SendEnded sending → acknowledged",
    "SendEnded sending → waiting peer-unreachable",
    "SendEnded sending → waiting peer-busy",
    "SendEnded sending → waiting sequence-gap",
    "SendEnded sending → refused gave-up",
    "SendEnded sending → refused route-forbidden",
    "SendEnded sending → unknown peer-cut",
    "SendEnded sending → unknown peer-timeout",
    "SendEnded sending → unknown receipt-follows",
    "SendEnded sending → unknown receipt-package-digest",
    "SendEnded sending → unknown receipt-batch-id",
    "SendEnded sending → unknown receipt-figures",
    "SendEnded sending → unknown signer",
    "QuestionEnded unknown → acknowledged",
    "QuestionEnded unknown → sending",
    "QuestionEnded unknown → refused gave-up",
    "Stopped sending → unknown stopped",
    "Stopped unknown → unknown stopped",
    "Overtaken waiting → disputed number-taken",
    "Overtaken refused → disputed number-taken",
    "lost the fence of",
    "breaker P opened",
    "breaker P closed",
    "is frozen",
    "the clock jumps by -",
    "a person retries # refused → waiting",
    "a person gives up # unknown",
    "a person gives up # refused",
    "a receipt of # by hand: unknown → acknowledged",
    "a receipt of # by hand: refused → acknowledged",
    "a receipt of # by hand: sending → acknowledged",
    "a receipt of # by hand: acknowledged → disputed",
    "a receipt of # by hand: reconciled → reconciled",
)


@pytest.mark.parametrize("first", range(0, SEEDS, HELPING))
def test_nothing_is_lost_and_nothing_doubled(first: int) -> None:
    for seed in range(first, first + HELPING):
        story = Simulator(seed)
        story.play()
        try:
            assert check(story.seen()) == (0, 0)
            for row in story.journal.rows.values():
                assert row.attempts <= RETRY.attempts + row.retried, f"{row.id}: a storm of {row.attempts} attempts"
                assert row.asks <= RETRY.questions, f"{row.id}: a storm of {row.asks} questions"
        except AssertionError as broken:
            replay = f"python -m tests.faults.simulator --seed {seed}"
            raise AssertionError(f"{broken}\nseed {seed}; the story: {replay}") from broken


def test_a_seed_is_always_the_same_story() -> None:
    tellings: list[list[str]] = [[], []]
    for telling in tellings:
        simulate(7, tell=telling.append)
    assert tellings[0] == tellings[1]
    assert len(tellings[0]) > 20


def test_everything_that_should_happen_happens() -> None:
    told: set[str] = set()
    for seed in range(600):
        simulate(seed, tell=lambda line: told.add(re.sub(r"\bb\d+-[0-9a-f]+", "#", line[12:])))
    missing = [words for words in HAPPENINGS if not any(words in line for line in told)]
    assert not missing


@pytest.mark.parametrize("mutant", Mutant)
def test_a_broken_build_is_found(mutant: Mutant) -> None:
    """Under the invariant that the broken rule serves; a build that is not broken passes the same seeds above."""
    for seed in range(WITHIN):
        findings, lost, doubled = find(simulate(seed, mutant))
        if FOUND_AS[mutant] in {finding.invariant for finding in findings}:
            if mutant is Mutant.RESENT_UNASKED:
                assert doubled > 0
            if mutant in {Mutant.GIVEN_UP_FOR_GOOD, Mutant.NOT_RELEASED, Mutant.SHARED_BEFORE_SEALED}:
                assert lost > 0
            return
    pytest.fail(f"{mutant}: not found as {FOUND_AS[mutant]} within {WITHIN} seeds")


def test_every_invariant_has_a_broken_build_that_only_it_needs() -> None:
    assert set(FOUND_AS) == set(Mutant)
    assert set(FOUND_AS.values()) == {"I1", "I2", "I3", "I4", "I5", "I6"}


def test_a_failure_names_what_is_broken() -> None:
    worlds = (simulate(seed, Mutant.NOT_RELEASED) for seed in range(WITHIN))
    broken = next(world for world in worlds if find(world)[1])
    with pytest.raises(Broken, match=r"^[1-9][0-9]* lost, 0 doubled\n  I1 S/"):
        check(broken)
