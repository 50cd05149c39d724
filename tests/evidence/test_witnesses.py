"""Cosignatures in evidence: held against the witnesses' keys, told when they are wrong, and never taken for more than they say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.evidence.judgement import Judgements, judgement_lines
from gateway.ledger.cosignature import Cosigner
from gateway.ledger.keys import generate_key
from gateway.ledger.report import Verdict
from tests.evidence.synthetic import FIRST, START, Ledger, codes
from tests.tamper.forge import Evidence

WITNESS = Cosigner("witness.example/w1", generate_key(b"\x15" * 32))
STRANGER = Cosigner("witness.example/w2", generate_key(b"\x16" * 32))


def cosigned(note: bytes, *by: Cosigner) -> bytes:
    text = note.decode().rpartition("\n\n")[0] + "\n"
    return note + "".join(one.line(text, START) for one in by).encode()


def ledger(*, entered: bool = False) -> tuple[Ledger, Evidence]:
    """Four entries, a time-stamp over two of them."""
    made = Ledger()
    made.add("operator.action")
    if entered:
        key = WITNESS.verifier
        made.add("key.added", purpose="witness", owner="audit-office", key_id="ab" * 32, key=str(key))
    made.stamp()
    made.add("operator.action")
    return made, made.bundle()


def judged(made: Ledger, bundle: Evidence, *witnesses: Cosigner) -> Judgements:
    policy = replace(made.policy(FIRST), witnesses=tuple(one.verifier for one in witnesses))
    return bundle.verify(policy, [bundle.newest])


def test_a_witness_of_the_policy_is_told_with_its_size_and_time() -> None:
    made, bundle = ledger()
    whole = bundle.changed({"checkpoint": cosigned(bundle.members["checkpoint"], WITNESS)})
    result = judged(made, whole, WITNESS)
    assert codes(result, "authenticity") == []
    said = "\n".join(judgement_lines(result, "en"))
    assert "The witness witness.example/w1 cosigned the first 4 entries at 2026-11-22T06:00:00" in said


def test_a_stamped_checkpoint_may_be_cosigned_afterwards() -> None:
    made, bundle = ledger()
    bare = judged(made, bundle)
    whole = bundle.changed({"checkpoints/2": cosigned(bundle.members["checkpoints/2"], WITNESS)})
    result = judged(made, whole, WITNESS)
    assert result.by_question["time"] == bare.by_question["time"]
    assert codes(result, "authenticity") == []


def test_a_witness_that_the_ledger_names_needs_no_policy() -> None:
    made, bundle = ledger(entered=True)
    whole = bundle.changed({"checkpoint": cosigned(bundle.members["checkpoint"], WITNESS)})
    assert codes(judged(made, whole), "authenticity") == []


@pytest.mark.parametrize("how", ["of another checkpoint", "another time", "another signature"])
def test_a_cosignature_that_does_not_hold_contradicts(how: str) -> None:
    made, bundle = ledger()
    note = bundle.members["checkpoint"]
    line = cosigned(note, WITNESS)[len(note) :].decode()
    if how == "of another checkpoint":
        older = bundle.members["checkpoints/2"]
        line = cosigned(older, WITNESS)[len(older) :].decode()
    else:
        at = line.rindex(" ") + (12 if how == "another time" else 40)
        line = line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]
    result = judged(made, bundle.changed({"checkpoint": note + line.encode()}), WITNESS)
    assert ("evidence-cosignature-wrong", -1) in codes(result, "authenticity")
    assert result.by_question["authenticity"].verdict is Verdict.CONTRADICTED


def test_a_signature_of_nobody_known_proves_nothing() -> None:
    made, bundle = ledger()
    whole = bundle.changed({"checkpoint": cosigned(bundle.members["checkpoint"], STRANGER)})
    result = judged(made, whole)
    assert codes(result, "authenticity") == [("evidence-cosignature-unknown", -1)]
    assert result.by_question["authenticity"].verdict is Verdict.NOT_PROVABLE


def test_a_witness_that_was_asked_for_and_signed_nothing() -> None:
    made, bundle = ledger()
    assert codes(judged(made, bundle, WITNESS), "authenticity") == [("evidence-cosignature-absent", -1)]
