"""Policies and manifests: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import EvidenceError
from gateway.evidence.manifest import Manifest, Selection, manifest_bytes, parse_manifest
from gateway.evidence.policy import MAX_POLICY_BYTES, Policy, parse_policy, policy_text
from tests.evidence.synthetic import FIRST, ORIGIN, SECOND
from tests.evidence.world import WITNESS
from tests.package.samples import ecdsa, rsa_identity, stranger

NO_CERTIFICATE = """[[authorities]]
certificates = "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"
"""
TEXT = policy_text(
    origin=ORIGIN,
    ledger_keys=[FIRST.verifier, SECOND.verifier],
    signers={"11230000MB1234567X": [ecdsa().certificate, rsa_identity().certificate], "b": [stranger().certificate]},
    authorities=[stranger().certificate],
    witnesses=[WITNESS.verifier],
)


def test_a_policy_that_we_write() -> None:
    policy = parse_policy(TEXT.encode())
    assert policy == Policy(
        origin=ORIGIN,
        ledger_keys=(FIRST.verifier, SECOND.verifier),
        signers={
            "11230000MB1234567X": (ecdsa().certificate, rsa_identity().certificate),
            "b": (stranger().certificate,),
        },
        authorities=(stranger().certificate,),
        witnesses=(WITNESS.verifier,),
    )


def test_odd_names_stay_texts() -> None:
    text = policy_text(origin='a"\\\n\u202e', ledger_keys=[], signers={}, authorities=[])
    assert parse_policy(text.encode()).origin == 'a"\\\n\u202e'


def test_a_person_may_write_less() -> None:
    policy = parse_policy(b"clock_skew = 60\nledger_keys = []\n")
    assert policy == Policy(skew=timedelta(seconds=60))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x = 1", "x"),
        ("origin = 1", "origin"),
        ('origin = ""', "origin"),
        ('ledger_keys = "one"', "ledger_keys"),
        ('ledger_keys = ["nonsense"]', "ledger_keys[0]"),
        ("ledger_keys = [1]", "ledger_keys[0]"),
        (f'witnesses = ["{FIRST.verifier}"]', "witnesses[0]"),
        ("clock_skew = -1", "clock_skew"),
        ("clock_skew = 1.5", "clock_skew"),
        ("clock_skew = true", "clock_skew"),
        ("clock_skew = 1000000", "clock_skew"),
        ("signers = [1]", "signers[0]"),
        ('[[signers]]\ncode = "a"', "signers[0].certificates"),
        ('[[signers]]\ncertificates = "x"', "signers[0].code"),
        ('[[signers]]\ncode = "a"\ncertificates = "x"', "signers[0].certificates"),
        ('[[signers]]\ncode = "a"\ncolour = "red"', "signers[0].colour"),
        (NO_CERTIFICATE, "authorities[0].certificates"),
        ("= nonsense", ""),
        ("\udcff", ""),
        ("#" + "x" * MAX_POLICY_BYTES, ""),
    ],
)
def test_a_policy_that_is_not_one(text: str, place: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        parse_policy(text.encode("utf-8", "surrogateescape"))
    assert (caught.value.code, caught.value.facts["place"]) == ("policy-malformed", place)


MANIFEST = Manifest(
    origin=ORIGIN,
    node_code="code",
    node_name="示例局",
    size=17,
    root="ab" * 32,
    selection=Selection(batches=("a", "b"), route="r", start=datetime(2026, 1, 1, tzinfo=UTC)),
    made_at=datetime(2026, 11, 22, 6, 0, tzinfo=UTC),
    software="0.1.0",
    person="审计员",
    reason="年度核查",
    entry=16,
    not_entered="",
    files={"README.txt": "00" * 32},
)


def test_a_manifest_that_we_write() -> None:
    assert parse_manifest(manifest_bytes(MANIFEST)) == MANIFEST


@pytest.mark.parametrize(
    "bend",
    [
        lambda told: told.pop("size"),
        lambda told: told.update(extra=1),
        lambda told: told.update(format="credit-gateway/evidence/2"),
        lambda told: told.update(size="17"),
        lambda told: told.update(size=-2),
        lambda told: told.update(size=2**53),
        lambda told: told.update(size=True),
        lambda told: told.update(node="code"),
        lambda told: told.update(made_at="2026-11-22"),
        lambda told: told["selection"].update({"from": "2026-01-01T00:00:00Z"}),
        lambda told: told["selection"].update(batches=["x"] * 10_001),
        lambda told: told["selection"].update(batches="x"),
        lambda told: told.update(files=[]),
        lambda told: told["files"].update(a=1),
    ],
)
def test_a_manifest_that_is_not_one(bend: Callable[[Any], object]) -> None:
    told = json.loads(manifest_bytes(MANIFEST))
    bend(told)
    with pytest.raises(EvidenceError) as caught:
        parse_manifest((json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())
    assert caught.value.code == "bundle-manifest"


@given(st.data())
def test_no_other_writing_of_a_manifest_is_taken(data: st.DataObject) -> None:
    whole = bytearray(manifest_bytes(MANIFEST))
    whole.insert(data.draw(st.integers(0, len(whole))), data.draw(st.sampled_from(b" \n\t")))
    with suppress(EvidenceError):  # a blank inside a text makes another text
        assert parse_manifest(bytes(whole)) != MANIFEST


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(), "all"),
        (Selection(route="a/b/c"), "route=a/b/c"),
        (Selection(batches=("x", "y")), "batch=x batch=y"),
        (
            Selection(start=datetime(2026, 1, 1, tzinfo=UTC), stop=datetime(2026, 2, 1, tzinfo=UTC)),
            "from=2026-01-01T00:00:00.000000Z to=2026-02-01T00:00:00.000000Z",
        ),
    ],
)
def test_how_the_ledger_says_a_selection(selection: Selection, said: str) -> None:
    assert str(selection) == said
