"""SQLAlchemy's way to 金仓 (KingbaseES) through its own driver ``ksycopg2``: the PostgreSQL dialect, whose protocol and catalogue it speaks.

A URL begins with ``kingbase+ksycopg2://``. Only the name of the driver and the server's way of telling its version differ.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

__all__ = ["KingbaseDialect", "register"]

_AS_POSTGRESQL = (12, 0)
"""KingbaseES V8R6 and V9 tell a version of their own; their catalogue is that of PostgreSQL 12."""


class KingbaseDialect(PGDialect_psycopg2):
    """``kingbase+ksycopg2``."""

    name = "postgresql"
    driver = "ksycopg2"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        """The driver. Raises ImportError."""
        return importlib.import_module("ksycopg2")  # a driver that only some have, asked for when its URL is

    @property
    def _psycopg2_extensions(self) -> Any:
        return importlib.import_module("ksycopg2.extensions")

    @property
    def _psycopg2_extras(self) -> Any:
        return importlib.import_module("ksycopg2.extras")

    def _get_server_version_info(self, connection: sa.Connection) -> tuple[int, ...]:
        del connection
        return _AS_POSTGRESQL


def register() -> None:
    """Make the URL known to SQLAlchemy."""
    registry.register("kingbase.ksycopg2", __name__, "KingbaseDialect")
