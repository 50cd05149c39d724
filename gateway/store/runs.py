"""Runs of exchanges, and how far each source has been read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select, text, update

from gateway.errors import StoreError
from gateway.store.tables import run, watermark

__all__ = [
    "Kind",
    "Run",
    "RunState",
    "advance",
    "close_run",
    "find_run",
    "last_run",
    "list_runs",
    "open_run",
    "open_runs",
    "position",
]


class Kind(StrEnum):
    """Why a run takes place."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    RESYNC = "resync"


class RunState(StrEnum):
    """Where a run stands."""

    OPEN = "open"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of an exchange. ``due_at`` is the tick of a scheduled run; ``person`` and ``reason`` stand for an ordered one."""

    id: str
    exchange: str
    kind: Kind
    due_at: str | None
    started_at: str
    closed_at: str | None
    state: RunState
    mapping_digest: str
    person: str | None
    reason: str | None
    figures: Mapping[str, Any]


def open_run(
    conn: Connection,
    *,
    run_id: str,
    exchange: str,
    kind: Kind,
    at: str,
    mapping_digest: str,
    due_at: str | None = None,
    person: str | None = None,
    reason: str | None = None,
) -> bool:
    """Begin a run; False when this tick of the exchange has its run already (another daemon, or this one before a crash)."""
    inserted = conn.execute(
        text(
            "INSERT INTO run (id, exchange, kind, due_at, started_at, state, mapping_digest, person, reason) "
            "VALUES (:id, :exchange, :kind, :due_at, :at, 'open', :digest, :person, :reason) "
            "ON CONFLICT (exchange, due_at) DO NOTHING"
        ),
        {
            "id": run_id,
            "exchange": exchange,
            "kind": kind.value,
            "due_at": due_at,
            "at": at,
            "digest": mapping_digest,
            "person": person,
            "reason": reason,
        },
    )
    return inserted.rowcount == 1


def close_run(conn: Connection, run_id: str, *, state: RunState, figures: Mapping[str, Any], at: str) -> None:
    """End an open run as ``closed`` or ``failed`` with its statement's figures. Raises StoreError ``run-not-open``."""
    closed = conn.execute(
        update(run)
        .where(run.c.id == run_id, run.c.state == RunState.OPEN.value)
        .values(state=state.value, closed_at=at, figures=json.dumps(dict(figures), ensure_ascii=False))
    )
    if closed.rowcount != 1:
        raise StoreError("run-not-open", run=run_id)


def find_run(conn: Connection, run_id: str) -> Run | None:
    """The run with this id."""
    row = conn.execute(select(run).where(run.c.id == run_id)).one_or_none()
    return None if row is None else _run(row)


def open_runs(conn: Connection, exchange: str | None = None) -> list[Run]:
    """The runs that are not closed, oldest first: after a crash, those that were cut off."""
    query = select(run).where(run.c.state == RunState.OPEN.value).order_by(run.c.started_at, run.c.id)
    if exchange is not None:
        query = query.where(run.c.exchange == exchange)
    return [_run(row) for row in conn.execute(query)]


def last_run(conn: Connection, exchange: str) -> Run | None:
    """The run that started last."""
    return next(iter(list_runs(conn, exchange, limit=1)), None)


def list_runs(conn: Connection, exchange: str, *, limit: int) -> list[Run]:
    """Runs of an exchange, newest first."""
    query = select(run).where(run.c.exchange == exchange).order_by(run.c.started_at.desc(), run.c.id.desc())
    return [_run(row) for row in conn.execute(query.limit(limit))]


def _run(row: Row[Any]) -> Run:
    words = dict(row._mapping)
    figures = json.loads(words.pop("figures") or "{}")
    return Run(**(words | {"kind": Kind(row.kind), "state": RunState(row.state), "figures": figures}))


def position(conn: Connection, exchange: str, source: str) -> str | None:
    """How far the exchange has read this source (opaque to the store), or None before the first read."""
    query = select(watermark.c.position).where(watermark.c.exchange == exchange, watermark.c.source == source)
    return conn.scalar(query)


def advance(conn: Connection, *, exchange: str, source: str, position: str, run_id: str, at: str) -> None:
    """Note how far the source has been read; in the transaction that stores what was read."""
    conn.execute(
        text(
            "INSERT INTO watermark (exchange, source, position, run_id, at) VALUES (:exchange, :source, :position, :run, :at) "
            "ON CONFLICT (exchange, source) DO UPDATE SET position = excluded.position, run_id = excluded.run_id, at = excluded.at"
        ),
        {"exchange": exchange, "source": source, "position": position, "run": run_id, "at": at},
    )
