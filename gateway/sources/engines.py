"""Databases as they are read: read-only, one snapshot, a stream of rows, a limit of time, and one bad value costing one row.

What each engine is asked for, and what it gives:

- SQLite: the file opened with ``mode=ro``, ``PRAGMA query_only``, one ``BEGIN``; time is limited for each fetch. Text comes as bytes,
  so that one value that is not UTF-8 does not end the cursor.
- PostgreSQL: ``REPEATABLE READ, READ ONLY``, a server-side cursor, ``statement_timeout`` for each fetch.
- MariaDB, MySQL: ``START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY`` (InnoDB tables only: others have no snapshots), rows
  unbuffered. They stream out of one statement, so the limit counts the whole read, our own work on the rows included.
- Any other dialect that SQLAlchemy knows is read with what the standard promises: nothing is written, the rest is up to its defaults.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from gateway.clock import Clock
from gateway.errors import SourceError, SourceUnavailableError
from gateway.sources.values import Unreadable

__all__ = ["Session", "parse_url", "session", "translated"]

CONNECT_SECONDS = 10
OPCODES_PER_LOOK = 20_000  # SQLite's virtual machine: some milliseconds
WRITE_SECONDS = 3600  # how long MariaDB waits for us to take rows: our own work must not break the stream

NO_DATE = Unreadable(value_class="outside-calendar")
POSTGRESQL_TIMES = (1082, 1083, 1114, 1184, 1186, 1266)  # pg_type: date, time, timestamp, timestamptz, interval, timetz
MYSQL_TIMES = (7, 10, 12)  # the protocol's field types TIMESTAMP, DATE, DATETIME

TOO_SLOW = {"57014", "1969", "3024", "SQLITE_INTERRUPT"}  # statement cancelled: PostgreSQL, MariaDB, MySQL, SQLite
# Worth another try. SQLite: locked or not to be opened now; MySQL: gone away, lost, killed, idle too long; PostgreSQL by the class of its
# SQLSTATE: 08 connection, 57P shut down, 53 out of resources, 25P03 idle too long, 40 snapshot lost on a standby.
LOST = {"2006", "2013", "1927", "4031"}
LOST_STARTS = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR")
LOST_STATES = ("08", "57P", "53", "25P03", "40")


class Session:
    """One open connection inside its transaction."""

    def __init__(self, connection: sa.Connection, look: Callable[[], None]) -> None:
        self.connection = connection
        self._look = look

    @property
    def types_its_cells(self) -> bool:
        """Whether a column may hold values of several types."""
        return self.connection.dialect.name == "sqlite"

    def rows(self, statement: sa.Executable, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The statement's rows in lists of up to ``size``, streamed."""
        self._look()
        options = {"stream_results": True, "yield_per": size, "max_row_buffer": size}
        result = self.connection.execute(statement, execution_options=options)
        cursor = result.cursor
        try:
            while batch := result.fetchmany(size):
                yield batch  # type: ignore[misc]  # a Row is a tuple to whoever reads it
                self._look()
        except BaseException:
            self._abandon(cursor)
            raise

    def names(self, statement: sa.Executable) -> tuple[str, ...]:
        """The names of the statement's columns."""
        self._look()
        with self.connection.execute(statement) as result:
            return tuple(result.keys())

    def _abandon(self, cursor: Any) -> None:
        """Leave a stream in its middle. PyMySQL would first read it to its end, in closing and again in its finalisers."""
        pending = getattr(cursor, "_result", None)
        if pending is not None and hasattr(pending, "unbuffered_active"):
            pending.unbuffered_active = False
            self.connection.invalidate()
        cursor.close()


def parse_url(url: str, *, source: str) -> sa.URL:
    """The URL in its parts. Raises SourceError ``source-url-invalid``, which does not show it: it may hold a password."""
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise SourceError("source-url-invalid", source=source) from error


