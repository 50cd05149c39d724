"""The ledger's storage: :class:`gateway.ledger.port.Log` over a transaction, or over the database for whoever has none open."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.errors import StoreError
from gateway.ledger.port import Head, RouteTail, StoredCheckpoint, StoredEntry, Tile
from gateway.store import tables
from gateway.store.database import Database

__all__ = ["DurableLog", "TransactionLog"]

_HASH = 32
_STREAMED = 1_000


class TransactionLog:
    """A :class:`~gateway.ledger.port.Log` inside the caller's transaction: an entry is durable when the business it records is."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def head(self) -> Head:
        """The head row. PostgreSQL locks it until the end of a writing transaction; SQLite's transaction is alone anyway."""
        query = select(tables.ledger_head)
        if not self._conn.get_execution_options().get("postgresql_readonly"):
            query = query.with_for_update()
        row = self._conn.execute(query).one()
        edge = bytes(row.edge)
        hashes = tuple(edge[start : start + _HASH] for start in range(0, len(edge), _HASH))
        return Head(size=row.size, root=bytes(row.root), edge=hashes)

    def put(self, entry: StoredEntry, head: Head, tiles: Sequence[Tile]) -> None:
        """Insert an entry and its tiles, move the head. Raises StoreError ``ledger-head-moved``."""
        moved = self._conn.execute(
            update(tables.ledger_head)
            .where(tables.ledger_head.c.size == entry.index)
            .values(size=head.size, root=head.root, edge=b"".join(head.edge))
        )
        if moved.rowcount != 1 or head.size != entry.index + 1:
            raise StoreError("ledger-head-moved", index=entry.index, size=head.size)
        # After the head: a trigger holds the entry's index against the head's size.
        self._conn.execute(
            insert(tables.entry).values(
                idx=entry.index,
                leaf=entry.leaf,
                leaf_hash=entry.leaf_hash,
                kind=entry.kind,
                route=entry.route,
                route_seq=entry.route_seq,
                batch_id=entry.batch_id,
            )
        )
        if tiles:
            self._conn.execute(
                insert(tables.tile),
                [{"level": one.level, "n": one.index, "root": one.root, "data": one.data} for one in tiles],
            )

    def entries(self, start: int, stop: int) -> Iterator[StoredEntry]:
        """The entries of a range, in order."""
        query = (
            select(tables.entry)
            .where(tables.entry.c.idx >= start, tables.entry.c.idx < stop)
            .order_by(tables.entry.c.idx)
        )
        for row in self._conn.execute(query, execution_options={"yield_per": _STREAMED}):
            yield _entry(row)

    def of_batch(self, batch_id: str) -> list[StoredEntry]:
        """The entries about a batch, oldest first."""
        query = select(tables.entry).where(tables.entry.c.batch_id == batch_id).order_by(tables.entry.c.idx)
        return [_entry(row) for row in self._conn.execute(query)]

    def of_route(self, route: str, first: int, last: int) -> list[StoredEntry]:
        """The entries of a route whose sequence numbers lie between ``first`` and ``last``, both included, oldest first."""
        query = select(tables.entry).where(tables.entry.c.route == route, tables.entry.c.route_seq.between(first, last))
        return [_entry(row) for row in self._conn.execute(query.order_by(tables.entry.c.idx))]

    def of_kinds(self, kinds: Collection[str], start: int = 0) -> Iterator[StoredEntry]:
        """The entries from ``start`` on that are of these kinds, in order. Kinds of batches have no index and are not found."""
        query = select(tables.entry).where(
            tables.entry.c.route.is_(None), tables.entry.c.kind.in_(list(kinds)), tables.entry.c.idx >= start
        )
        for row in self._conn.execute(query.order_by(tables.entry.c.idx), execution_options={"yield_per": _STREAMED}):
            yield _entry(row)

    def first_but(self, kind: str, start: int, stop: int) -> StoredEntry | None:
        """The first entry of a range that is not of this kind."""
        query = select(tables.entry).where(
            tables.entry.c.idx >= start, tables.entry.c.idx < stop, tables.entry.c.kind != kind
        )
        row = self._conn.execute(query.order_by(tables.entry.c.idx).limit(1)).one_or_none()
        return None if row is None else _entry(row)

    def hashes(self, level: int, start: int, stop: int) -> Iterator[bytes]:
        """Hashes of a tile level, in order."""
        if level == 0:
            query = (
                select(tables.entry.c.leaf_hash)
                .where(tables.entry.c.idx >= start, tables.entry.c.idx < stop)
                .order_by(tables.entry.c.idx)
            )
        else:
            query = (
                select(tables.tile.c.root)
                .where(tables.tile.c.level == level - 1, tables.tile.c.n >= start, tables.tile.c.n < stop)
                .order_by(tables.tile.c.n)
            )
        for value in self._conn.execute(query, execution_options={"yield_per": _STREAMED}).scalars():
            yield bytes(value)

    def tile(self, level: int, index: int) -> bytes | None:
        """A full tile's bytes."""
        data = self._conn.scalar(
            select(tables.tile.c.data).where(tables.tile.c.level == level, tables.tile.c.n == index)
        )
        return None if data is None else bytes(data)

    def newest_checkpoint(self) -> StoredCheckpoint | None:
        """The checkpoint with the largest size."""
        row = self._conn.execute(
            select(tables.checkpoint).order_by(tables.checkpoint.c.size.desc()).limit(1)
        ).one_or_none()
        return None if row is None else _checkpoint(row)

    def checkpoints(self) -> Iterator[StoredCheckpoint]:
        """All checkpoints, smallest first."""
        query = select(tables.checkpoint).order_by(tables.checkpoint.c.size)
        for row in self._conn.execute(query, execution_options={"yield_per": _STREAMED}):
            yield _checkpoint(row)

    def put_checkpoint(self, checkpoint: StoredCheckpoint) -> None:
        """Store a checkpoint. Raises StoreError ``checkpoint-differs`` when another of this size is stored."""
        row = self._conn.execute(
            select(tables.checkpoint).where(tables.checkpoint.c.size == checkpoint.size)
        ).one_or_none()
        if row is None:
            self._conn.execute(
                insert(tables.checkpoint).values(size=checkpoint.size, root=checkpoint.root, note=checkpoint.note)
            )
        elif _checkpoint(row) != checkpoint:
            raise StoreError("checkpoint-differs", size=checkpoint.size)

    def route_tail(self, route: str) -> RouteTail | None:
        """Where a route ends."""
        # Each by itself: asked for both at once, SQLite reads every entry of the route instead of the end of an index.
        newest, highest = (
            select(func.max(column)).where(tables.entry.c.route == route).scalar_subquery()
            for column in (tables.entry.c.idx, tables.entry.c.route_seq)
        )
        index, route_seq = self._conn.execute(select(newest, highest)).one()
        return None if index is None else RouteTail(index=index, route_seq=route_seq)


