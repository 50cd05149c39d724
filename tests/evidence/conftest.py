"""Three nodes that have worked, once for all tests of a process: nothing here changes them but by entries of exports."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.evidence.world import World, live


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    with ThreadPoolExecutor(1) as apart:  # a thread of its own: the test that asks first may run in an event loop
        return apart.submit(live, folder).result()
