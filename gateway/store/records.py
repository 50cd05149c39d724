"""The records that this node holds, one for every key of a source, each at its newest version.

Bulk values are named tuples, not dataclasses: a run makes one for every row, and the driver binds a tuple as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from gateway.errors import StoreError
from gateway.store.bulk import count_in, execute_many, select_in, stream
from gateway.store.tables import record

__all__ = [
    "ChangedRecord",
    "Head",
    "Held",
    "NewRecord",
    "StoredRecord",
    "TakenBack",
    "add",
    "change",
    "counts",
    "fetch",
    "fetch_heads",
    "held",
    "keep",
    "present",
    "raise_versions",
    "take_back",
    "take_back_as",
]


class Held(NamedTuple):
    """What is known of a key. ``op`` is ``upsert``, ``withdraw`` or ``stop-share``; ``ordered``: an order holds the record back."""

    id: int
    version: int
    digest: bytes
    op: str
    ordered: bool = False

    @property
    def stays_back(self) -> bool:
        """Whether it does not come back because its row is there."""
        return self.ordered or self.op == "stop-share"


class Head(NamedTuple):
    """A record without its content."""

    id: int
    key: str
    version: int


class NewRecord(NamedTuple):
    """A record met for the first time. ``content`` is canonical JSON, ``digest`` its 32 bytes, ``deadline`` a day ``YYYY-MM-DD``.

    ``version`` is above 1 for a record that another node owns and has changed before it came to us.
    """

    key: str
    digest: bytes
    content: str
    unit: str | None
    deadline: str | None
    version: int = 1


class ChangedRecord(NamedTuple):
    """New content for a record that is held. ``least`` is the version that it has at its owner: ours is not below it."""

    id: int
    digest: bytes
    content: str
    unit: str | None
    deadline: str | None
    least: int = 0


class TakenBack(NamedTuple):
    """A record that its owner took back: ``op`` and the code ``reason`` are the owner's; ``least`` as in :class:`ChangedRecord`."""

    id: int
    op: str
    reason: str | None
    least: int


class StoredRecord(NamedTuple):
    """A record as it goes out. ``content`` of one that was taken back is the last that it had."""

    id: int
    source: str
    key: str
    version: int
    op: str
    unit: str | None
    deadline: str | None
    reason: str | None
    content: str


def held(conn: Connection, catalog: str, source: str, keys: Sequence[str]) -> dict[str, Held]:
    """What is held under ``keys``; keys that are not held are left out."""
    rows = select_in(
        conn,
        "SELECT key, id, version, digest, op, o.record_id FROM record LEFT JOIN record_order o ON o.record_id = id "
        "WHERE catalog = ? AND source = ? AND key IN (*)",
        (catalog, source),
        keys,
    )
    return {
        key: Held(number, version, digest, op, order is not None) for key, number, version, digest, op, order in rows
    }


def add(conn: Connection, rows: Sequence[NewRecord], *, catalog: str, source: str, run_id: str, at: str) -> list[int]:
    """Store records, to be shared; returns their ids in order.

    A key that is held already, or twice in ``rows``, ends the transaction with StoreError ``store-constraint``.
    """
    ids = _new_ids(conn, len(rows))
    execute_many(
        conn,
        "INSERT INTO record (id, catalog, source, key, version, digest, op, unit, deadline, run_id, changed_at) "
        "VALUES (?, ?, ?, ?, ?, ?, 'upsert', ?, ?, ?, ?)",
        [
            (number, catalog, source, key, version, digest, unit, deadline, run_id, at)
            for number, (key, digest, _, unit, deadline, version) in zip(ids, rows, strict=True)
        ],
    )
    execute_many(
        conn,
        "INSERT INTO record_content (record_id, content) VALUES (?, ?)",
        [(number, row[2]) for number, row in zip(ids, rows, strict=True)],
    )
    return ids


def _new_ids(conn: Connection, count: int) -> list[int]:
    """Ids that nobody has. In SQLite the transaction holds the only right to write, so the next numbers are free."""
    if conn.dialect.name == "postgresql":
        serial = text("SELECT nextval(pg_get_serial_sequence('record', 'id')) FROM generate_series(1, :count)")
        return list(conn.scalars(serial, {"count": count}))
    first = (conn.scalar(select(func.max(record.c.id))) or 0) + 1
    return list(range(first, first + count))