class DurableLog:
    """The same over the database: every call is a transaction of its own, and what it wrote is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self) -> Head:
        """The head row."""
        with self._database.read() as conn:
            return TransactionLog(conn).head()

    def put(self, entry: StoredEntry, head: Head, tiles: Sequence[Tile]) -> None:
        """Insert an entry and its tiles, move the head."""
        with self._database.begin() as conn:
            TransactionLog(conn).put(entry, head, tiles)

    def entries(self, start: int, stop: int) -> Iterator[StoredEntry]:
        """The entries of a range, in order."""
        with self._database.read() as conn:
            yield from TransactionLog(conn).entries(start, stop)

    def of_kinds(self, kinds: Collection[str], start: int = 0) -> Iterator[StoredEntry]:
        """The entries of some kinds, in order."""
        with self._database.read() as conn:
            yield from TransactionLog(conn).of_kinds(kinds, start)

    def hashes(self, level: int, start: int, stop: int) -> Iterator[bytes]:
        """Hashes of a tile level, in order."""
        with self._database.read() as conn:
            yield from TransactionLog(conn).hashes(level, start, stop)

    def tile(self, level: int, index: int) -> bytes | None:
        """A full tile's bytes."""
        with self._database.read() as conn:
            return TransactionLog(conn).tile(level, index)

    def newest_checkpoint(self) -> StoredCheckpoint | None:
        """The checkpoint with the largest size."""
        with self._database.read() as conn:
            return TransactionLog(conn).newest_checkpoint()

    def put_checkpoint(self, checkpoint: StoredCheckpoint) -> None:
        """Store a checkpoint."""
        with self._database.begin() as conn:
            TransactionLog(conn).put_checkpoint(checkpoint)

    def route_tail(self, route: str) -> RouteTail | None:
        """Where a route ends."""
        with self._database.read() as conn:
            return TransactionLog(conn).route_tail(route)


def _entry(row: Row[tuple[object, ...]]) -> StoredEntry:
    return StoredEntry(
        index=row.idx,
        leaf=bytes(row.leaf),
        leaf_hash=bytes(row.leaf_hash),
        kind=row.kind,
        route=row.route,
        route_seq=row.route_seq,
        batch_id=row.batch_id,
    )


def _checkpoint(row: Row[tuple[object, ...]]) -> StoredCheckpoint:
    return StoredCheckpoint(size=row.size, root=bytes(row.root), note=bytes(row.note))
