"""A desk that sends: a fresh journal for every test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.database import Database
from tests.delivery.organisation import Desk


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: cheaper than to migrate for every test."""
    path = tmp_path_factory.mktemp("migrated") / "gateway.db"
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def desk(migrated: Path, tmp_path: Path) -> Iterator[Desk]:
    database = Database.open(f"sqlite:///{shutil.copy(migrated, tmp_path / 'gateway.db')}")
    yield Desk(database).open()
    database.close()
