"""Real databases for the tests: one object for three engines, each test with tables of its own that are dropped afterwards."""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import sqlalchemy as sa

__all__ = ["KINDS", "Database", "open_database"]

Kind = Literal["sqlite", "postgresql", "mariadb"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql", "mariadb")
SERVERS = {
    "postgresql": ("GATEWAY_TEST_POSTGRES", "postgresql+psycopg://root@127.0.0.1:5432/test"),
    "mariadb": ("GATEWAY_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}
# What each engine calls a column of a kind. SQLite has neither dates nor exact decimals.
TYPES = {
    "sqlite": {"time": "TEXT", "day": "TEXT", "amount": "REAL", "text": "TEXT", "long": "TEXT", "whole": "INTEGER"},
    "postgresql": {
        "time": "TIMESTAMP(6)",
        "day": "DATE",
        "amount": "NUMERIC(18,6)",
        "text": "TEXT",
        "long": "TEXT",
        "whole": "BIGINT",
    },
    "mariadb": {
        "time": "DATETIME(6)",
        "day": "DATE",
        "amount": "DECIMAL(18,6)",
        "text": "VARCHAR(4000)",
        "long": "TEXT",
        "whole": "BIGINT",
    },
}


@dataclass(slots=True)
class Database:
    """One engine with a writing connection beside the source under test."""

    kind: Kind
    url: str
    engine: sa.Engine
    tables: list[str] = field(default_factory=list)

    def type(self, name: str) -> str:
        return TYPES[self.kind][name]

    def quote(self, name: str) -> str:
        return self.engine.dialect.identifier_preparer.quote_identifier(name)

    def table(self, **columns: str) -> str:
        """A new empty table; columns as name = kind of ``TYPES``."""
        name = f"t_{uuid.uuid4().hex[:16]}"
        listed = ", ".join(f"{self.quote(column)} {self.type(kind)}" for column, kind in columns.items())
        self.run(f"CREATE TABLE {name} ({listed})")
        self.tables.append(name)
        return name

    def insert(self, table: str, *rows: tuple[Any, ...]) -> None:
        marks = ", ".join(f":v{index}" for index in range(len(rows[0])))
        statement = sa.text(f"INSERT INTO {table} VALUES ({marks})")
        with self.engine.begin() as connection:
            connection.execute(statement, [{f"v{i}": value for i, value in enumerate(row)} for row in rows])

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


@contextmanager
def open_database(kind: Kind, folder: Path) -> Generator[Database]:
    """The engine, ready; a server that does not answer skips the test, and fails it where ``CI`` is ``true``."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'local.db'}"
    else:
        variable, default = SERVERS[kind]
        url = os.environ.get(variable, default)
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        with engine.connect() as connection:
            if kind == "sqlite":
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    except sa.exc.OperationalError as error:
        message = f"{kind} does not answer at {engine.url!r}: {error.orig}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    database = Database(kind=kind, url=url, engine=engine)
    try:
        yield database
    finally:
        for table in database.tables:
            database.run(f"DROP TABLE IF EXISTS {table}")
        engine.dispose()
