"""A line that is cut, goes deaf, answers late, drips or spoils: whatever it does to one transfer, the next one brings everything to rest."""

from __future__ import annotations

import pytest

from tests.faults.line import Toxin
from tests.faults.scene import Scene

UP, DOWN = 4_300, 3_400
"""What one transfer of four records takes: about 1 700 bytes of handshake and head before the package, 1 200 before the answer."""


def disturb(scene: Scene, toxins: list[Toxin]) -> None:
    """One transfer after the other, the first try of each disturbed in its own way."""
    scene.check(0)
    for number, toxin in enumerate(toxins, start=1):
        passed = len(scene.line.passed)
        scene.line.poison(lambda count, toxin=toxin: toxin if count == 0 else Toxin())  # type: ignore[misc]
        scene.set_rows({**scene.rows, 1000 + number: "新增许可", 1: f"第{number}次变更"})
        scene.until_at_rest(scene.bureau())
        scene.check()
        assert len(scene.line.passed) - passed > 1, f"{toxin} disturbed nothing"
    scene.stop()


@pytest.mark.fault("F4", "F25")
def test_the_line_is_cut_in_the_handshake_the_head_and_the_package(scene: Scene) -> None:
    disturb(scene, [Toxin(cut_up=count) for count in (0, 900, 1_800, 3_000)])


@pytest.mark.fault("F4")
@pytest.mark.slow
def test_the_upload_is_cut_at_every_256_bytes(scene: Scene) -> None:
    disturb(scene, [Toxin(cut_up=count) for count in range(0, UP, 256)])


@pytest.mark.fault("F5", "F6", "S1")
@pytest.mark.slow
def test_the_answer_is_cut_at_every_256_bytes(scene: Scene) -> None:
    disturb(scene, [Toxin(cut_down=count) for count in range(0, DOWN, 256)])


@pytest.mark.fault("F5", "F25", "S1")
def test_the_receiver_goes_deaf(scene: Scene) -> None:
    """It swallows the package, or its answer is swallowed: nothing comes until the time is over."""
    scene.configure(timeout="1s")
    disturb(scene, [Toxin(deaf_up=2_500), Toxin(deaf_down=1_400)])


@pytest.mark.fault("F5", "F26")
@pytest.mark.slow
def test_deaf_at_any_moment(scene: Scene) -> None:
    scene.configure(timeout="1s")
    ups = [Toxin(deaf_up=count) for count in (0, 600, 1_200, 1_900, 3_500)]
    downs = [Toxin(deaf_down=count) for count in (0, 600, 1_100, 2_000, 3_300)]
    disturb(scene, [*ups, *downs])


@pytest.mark.fault("S2", "F6")
def test_an_answer_that_comes_too_late_is_asked_for(scene: Scene) -> None:
    scene.configure(timeout="1s")
    disturb(scene, [Toxin(late=1.5, late_from=1_300)])


@pytest.mark.fault("F26")
def test_a_dripping_answer_ends_at_the_deadline(scene: Scene) -> None:
    scene.configure(timeout="1s")
    disturb(scene, [Toxin(drip=0.01)])


@pytest.mark.fault("F25")
@pytest.mark.slow
def test_a_byte_that_is_changed_on_the_way(scene: Scene) -> None:
    ups = [Toxin(spoil_up=count) for count in (3, 800, 1_900, 3_500)]
    downs = [Toxin(spoil_down=count) for count in (3, 700, 1_400, 3_000)]
    disturb(scene, [*ups, *downs])
