"""Since when the schedule of an exchange holds, and which of its ticks had its run last."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, text

from gateway.store.tables import run, timetable

__all__ = ["begin", "last_due", "since"]


def begin(conn: Connection, exchange: str, schedule: str | None, at: str) -> None:
    """Note that ``schedule`` (a text that says everything about it) holds from ``at`` on; nothing happens where it holds already.

    Another text starts anew, so that no tick is caught up that was never promised; None ends it, so that the same text starts anew later.
    A start that lies ahead of ``at`` was noted by a clock that was wrong, and is corrected.
    """
    if schedule is None:
        conn.execute(delete(timetable).where(timetable.c.exchange == exchange))
        return
    conn.execute(
        text(
            "INSERT INTO timetable (exchange, schedule, since) VALUES (:exchange, :schedule, :at) "
            "ON CONFLICT (exchange) DO UPDATE SET schedule = excluded.schedule, since = excluded.since "
            "WHERE timetable.schedule <> excluded.schedule OR timetable.since > excluded.since"
        ),
        {"exchange": exchange, "schedule": schedule, "at": at},
    )


def since(conn: Connection, exchange: str, schedule: str) -> str | None:
    """Since when this very schedule holds; None when it was never begun, or another one holds."""
    query = select(timetable.c.since).where(timetable.c.exchange == exchange, timetable.c.schedule == schedule)
    found: str | None = conn.scalar(query)
    return found


def last_due(conn: Connection, exchange: str, *, until: str | None = None) -> str | None:
    """The newest tick that has its run, whatever became of that run; with ``until`` the newest not later than that."""
    query = select(func.max(run.c.due_at)).where(run.c.exchange == exchange)
    if until is not None:
        query = query.where(run.c.due_at <= until)
    found: str | None = conn.scalar(query)
    return found
