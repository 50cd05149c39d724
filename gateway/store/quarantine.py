"""Quarantine (疑问数据): rows that failed a check, each with its reasons, until the row is mended or gone.

A case is the same case as long as the same record (or, without a key, the same row at the same place) fails for the same reasons in the
same stage. Other reasons open another case and close the old one. Reasons describe a value and never hold it; the row does: it is for
the unit that has to mend it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Connection, Select, TableValuedAlias, and_, cast, exists, func, select, true, update
from sqlalchemy.sql.elements import ColumnElement

from gateway.errors import StoreError
from gateway.store.bulk import count_in, execute_many, select_in
from gateway.store.tables import quarantine

__all__ = [
    "Case",
    "Noted",
    "Reason",
    "ReasonCount",
    "Stage",
    "StoredCase",
    "UnitCount",
    "by_reason",
    "by_unit",
    "cases",
    "close_cases",
    "close_keys",
    "close_missing",
    "count_open",
    "find_case",
    "history",
    "note",
]


_HISTORY = 100


class Stage(StrEnum):
    """Where a row failed: at the catalog's checks, at the receiver's format, or at the receiver itself."""

    SOURCE = "source"
    FORMAT = "format"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing wrong. ``field`` is the catalog's, ``source`` the local column or the target's name, ``weight`` reject or notice.

    ``level`` names the node that said so where that is not the receiver itself but one to which it passed the record on.
    """

    field: str
    source: str
    code: str
    weight: str
    value_class: str
    expected: str
    level: str = ""


