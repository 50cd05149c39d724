"""Two hundred rounds: either side is killed at a named commit point or at any moment, over a line and a receiver that misbehave."""

from __future__ import annotations

from random import Random
from typing import Literal

import pytest

from tests.faults.builds import RECEIVERS
from tests.faults.children import Child, Fate
from tests.faults.line import CLEAN, Toxin
from tests.faults.scene import Scene
from tests.faults.test_kill_points import FIRST_RUN, RECEIVING

ROUNDS, PARTS = 200, 8
LONGEST_ROUND = 2.5
"""Seconds; then the disturbance is over, whatever has happened."""


@pytest.mark.fault(
    "F1", "F2", "F3", "F4", "F5", "F6", "F7", "F9", "F10", "F25", "F28", "F29", "S1", "S2", "S3", "S5", "S13"
)
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(PARTS))
def test_rounds(scene: Scene, seed: int) -> None:
    scene.configure(timeout="2s")
    chance = Random(seed)  # noqa: S311 — a story that can be told again
    for _ in range(ROUNDS // PARTS):
        disturb(scene, chance)
        scene.check()
    scene.stop()


@pytest.mark.fault("F29", "S2", "S3", "S4")
@pytest.mark.parametrize("build", ["answers-for-another", "forgets"])
def test_a_receiver_that_misbehaves(scene: Scene, build: str) -> None:
    misbehave(scene, build)


@pytest.mark.fault("F5", "F6", "F26", "F29", "S2", "S3", "S4")
@pytest.mark.slow
@pytest.mark.parametrize("build", sorted(set(RECEIVERS) - {"answers-for-another", "forgets"}))
def test_every_receiver_that_misbehaves(scene: Scene, build: str) -> None:
    misbehave(scene, build)


def misbehave(scene: Scene, build: str) -> None:
    """Everything comes to rest while the receiver goes on as it is: each second call it does right."""
    scene.configure(timeout="2s", batch_size=2)
    scene.province(build=build)
    scene.until_at_rest(scene.bureau())
    scene.check()


def disturb(scene: Scene, chance: Random) -> None:
    """One round's disturbance: what happens is drawn; the faults stop with :meth:`Scene.check`."""
    scene.change(chance)
    scene.line.poison(lambda _number: toxin(chance))
    who = chance.choice(["bureau", "province", "both", "nobody"])
    build = chance.choice(sorted(RECEIVERS)) if chance.random() < 0.5 else None
    moment = chance.random() < 0.4
    province = scene.province(
        fate=fate(chance, RECEIVING) if who in {"province", "both"} and not moment else None, build=build
    )
    bureau = scene.bureau(fate=fate(chance, FIRST_RUN) if who in {"bureau", "both"} and not moment else None)
    doomed = {"bureau": [bureau], "province": [province], "both": [bureau, province], "nobody": []}[who]
    _until_over(doomed, chance.uniform(0.05, LONGEST_ROUND) if moment else LONGEST_ROUND, scene)
    if moment:
        for child in doomed:
            child.kill()


def _until_over(doomed: list[Child], longest: float, scene: Scene) -> None:
    if doomed:
        doomed[0].ended(longest)
    else:
        scene.bureau().log.wait_for("run.closed")


def fate(chance: Random, points: dict[str, tuple[str, ...]]) -> Fate:
    """A point, one of the first times that it is passed."""
    when: Literal["before", "after"] = chance.choice(["before", "after"])
    return Fate(point=chance.choice(sorted(points)), when=when, nth=chance.choice([0, 0, 0, 1, 2]))


def toxin(chance: Random) -> Toxin:
    """What a connection suffers: mostly nothing."""
    at = chance.randrange(5_000)
    kinds = [
        Toxin(refuse=True),
        Toxin(cut_up=at),
        Toxin(cut_down=at),
        Toxin(deaf_up=at),
        Toxin(deaf_down=at),
        Toxin(late=2.5, late_from=1_300),
        Toxin(spoil_up=at),
        Toxin(spoil_down=at),
    ]
    return chance.choice(kinds) if chance.random() < 0.4 else CLEAN
