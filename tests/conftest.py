"""What every test starts from."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a quarter of the time goes by waiting for disks and lines."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A report says which rows of the fault table its test tries: processes that run tests collect for themselves."""
    for item in items:
        for marker in item.iter_markers("fault"):
            item.user_properties += [("row", row) for row in marker.args]


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that a test runs sets up logging for its process: the next test starts without that."""
    yield
    structlog.reset_defaults()