_PARTS = tuple(part.name for part in fields(Reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A failed row as the pipeline reports it. ``row`` is JSON text, ``row_digest`` its 32 bytes, ``locator`` as a person would say it."""

    key: str | None
    locator: str
    unit: str | None
    row: str
    row_digest: bytes
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCase:
    """A case in quarantine; ``closed_why`` is ``mended``, ``vanished``, ``replaced`` or what a person said."""

    id: int
    exchange: str
    source: str
    stage: Stage
    key: str | None
    locator: str
    unit: str | None
    row: str
    row_digest: bytes
    reasons: tuple[Reason, ...]
    opened_run: str
    last_run: str
    opened_at: str
    closed_at: str | None
    closed_why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What :func:`note` did, in cases."""

    opened: int
    seen_again: int
    replaced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """How many open cases have this reason."""

    code: str
    field: str
    weight: str
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCount:
    """How many open cases a unit has to mend; ``unit`` None stands for rows that do not say."""

    unit: str | None
    cases: int


def note(
    conn: Connection, found: Sequence[Case], *, exchange: str, source: str, stage: Stage, run_id: str, at: str
) -> Noted:
    """Open a case for every failed row, or note that its open case was seen again by this run.

    An open case of the same key with other reasons that this run has not seen is closed as ``replaced``.
    """
    identified = {_identity(exchange, source, stage, case): case for case in found}
    known = dict(
        select_in(
            conn,
            "SELECT identity, id FROM quarantine WHERE closed_at IS NULL AND identity IN (*)",
            (),
            list(identified),
        )
    )
    known = {bytes(identity): number for identity, number in known.items()}
    execute_many(
        conn,
        "UPDATE quarantine SET last_run = ?, locator = ?, unit = ?, row_digest = ?, row = ? WHERE id = ?",
        [
            (run_id, case.locator, case.unit, case.row_digest, case.row, known[identity])
            for identity, case in identified.items()
            if identity in known
        ],
    )
    opened = [
        (
            exchange,
            source,
            stage.value,
            case.key,
            case.locator,
            case.unit,
            case.row_digest,
            identity,
            run_id,
            run_id,
            at,
            _written(case.reasons),
            case.row,
        )
        for identity, case in identified.items()
        if identity not in known
    ]
    execute_many(
        conn,
        "INSERT INTO quarantine (exchange, source, stage, key, locator, unit, row_digest, identity, opened_run, last_run, "
        "opened_at, reasons, row) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        opened,
    )
    replaced = count_in(
        conn,
        "UPDATE quarantine SET closed_at = ?, closed_why = 'replaced' WHERE closed_at IS NULL AND exchange = ? "
        "AND source = ? AND stage = ? AND last_run <> ? AND key IN (*)",
        (at, exchange, source, stage.value, run_id),
        [case.key for case in identified.values() if case.key is not None],
    )
    return Noted(opened=len(opened), seen_again=len(known), replaced=replaced)


def _identity(exchange: str, source: str, stage: Stage, case: Case) -> bytes:
    who = [case.key] if case.key is not None else [case.locator, case.row_digest.hex()]
    why = sorted({(reason.field, reason.source, reason.code) for reason in case.reasons})
    return hashlib.sha256(json.dumps([exchange, source, stage.value, who, why]).encode()).digest()


def _written(reasons: Sequence[Reason]) -> str:
    words = [{part: getattr(reason, part) for part in _PARTS if part != "level" or reason.level} for reason in reasons]
    return json.dumps(words, ensure_ascii=False, separators=(",", ":"))


def close_keys(
    conn: Connection, keys: Sequence[str], *, exchange: str, source: str, stage: Stage, at: str, why: str = "mended"
) -> int:
    """Close the open cases of these records, because their rows are good now (``mended``) or gone; returns how many."""
    if not count_open(conn, exchange=exchange, source=source, stage=stage):
        return 0
    return count_in(
        conn,
        "UPDATE quarantine SET closed_at = ?, closed_why = ? WHERE closed_at IS NULL AND exchange = ? AND source = ? "
        "AND stage = ? AND key IN (*)",
        (at, why, exchange, source, stage.value),
        keys,
    )


def close_missing(conn: Connection, *, exchange: str, source: str, stage: Stage, run_id: str, at: str) -> int:
    """After a run that looked at everything: close the open cases that it did not see as ``vanished``; returns how many."""
    unseen = update(quarantine).where(
        _open(exchange=exchange, source=source, stage=stage), quarantine.c.last_run != run_id
    )
    return conn.execute(unseen.values(closed_at=at, closed_why="vanished")).rowcount


def close_cases(conn: Connection, ids: Sequence[int], *, why: str, at: str) -> int:
    """Close cases at a person's order; ``why`` is what the person said. Returns how many were open."""
    return count_in(
        conn,
        "UPDATE quarantine SET closed_at = ?, closed_why = ? WHERE closed_at IS NULL AND id IN (*)",
        (at, why),
        ids,
    )


def _open(
    *, exchange: str | None = None, source: str | None = None, stage: Stage | None = None, unit: str | None = None
) -> ColumnElement[bool]:
    wanted: list[ColumnElement[bool]] = [quarantine.c.closed_at.is_(None)]
    named = (
        (quarantine.c.exchange, exchange),
        (quarantine.c.source, source),
        (quarantine.c.stage, stage),
        (quarantine.c.unit, unit),
    )
    wanted += [column == str(value) for column, value in named if value is not None]
    return and_(*wanted)


def count_open(
    conn: Connection, *, exchange: str | None = None, source: str | None = None, stage: Stage | None = None
) -> int:
    """How many cases are open."""
    query = select(func.count()).select_from(quarantine).where(_open(exchange=exchange, source=source, stage=stage))
    return conn.execute(query).scalar_one()


def find_case(conn: Connection, number: int) -> StoredCase:
    """The case with this number. Raises StoreError ``case-missing``."""
    row = conn.execute(select(quarantine).where(quarantine.c.id == number)).one_or_none()
    if row is None:
        raise StoreError("case-missing", case=number)
    return _case(row)


def cases(
    conn: Connection,
    *,
    exchange: str | None = None,
    source: str | None = None,
    stage: Stage | None = None,
    unit: str | None = None,
    code: str | None = None,
) -> Iterator[StoredCase]:
    """The open cases, unit by unit, oldest first, streamed for an export. ``code``: those with this reason."""
    query: Select[Any] = select(quarantine).where(_open(exchange=exchange, source=source, stage=stage, unit=unit))
    if code is not None:
        reason = _reasons(conn)
        query = query.where(exists(select(1).select_from(reason).where(_part(conn, reason, "code") == code)))
    query = query.order_by(quarantine.c.unit, quarantine.c.id)
    for row in conn.execute(query, execution_options={"yield_per": 500}):
        yield _case(row)


def history(conn: Connection, case: StoredCase) -> list[StoredCase]:
    """Every case of the same record (or, without a key, of the same place in the source), newest first, this one among them."""
    same = quarantine.c.key == case.key if case.key is not None else quarantine.c.locator == case.locator
    query = select(quarantine).where(
        quarantine.c.exchange == case.exchange,
        quarantine.c.source == case.source,
        same,
        quarantine.c.key.is_(None) == (case.key is None),
    )
    return [_case(row) for row in conn.execute(query.order_by(quarantine.c.id.desc()).limit(_HISTORY))]


def by_reason(conn: Connection, *, exchange: str | None = None, unit: str | None = None) -> list[ReasonCount]:
    """The open cases by reason, most frequent first; a case with two reasons counts under both."""
    reason = _reasons(conn)
    code, name, weight = (_part(conn, reason, part) for part in ("code", "field", "weight"))
    count = func.count(quarantine.c.id.distinct())
    query = (
        select(code, name, weight, count)
        .select_from(quarantine.join(reason, true()))
        .where(_open(exchange=exchange, unit=unit))
        .group_by(code, name, weight)
        .order_by(count.desc(), code, name)
    )
    return [ReasonCount(code=row[0], field=row[1], weight=row[2], cases=row[3]) for row in conn.execute(query)]


def by_unit(conn: Connection, *, exchange: str | None = None) -> list[UnitCount]:
    """The open cases by unit, most first."""
    count = func.count()
    query = select(quarantine.c.unit, count).where(_open(exchange=exchange)).group_by(quarantine.c.unit)
    return [
        UnitCount(unit=unit, cases=cases)
        for unit, cases in conn.execute(query.order_by(count.desc(), quarantine.c.unit))
    ]


def _reasons(conn: Connection) -> TableValuedAlias:
    """The reasons of a case as rows: both databases can, each by another name."""
    if conn.dialect.name == "postgresql":
        return func.json_array_elements(cast(quarantine.c.reasons, JSON)).table_valued("value", joins_implicitly=True)
    return func.json_each(quarantine.c.reasons).table_valued("value", joins_implicitly=True)


def _part(conn: Connection, reason: TableValuedAlias, name: str) -> ColumnElement[str]:
    if conn.dialect.name == "postgresql":
        return func.json_extract_path_text(reason.c.value, name)
    return func.json_extract(reason.c.value, f"$.{name}")


def _case(row: Any) -> StoredCase:
    words = {name: value for name, value in row._mapping.items() if name != "identity"}
    reasons = tuple(Reason(**reason) for reason in json.loads(row.reasons))
    return StoredCase(**(words | {"stage": Stage(row.stage), "reasons": reasons}))
