"""A credit platform that takes records by the database mode (前置库): its exchange table in SQLite, and the job that works it off.

It runs no gateway. The table is its own; a sender writes rows into it and looks for what it says of them there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.catalog.loader import load_catalogs
from gateway.front_database import layouts_of
from gateway.mapping.table_loader import load_table_format

__all__ = ["PLATFORM_CODE", "PLATFORM_NAME", "REFUSAL", "Platform", "Row"]

PLATFORM_NAME: Final = "示例省信用平台"
PLATFORM_CODE: Final = "11230000000000027D"
REFUSAL: Final = "E12"
"""The platform's own code for a document that is called by its number."""
_FORMAT: Final = "front-tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The control columns of a row that the platform has decided on."""

    key: str
    version: int
    op: str
    status: int
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The front-end database in ``file``, with the table for ``catalog``."""

    file: Path
    catalog: str

    def build(self, mappings: Path) -> None:
        """Make the table as the format in ``mappings`` describes it."""
        fmt = load_table_format(mappings / "formats" / _FORMAT, load_catalogs(mappings))
        (layout,) = (one for one in layouts_of(fmt) if one.catalog == self.catalog)
        kinds = {"JH_STATUS": "INTEGER", "JH_VERSION": "INTEGER", "JH_SEQUENCE": "INTEGER"}
        columns = (*layout.rows.named.values(), *layout.columns)
        listed = ", ".join(f'"{name}" {kinds.get(name, "TEXT")}' for name in columns)
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(f'CREATE TABLE "{layout.rows.table}" ({listed}, UNIQUE (JH_BATCH_ID, JH_KEY))')

    def work(self) -> Sequence[Row]:
        """The platform's job: decide on every row that waits, and tell so in the row. Returns what it decided, by key."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            found = connection.execute(
                "UPDATE JH_XZXK SET JH_STATUS = CASE WHEN XK_XKWS = XK_WSH THEN 3 ELSE 2 END,"
                " JH_CODE = CASE WHEN XK_XKWS = XK_WSH THEN ? END,"
                " JH_MESSAGE = CASE WHEN XK_XKWS = XK_WSH THEN '文书名称与文书号相同' END"
                " WHERE JH_STATUS = 0 RETURNING JH_KEY, JH_VERSION, JH_OP, JH_STATUS, JH_CODE",
                (REFUSAL,),
            ).fetchall()
        return _rows(found)

    def withdrawn(self) -> Sequence[Row]:
        """The rows that take a record back, and that the platform has taken, by key."""
        with closing(sqlite3.connect(self.file)) as connection:
            return _rows(
                connection.execute(
                    "SELECT JH_KEY, JH_VERSION, JH_OP, JH_STATUS, JH_CODE FROM JH_XZXK"
                    " WHERE JH_OP = 'withdraw' AND JH_STATUS = 2"
                ).fetchall()
            )


def _rows(found: Iterable[tuple[str, int, str, int, str | None]]) -> Sequence[Row]:
    rows = (Row(key=key, version=version, op=op, status=status, code=code) for key, version, op, status, code in found)
    return sorted(rows, key=lambda row: row.key)
