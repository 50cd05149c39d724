"""What entries say of each other, where every signature and every hash is right but something was left out or does not add up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger.chain import Chain
from gateway.ledger.entry import Value, encode
from gateway.ledger.report import Discrepancies, Discrepancy
from tests.ledger.samples import ROUTE, START, all_fields

GENESIS = ("genesis", all_fields("genesis"))
Said = tuple[str, dict[str, Value]]


def batch(seq: int, previous: int, kind: str = "batch.reconciled", /, **changes: Value) -> Said:
    fields = all_fields(kind, route=ROUTE, route_seq=seq, previous=previous, batch_id=f"b{seq}")
    return kind, {**fields, **changes}


def run(**figures: Value) -> Said:
    return "run.closed", {**all_fields("run.closed", run_id="run-1"), **figures}


def found(*said: Said) -> list[Discrepancy]:
    collected = Discrepancies()
    chain = Chain(collected)
    for index, (kind, fields) in enumerate((GENESIS, *said)):
        assert chain.take(index, encode(kind, fields, START + timedelta(seconds=index))) is not None
    return list(collected.report(entries=0, signed=0, root=None).findings)


def told(*said: Said) -> list[tuple[str, int]]:
    return [(one.code, one.index) for one in found(*said)]


def test_a_sound_chain_is_silent() -> None:
    assert told(batch(1, -1), batch(1, -1, route="r2"), batch(2, 1), batch(2, 2, route="r2"), batch(3, 3)) == []


def test_a_batch_that_was_never_entered_leaves_a_gap() -> None:
    assert told(batch(1, -1), batch(3, 1), batch(4, 2)) == [("entry-route-gap", 2)]
    assert told(batch(2, -1)) == [("entry-route-gap", 1)]


def test_a_settled_number_does_not_come_again() -> None:
    assert told(batch(1, -1), batch(1, 1)) == [("entry-route-repeat", 2)]
    assert told(batch(1, -1, "batch.received", verdict="accepted"), batch(1, 1, "batch.received")) == [
        ("entry-route-repeat", 2)
    ]
    assert told(batch(1, -1), batch(2, 1), batch(1, 2, "batch.abandoned")) == [("entry-route-repeat", 3)]


@pytest.mark.parametrize("kind", ["batch.disputed", "batch.abandoned"])
def test_an_unsettled_number_comes_again_until_it_is_settled(kind: str) -> None:
    assert told(batch(1, -1, kind), batch(2, 1), batch(1, 2)) == []
    assert told(batch(1, -1, kind), batch(1, 1), batch(1, 2)) == [("entry-route-repeat", 3)]


def test_a_refused_package_leaves_its_number_open() -> None:
    refused = batch(1, -1, "batch.received", verdict="refused")
    accepted = batch(1, 1, "batch.received", verdict="partly-accepted")
    assert told(refused, accepted, batch(2, 2, "batch.received", verdict="accepted")) == []


def test_previous_points_to_the_newest_of_the_route() -> None:
    assert told(batch(1, -1), batch(2, 0)) == [("entry-previous-wrong", 2)]
    assert told(batch(1, 0)) == [("entry-previous-wrong", 1)]
    assert told(batch(1, -1), batch(2, -1), batch(3, 2)) == [("entry-previous-wrong", 2)]


def test_genesis_is_first_and_once() -> None:
    assert told(GENESIS) == [("entry-genesis-misplaced", 1)]
    collected = Discrepancies()
    Chain(collected).take(0, encode("run.closed", all_fields("run.closed"), START))
    (finding,) = collected.report(entries=1, signed=0, root=None).findings
    assert (finding.code, finding.index) == ("entry-genesis-misplaced", 0)


@pytest.mark.parametrize("kind", ["batch.reconciled", "batch.received"])
def test_the_figures_of_a_batch_balance(kind: str) -> None:
    figures: dict[str, Value] = {"created": 5, "updated": 4, "unchanged": 3, "withdrawn": 2, "rejected": 1}
    assert told(batch(1, -1, kind, total=15, **figures)) == []
    (finding,) = found(batch(1, -1, kind, total=16, **figures))
    assert (finding.code, finding.index, finding.expected, finding.found) == (
        "entry-figures-wrong",
        1,
        "total = 16",
        "15",
    )


def test_disputed_figures_need_not_balance() -> None:
    assert told(batch(1, -1, "batch.disputed", total=16, created=3)) == []


GOOD: dict[str, Value] = {
    "rows": 10,
    "vanished": 2,
    "carried": 3,
    "read": 15,
    "unchanged": 4,
    "quarantined": 5,
    "sealed": 6,
    "withdrawn": 2,
    "batches": 9,
}


def test_the_figures_of_a_run_balance() -> None:
    assert told(run(**GOOD)) == []
    for figure in ("rows", "vanished", "carried", "unchanged", "quarantined"):
        value = GOOD[figure]
        assert isinstance(value, int)
        assert told(run(**{**GOOD, figure: value + 1})) == [("entry-figures-wrong", 1)]
    assert told(run(**{**GOOD, "read": 16})) == [("entry-figures-wrong", 1)] * 2
    assert told(run(**{**GOOD, "withdrawn": 7})) == [("entry-figures-wrong", 1)]


SEALED: dict[str, Value] = {"rows": 6, "read": 6, "sealed": 6, "batches": 2}


def test_what_a_run_sealed_is_in_its_batches() -> None:
    first, second = batch(1, -1, total=4, created=4, run_id="run-1"), batch(2, 1, total=2, created=2, run_id="run-1")
    abandoned = batch(2, 1, "batch.abandoned", total=2, run_id="run-1")
    assert told(first, second, run(**SEALED)) == []
    assert told(first, abandoned, run(**SEALED)) == []
    assert told(first, run(**SEALED)) == []  # one is still under way
    late = batch(2, 1, total=2, created=2, run_id="run-1")
    assert told(first, run(**SEALED), late) == []
    short = batch(2, 1, total=1, created=1, run_id="run-1")
    assert told(first, short, run(**SEALED)) == [("entry-run-unbalanced", 3)]
    assert told(first, run(**SEALED), short) == [("entry-run-unbalanced", 3)]
    over = batch(1, -1, total=7, created=7, run_id="run-1")
    assert told(over, run(**SEALED), second) == [("entry-run-unbalanced", 2)]  # said once


def test_a_void_batch_takes_the_place_of_one_that_was_counted() -> None:
    abandoned = batch(1, -1, "batch.abandoned", total=6, run_id="run-1")
    void = batch(1, 1, total=0, run_id="run-1")
    assert told(abandoned, void, run(**{**SEALED, "batches": 1})) == []


def test_a_batch_of_no_run_counts_for_none() -> None:
    assert told(batch(1, -1, total=4, created=4), run(batches=0)) == []


def test_unreadable_entries_do_not_blame_the_others() -> None:
    collected = Discrepancies()
    chain = Chain(collected)
    said = [GENESIS, batch(1, -1), batch(2, 1), batch(3, 2), batch(5, 3)]
    for index, (kind, fields) in enumerate(said):
        chain.take(index, b"{}" if index == 2 else encode(kind, fields, START))
    report = collected.report(entries=5, signed=0, root=None)
    assert [(one.code, one.index) for one in report.findings] == [("entry-invalid", 2), ("entry-route-gap", 4)]


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=40), st.data())
@settings(max_examples=100)
def test_any_entry_left_out_is_noticed(routes: list[str], data: st.DataObject) -> None:
    """Written as if it had never happened: indices and previous pointers close up, but the number is gone."""
    skipped = data.draw(st.integers(0, len(routes) - 1))
    newest: dict[str, int] = {}
    seqs: dict[str, int] = {}
    said = []
    for at, route in enumerate(routes):
        seqs[route] = seqs.get(route, 0) + 1
        if at != skipped:
            said.append(batch(seqs[route], newest.get(route, -1), route=route))
            newest[route] = len(said)
    followed = routes[skipped] in routes[skipped + 1 :]
    assert [code for code, _ in told(*said)] == (["entry-route-gap"] if followed else [])