@contextmanager
def session(url: sa.URL, *, source: str, zone: ZoneInfo, limit: timedelta | None, clock: Clock) -> Generator[Session]:
    """Connect, begin one read-only snapshot, and end it whatever happens.

    Raises SourceError ``source-driver-missing``, SourceUnavailableError ``source-unreachable``.
    """
    dialect = url.get_backend_name()
    deadline = Deadline(limit, clock)
    try:
        engine = _sqlite(url, deadline) if dialect == "sqlite" else _server(url, dialect)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise SourceError("source-driver-missing", source=source, driver=url.drivername) from error
    try:
        with translated("connect", url, source=source, limit=limit):
            connection = engine.connect()
        try:
            with translated("connect", url, source=source, limit=limit):
                _begin(connection, dialect, zone, limit)
            yield Session(connection, deadline.start)
        finally:
            connection.close()
    finally:
        engine.dispose()


class Deadline:
    """The limit of one fetch, for the engine that has no limit of its own."""

    def __init__(self, limit: timedelta | None, clock: Clock) -> None:
        self._seconds = limit.total_seconds() if limit else None
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Count from now."""
        self._at = self._clock.monotonic() + (self._seconds or 0.0)

    def passed(self) -> int:
        """SQLite's progress handler: anything but 0 interrupts."""
        return int(self._seconds is not None and self._clock.monotonic() > self._at)


def _sqlite(url: sa.URL, deadline: Deadline) -> sa.Engine:
    file = Path(url.database or "").absolute().as_uri() + "?mode=ro"

    def connect() -> sqlite3.Connection:
        # A generator may be driven from several threads, one at a time.
        connection = sqlite3.connect(file, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        connection.text_factory = bytes
        connection.set_progress_handler(deadline.passed, OPCODES_PER_LOOK)
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool, hide_parameters=True)


def _server(url: sa.URL, dialect: str) -> sa.Engine:
    options: dict[str, Any] = {"poolclass": sa.pool.NullPool, "hide_parameters": True}
    match dialect:
        case "postgresql":
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8"}
            options["execution_options"] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            lenient: Callable[[Any], None] | None = _lenient_postgresql
        case "mysql" | "mariadb":
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS, "charset": "utf8mb4"}
            options["execution_options"] = {"isolation_level": "AUTOCOMMIT"}  # the transaction is begun in words below
            lenient = _lenient_mysql
        case _:
            lenient = None
    engine = sa.create_engine(url, **options)
    if lenient:
        sa.event.listen(engine, "connect", lambda connection, _: lenient(connection))
    return engine


def _begin(connection: sa.Connection, dialect: str, zone: ZoneInfo, limit: timedelta | None) -> None:
    match dialect:
        case "sqlite":
            connection.exec_driver_sql("BEGIN")
            # BEGIN alone neither opens the file nor takes the snapshot.
            connection.exec_driver_sql("SELECT 1 FROM sqlite_master")
        case "postgresql":
            _begin_postgresql(connection, zone, limit)
        case "mysql" | "mariadb":
            _begin_mysql(connection, zone, limit)


def _begin_postgresql(connection: sa.Connection, zone: ZoneInfo, limit: timedelta | None) -> None:
    def put(setting: str, value: str) -> None:
        connection.execute(sa.select(sa.func.set_config(setting, value, True)))

    put("TimeZone", zone.key)  # casts in the query, such as updated_at::date, follow it
    if limit:
        put("statement_timeout", str(int(limit.total_seconds() * 1000)))
    driver: Any = connection.connection.dbapi_connection
    if driver.info.parameter_status("server_encoding") == "SQL_ASCII":
        # A database without an encoding: the driver then hands text over as bytes, and a row in another one than UTF-8 costs itself alone.
        put("client_encoding", "SQL_ASCII")


