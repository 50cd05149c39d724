"""The mappings folder of the project and what the gateway makes of the business database with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway.catalog.loader import Library, load_catalogs
from gateway.demo.business import TABLES, Table
from gateway.demo.database import build
from gateway.mapping.loader import load_source_mapping
from gateway.mapping.plan import RecordPlan
from tests.demo.reading import MAPPINGS, TODAY, Read, read


@pytest.fixture(scope="session")
def library() -> Library:
    return load_catalogs(MAPPINGS)


@pytest.fixture(scope="session")
def plans(library: Library) -> Mapping[str, RecordPlan]:
    def plan(table: Table) -> RecordPlan:
        mapping = load_source_mapping(MAPPINGS / "sources" / f"{table.mapping}.toml", library)
        return RecordPlan(mapping, library.catalogs[table.catalog], library)

    return {name: plan(table) for name, table in TABLES.items()}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "business.db"
    build(path, 7, TODAY)
    return path


@pytest.fixture
def reading(plans: Mapping[str, RecordPlan]) -> Callable[[Path, Table], Read]:
    return lambda path, table: read(path, table, plans[table.name])


@pytest.fixture(params=list(TABLES.values()), ids=list(TABLES))
def table(request: pytest.FixtureRequest) -> Table:
    found = request.param
    assert isinstance(found, Table)
    return found
