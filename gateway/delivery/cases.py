"""From a frame of problems to quarantine cases: one for every row that was rejected, with all its reasons and the row as it was read; and
back to the row."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from gateway.store.quarantine import Case, Reason, Stage, StoredCase

__all__ = ["cases_of", "first_reasons", "row_of"]


def cases_of(problems: pl.DataFrame, rows: pl.DataFrame, units: Mapping[str, str | None]) -> list[Case]:
    """A case for every ``@row`` with a rejecting problem. ``rows`` has ``@row`` and whatever the unit will want to see of the row;
    ``units`` tells the unit of a row, where that could be made out."""
    rejected = _rejected(problems)
    if not rejected:
        return []
    found = problems.filter(pl.col("@row").is_in(list(rejected)))
    reasons: dict[str, list[Reason]] = {}
    keys: dict[str, str | None] = {}
    for problem in found.iter_rows(named=True):
        row, key = problem.pop("@row"), problem.pop("@key")
        reasons.setdefault(row, []).append(Reason(**problem))
        keys[row] = keys.get(row) or key
    cases = []
    for values in rows.filter(pl.col("@row").is_in(list(rejected))).iter_rows(named=True):
        locator = values.pop("@row")
        text = json.dumps(values, ensure_ascii=False, default=str)
        cases.append(
            Case(
                key=keys[locator],
                locator=locator,
                unit=units.get(locator),
                row=text,
                row_digest=hashlib.sha256(text.encode()).digest(),
                reasons=tuple(reasons[locator]),
            )
        )
    return cases


def row_of(case: StoredCase) -> Mapping[str, object]:
    """The row of a case: the source's columns as they came; behind the source, the record's filled fields by the catalog's names."""
    values: Mapping[str, Any] = json.loads(case.row)
    if case.stage is Stage.SOURCE:
        return {name: value for name, value in values.items() if not name.startswith("@")}
    content = values["content"]
    found: Mapping[str, object] = json.loads(content) if isinstance(content, str) else content
    return found


def first_reasons(problems: pl.DataFrame) -> Counter[str]:
    """How many rows were rejected, each counted once, under the code of its first rejecting problem."""
    return Counter(_rejected(problems).values())


def _rejected(problems: pl.DataFrame) -> dict[str, str]:
    """Row → code of its first rejecting problem."""
    rejecting = problems.filter(pl.col("weight") == "reject").unique("@row", keep="first", maintain_order=True)
    return dict(rejecting.select("@row", "code").iter_rows())
