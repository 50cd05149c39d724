"""A connection to a receiver's front-end database, bounded in time, and what its errors mean for a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from gateway.errors import ExchangeError
from gateway.exchange import kingbase
from gateway.exchange.secret import Secret

__all__ = ["open_engine", "passing", "state_of"]

_CONNECT: Final = 15  # seconds
_PASSING_CLASSES: Final = ("08", "40", "53", "55", "57")
"""SQLSTATE classes (ISO/IEC 9075, PostgreSQL appendix A) that may be otherwise next time: connection, rollback, resources, state, operator."""
_PASSING_MYSQL: Final = frozenset({1040, 1053, 1129, 1203, 1205, 1213, 1226, 1317, 1927, 1969, 3024})
"""Too many connections, shutdown, blocked host, limits, lock wait, deadlock, killed, statement time-outs; 2000 to 2999 are the line's."""
_PASSING_SQLITE: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL")


def open_engine(url: Secret, *, peer: str, seconds: float) -> sa.Engine:
    """An engine that connects anew for every piece of work; a statement may last ``seconds``.

    Raises ExchangeError ``front-url-invalid`` (which does not show it: it may hold a password), ``front-driver-missing``.
    """
    kingbase.register()
    try:
        parsed = sa.make_url(url.reveal())
    except (sa.exc.ArgumentError, ValueError) as error:
        raise ExchangeError("front-url-invalid", peer=peer) from error
    backend = parsed.get_backend_name()
    try:
        if backend == "sqlite":
            return _sqlite(parsed, seconds)
        return sa.create_engine(parsed, poolclass=sa.pool.NullPool, connect_args=_limits(backend, parsed, seconds))
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise ExchangeError("front-driver-missing", peer=peer, driver=parsed.drivername) from error


def _sqlite(url: sa.URL, seconds: float) -> sa.Engine:
    """A file that must be there: SQLite would make an empty one in its place."""
    file = Path(url.database or "").absolute().as_uri() + "?mode=rw&uri=true"
    args = {"uri": True, "timeout": min(seconds, 30.0)}
    return sa.create_engine(f"sqlite:///{file}", poolclass=sa.pool.NullPool, connect_args=args)


def _limits(backend: str, url: sa.URL, seconds: float) -> dict[str, Any]:
    """The driver's own time-outs, where it is one that we know."""
    whole = max(1, round(seconds))
    if backend in {"postgresql", "kingbase"}:
        # What the address itself sets, a search_path for example, stays.
        own = url.query.get("options", ())
        said = [own] if isinstance(own, str) else [*own]
        options = [*said, f"-c statement_timeout={whole * 1000}", f"-c lock_timeout={whole * 1000}"]
        return {"connect_timeout": _CONNECT, "application_name": "credit-gateway", "options": " ".join(options)}
    if backend in {"mysql", "mariadb"} and url.get_driver_name() == "pymysql":
        return {"connect_timeout": _CONNECT, "read_timeout": whole, "write_timeout": whole, "charset": "utf8mb4"}
    return {}


def passing(error: sa.exc.DBAPIError) -> bool:
    """Whether the same may succeed later: the line, a lock, a limit. What is wrong with the rows or our rights stays so."""
    original = error.orig
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if isinstance(state, str):
        return state.startswith(_PASSING_CLASSES)
    name = getattr(original, "sqlite_errorname", None)
    if isinstance(name, str):
        return name.startswith(_PASSING_SQLITE)
    number = original.args[0] if original is not None and original.args else None
    if isinstance(number, int) and number > 0:
        return number in _PASSING_MYSQL or 2000 <= number < 3000
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


def state_of(error: sa.exc.DBAPIError) -> str:
    """The database's own code for what is wrong. Its words may quote values, so they go nowhere."""
    original = error.orig
    for name in ("sqlstate", "pgcode", "sqlite_errorname"):
        state = getattr(original, name, None)
        if isinstance(state, str):
            return f"{type(original).__name__} {state}"
    number = original.args[0] if original is not None and original.args else None
    return f"{type(original).__name__} {number if isinstance(number, int) else ''}".strip()
