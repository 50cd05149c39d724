"""Up to where others vouch for this node's own ledger: peers that hold a checkpoint, time-stamp authorities, witnesses.

Beside it stands what is owed: since when an authority or witness has been asked in vain, and when it may be asked again. That survives
a restart, so that a process which starts over and over neither storms a service nor forgets how long it has been without one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from sqlalchemy import Connection, Row, delete, insert, select

from gateway.store.tables import outside

__all__ = ["Outside", "OutsideKind", "find", "list_all", "store"]


class OutsideKind(StrEnum):
    """Who vouches."""

    PEER = "peer"
    AUTHORITY = "authority"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """One of them. ``size`` is that of the newest checkpoint it vouches for, 0 for none, and ``at`` when it last did.

    ``waiting_since`` is None while nothing is owed; ``failures`` counts those since then, ``why`` is the last one's code; it is not
    asked again before ``next_at``.
    """

    kind: OutsideKind
    name: str
    size: int = 0
    at: str | None = None
    waiting_since: str | None = None
    failures: int = 0
    next_at: str | None = None
    why: str | None = None


def find(conn: Connection, kind: OutsideKind, name: str) -> Outside:
    """Where this one stands; one that was never heard of stands at 0."""
    row = conn.execute(select(outside).where(outside.c.kind == kind.value, outside.c.name == name)).one_or_none()
    return Outside(kind=kind, name=name) if row is None else _outside(row)


def store(conn: Connection, new: Outside) -> None:
    """Write where one stands now."""
    values = {item.name: getattr(new, item.name) for item in fields(new)} | {"kind": new.kind.value}
    conn.execute(delete(outside).where(outside.c.kind == new.kind.value, outside.c.name == new.name))
    conn.execute(insert(outside).values(**values))


def list_all(conn: Connection, kind: OutsideKind) -> list[Outside]:
    """All of a kind, by name."""
    query = select(outside).where(outside.c.kind == kind.value).order_by(outside.c.name)
    return [_outside(row) for row in conn.execute(query)]


def _outside(row: Row[tuple[object, ...]]) -> Outside:
    return Outside(**(dict(row._mapping) | {"kind": OutsideKind(row.kind)}))
