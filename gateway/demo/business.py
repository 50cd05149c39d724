"""The bureau's two business systems as tables, and their rows: any number of them, all good, the same for the same seed and day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Final, Protocol

from gateway.demo.bureau import BUREAU, Bureau
from gateway.demo.days import Day, decision_days
from gateway.demo.desk import Row
from gateway.demo.penalties import PENALTY_COLUMNS, PenaltyDesk
from gateway.demo.permits import PERMIT_COLUMNS, PermitDesk
from gateway.demo.subjects import subjects

__all__ = ["PENALTIES", "PERMITS", "ROWS_PER_CHUNK", "TABLES", "Table", "rows"]

ROWS_PER_CHUNK: Final = 10_000
_FEWEST_SUBJECTS, _MOST_SUBJECTS = 500, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: its name, the catalog it serves, the source mapping that reads it, its columns in order, the key's column."""

    name: str
    catalog: str
    mapping: str
    columns: tuple[str, ...]
    key: str


PERMITS: Final = Table(
    name="XZXK",
    catalog="administrative-license",
    mapping="permits-local",
    columns=PERMIT_COLUMNS,
    key="WS_NO",
)
PENALTIES: Final = Table(
    name="XZCF",
    catalog="administrative-penalty",
    mapping="penalties-local",
    columns=PENALTY_COLUMNS,
    key="CASE_DOC_NO",
)
TABLES: Final[Mapping[str, Table]] = {table.name: table for table in (PERMITS, PENALTIES)}


class _Desk(Protocol):
    def row(self, number: int, day: Day) -> Row: ...


def rows(
    table: Table,
    count: int,
    seed: int,
    *,
    today: date,
    first: int = 1,
    since: date | None = None,
    bureau: Bureau = BUREAU,
    size: int = ROWS_PER_CHUNK,
) -> Iterator[list[Row]]:
    """``count`` rows of ``table`` without a fault, in chunks of up to ``size``, in the order of ``table.columns``.

    They are numbered from ``first`` and in the order of their decisions, all before ``today``, since ``since`` or over some four years;
    most of them in the last two. Raises ValueError when there is no weekday between ``since`` and ``today``.
    """
    days = decision_days(today, since)
    if not days:
        raise ValueError("no weekday between since and today")
    random = Random(f"{seed}/{table.name}/{first}")  # noqa: S311 - invented data, no secret
    addressed = subjects(min(max(count // 3, _FEWEST_SUBJECTS), _MOST_SUBJECTS), seed)
    desk: _Desk = (PermitDesk if table is PERMITS else PenaltyDesk)(bureau, addressed, random)
    row, spacing = desk.row, len(days) / count if count else 0
    for start in range(0, count, size):
        yield [row(first + place, days[int(place * spacing)]) for place in range(start, min(start + size, count))]
