"""Completeness: what must be there, what may be gone, and damage told apart from tampering. On a real bundle, and on entries made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.evidence.manifest import Selection
from gateway.ledger.report import Verdict
from tests.evidence.synthetic import Ledger, codes
from tests.evidence.world import ROUTES, World
from tests.ledger.samples import ROUTE
from tests.tamper.forge import Evidence


def batch(ledger: Ledger, number: int, kind: str = "batch.reconciled", **fields: str | int) -> int:
    previous = max((at for at, one in enumerate(_routed(ledger)) if one), default=-1)
    told: dict[str, str | int] = {"route": ROUTE, "route_seq": number, "previous": previous, "batch_id": f"b{number}"}
    return ledger.add(kind, {**told, **fields})


def _routed(ledger: Ledger) -> list[bool]:
    return [b'"route":' in leaf for leaf in ledger.leaves]


def found(ledger: Ledger, selection: Selection | None = None) -> list[tuple[str, int]]:
    whole = ledger.bundle(selection=selection)
    held = [whole.newest]
    return [
        one
        for one in codes(whole.verify(ledger.policy(), held), "completeness")
        if one[0] != "evidence-selection-unproved"
    ]


def test_what_is_selected_must_be_there() -> None:
    ledger = Ledger()
    index = batch(ledger, 1)
    assert found(ledger) == [], "outside the selection a digest is enough"
    everything = Selection(batches=("b1",))
    assert found(ledger, everything) == [("evidence-package-absent", index), ("evidence-receipt-absent", index)]


def test_an_erased_package_is_accounted_for() -> None:
    ledger = Ledger()
    first, second = batch(ledger, 1, package_sha256="11" * 32), batch(ledger, 2, package_sha256="22" * 32)
    ledger.add("erasure", batch_id="b1", erased=first, package_sha256="11" * 32)
    chosen = Selection(batches=("b1", "b2"))
    assert found(ledger, chosen) == [
        ("evidence-receipt-absent", first),  # receipts are never erased
        ("evidence-package-absent", second),
        ("evidence-receipt-absent", second),
    ]
    result = ledger.bundle(selection=chosen).verify(ledger.policy())
    remark = next(facts for code, facts in result.remarks if code == "evidence-remark-batches")
    assert (remark["selected"], remark["erased"]) == (2, 1)


@pytest.mark.parametrize(
    "wrong", [{"erased": 0}, {"package_sha256": "33" * 32}, {"batch_id": "another"}, {"erased": 9}, {"erased": -1}]
)
def test_an_erasure_of_something_else_contradicts(wrong: dict[str, str | int]) -> None:
    ledger = Ledger()
    first = batch(ledger, 1, package_sha256="11" * 32)
    told: dict[str, str | int] = {"batch_id": "b1", "erased": first, "package_sha256": "11" * 32}
    index = ledger.add("erasure", {**told, **wrong})
    assert ("evidence-erasure-wrong", index) in found(ledger, Selection(batches=("b1",)))


def test_what_was_erased_and_is_still_there(world: World, tmp_path: Path) -> None:
    world.export("bureau", tmp_path / "evidence.zip")
    whole = Evidence.read(tmp_path / "evidence.zip")
    at, entry = next((at, one) for at, one in enumerate(whole.entries) if one.kind == "batch.reconciled")
    ledger = Ledger(leaves=list(whole.leaves))
    ledger.add("erasure", batch_id=entry.text("batch_id"), erased=at, package_sha256=entry.text("package_sha256"))
    with world.nodes.bureau.open() as gateway:
        longer = whole.with_log(ledger.leaves, gateway.note_signer)
    assert ("evidence-erased-present", at) in codes(longer.verify(whole.policy), "completeness")


def test_a_batch_given_up_leaves_a_hole_until_its_void_one_is_settled() -> None:
    ledger = Ledger()
    index = batch(ledger, 1, "batch.abandoned", batch_id="given-up", replaced_by="void")
    assert found(ledger) == [("evidence-hole-open", index)]
    batch(ledger, 1, batch_id="void", total=0)
    assert found(ledger) == []
    other = Ledger()
    batch(other, 1, "batch.abandoned", batch_id="given-up", replaced_by="void")
    index = batch(other, 1, batch_id="another", total=0)
    assert found(other) == [("evidence-void-wrong", index)]


def test_a_dispute_is_not_settled() -> None:
    ledger = Ledger()
    index = batch(ledger, 1, "batch.disputed")
    assert found(ledger) == [("evidence-dispute-open", index)]
    assert ledger.verify().by_question["completeness"].verdict is Verdict.NOT_PROVABLE


def test_routes_and_runs() -> None:
    ledger = Ledger()
    batch(ledger, 1, run_id="run", total=3, created=3)
    ledger.add("run.closed", run_id="run", batches=2, sealed=5, read=5, rows=5)
    assert found(ledger) == [("evidence-run-open", -1)]
    index = batch(ledger, 3, run_id="run", total=2, created=2)
    assert found(ledger) == [("entry-route-gap", index)]


def test_damage_is_told_apart_from_tampering(world: World, tmp_path: Path) -> None:
    """Whatever is missing keeps things from being proved, and contradicts nothing."""
    world.export("bureau", tmp_path / "evidence.zip")
    whole = Evidence.read(tmp_path / "evidence.zip")
    for name in whole.members:
        if name == "selection.json":
            continue
        result = whole.changed({name: None}).verify(whole.policy, [whole.newest])
        expected = Verdict.PROVED if name.startswith("proofs/") else Verdict.NOT_PROVABLE
        assert result.verdict is expected, name


@pytest.mark.parametrize("route", ROUTES)
def test_a_selection_holds_what_it_says_and_nothing_else(world: World, tmp_path: Path, route: str) -> None:
    done = world.export("bureau", tmp_path / "evidence.zip", Selection(route=route))
    whole = Evidence.read(tmp_path / "evidence.zip")
    chosen = {one.text("batch_id") for one in whole.entries if one.fields.get("route") == route}
    inside = {name.split("/")[1] for name in whole.members if name.startswith("sent/")}
    erased = {one.text("batch_id") for one in whole.entries if one.kind == "erasure"}
    assert inside == chosen - erased
    assert done.batches == sum(1 for one in whole.entries if one.fields.get("route") == route)
    result = whole.verify(whole.policy, [whole.newest])
    assert result.verdict is Verdict.PROVED, result
    remark = next(facts for code, facts in result.remarks if code == "evidence-remark-batches")
    assert remark["outside"], "the other route is known by its digests"
    assert len(whole.entries) == whole.size


def test_a_selection_of_days_and_batches(world: World, tmp_path: Path) -> None:
    world.export("bureau", tmp_path / "all.zip")
    entries = Evidence.read(tmp_path / "all.zip").entries
    batches = [one for one in entries if one.kind == "batch.reconciled"]
    middle = batches[len(batches) // 2].at
    for name, selection, expected in (
        ("late", Selection(start=middle), {one.text("batch_id") for one in batches if one.at >= middle}),
        ("one", Selection(batches=(batches[0].text("batch_id"),)), {batches[0].text("batch_id")}),
    ):
        world.export("bureau", tmp_path / f"{name}.zip", selection)
        whole = Evidence.read(tmp_path / f"{name}.zip")
        assert {each.split("/")[1] for each in whole.members if each.startswith("sent/")} == expected
        assert whole.verify(whole.policy, [whole.newest]).verdict is Verdict.PROVED


def test_what_was_not_entered_says_so(world: World, tmp_path: Path) -> None:
    world.export("bureau", tmp_path / "all.zip", note=False)
    whole = Evidence.read(tmp_path / "all.zip")
    result = whole.verify(whole.policy, [whole.newest])
    assert "evidence-remark-not-entered" in {code for code, _ in result.remarks}
    assert codes(result, "completeness") == []
    world.export("bureau", tmp_path / "route.zip", Selection(route=ROUTES[0]), note=False)
    narrow = Evidence.read(tmp_path / "route.zip")
    assert codes(narrow.verify(narrow.policy, [narrow.newest]), "completeness") == [("evidence-selection-unproved", -1)]
