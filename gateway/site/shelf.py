"""What a publication site shows, kept beside it: the decisions, the batches that brought them, and the files that were written.

It is not part of the journal: the site is a receiver, and what it holds is what it was given. Lost, it is built again by a resync.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Decision", "Shelf", "decision_id"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decision (
  id TEXT PRIMARY KEY, catalog TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, month TEXT NOT NULL, day TEXT NOT NULL,
  until TEXT, fields TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decision_month ON decision (catalog, month, day, id) WHERE fields IS NOT NULL;
CREATE INDEX IF NOT EXISTS decision_day ON decision (day) WHERE fields IS NOT NULL;
CREATE TABLE IF NOT EXISTS batch (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, feedback BLOB NOT NULL, receipt BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS page (path TEXT PRIMARY KEY, size INTEGER NOT NULL, sha256 BLOB NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = "id, catalog, key, version, month, day, until, fields"


def decision_id(catalog: str, key: str) -> str:
    """The name of a decision's page: it stays the same as long as the key does, and says nothing."""
    return sha256(f"{catalog}\n{key}".encode()).hexdigest()[:24]


class Decision(NamedTuple):
    """One published decision; ``fields`` None for one that was taken back. ``day`` is that of the decision, ``until`` the last of publication,
    None without end."""

    id: str
    catalog: str
    key: str
    version: int
    month: str
    day: str
    until: str | None
    fields: Mapping[str, str] | None


class Shelf:
    """One site's memory in the file ``path``, readable by its owner alone. For one writer at a time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """One transaction: kept at the end, forgotten when an exception passes."""
        if not self._read_only:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        mode = "ro" if self._read_only else "rw"
        conn = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
        try:
            if not self._read_only:
                conn.executescript(_SCHEMA)
            conn.execute("BEGIN" if self._read_only else "BEGIN IMMEDIATE")
            yield conn
            conn.execute("COMMIT")
        finally:
            conn.close()

    @staticmethod
    def versions(conn: sqlite3.Connection, ids: Sequence[str]) -> dict[str, tuple[int, str, str, bool]]:
        """Version, catalog, month and whether it is shown, of those decisions that are known."""
        found: dict[str, tuple[int, str, str, bool]] = {}
        for start in range(0, len(ids), 500):
            chunk = ids[start : start + 500]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT id, version, catalog, month, fields IS NOT NULL FROM decision WHERE id IN ({marks})"  # noqa: S608 -- marks alone
            found |= {row[0]: (row[1], row[2], row[3], bool(row[4])) for row in conn.execute(query, chunk)}
        return found

    @staticmethod
    def put(conn: sqlite3.Connection, rows: Sequence[Decision]) -> None:
        """Keep decisions at their new version."""
        conn.executemany(
            f"INSERT OR REPLACE INTO decision ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- fixed text
            [
                (*row[:7], None if row.fields is None else json.dumps(dict(row.fields), ensure_ascii=False))
                for row in rows
            ],
        )

    @staticmethod
    def month(conn: sqlite3.Connection, catalog: str, month: str) -> list[Decision]:
        """What is shown of one month, newest first."""
        query = f"SELECT {_COLUMNS} FROM decision WHERE catalog = ? AND month = ? AND fields IS NOT NULL ORDER BY day DESC, id"  # noqa: S608 — fixed names
        return [_decision(row) for row in conn.execute(query, (catalog, month))]

    @staticmethod
    def months(conn: sqlite3.Connection) -> list[tuple[str, str, int]]:
        """Catalog, month and how many are shown, newest month first."""
        query = "SELECT catalog, month, count(*) FROM decision WHERE fields IS NOT NULL GROUP BY catalog, month ORDER BY month DESC, catalog"
        return conn.execute(query).fetchall()

    @staticmethod
    def newest(conn: sqlite3.Connection, count: int) -> list[Decision]:
        """The newest decisions."""
        query = f"SELECT {_COLUMNS} FROM decision WHERE fields IS NOT NULL ORDER BY day DESC, id LIMIT ?"  # noqa: S608 -- fixed text
        return [_decision(row) for row in conn.execute(query, (count,))]

    @staticmethod
    def shown(conn: sqlite3.Connection) -> Iterator[tuple[str, str | None]]:
        """Id and last day of everything that is shown."""
        yield from conn.execute("SELECT id, until FROM decision WHERE fields IS NOT NULL")

    @staticmethod
    def count(conn: sqlite3.Connection) -> int:
        """How many decisions are shown."""
        return int(conn.execute("SELECT count(*) FROM decision WHERE fields IS NOT NULL").fetchone()[0])

    @staticmethod
    def receipt(conn: sqlite3.Connection, batch_id: str) -> tuple[str, bytes] | None:
        """The digest of the package that a batch came in, and the receipt that it got; None for a batch that never came."""
        row = conn.execute("SELECT sha256, receipt FROM batch WHERE id = ?", (batch_id,)).fetchone()
        return None if row is None else (row[0], row[1])

    @staticmethod
    def close_batch(
        conn: sqlite3.Connection, batch_id: str, package_sha256: str, feedback: bytes, receipt: bytes
    ) -> None:
        """Keep what a batch was answered, and what the answer was made from."""
        conn.execute("INSERT INTO batch VALUES (?, ?, ?, ?)", (batch_id, package_sha256, feedback, receipt))

    @staticmethod
    def pages(conn: sqlite3.Connection, prefix: str = "") -> dict[str, tuple[int, bytes]]:
        """Size and SHA-256 of the files that were written below ``prefix``."""
        query = "SELECT path, size, sha256 FROM page WHERE path >= ? AND path < ?"
        return {path: (size, digest) for path, size, digest in conn.execute(query, (prefix, prefix + "\U0010ffff"))}

    @staticmethod
    def page(conn: sqlite3.Connection, path: str) -> bytes | None:
        """The SHA-256 of a file that was written."""
        row = conn.execute("SELECT sha256 FROM page WHERE path = ?", (path,)).fetchone()
        return None if row is None else bytes(row[0])

    @staticmethod
    def note_pages(conn: sqlite3.Connection, written: Sequence[tuple[str, int, bytes]], removed: Sequence[str]) -> None:
        """Keep what was written and removed."""
        conn.executemany("DELETE FROM page WHERE path = ?", [(path,) for path in removed])
        conn.executemany("INSERT OR REPLACE INTO page VALUES (?, ?, ?)", written)


def _decision(row: tuple[Any, ...]) -> Decision:
    name, catalog, key, version, month, day, until, fields = row
    return Decision(name, catalog, key, version, month, day, until, json.loads(fields))
