"""The database: one way in to write, one to read, and no second try after a failed write.

SQLite: one writing connection in the process, taken under a lock with ``BEGIN IMMEDIATE``; readers never check the log in, so the
defect of SQLite before 3.51.3 (a log reset under two checkpointing connections) finds no second one. What makes a commit durable
(WAL, ``synchronous=FULL``) is read back at every open. PostgreSQL: a pool, ``synchronous_commit`` read back likewise.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from gateway.errors import StoreError
from gateway.store import schema
from gateway.store.engines import Engines, connect

__all__ = ["Connection", "Database"]

# Errors of the statement, not of the machine: the connection is as good as before.
_HARMLESS = (IntegrityError, DataError, ProgrammingError, NotSupportedError)


class Database:
    """An open store. :meth:`begin` writes, :meth:`read` reads; both hand out a SQLAlchemy connection for the length of a block."""

    def __init__(self, engines: Engines) -> None:
        self._writer = engines.writer
        self._reader = engines.reader
        self._place = engines.place
        self._serial = threading.Lock() if engines.reader.dialect.name == "sqlite" else None
        self._writing_thread: int | None = None
        self._empty = False
        self._broken: str | None = None
        if self._writer is not None:
            event.listen(self._writer, "handle_error", self._notice)

    @classmethod
    def open(cls, url: str, *, read_only: bool = False, upgrading: bool = False) -> Database:
        """Open the store at a SQLAlchemy URL (``sqlite:///path`` or ``postgresql+psycopg://…``).

        A database that does not exist yet is made, empty, and waits for :meth:`migrate`. An older one is refused unless
        ``upgrading`` says that :meth:`migrate` comes next; a newer or a foreign one always. ``read_only`` needs an existing one.

        Raises StoreError: ``store-url``, ``store-missing``, ``store-unreachable``, ``store-setting``, ``store-folder-open``,
        ``schema-missing``, ``schema-older``, ``schema-newer``, ``schema-foreign``.
        """
        database = cls(connect(url, read_only=read_only))
        try:
            database._check(upgrading=upgrading)
        except BaseException:
            database.close()
            raise
        return database

    def _check(self, *, upgrading: bool) -> None:
        try:
            for engine in (self._writer, self._reader):
                if engine is not None:
                    engine.connect().close()
        except DBAPIError as error:
            raise StoreError("store-unreachable", place=self._place, reason=_reason(error.orig)) from error
        with self._reading() as conn:
            age = schema.age(conn)
        if age is schema.Age.OLDER and not upgrading:
            raise StoreError("schema-older")
        self._empty = age is schema.Age.EMPTY
        if self._empty and self._writer is None:
            raise StoreError("schema-missing")

    @property
    def broken(self) -> bool:
        """True after a write failed for a reason outside the statement: the process should end and start again."""
        return self._broken is not None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One writing transaction: committed, and durable, when the block ends; undone when the block raises.

        Raises StoreError: ``store-read-only``, ``schema-missing``, ``store-busy`` (another process writes: nothing happened),
        ``store-constraint`` (the database refused the change: nothing happened), ``store-write-failed`` (disk or server; a
        failed commit may or may not have happened) and from then on ``store-broken``.
        """
        if self._empty:
            raise StoreError("schema-missing")
        with self._writing() as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One reading transaction: the whole block sees one state of the database, and cannot change it.

        Keep it short: while it lasts, SQLite's log cannot be emptied. Raises StoreError ``store-read-failed``.
        """
        if self._empty:
            raise StoreError("schema-missing")
        with self._reading() as conn:
            yield conn

    def migrate(self) -> None:
        """Bring the schema to this program's, in one transaction. Does nothing when it is there already."""
        with self._writing() as conn:
            schema.upgrade(conn)
        self._empty = False

    def close(self) -> None:
        """Close every connection. The last one to close SQLite folds the log into the file."""
        self._reader.dispose()
        if self._writer is not None:
            self._writer.dispose()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._writer is None:
            raise StoreError("store-read-only", place=self._place)
        if self._serial is None:
            with self._transaction(self._writer) as conn:
                yield conn
            return
        if self._writing_thread == threading.get_ident():
            raise RuntimeError("a transaction inside a transaction: pass the connection on instead")
        with self._serial:
            self._writing_thread = threading.get_ident()
            try:
                with self._transaction(self._writer) as conn:
                    yield conn
            finally:
                self._writing_thread = None

    @contextmanager
    def _transaction(self, writer: Engine) -> Iterator[Connection]:
        if self._broken is not None:
            raise StoreError("store-broken", reason=self._broken)
        try:
            with writer.begin() as conn:
                yield conn
        except IntegrityError as error:
            # Not chained: PostgreSQL's message quotes the values that collided.
            raise StoreError("store-constraint", constraint=_constraint(error)) from None
        except DBAPIError as error:
            if isinstance(error, _HARMLESS):
                raise
            if self._broken is None:
                raise StoreError("store-busy", place=self._place) from error
            raise StoreError("store-write-failed", reason=self._broken) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._reader.connect() as conn:
                yield conn
        except DBAPIError as error:
            if isinstance(error, _HARMLESS):
                raise
            raise StoreError("store-read-failed", place=self._place, reason=_reason(error.orig)) from error

    def _notice(self, context: ExceptionContext) -> None:
        """Seen at the moment of the error, so that a block which swallows the exception cannot hide it."""
        if context.connection is None or context.connection.get_execution_options().get("postgresql_readonly"):
            return  # not connected yet, or reading: nothing was being written
        error = context.sqlalchemy_exception
        if isinstance(error, DBAPIError) and not isinstance(error, _HARMLESS) and not _undone(error):
            self._broken = _reason(error.orig)


def _reason(error: BaseException | None) -> str:
    """The name of what went wrong, never the message: ``SQLITE_FULL``, ``57P01``."""
    name = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    return str(name or type(error).__name__)


def _undone(error: DBAPIError) -> bool:
    """Whether the server said that nothing happened: it never began (SQLite busy), or it was rolled back as a whole (class 40)."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return bool(code & 0xFF == sqlite3.SQLITE_BUSY)
    state = getattr(error.orig, "sqlstate", None) or ""
    return state in {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available


def _constraint(error: IntegrityError) -> str:
    """What was violated, in the database's words but without values."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return str(diagnosis.constraint_name or diagnosis.message_primary)
    return str(error.orig)
