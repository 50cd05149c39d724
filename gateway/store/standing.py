"""How records stand at an exchange, and which of them a person means: chosen in one statement, looked at by id in chunks.

A million records pass through here one row at a time; nothing is asked of the database record by record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, exists, select

from gateway.store.bulk import select_in, stream
from gateway.store.states import FINAL, State
from gateway.store.tables import batch, package

__all__ = [
    "Carrier",
    "Standing",
    "Wanted",
    "accepted",
    "carriers",
    "shared_elsewhere",
    "standing",
    "standing_of_keys",
    "wanted",
]

# A stored deadline lies behind the decision it was counted from, by working days, never by years: what lies outside cannot have been
# decided in the days asked for, and its content need not be opened.
_LATEST_DEADLINE = timedelta(days=732)


class Standing(NamedTuple):
    """A record and where it stands at one exchange. ``sealed`` and ``accepted`` are versions, None when it was never sealed there;
    0 stands for none. ``batch_id`` is the batch of its newest sealing, ``outcome`` what that batch's receipt said of it."""

    id: int
    key: str
    op: str
    version: int
    sealed: int | None
    accepted: int | None
    batch_id: str | None
    outcome: str | None

    @property
    def under_way(self) -> bool:
        """Whether it is in a batch without a settled receipt."""
        return self.batch_id is not None and self.outcome is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records are meant; every condition given must hold, none of them means all.

    ``decided``: the day in the content's field of that name lies in these two days. ``changed``: from the first instant (as
    :func:`gateway.clock.instant` writes it) to before the second. ``batch_id``: sealed there last. ``rejected``: by the receiver, at the
    version sealed last.
    """

    decided: tuple[str, date, date] | None = None
    changed: tuple[str, str] | None = None
    unit: str | None = None
    batch_id: str | None = None
    rejected: bool = False
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A batch as far as its records' fate depends on it. ``kept``: its package is still stored."""

    sequence: int
    mapping_digest: str
    format: str
    state: State
    kept: bool

    @property
    def under_way(self) -> bool:
        """Whether a receipt may still come."""
        return self.state not in FINAL


_COLUMNS = "r.id, r.key, r.op, r.version, s.version, s.accepted, s.batch_id, s.outcome"
_SHARED = "LEFT JOIN share s ON s.exchange = ? AND s.record_id = r.id"


def wanted(conn: Connection, exchange: str, catalog: str, source: str, what: Wanted) -> Iterator[Standing]:
    """The records meant, of those that the exchange ever sealed or has to seal: earliest deadline first, those without one last."""
    joins, conditions = _SHARED, ["r.catalog = ?", "r.source = ?", "(s.version IS NOT NULL OR r.op = 'upsert')"]
    bound: list[Any] = [exchange, catalog, source]
    if what.decided is not None:
        field, since, until = what.decided
        joins += " JOIN record_content c ON c.record_id = r.id"
        conditions.append("r.deadline >= ? AND r.deadline <= ?")
        bound += [since.isoformat(), (until + min(_LATEST_DEADLINE, date.max - until)).isoformat()]
        day, place = _member(conn, field)
        conditions.append(f"{day} BETWEEN ? AND ?")
        bound += [place, since.isoformat(), until.isoformat()]
    if what.changed is not None:
        conditions.append("r.changed_at >= ? AND r.changed_at < ?")
        bound += what.changed
    for column, value in (("r.unit", what.unit), ("s.batch_id", what.batch_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            bound.append(value)
    if what.rejected:
        conditions.append("s.outcome = 'rejected'")
    if what.keys:
        conditions.append("r.key IN (*)")
    statement = (
        f"SELECT {_COLUMNS} FROM record r {joins} WHERE {' AND '.join(conditions)} "  # noqa: S608 -- fixed texts, values are bound
        "ORDER BY r.deadline IS NULL, r.deadline, r.id"
    )
    return map(Standing._make, stream(conn, statement, bound, what.keys))


def _member(conn: Connection, name: str) -> tuple[str, str]:
    """A member of the content's JSON object as an expression with one mark, and what to bind there."""
    if conn.dialect.name == "postgresql":
        return "(c.content::json ->> CAST(? AS text))", name
    return "json_extract(c.content, ?)", f'$."{name}"'


def standing(conn: Connection, exchange: str, ids: Sequence[int]) -> Iterator[Standing]:
    """How the records with these ids stand, in no particular order."""
    statement = f"SELECT {_COLUMNS} FROM record r {_SHARED} WHERE r.id IN (*)"  # noqa: S608 -- fixed texts
    return map(Standing._make, select_in(conn, statement, (exchange,), ids))


def standing_of_keys(
    conn: Connection, exchange: str, catalog: str, source: str, keys: Sequence[str]
) -> dict[str, Standing]:
    """How the records under these keys stand; keys that are not held are left out."""
    statement = f"SELECT {_COLUMNS} FROM record r {_SHARED} WHERE r.catalog = ? AND r.source = ? AND r.key IN (*)"  # noqa: S608 -- fixed texts
    return {row[1]: Standing._make(row) for row in select_in(conn, statement, (exchange, catalog, source), keys)}


def accepted(conn: Connection, exchange: str, catalog: str) -> Iterator[tuple[str, int, int]]:
    """What the receiver must hold by its own receipts: key, version and record id, in no particular order."""
    yield from stream(
        conn,
        "SELECT r.key, s.accepted, r.id FROM share s JOIN record r ON r.id = s.record_id "
        "WHERE s.exchange = ? AND s.accepted > 0 AND r.catalog = ?",
        (exchange, catalog),
    )


def shared_elsewhere(conn: Connection, exchanges: Sequence[str], catalog: str, keys: Sequence[str]) -> set[str]:
    """Those of ``keys`` that any of these exchanges ever sealed."""
    statement = (
        "SELECT r.key FROM record r JOIN share s ON s.record_id = r.id "
        "WHERE s.exchange = ? AND r.catalog = ? AND r.key IN (*)"
    )
    return {key for name in exchanges for (key,) in select_in(conn, statement, (name, catalog), keys)}


def carriers(conn: Connection, exchange: str) -> Mapping[str, Carrier]:
    """Every batch of an exchange by id."""
    kept = exists().where(package.c.batch_id == batch.c.id)
    columns = (batch.c.id, batch.c.sequence, batch.c.mapping_digest, batch.c.format, batch.c.state, kept)
    return {
        row[0]: Carrier(sequence=row[1], mapping_digest=row[2], format=row[3], state=State(row[4]), kept=bool(row[5]))
        for row in conn.execute(select(*columns).where(batch.c.exchange == exchange))
    }
