"""How SQLite and PostgreSQL are connected to, and what is demanded of them before a commit may be called durable."""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from gateway.errors import StoreError

__all__ = ["Engines", "connect"]

_BUSY_MILLISECONDS = 5_000
_READERS = 4
_PAGE_BYTES = 8_192
# 64 MiB each. A log that is checked in every 4 MB, as SQLite does by default, halves the speed of bulk writes.
_LOG_PAGES = 8_192
_CACHE_KIB = 16_384  # of every connection; sorting takes as much again, so 64 MiB made 200 of a run's 500 MB

_SQLITE_DEMANDS: tuple[tuple[str, str | int], ...] = (
    ("journal_mode", "wal"),
    ("synchronous", 2),  # FULL
    ("foreign_keys", 1),
    ("busy_timeout", _BUSY_MILLISECONDS),
)
_SQLITE_SPEED = (
    f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}",
    f"PRAGMA journal_size_limit = {_LOG_PAGES * _PAGE_BYTES}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The ways in. ``writer`` is None when the store is only to be read; ``place`` may be shown to people."""

    reader: Engine
    writer: Engine | None
    place: str


def connect(url: str, *, read_only: bool) -> Engines:
    """Raises StoreError: ``store-url``, ``store-missing``, ``store-folder-open``; connecting itself happens at the first use."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("store-url") from None  # the text may hold a password
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed, read_only=read_only)
        case "postgresql":
            return _postgresql(parsed, read_only=read_only)
        case _:
            raise StoreError("store-url")


def _sqlite(url: URL, *, read_only: bool) -> Engines:
    if not url.database or url.database.startswith((":", "file:")) or url.query:
        raise StoreError("store-url")
    path = Path(url.database).absolute()
    if not read_only:
        _own_file(path)
    elif not path.is_file():
        raise StoreError("store-missing", place=str(path))
    return Engines(
        reader=_sqlite_engine(path, mode="ro", size=_READERS, begin="BEGIN"),
        # One connection: SQLite before 3.51.3 may lose a log reset when two of them write or check in at the same instant.
        # Readers (mode=ro) never check the log in.
        writer=None if read_only else _sqlite_engine(path, mode="rw", size=1, begin="BEGIN IMMEDIATE"),
        place=str(path),
    )


def _own_file(path: Path) -> None:
    """Make file (0600) and folder (0700) before SQLite would make them readable to others; narrow a file that is too wide."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = path.parent.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        raise StoreError("store-folder-open", folder=str(path.parent))
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # By name: to open and close it would drop the locks that SQLite holds on it in this process (POSIX fcntl).
        if stat.S_IMODE(path.stat().st_mode) & 0o177:
            path.chmod(0o600)


def _sqlite_engine(path: Path, *, mode: str, size: int, begin: str) -> Engine:
    def creator() -> sqlite3.Connection:
        try:
            return _sqlite_connection(path, f"mode={mode}")
        except sqlite3.OperationalError as error:
            if mode != "ro" or error.sqlite_errorcode != sqlite3.SQLITE_CANTOPEN or _has_log(path):
                raise
        # A folder in which we may not write, as an auditor's: the index of the log cannot be laid out there. Without a log nobody is at
        # work, and the file is all there is.
        return _sqlite_connection(path, "mode=ro&immutable=1")

    engine = create_engine(
        "sqlite://", creator=creator, poolclass=QueuePool, pool_size=size, max_overflow=0, hide_parameters=True
    )

    def begin_transaction(conn: Connection) -> None:
        conn.exec_driver_sql(begin)

    event.listen(engine, "begin", begin_transaction)
    return engine


def _sqlite_connection(path: Path, options: str) -> sqlite3.Connection:
    # isolation_level None: the driver begins nothing by itself, so the BEGIN of the engine is the only one.
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{options}", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare_sqlite(connection, writing=options == "mode=rw")
        if "immutable" not in options:
            _demand_sqlite(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _prepare_sqlite(connection: sqlite3.Connection, *, writing: bool) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    if writing:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # heeded by an empty database only
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in _SQLITE_SPEED:
            connection.execute(statement)
    else:
        connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _demand_sqlite(connection: sqlite3.Connection) -> None:
    for name, expected in _SQLITE_DEMANDS:
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        if found != expected:
            raise StoreError("store-setting", setting=name, expected=expected, found=found)


def _postgresql(url: URL, *, read_only: bool) -> Engines:
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=_READERS)

    def prepare(connection: Any, _: object) -> None:
        with connection.cursor() as cursor:
            for name in ("fsync", "synchronous_commit"):
                (found,) = cursor.execute(f"SHOW {name}").fetchone()
                if found in {"off", "local"}:
                    raise StoreError("store-setting", setting=name, expected="on", found=found)
        connection.rollback()

    event.listen(engine, "connect", prepare)
    return Engines(
        reader=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        writer=None if read_only else engine,
        place=url.render_as_string(hide_password=True),
    )
