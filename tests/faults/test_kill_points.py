"""SIGKILL at every named commit point of either side, before it and after it: restarted, nothing lost, nothing doubled."""

from __future__ import annotations

import ast
import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

import gateway
from gateway.config import load_settings
from gateway.control import perform
from gateway.errors import DeliveryError
from tests.faults.books import open_read
from tests.faults.children import Child, Fate
from tests.faults.line import Toxin
from tests.faults.scene import Scene

When = Literal["before", "after"]
WHEN = ("before", "after")

FIRST_RUN = {
    # point → the faults that a kill there is
    "open_gateway": ("F9",),
    "close_interrupted": ("F1",),
    "Planner.begin": ("F1",),
    "Runner._open": ("F1",),
    "Courier._deliver": ("F3", "S5"),
    "Courier._send": ("F3", "F4", "S5"),
    "ServiceTransport.send": ("F4", "F5", "S1"),
    "Courier._write": ("F5", "F6", "S1", "S5"),
    "_Taking.chunk": ("F1", "S13"),
    "Sealer._commit": ("F2", "F3"),
    "Reconciler.reconcile": ("F7", "F8", "S13"),
    "Runner._close": ("F7",),
    "FileHeadMemory.swap": ("F9", "F10"),
    "DurableLog.put_checkpoint": ("F9", "F10"),
    "TileFolder.create": ("F10",),
    "TileFolder.replace": ("F10",),
}
"""What the bureau passes in its first run, and which faults of the catalogue a kill there is."""

RECEIVING = {
    "Receiver._store": ("F4", "F5", "S1"),
    "DurableLog.put_checkpoint": ("F9",),
    "FileHeadMemory.swap": ("F10",),
}
"""What the province passes when a batch comes."""

DRIED = "Dispatcher._drained_dry"
"""Nothing waits any more for a peer that had been away."""

QUICK = {"Courier._send", "Reconciler.reconcile"}
"""What every run of the tests tries; the others are tried with the whole catalogue."""


def _cases(points: dict[str, tuple[str, ...]], quick: set[str]) -> list[Any]:
    return [
        pytest.param(
            point,
            when,
            marks=[pytest.mark.fault(*rows), *([] if point in quick else [pytest.mark.slow])],
            id=f"{point}-{when}",
        )
        for point, rows in points.items()
        for when in WHEN
    ]


@pytest.mark.parametrize(("point", "when"), _cases(FIRST_RUN, QUICK))
def test_the_sender_is_killed(scene: Scene, point: str, when: When) -> None:
    scene.province()
    # A node that starts signs the beginning of its ledger: the files of the run itself come after it.
    begun = {"FileHeadMemory.swap": 2, "DurableLog.put_checkpoint": 1, "TileFolder.create": 2, "TileFolder.replace": 1}
    bureau = scene.bureau(fate=Fate(point=point, when=when, nth=begun.get(point, 0)))
    assert bureau.ended() == -signal.SIGKILL
    scene.check()


@pytest.mark.parametrize(("point", "when"), _cases(RECEIVING, {"Receiver._store"}))
def test_the_receiver_is_killed(scene: Scene, point: str, when: When) -> None:
    begun = {"FileHeadMemory.swap": 2, "DurableLog.put_checkpoint": 1}
    province = scene.province(fate=Fate(point=point, when=when, nth=begun.get(point, 0)))
    scene.bureau()
    assert province.ended() == -signal.SIGKILL
    scene.check()


@pytest.mark.fault("F1", "S16")
@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("nth", [0, 1])
def test_killed_while_taking_back_what_vanished(scene: Scene, nth: int, when: When) -> None:
    scene.settle()
    scene.set_rows({number: scene.rows[number] for number in list(scene.rows)[2:]})
    scene.province()
    bureau = scene.bureau(fate=Fate(point="take_back", when=when, nth=nth))
    assert bureau.ended() == -signal.SIGKILL
    scene.check()


@pytest.mark.fault("F25", "S5")
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(
    "point",
    [
        "Dispatcher._note",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("Courier._write", "Courier._deliver")),
    ],
)
def test_killed_between_a_failure_and_the_next_try(scene: Scene, point: str, when: When) -> None:
    """Everything between taking a batch up and writing down when it is tried again; the second of each, so that a try has failed before."""
    scene.province()
    scene.line.poison(Toxin(refuse=True))
    bureau = scene.bureau(fate=Fate(point=point, when=when, nth=1))
    assert bureau.ended() == -signal.SIGKILL
    scene.check()


@pytest.mark.fault("F25", "S7")
@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
def test_killed_when_the_backlog_after_an_outage_is_gone(scene: Scene, when: When) -> None:
    scene.province()
    scene.line.poison(Toxin(refuse=True))
    bureau = scene.bureau(fate=Fate(point=DRIED, when=when))
    bureau.log.wait_for("peer.out-of-reach")
    scene.line.poison(Toxin())
    assert bureau.ended() == -signal.SIGKILL
    scene.check()


@pytest.mark.fault("F6", "S1", "S2")
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(
    "point", ["ServiceTransport.receipt", pytest.param("Courier._deliver", marks=pytest.mark.slow)]
)
def test_killed_while_asking_for_a_receipt(scene: Scene, point: str, when: When) -> None:
    """The receiver has stored the batch, its answer was swallowed; the sender dies around its question, and asks again."""
    scene.province()
    # The first connection only asks what time it is there.
    scene.line.poison(lambda number: Toxin(deaf_down=3_000) if number <= 1 else Toxin())
    bureau = scene.bureau(fate=Fate(point=point, when=when, nth=0 if point.startswith("Service") else 1))
    assert bureau.ended() == -signal.SIGKILL
    scene.check()


