"""Evidence by somebody who wants to break the reader: whatever comes, there is a verdict or a refusal, and nothing else."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import EvidenceError
from gateway.evidence.judgement import judgement_json, judgement_lines
from gateway.ledger.entry import Value
from gateway.ledger.kinds import KINDS, FieldType
from gateway.ledger.report import Verdict
from tests.evidence.synthetic import FIRST, NODE, ORIGIN, SECOND, START, Ledger
from tests.evidence.world import World
from tests.package.samples import ecdsa
from tests.tamper.forge import Evidence

ODD = st.one_of(
    st.sampled_from(
        [
            "../../etc/passwd",
            "a/b/c",
            "//",
            "x" * 512,
            ORIGIN,
            NODE,
            str(FIRST.verifier),
            str(SECOND.verifier),
            "ledger",
            "package",
            "-1",
        ]
    ),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=40),
)
DIGEST = st.sampled_from(["00" * 32, "ab" * 32, ecdsa().signer.key_id])
VALUES: dict[FieldType, st.SearchStrategy[Value]] = {
    FieldType.NAME: ODD,
    FieldType.TEXT: st.one_of(st.just(""), ODD),
    FieldType.COUNT: st.sampled_from([0, 1, 2, 3, 2**53 - 1]),
    FieldType.SEQUENCE: st.sampled_from([1, 2, 3, 2**53 - 1]),
    FieldType.INDEX: st.sampled_from([-1, 0, 1, 2, 5, 2**53 - 1]),
    FieldType.DIGEST: DIGEST,
    FieldType.DIGEST_OR_NONE: st.one_of(st.just(""), DIGEST),
    FieldType.INSTANT: st.sampled_from(
        ["1900-01-01T00:00:00.000000Z", "2026-11-22T06:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]
    ),
    FieldType.BASE64: st.binary(min_size=1, max_size=60).map(lambda data: base64.b64encode(data).decode()),
    FieldType.KEY: st.one_of(st.just(base64.b64encode(ecdsa().signer.certificate_der).decode()), ODD),
}


@st.composite
def entries(draw: st.DrawFn) -> list[tuple[str, dict[str, Value], timedelta]]:
    chosen = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=12))
    days = st.sampled_from([timedelta(), timedelta(days=-40_000), timedelta(days=2_900_000), timedelta(minutes=1)])
    return [
        (kind, {name: draw(VALUES[declared]) for name, declared in KINDS[kind].fields.items()}, draw(days))
        for kind in chosen
    ]


@given(entries())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_any_entries_at_all(told: list[tuple[str, dict[str, Value], timedelta]]) -> None:
    ledger = Ledger()
    for kind, fields, shift in told:
        ledger.add(kind, fields, at=START + shift)
    result = ledger.verify()
    assert list(judgement_lines(result))
    assert judgement_json(result)


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1), st.integers(0, 50), st.binary(max_size=50))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_content_of_any_member(
    bundle: Callable[[], Evidence], which: float, place: float, gone: int, put: bytes
) -> None:
    whole = bundle()
    name = sorted(whole.members)[int(which * len(whole.members))]
    content = whole.members[name]
    start = int(place * len(content))
    changed = content[:start] + put + content[start + gone :]
    try:
        result = whole.changed({name: changed}).with_files_told().verify(whole.policy, [whole.newest])
    except EvidenceError:
        return
    told = {"README.txt", "policy.toml", "gateway-verify.pyz", "selection.json"}  # which a forger may write anew
    assert result.verdict is not Verdict.PROVED or changed == content or name in told


@pytest.fixture(scope="module")
def bundle(world: World, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Evidence]:
    """As a function: a failing example would print the whole of it."""
    target: Path = tmp_path_factory.mktemp("hostile") / "evidence.zip"
    world.export("province", target)
    read = Evidence.read(target)
    return lambda: read


@pytest.mark.parametrize("size", [2**20, 2**40, 2**53 - 1])
def test_a_claim_of_more_entries_than_there_are_costs_nothing(size: int) -> None:
    ledger = Ledger()
    ledger.notes[size] = ledger.signed(size=1)
    bundle = ledger.bundle()
    note = bundle.members["checkpoint"].replace(b"\n1\n", f"\n{size}\n".encode(), 1)
    started = time.monotonic()
    result = bundle.changed({"checkpoint": note}).resized(size, bytes(32)).verify(ledger.policy())
    assert time.monotonic() - started < 5
    assert result.verdict is Verdict.CONTRADICTED


def test_findings_are_counted_and_not_kept_without_end() -> None:
    ledger = Ledger()
    for number in range(600):
        ledger.add("batch.reconciled", route=f"a/b/{number}", route_seq=7, total=1)
    result = ledger.verify()
    completeness = result.by_question["completeness"]
    assert completeness.total > 600
    assert len(completeness.findings) < 100


def test_more_keys_than_anybody_has() -> None:
    ledger = Ledger()
    for number in range(2_100):
        ledger.add("key.added", purpose="ledger", owner=NODE, key_id=f"{number:064x}", key="nonsense")
    result = ledger.verify()
    codes = {finding.code for finding in result.by_question["authenticity"].findings}
    assert "evidence-keys-too-many" in codes
