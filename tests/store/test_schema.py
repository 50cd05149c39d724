"""Migrations lead to the tables of the code, and a database of another age is refused."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

import gateway
from gateway.errors import StoreError
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.tables import metadata


def test_migrations_make_the_tables_of_the_code(database: Database) -> None:
    with database.read() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def _definitions(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type <> 'trigger' AND sql IS NOT NULL")
        words = {name: re.sub(r"\s+", " ", sql) for name, sql in rows if name != "alembic_version"}
    # Constraints of a table may stand in any order.
    return {
        name: " ".join(sorted(sql.replace("( ", ", ").replace(" )", ", ").split(", "))) for name, sql in words.items()
    }


def test_migrations_make_them_to_the_letter(migrated: Path, tmp_path: Path) -> None:
    """Alembic's comparison does not look at checks, WHERE of an index, or WITHOUT ROWID; SQLite's own text shows them."""
    engine = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(engine)
    engine.dispose()
    direct = _definitions(tmp_path / "direct.db")
    assert len(direct) > 30
    assert _definitions(migrated) == direct


def test_every_constraint_has_a_name_to_migrate_it_by() -> None:
    unnamed = [
        (table.name, type(item).__name__)
        for table in metadata.tables.values()
        for item in table.constraints
        if not item.name
    ]
    assert unnamed == []


def test_an_empty_database_waits_for_its_tables(empty_url: str) -> None:
    database = Database.open(empty_url)
    with pytest.raises(StoreError, match="schema-missing"), database.begin():
        pass
    with pytest.raises(StoreError, match="schema-missing"), database.read():
        pass
    database.migrate()
    with database.begin() as conn:
        assert schema.age(conn) is schema.Age.CURRENT
    database.migrate()
    database.close()


def test_reading_an_empty_database_is_refused(empty_url: str) -> None:
    Database.open(empty_url).close()
    with pytest.raises(StoreError, match="schema-missing"):
        Database.open(empty_url, read_only=True)


def _revision(url: str, revision: str) -> None:
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    engine.dispose()


def test_a_newer_database_is_refused(url: str) -> None:
    _revision(url, "9999")
    for arguments in ({}, {"read_only": True}, {"upgrading": True}):
        with pytest.raises(StoreError) as refused:
            Database.open(url, **arguments)
        assert (refused.value.code, refused.value.facts["found"]) == ("schema-newer", "9999")


def test_an_older_database_is_refused_until_it_is_upgraded(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With one more revision beside those that are there, a database at today's is old."""
    first = Path(schema.__file__).parent / "migrations"
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for file in (first / "env.py", *first.glob("versions/r*.py")):
        (folder / file.relative_to(first)).write_text(file.read_text("utf-8"), "utf-8")
    database = Database.open(empty_url)
    database.migrate()
    database.close()

    monkeypatch.setattr(schema, "_FOLDER", folder)
    newest = ScriptDirectory(str(first)).get_current_head()
    second = folder / "versions" / "r9999_more.py"
    second.write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = '{newest}'\n\n"
        "def upgrade():\n    op.execute('CREATE TABLE more (id INTEGER)')\n    op.execute('SELECT broken')\n"
    )
    for read_only in (False, True):
        with pytest.raises(StoreError, match="schema-older"):
            Database.open(empty_url, read_only=read_only)

    database = Database.open(empty_url, upgrading=True)
    with pytest.raises((StoreError, ProgrammingError)):
        database.migrate()
    database.close()
    engine = create_engine(empty_url)
    with engine.connect() as conn:
        assert "more" not in _tables(conn), "an upgrade that fails leaves nothing behind"
        assert conn.scalar(text("SELECT version_num FROM alembic_version")) == newest
    engine.dispose()

    second.write_text(second.read_text().replace("    op.execute('SELECT broken')\n", ""))
    database = Database.open(empty_url, upgrading=True)
    database.migrate()
    with database.begin() as conn:
        assert "more" in _tables(conn)
    database.close()


def _tables(conn: Connection) -> list[str]:
    return conn.dialect.get_table_names(conn)


def test_another_programs_database_is_refused(empty_url: str) -> None:
    engine = create_engine(empty_url)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE customers (id INTEGER)"))
    engine.dispose()
    with pytest.raises(StoreError, match="schema-foreign"):
        Database.open(empty_url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(StoreError) as refused:
        Database.open(f"sqlite:///{path}")
    assert (refused.value.code, refused.value.facts["reason"]) == ("store-unreachable", "SQLITE_NOTADB")


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreError) as refused:
        Database.open("postgresql+psycopg://me:geheim@127.0.0.1:1/test?connect_timeout=2")
    assert refused.value.code == "store-unreachable"
    assert "geheim" not in f"{refused.value.say('en')} {refused.value.facts}"
    assert isinstance(refused.value.__cause__, OperationalError)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?uri=true",
        "sqlite:///x.db?timeout=1",
        "mysql://x/y",
    ],
)
def test_an_address_that_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="store-url"):
        Database.open(url)


def test_the_migrations_travel_with_the_package() -> None:
    """They are files of the package, found beside its code: so the wheel, which takes the package, has them."""
    assert schema._FOLDER.is_relative_to(Path(gateway.__file__).parent)
    assert {path.name for path in schema._FOLDER.rglob("*.py")} >= {"env.py", "r0001_first.py"}