@pytest.mark.fault("F1", "S13")
@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
def test_killed_while_noting_that_the_source_failed(scene: Scene, when: When) -> None:
    scene.settle()
    away = scene.nodes.business.file.rename(scene.nodes.business.file.with_suffix(".away"))
    scene.province()
    bureau = scene.bureau(fate=Fate(point="Runner._failed", when=when))
    assert bureau.ended() == -signal.SIGKILL
    away.rename(scene.nodes.business.file)
    scene.check()


# Orders of people are transactions too.

SIGNED = {"person": "值班员", "reason": "演练"}


def _pause(scene: Scene) -> dict[str, object]:
    return {"scope": "peer", "name": "province"}


def _batch(scene: Scene) -> dict[str, object]:
    with closing(open_read(scene.nodes.bureau.path / "var" / "gateway.db")) as conn:
        (batch_id,) = conn.execute("SELECT id FROM batch ORDER BY sequence LIMIT 1").fetchone()
    return {"batch": batch_id}


ORDERS: dict[str, tuple[str, Callable[[Scene], dict[str, object]], str]] = {
    "Decisions.pause": ("pause", _pause, "SELECT count(*) FROM pause"),
    "Decisions.retry": ("retry", _batch, ""),
    "Decisions._abandon": ("abandon", _batch, "SELECT count(*) FROM batch WHERE state = 'abandoned'"),
}
"""Point → the verb that passes it, its arguments, and what the journal shows once it was carried out."""


@pytest.mark.fault("S5", "S6")
@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("point", sorted(ORDERS))
def test_killed_while_carrying_out_an_order(scene: Scene, point: str, when: When) -> None:
    """An order is carried out and stands in the ledger, or neither; whoever gave it is told that the daemon is gone."""
    verb, words, shown = ORDERS[point]
    scene.province()
    scene.line.poison(Toxin(refuse=True))
    bureau = scene.bureau(fate=Fate(point=point, when=when))
    _one_refused_twice(bureau)
    settings = load_settings(scene.nodes.bureau.path / "config.toml")
    if verb == "abandon":
        # The receiver is asked whether the batch ever came, so it must be there; what is on its way cannot be given up, so nothing may leave.
        perform(settings, "pause", {**_pause(scene), **SIGNED}, lambda _stage, _count: None)
        scene.wait_until(lambda: _waiting(scene))
        scene.line.mend()
    order = partial(perform, settings, verb, {**words(scene), **SIGNED})
    with pytest.raises(DeliveryError, match="daemon-gone"):
        order(lambda _stage, _count: None)
    if bureau.ended(5) is None:
        pytest.fail("it was not killed")
    with closing(open_read(scene.nodes.bureau.path / "var" / "gateway.db")) as conn:
        kinds = [kind for (kind,) in conn.execute("SELECT kind FROM entry")]
        done = kinds.count("batch.abandoned" if verb == "abandon" else "operator.action")
        assert done == (1 if when == "after" else 0)
        if shown:
            assert conn.execute(shown).fetchone() == (done,)
    if verb == "abandon" or (verb == "pause" and done):
        asyncio.run(_resume(scene))
    scene.check()


def _waiting(scene: Scene) -> bool:
    """Whether no batch is on its way."""
    with closing(open_read(scene.nodes.bureau.path / "var" / "gateway.db")) as conn:
        return bool(conn.execute("SELECT count(*) FROM batch WHERE state = 'sending'").fetchone() == (0,))


async def _resume(scene: Scene) -> None:
    from gateway.orders import ORDERS as VERBS

    with scene.nodes.bureau.open() as opened:
        await VERBS["resume"](opened, {**_pause(scene), **SIGNED}, lambda _stage, _count: None)


def _one_refused_twice(bureau: Child) -> None:
    bureau.log.wait_for("batch.moved", state="waiting")


# Nothing was forgotten.

WAY = {
    "app",
    "dispatch",
    "entries",
    "extract",
    "plan",
    "receive",
    "reconcile",
    "recover",
    "run",
    "seal",
    "send",
    "decisions",
}
"""The files that a record's way leads through; what stands above them carries out one order in one transaction, as decisions do."""

ELSEWHERE = {
    "Decisions.resume": "the mirror of Decisions.pause: the same two rows",
    "Courier.take_receipt": "a receipt by hand, one transaction of two rows: tests/delivery/test_take_receipt.py",
    "Courier._overtake": "a receipt that closes a void batch, as Reconciler.reconcile does: tests/delivery/test_send.py",
    "Receiver._ledger": "one alarm, raised again by the next batch if it is lost: tests/delivery/test_ledgers.py",
    "DurableLog.put": "an entry by itself, with nothing beside it: nobody but tests writes one so",
}


def _points(file: Path) -> Iterator[str]:
    """The functions of a file that open a writing transaction of the journal."""

    def walk(node: ast.AST, name: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            inner = name
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{name}.{child.name}" if name else child.name
            opens = isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr == "begin"
            if opens and not child.args and "database" in ast.unparse(child.func.value):  # type: ignore[attr-defined]
                yield name
            yield from walk(child, inner)

    yield from walk(ast.parse(file.read_text("utf-8")), "")


@pytest.mark.fault("F8")
def test_every_commit_point_is_killed() -> None:
    tried = {*FIRST_RUN, *RECEIVING, *ORDERS, "take_back", "Dispatcher._note", DRIED, "Runner._failed"}
    files = [file for file in Path(gateway.__file__).parent.rglob("*.py") if file.stem in WAY]
    there = {point for file in files for point in _points(file)}
    assert {file.stem for file in files} >= WAY
    assert there - tried == set(ELSEWHERE), "a commit point is new or gone: let a test kill it here"
