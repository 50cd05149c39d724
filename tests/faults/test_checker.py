"""The checker itself: a sound world passes, and each thing that can be wrong with it is found under its own invariant."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from inspect import signature

import pytest

from gateway.delivery.receive import Receiver
from gateway.ledger.tree import leaf_hash, root_of
from tests.faults.builds import RECEIVERS, install
from tests.faults.checker import Broken, Checkpoint, Entry, Ledger, Line, Received, Sent, World, check, find

R = "S/permits/P"


def entry(kind: str, number: int, name: str, previous: int) -> Entry:
    leaf = f"{kind} {number} {name} {previous}".encode()
    return Entry(leaf, kind, R, number, previous, name, f"d-{name}", f"r-{name}")


def signed(ledger: Ledger) -> Ledger:
    leaves = [leaf_hash(one.leaf) for one in ledger.entries]
    ledger.checkpoints = [Checkpoint(size, root_of(leaves[:size])) for size in range(len(leaves) + 1)]
    return ledger


def counts(**figures: int) -> dict[str, int]:
    return {
        "total": sum(figures.values()),
        **dict.fromkeys(("created", "updated", "unchanged", "withdrawn", "rejected"), 0),
    } | figures


def lines(*texts: str) -> tuple[Line, ...]:
    """``b 2 upsert`` and the like; a fourth word marks what was rejected."""
    return tuple(Line(key, int(version), op, bool(rest)) for key, version, op, *rest in map(str.split, texts))


def sound() -> World:
    """Two batches and one that was given up, with the void batch in its place: a, b and d were shared, b changed, c was rejected, d
    taken back, e taken back before it was ever shared."""
    first = lines("a 1 upsert", "b 1 upsert", "c 1 upsert rejected", "d 1 upsert")
    third = lines("a 1 upsert", "b 2 upsert", "d 2 withdraw")
    here = [
        Entry(b"genesis", "genesis"),
        entry("batch.reconciled", 1, "1", -1),
        entry("batch.abandoned", 2, "2", 1),
        entry("batch.reconciled", 2, "4", 2),
        entry("batch.reconciled", 3, "3", 3),
    ]
    there = [
        entry("batch.received", 1, "1", -1),
        entry("batch.received", 2, "4", 0),
        entry("batch.received", 3, "3", 1),
    ]
    wanted = {"a": (1, "upsert"), "b": (2, "upsert"), "c": (1, "upsert"), "d": (2, "withdraw"), "e": (1, "withdraw")}
    return World(
        wanted={R: wanted},
        held={R: {"a": (1, "upsert"), "b": (2, "upsert"), "d": (2, "withdraw")}},
        sent=[
            Sent("1", R, 1, "reconciled", "d-1", None, "r-1"),
            Sent("2", R, 2, "abandoned", "d-2", None, ""),
            Sent("3", R, 3, "reconciled", "d-3", None, "r-3"),
            Sent("4", R, 2, "reconciled", "d-4", "2", "r-4"),
        ],
        received=[
            Received("1", R, 1, "d-1", ("r-1",), counts(created=3, rejected=1), first),
            Received("4", R, 2, "d-4", ("r-4",), counts(), ()),
            Received("3", R, 3, "d-3", ("r-3",), counts(updated=1, withdrawn=1, unchanged=1), third),
        ],
        ledger=signed(Ledger(here)),
        ledgers={"P": signed(Ledger(there))},
    )


def test_a_sound_world_passes() -> None:
    assert check(sound()) == (0, 0)
    assert check(World()) == (0, 0)


def change(index: int, **facts: object) -> Callable[[World], None]:
    def act(world: World) -> None:
        world.sent[index] = world.sent[index]._replace(**facts)  # type: ignore[arg-type]  # a test names what it bends

    return act


def take_differently(index: int, **facts: object) -> Callable[[World], None]:
    def act(world: World) -> None:
        world.received[index] = world.received[index]._replace(**facts)  # type: ignore[arg-type]  # likewise

    return act


def lose_a_record(world: World) -> None:
    del world.held[R]["a"]


def hold_an_old_version(world: World) -> None:
    world.wanted[R]["a"] = (2, "upsert")


def hold_what_nobody_has(world: World) -> None:
    del world.wanted[R]["a"]


def forget_a_withdrawal(world: World) -> None:
    world.held[R]["d"] = (1, "upsert")


def drop_an_entry(world: World) -> None:
    world.ledger = signed(Ledger(world.ledger.entries[:-1]))


def tell_twice(world: World) -> None:
    world.ledger = signed(Ledger([*world.ledger.entries, entry("batch.reconciled", 3, "3", 4)]))


def tell_of_nothing(world: World) -> None:
    world.ledger = signed(Ledger([*world.ledger.entries, entry("batch.reconciled", 4, "9", 4)]))


def point_elsewhere(world: World) -> None:
    world.ledger.entries[4] = world.ledger.entries[4]._replace(previous=1)


def leave_out_there(world: World) -> None:
    world.ledgers["P"] = signed(Ledger(world.ledgers["P"].entries[:-1]))


def edit_a_leaf(world: World) -> None:
    world.ledger.entries[2] = world.ledger.entries[2]._replace(leaf=b"batch.abandoned with another reason")


def sign_ahead(world: World) -> None:
    world.ledger.checkpoints.append(Checkpoint(9, b"\0" * 32))


def sign_a_fork(world: World) -> None:
    world.ledgers["P"].checkpoints.append(Checkpoint(2, b"\0" * 32))


def leave_a_hole_there(world: World) -> None:
    del world.received[1]


def number_from_two(world: World) -> None:
    world.ledger.entries[1] = world.ledger.entries[1]._replace(sequence=2)


@pytest.mark.parametrize(
    ("invariant", "act"),
    [
        ("I1", lose_a_record),
        ("I1", hold_an_old_version),
        ("I1", hold_what_nobody_has),
        ("I1", forget_a_withdrawal),
        ("I1", take_differently(2, counts=counts(created=1, updated=1, withdrawn=1))),
        ("I1", take_differently(2, counts=counts(updated=1, withdrawn=1))),
        ("I2", take_differently(0, id="other")),
        ("I2", take_differently(0, digest="other")),
        ("I2", take_differently(0, receipts=())),
        ("I2", change(0, receipt="")),
        ("I3", drop_an_entry),
        ("I3", tell_twice),
        ("I3", tell_of_nothing),
        ("I3", point_elsewhere),
        ("I3", leave_out_there),
        ("I3", change(1, state="reconciled")),
        ("I3", change(0, state="disputed")),
        ("I4", edit_a_leaf),
        ("I4", sign_ahead),
        ("I4", sign_a_fork),
        ("I5", leave_a_hole_there),
        ("I5", number_from_two),
        ("I5", change(2, sequence=4)),
        ("I5", change(3, void_of=None)),
        ("I5", change(3, void_of="nobody")),
        ("I6", change(2, state="waiting")),
        ("I6", change(2, state="acknowledged")),
        ("I6", change(2, state="refused")),
    ],
)
def test_what_is_wrong_is_found(invariant: str, act: Callable[[World], None]) -> None:
    world = deepcopy(sound())
    act(world)
    assert invariant in {finding.invariant for finding in find(world)[0]}
    with pytest.raises(Broken, match=invariant):
        check(world)


def test_lost_and_doubled_are_counted() -> None:
    world = sound()
    lose_a_record(world)
    take_differently(2, counts=counts(created=1, updated=1, withdrawn=1))(world)
    _, lost, doubled = find(world)
    assert (lost, doubled) == (1, 1)


@pytest.mark.parametrize("build", sorted(RECEIVERS))
def test_a_receiver_that_misbehaves_is_called_like_the_real_one(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would do nothing but fail, and no story would be told."""
    real = {name: signature(getattr(Receiver, name)) for name in ("take", "receipt")}
    for name in real:
        monkeypatch.setattr(Receiver, name, getattr(Receiver, name))
    install(build)
    for name, known in real.items():
        assert [*signature(getattr(Receiver, name)).parameters] == [*known.parameters]
