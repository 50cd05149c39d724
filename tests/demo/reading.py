"""What the gateway finds in a business database: its own source and record plan over the file, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from gateway.demo.business import Table
from gateway.demo.desk import Row
from gateway.mapping.canonical import encode
from gateway.mapping.plan import RecordPlan
from gateway.sources.sql import SqlSource

MAPPINGS = Path(__file__).parent.parent.parent / "mappings"
TODAY = date(2026, 11, 22)


@dataclass(slots=True)
class Read:
    """``records``: digest by key, the first row of a key. ``problems``: every (code, weight) of a row, by its ID."""

    records: dict[str, bytes] = field(default_factory=dict)
    problems: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def rows_by_code(self, weight: str) -> Mapping[str, int]:
        """How many rows have a problem of that weight, by code."""
        return Counter(code for found in self.problems.values() for code in {c for c, w in found if w == weight})

    def _add(self, ids: Mapping[str, int], problems: pl.DataFrame) -> None:
        for row, code, weight in problems.select("@row", "code", "weight").iter_rows():
            self.problems.setdefault(ids[row], []).append((code, weight))


def frame(table: Table, rows: Iterable[Row]) -> pl.DataFrame:
    """Rows as a source would hand them over."""
    columns = list(zip(*rows, strict=True))
    series = [pl.Series(name, values, strict=False) for name, values in zip(table.columns, columns, strict=True)]
    return pl.DataFrame(series).with_columns(pl.int_range(1, pl.len() + 1).cast(pl.String).alias("@row"))


def read(path: Path, table: Table, plan: RecordPlan) -> Read:
    """The whole table through the gateway."""
    source = SqlSource(
        name="demo",
        url=f"sqlite:///{path}",
        query=f"SELECT * FROM {table.name}",
        zone=ZoneInfo("Asia/Shanghai"),
    )
    found = Read()
    with closing(source.read(None, size=700).chunks) as chunks:
        for chunk in chunks:
            mapped = plan.map(chunk.frame)
            rows = pl.concat([chunk.frame, chunk.damaged], how="diagonal_relaxed").select("@row", "ID")
            ids = dict(rows.iter_rows())
            found._add(ids, chunk.problems)
            found._add(ids, mapped.problems)
            _, digests = encode(mapped.records, plan.catalog)
            for row, key, digest in zip(mapped.records["@row"], mapped.records["@key"], digests, strict=True):
                if found.records.setdefault(key, digest) is not digest:
                    found.problems.setdefault(ids[row], []).append(("key-duplicate", "reject"))
    return found