def change(conn: Connection, rows: Sequence[ChangedRecord], *, run_id: str, at: str) -> None:
    """Store new content under the next version. The record is shared (again): whatever took it back is undone.

    So this is for the caller to decide: a record under ``stop-share`` must not come back because its row is still in the source.
    """
    execute_many(
        conn,
        "UPDATE record SET version = CASE WHEN version >= ? THEN version + 1 ELSE ? END, digest = ?, op = 'upsert', reason = NULL, "
        "unit = ?, deadline = ?, run_id = ?, changed_at = ? WHERE id = ?",
        [
            (least, least, digest, unit, deadline, run_id, at, number)
            for number, digest, _, unit, deadline, least in rows
        ],
    )
    execute_many(
        conn, "UPDATE record_content SET content = ? WHERE record_id = ?", [(row.content, row.id) for row in rows]
    )


def keep(conn: Connection, rows: Sequence[ChangedRecord]) -> None:
    """Take down new content of records that stay back: nothing of it is sent unless they are shared again."""
    execute_many(
        conn,
        "UPDATE record SET digest = ?, unit = ?, deadline = ? WHERE id = ?",
        [(digest, unit, deadline, number) for number, digest, _, unit, deadline, _ in rows],
    )
    execute_many(
        conn, "UPDATE record_content SET content = ? WHERE record_id = ?", [(row.content, row.id) for row in rows]
    )


def take_back(conn: Connection, ids: Sequence[int], *, op: str, reason: str, run_id: str, at: str) -> int:
    """Withdraw records (``withdraw``) or stop sharing them (``stop-share``) under the next version; returns how many it changed.

    Those that are under ``op`` already stay as they are.
    """
    return count_in(
        conn,
        "UPDATE record SET version = version + 1, op = ?, reason = ?, run_id = ?, changed_at = ? "
        "WHERE op <> ? AND id IN (*)",
        (op, reason, run_id, at, op),
        ids,
    )


def take_back_as(conn: Connection, rows: Sequence[TakenBack], *, run_id: str, at: str) -> int:
    """Take records back as their owner did, each with its own operation and reason; returns how many it changed.

    Those that are under that operation already stay as they are.
    """
    return execute_many(
        conn,
        "UPDATE record SET version = CASE WHEN version >= ? THEN version + 1 ELSE ? END, op = ?, reason = ?, run_id = ?, "
        "changed_at = ? WHERE id = ? AND op <> ?",
        [(row.least, row.least, row.op, row.reason, run_id, at, row.id, row.op) for row in rows],
    )


def raise_versions(conn: Connection, rows: Sequence[tuple[int, int]]) -> int:
    """Give records (id, version) a version above their own, at least the one named; returns how many.

    Content, digest and time of change stay as they are: nothing changed but what a version number may be taken for elsewhere.
    """
    return execute_many(
        conn,
        "UPDATE record SET version = CASE WHEN version >= ? THEN version + 1 ELSE ? END WHERE id = ?",
        [(least, least, number) for number, least in rows],
    )


def present(conn: Connection, catalog: str, source: str) -> Iterator[int]:
    """The ids of the records that are shared (``upsert``), in no particular order. Read it to the end before writing."""
    for (number,) in stream(
        conn, "SELECT id FROM record WHERE catalog = ? AND source = ? AND op = 'upsert'", (catalog, source)
    ):
        yield number


def fetch(conn: Connection, ids: Sequence[int]) -> list[StoredRecord]:
    """The records with these ids, in this order. Raises StoreError ``record-missing``."""
    found = {
        row[0]: StoredRecord._make(row)
        for row in select_in(
            conn,
            "SELECT id, source, key, version, op, unit, deadline, reason, content "
            "FROM record JOIN record_content ON record_id = id WHERE id IN (*)",
            (),
            ids,
        )
    }
    try:
        return [found[number] for number in ids]
    except KeyError as missing:
        raise StoreError("record-missing", record=missing.args[0]) from None


def fetch_heads(conn: Connection, ids: Sequence[int]) -> list[Head]:
    """What the records with these ids are called and how far they are, without their content, in no particular order."""
    return [Head._make(row) for row in select_in(conn, "SELECT id, key, version FROM record WHERE id IN (*)", (), ids)]


def counts(conn: Connection, catalog: str, source: str | None = None) -> Mapping[str, int]:
    """How many records of a catalog stand under each op."""
    query = select(record.c.op, func.count()).where(record.c.catalog == catalog).group_by(record.c.op)
    if source is not None:
        query = query.where(record.c.source == source)
    return dict(conn.execute(query).tuples().all())
