"""Which schema a database has, and how it is brought to the one that this program knows."""

from __future__ import annotations

from enum import Enum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gateway.errors import StoreError

__all__ = ["Age", "age", "upgrade"]

_FOLDER = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 0x6761746577617900  # any fixed number: PostgreSQL's advisory locks are named by one


class Age(Enum):
    """How a database stands to this program."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"


def _config(conn: Connection) -> Config:
    config = Config(attributes={"connection": conn})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def _script(folder: Path) -> ScriptDirectory:
    """The revisions in ``folder``; to read them takes longer than most commands."""
    return ScriptDirectory(str(folder))


def age(conn: Connection) -> Age:
    """Compare the database with the newest revision here.

    Raises StoreError ``schema-newer`` when it has a revision that this program does not know, ``schema-foreign`` when it holds
    tables but none of them says that they are ours.
    """
    revision = MigrationContext.configure(conn).get_current_revision()
    if revision is None:
        if inspect(conn).get_table_names():
            raise StoreError("schema-foreign")
        return Age.EMPTY
    script = _script(_FOLDER)
    if revision == script.get_current_head():
        return Age.CURRENT
    if revision not in {known.revision for known in script.walk_revisions()}:
        raise StoreError("schema-newer", found=revision, known=script.get_current_head())
    return Age.OLDER


def upgrade(conn: Connection) -> None:
    """Run every missing revision in the caller's transaction: all of them, or none. Raises as :func:`age`."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    if age(conn) is not Age.CURRENT:
        command.upgrade(_config(conn), "head")
