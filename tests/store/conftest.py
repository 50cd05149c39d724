"""The store under test, on SQLite and on PostgreSQL: the same tests, one fresh database each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from gateway.store.database import Database

POSTGRES = os.environ.get("GATEWAY_TEST_POSTGRES", "postgresql+psycopg://root@127.0.0.1:5432/test")


@cache
def _postgres_missing() -> str | None:
    engine = create_engine(POSTGRES, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except OperationalError as error:
        return f"PostgreSQL is not reachable, half of the store's tests did not run: {error.orig}"
    finally:
        engine.dispose()
    return None


def _schema_url() -> Iterator[str]:
    missing = _postgres_missing()
    if missing is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    schema = f"store_{uuid4().hex}"
    engine = create_engine(POSTGRES)
    try:
        with engine.begin() as conn:
            conn.execute(text(f"CREATE SCHEMA {schema}"))
        yield (
            make_url(POSTGRES)
            .update_query_dict({"options": f"-csearch_path={schema}"})
            .render_as_string(hide_password=False)
        )
        with engine.begin() as conn:
            conn.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    finally:
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'gateway.db'}"
    else:
        yield from _schema_url()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: cheaper than to migrate for every test."""
    path = tmp_path_factory.mktemp("migrated") / "gateway.db"
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def sqlite_path(migrated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(migrated, tmp_path / "gateway.db"))


@pytest.fixture
def sqlite_database(sqlite_path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{sqlite_path}")
    yield database
    database.close()


@pytest.fixture
def url(empty_url: str, migrated: Path) -> str:
    """The address of a database at today's schema."""
    path = make_url(empty_url).database
    if empty_url.startswith("sqlite"):
        assert path is not None
        shutil.copy(migrated, path)
    else:
        database = Database.open(empty_url)
        database.migrate()
        database.close()
    return empty_url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()
