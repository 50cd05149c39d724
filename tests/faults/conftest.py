"""A scene for every test, and its tally."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.scene import Scene
from tests.faults.scene import scene as lay_scene
from tests.faults.tally import Tally

_ALWAYS = "test_kill_points.py"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two nodes in processes of their own take their time: kills at the main commit points are for every run, the rest for ``make faults``."""
    for item in items:
        if isinstance(item, pytest.Function) and "scene" in item.fixturenames and item.path.name != _ALWAYS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Where a test counts the faults that it tries."""
    return Tally(record_property)


@pytest.fixture
def scene(tmp_path: Path, tally: Tally) -> Iterator[Scene]:
    """Two nodes and a line between them."""
    with lay_scene(tmp_path, tally) as laid:
        yield laid
