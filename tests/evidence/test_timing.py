"""Time: what a stamp brackets, and every way in which a time-stamp or a claimed time can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.clock import instant
from gateway.evidence.policy import Policy
from gateway.ledger.report import Verdict
from gateway.ledger.tree import leaf_hash, root_of
from tests.evidence.synthetic import FIRST, SKEW, START, Ledger, codes
from tests.package.samples import usage
from tests.package.stamping import Authority, authority_certificate, stamper


def bracketed(count: int = 3) -> Ledger:
    """A ledger with a time-stamp before its business and one after."""
    ledger = Ledger()
    ledger.stamp()
    for _ in range(count):
        ledger.add("operator.action")
    return ledger


def test_everything_between_two_stamps_is_proved() -> None:
    ledger = bracketed()
    ledger.stamp()
    assert ledger.verify().by_question["time"].verdict is Verdict.PROVED


def test_without_a_stamp_nothing_is_proved_and_nothing_contradicted() -> None:
    ledger = Ledger()
    ledger.add("operator.action")
    result = ledger.verify()
    assert result.by_question["time"].verdict is Verdict.NOT_PROVABLE
    assert codes(result, "time") == [("evidence-no-anchors", -1)]


def test_what_stands_before_the_first_stamp_or_after_the_last_is_not_proved() -> None:
    ledger = Ledger()
    ledger.add("operator.action")
    ledger.stamp()
    ledger.add("operator.action")
    ledger.add("operator.action")
    result = ledger.verify()
    assert codes(result, "time") == [("evidence-time-head", 1), ("evidence-time-tail", 3)]
    assert result.by_question["time"].verdict is Verdict.NOT_PROVABLE


@pytest.mark.parametrize(
    ("shift", "code"),
    [
        (-SKEW - timedelta(minutes=1), "evidence-time-early"),
        (-timedelta(days=400), "evidence-time-early"),
        (SKEW + timedelta(minutes=4), "evidence-time-late"),
        (timedelta(days=1), "evidence-time-late"),
        (-SKEW, None),
        (SKEW, None),
    ],
)
def test_a_claimed_time_outside_the_bracket(shift: timedelta, code: str | None) -> None:
    ledger = Ledger()
    ledger.stamp()
    stamped = ledger.now() - timedelta(minutes=1)
    index = ledger.add("operator.action", at=stamped + shift)
    ledger.add("operator.action")
    ledger.stamp()
    assert codes(ledger.verify(), "time") == ([] if code is None else [(code, index)])


def test_a_policy_may_allow_less() -> None:
    ledger = Ledger()
    ledger.stamp()
    index = ledger.add("operator.action", at=ledger.now() - timedelta(minutes=2))
    ledger.stamp()
    strict = ledger.policy()
    assert codes(ledger.verify(policy=strict), "time") == []
    strict = Policy(
        origin=strict.origin,
        ledger_keys=strict.ledger_keys,
        authorities=strict.authorities,
        skew=timedelta(seconds=30),
    )
    assert codes(ledger.verify(policy=strict), "time") == [("evidence-time-early", index)]


def test_the_lower_bound_is_where_the_token_was_entered_not_what_it_stamps() -> None:
    """An entry may slip in between the checkpoint and its token: it was not stamped, and may be older than the token."""
    ledger = Ledger()
    note = ledger.signed()
    token = ledger.authority.token(note, START + timedelta(minutes=30))
    slipped = ledger.add("config.changed", at=START + timedelta(minutes=1))
    ledger.stamp(
        token=token,
        at=START + timedelta(minutes=30),
        checkpoint_size=1,
        checkpoint_root=root_of([leaf_hash(leaf) for leaf in ledger.leaves[:1]]).hex(),
    )
    later = ledger.add("operator.action", at=START + timedelta(minutes=1))
    ledger.stamp(at=START + timedelta(minutes=60))
    del ledger.notes[slipped + 1]
    assert codes(ledger.verify(), "time") == [("evidence-time-early", later)]


def wrong_digest(ledger: Ledger) -> None:
    ledger.stamp(token_sha256="00" * 32)


def another_checkpoint(ledger: Ledger) -> None:
    ledger.stamp(token=ledger.authority.token(b"another note", ledger.now()))


def another_time(ledger: Ledger) -> None:
    ledger.stamp(stamped_at=instant(ledger.now() + timedelta(seconds=2)))


def another_root(ledger: Ledger) -> None:
    ledger.stamp(checkpoint_root="ab" * 32)


def a_checkpoint_of_the_future(ledger: Ledger) -> None:
    size = len(ledger.leaves) + 2
    ledger.stamp(checkpoint_size=size)
    ledger.notes[size] = ledger.notes.pop(size - 2)


def broken(ledger: Ledger) -> None:
    note = ledger.signed()
    token = bytearray(ledger.authority.token(note, ledger.now()))
    token[-1] ^= 1
    ledger.stamp(token=bytes(token))


def unknown_authority(ledger: Ledger) -> None:
    note = ledger.signed()
    ledger.stamp(token=Authority().token(note, ledger.now()))


def not_for_stamping(ledger: Ledger) -> None:
    note = ledger.signed()
    unfit = stamper(ledger.authority.root, usage(digital_signature=True))
    ledger.stamp(token=Authority(root=ledger.authority.root, identity=unfit).token(note, ledger.now()))


def rubbish(ledger: Ledger) -> None:
    ledger.stamp(token=b"rubbish")


def no_checkpoint(ledger: Ledger) -> None:
    ledger.stamp()
    del ledger.notes[len(ledger.leaves) - 1]


@pytest.mark.parametrize(
    ("bend", "code", "verdict"),
    [
        (wrong_digest, "evidence-token-digest", Verdict.CONTRADICTED),
        (another_checkpoint, "evidence-token-other", Verdict.CONTRADICTED),
        (another_root, "evidence-token-other", Verdict.CONTRADICTED),
        (another_time, "evidence-token-time", Verdict.CONTRADICTED),
        (broken, "evidence-token-wrong", Verdict.CONTRADICTED),
        (unknown_authority, "evidence-token-wrong", Verdict.NOT_PROVABLE),
        (not_for_stamping, "evidence-token-wrong", Verdict.NOT_PROVABLE),
        (rubbish, "evidence-token-wrong", Verdict.NOT_PROVABLE),
        (no_checkpoint, "evidence-stamped-absent", Verdict.NOT_PROVABLE),
    ],
)
def test_a_stamp_that_does_not_hold_brackets_nothing(
    bend: Callable[[Ledger], None], code: str, verdict: Verdict
) -> None:
    ledger = bracketed()
    bend(ledger)
    index = len(ledger.leaves) - 1
    result = ledger.verify()
    assert result.by_question["time"].verdict is verdict
    assert (code, index) in codes(result, "time")
    assert ("evidence-time-tail", 2) in codes(result, "time"), "what it was to bracket is open"


def test_a_stamp_over_what_was_not_there_yet() -> None:
    ledger = bracketed()
    a_checkpoint_of_the_future(ledger)
    ledger.add("operator.action")
    ledger.add("operator.action")
    assert ledger.verify().by_question["time"].verdict is Verdict.CONTRADICTED


def test_stamps_go_forward() -> None:
    """An authority with a wrong clock, or a token that was made before and kept."""
    ledger = bracketed()
    index = ledger.stamp(at=START - timedelta(days=1))
    assert ("evidence-token-backwards", index) in codes(ledger.verify(), "time")


def test_authorities_known_from_the_bundle_alone_prove_nothing() -> None:
    ledger = bracketed()
    ledger.stamp()
    policy = Policy(ledger_keys=(FIRST.verifier,), whole=False)
    result = ledger.verify(policy=policy)
    assert codes(result, "time") == [("evidence-trust-of-bundle", -1)]
    assert result.by_question["time"].verdict is Verdict.NOT_PROVABLE
    nobody = Policy(ledger_keys=(FIRST.verifier,), authorities=(authority_certificate().certificate,))
    assert ledger.verify(policy=nobody).by_question["time"].verdict is Verdict.NOT_PROVABLE
