"""What a person has stopped for a while: an exchange (no run, none of its batches leaves) or a peer (nothing leaves for it)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from gateway.errors import StoreError
from gateway.store.tables import pause

__all__ = ["Pause", "Scope", "begin", "end", "find", "list_all"]


class Scope(StrEnum):
    """What is paused."""

    EXCHANGE = "exchange"
    PEER = "peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause that lasts. ``name`` is the configuration's name of the exchange or peer."""

    scope: Scope
    name: str
    at: str
    person: str
    reason: str


def begin(conn: Connection, new: Pause) -> None:
    """Pause. Raises StoreError ``paused-already`` with who, since when and why."""
    known = find(conn, new.scope, new.name)
    if known is not None:
        raise StoreError("paused-already", name=known.name, person=known.person, since=known.at, reason=known.reason)
    values = {"scope": new.scope.value, "name": new.name, "at": new.at, "person": new.person, "reason": new.reason}
    conn.execute(insert(pause).values(**values))


def end(conn: Connection, scope: Scope, name: str) -> None:
    """Go on. Raises StoreError ``not-paused``."""
    ended = conn.execute(delete(pause).where(pause.c.scope == scope.value, pause.c.name == name))
    if ended.rowcount != 1:
        raise StoreError("not-paused", name=name)


def find(conn: Connection, scope: Scope, name: str) -> Pause | None:
    """The pause of this exchange or peer, if there is one."""
    row = conn.execute(select(pause).where(pause.c.scope == scope.value, pause.c.name == name)).one_or_none()
    return None if row is None else _pause(row)


def list_all(conn: Connection) -> list[Pause]:
    """Every pause, oldest first."""
    return [_pause(row) for row in conn.execute(select(pause).order_by(pause.c.at, pause.c.scope, pause.c.name))]


def _pause(row: Row[Any]) -> Pause:
    return Pause(**(dict(row._mapping) | {"scope": Scope(row.scope)}))