def _begin_mysql(connection: sa.Connection, zone: ZoneInfo, limit: timedelta | None) -> None:
    def say(words: str, **values: object) -> None:
        connection.execute(sa.text(words), values)

    say("SET SESSION net_write_timeout = :seconds", seconds=WRITE_SECONDS)
    say("SET SESSION time_zone = :zone", zone=_mysql_zone(zone))  # TIMESTAMP columns are told in it
    if limit and getattr(connection.dialect, "is_mariadb", False):
        say("SET SESSION max_statement_time = :seconds", seconds=limit.total_seconds())
    elif limit:
        say("SET SESSION max_execution_time = :milliseconds", milliseconds=int(limit.total_seconds() * 1000))
    say("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    say("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")


def _mysql_zone(zone: ZoneInfo) -> str:
    """A zone without summer time by its offset, since a server's zone tables are often not loaded; another one by its name."""
    winter, summer = (datetime(2026, month, 1, tzinfo=zone).strftime("%z") for month in (1, 7))
    return f"{winter[:3]}:{winter[3:5]}" if winter == summer else zone.key


def _lenient_postgresql(connection: Any) -> None:
    """PostgreSQL's years run from -4713 to 294276 and to infinity; Python's do not. One such value must not end the fetch."""

    def lenient(strict: Any) -> type:
        class Lenient:
            format = strict.format

            def __init__(self, oid: int, context: object) -> None:
                self._load = strict(oid, context).load

            def load(self, data: Any) -> object:
                try:
                    return self._load(data)
                except (ValueError, ArithmeticError, connection.DataError):
                    return NO_DATE

        return Lenient

    for oid in POSTGRESQL_TIMES:
        connection.adapters.register_loader(oid, lenient(connection.adapters.get_loader(oid, 0)))


def _lenient_mysql(connection: Any) -> None:
    """The driver hands over ``0000-00-00`` as text; as a date it means nothing, and as text it would pass for a value."""

    def lenient(strict: Callable[[Any], object]) -> Callable[[Any], object]:
        def load(data: Any) -> object:
            value = strict(data)
            return NO_DATE if isinstance(value, str) else value

        return load

    for kind in MYSQL_TIMES:
        connection.decoders[kind] = lenient(connection.decoders[kind])


@contextmanager
def translated(stage: str, url: sa.URL, *, source: str, limit: timedelta | None) -> Generator[None]:
    """Driver errors as ours. ``stage`` is ``connect``, ``prepare`` (no row has been looked at) or ``read``.

    The engine's own words are repeated, without the password, while no row has been looked at; later they may quote a row's value,
    so only the error's number is told.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        reason = f"its connection carries {error.encoding} alone, the query holds other characters"
        raise SourceError("query-invalid", source=source, reason=reason) from error
    except sa.exc.SQLAlchemyError as error:
        facts: dict[str, object] = {"source": source, "url": url.render_as_string(hide_password=True)}
        codes = _codes(error)
        if codes & TOO_SLOW:
            seconds = limit.total_seconds() if limit else 0
            raise SourceUnavailableError("source-too-slow", source=source, seconds=seconds) from error
        if stage == "connect" or _lost(error, codes):
            raise SourceUnavailableError("source-unreachable", **facts, reason=_words(error, url)) from error
        if stage == "prepare":
            raise SourceError("query-invalid", source=source, reason=_words(error, url)) from error
        raise SourceError("query-failed", source=source, number=" ".join(sorted(codes))) from error


def _codes(error: sa.exc.SQLAlchemyError) -> set[str]:
    """The engine's number of the error, and the driver's class of it."""
    original = getattr(error, "orig", None) or error
    first = original.args[0] if original.args and isinstance(original.args[0], int) else None
    known = (getattr(original, "sqlstate", None), getattr(original, "sqlite_errorname", None), first)
    return {type(original).__name__, *(str(code) for code in known if code is not None)}


def _lost(error: sa.exc.SQLAlchemyError, codes: set[str]) -> bool:
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return True
    return any(
        code in LOST or code.startswith(LOST_STARTS) or (len(code) == 5 and code.startswith(LOST_STATES))
        for code in codes
    )


def _words(error: sa.exc.SQLAlchemyError, url: sa.URL) -> str:
    """The first line of what the engine said, the password struck out."""
    original = getattr(error, "orig", None) or error
    told = str(original.args[-1] if original.args else original).strip().splitlines()
    words = told[0][:300] if told else type(original).__name__
    return words.replace(str(url.password), "***") if url.password else words
