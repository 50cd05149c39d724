"""Whose checkpoints are believed: each key vouches for its successor, up to the size at which it was replaced or revoked."""

from __future__ import annotations

import pytest

from gateway.evidence.notes import claimed
from gateway.evidence.policy import Policy
from gateway.ledger.history import key_id_of
from gateway.ledger.report import Verdict
from tests.evidence.synthetic import FIRST, NODE, SECOND, THIRD, Ledger, codes


def test_one_key() -> None:
    ledger = Ledger()
    ledger.add("operator.action")
    assert codes(ledger.verify(), "authenticity") == []
    assert codes(ledger.verify(by=SECOND), "authenticity") == [("evidence-checkpoint-signature", -1)]
    assert ledger.verify(by=SECOND).by_question["authenticity"].verdict is Verdict.NOT_PROVABLE


def test_a_key_vouches_for_its_successor_and_that_for_the_next() -> None:
    ledger = Ledger()
    ledger.rotate(SECOND)
    ledger.add("operator.action")
    ledger.rotate(THIRD, SECOND)
    ledger.add("operator.action")
    assert codes(ledger.verify(by=THIRD), "authenticity") == []
    # Who knows the newest key by another way needs none of the others.
    assert codes(ledger.verify(by=THIRD, policy=ledger.policy(THIRD)), "authenticity") == []


def test_a_key_that_nobody_vouches_for_is_not_believed() -> None:
    """The entry is there, but no checkpoint of the old key covers it: whoever has the database could have written it."""
    ledger = Ledger()
    index = ledger.rotate(SECOND)
    del ledger.notes[index + 1]
    ledger.add("operator.action")
    result = ledger.verify(by=SECOND)
    assert codes(result, "authenticity") == [("evidence-checkpoint-unbelieved", -1)]
    assert result.by_question["authenticity"].verdict is Verdict.NOT_PROVABLE


def test_a_replaced_key_signs_no_more() -> None:
    ledger = Ledger()
    index = ledger.rotate(SECOND)
    ledger.add("operator.action")
    result = ledger.verify(by=FIRST)
    assert codes(result, "authenticity") == [("evidence-checkpoint-key", 0)]
    assert result.by_question["authenticity"].verdict is Verdict.CONTRADICTED
    ledger.leaves = ledger.leaves[: index + 1]
    assert codes(ledger.verify(by=FIRST), "authenticity") == []


def test_a_key_signs_nothing_before_it_was_entered() -> None:
    ledger = Ledger()
    ledger.add("operator.action")
    ledger.signed(SECOND)
    ledger.rotate(SECOND)
    ledger.add("operator.action")
    assert codes(ledger.verify(by=SECOND), "authenticity") == [("evidence-checkpoint-key", 2)]


def test_a_revoked_key_is_not_believed_from_that_size_on() -> None:
    ledger = Ledger()
    ledger.rotate(SECOND)
    ledger.add("operator.action")
    ledger.signed(SECOND)
    ledger.add(
        "key.revoked",
        purpose="ledger",
        owner=NODE,
        key_id=key_id_of(SECOND.verifier),
        from_size=len(ledger.leaves),
        person="p",
        reason="r",
    )
    found = codes(ledger.verify(by=SECOND), "authenticity")
    assert found == [("evidence-checkpoint-key", 1), ("evidence-checkpoint-key", 1)]


def test_history_that_makes_no_sense() -> None:
    ledger = Ledger()
    index = ledger.rotate(SECOND, before_key_id="00" * 32)
    assert codes(ledger.verify(), "authenticity") == [("evidence-key-history-wrong", index)]


def test_without_a_policy_nothing_is_proved() -> None:
    ledger = Ledger()
    result = ledger.bundle().verify(None)
    assert ("evidence-trust-of-bundle", -1) in codes(result, "authenticity")
    assert result.by_question["authenticity"].verdict is Verdict.NOT_PROVABLE


@pytest.mark.parametrize("policy", [Policy(), Policy(ledger_keys=(THIRD.verifier,))])
def test_a_policy_that_knows_another_key(policy: Policy) -> None:
    result = Ledger().verify(policy=policy)
    assert codes(result, "authenticity") == [("evidence-checkpoint-unbelieved", -1)]


def test_a_policy_for_another_log() -> None:
    policy = Policy(origin="credit-gateway/another", ledger_keys=(FIRST.verifier,))
    result = Ledger().verify(policy=policy)
    assert ("evidence-other-log", 0) in codes(result, "integrity")


def test_the_tail() -> None:
    ledger = Ledger()
    held = [claimed(ledger.signed(), "held")]
    for _ in range(5):
        ledger.add("operator.action")
    assert ("evidence-tail-unproved", 6) in codes(ledger.verify(), "completeness")
    assert codes(ledger.verify(held=held), "completeness") == [("evidence-selection-unproved", -1)]
    longer = Ledger(authority=ledger.authority, leaves=[*ledger.leaves])
    longer.add("operator.action")
    held = [claimed(longer.signed(), "held")]
    found = ledger.verify(held=held)
    assert ("evidence-tail-cut", 6) in codes(found, "completeness")
    assert found.by_question["completeness"].verdict is Verdict.CONTRADICTED


def test_a_held_checkpoint_of_another_history_contradicts() -> None:
    ledger, other = Ledger(), Ledger()
    ledger.add("operator.action")
    other.add("operator.action", reason="another")
    result = ledger.verify(held=[claimed(other.signed(), "held")])
    assert ("evidence-held-differs", -1) in codes(result, "completeness")


def test_a_held_checkpoint_that_nobody_signed_shows_nothing() -> None:
    ledger = Ledger()
    ledger.add("operator.action")
    result = ledger.verify(held=[claimed(ledger.signed(SECOND, 1), "held")])
    found = [code for code, _ in codes(result, "completeness")]
    assert {"evidence-held-unsigned", "evidence-tail-unproved"} <= set(found)
    assert result.by_question["completeness"].verdict is Verdict.NOT_PROVABLE
