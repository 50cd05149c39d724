"""What is said of a record further up finds its way down: told to the node that the record came from, in that node's key and version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from gateway.catalog.model import Catalog
from gateway.mapping.problems import problem_text
from gateway.package.feedback import ACCEPTED, REJECTED
from gateway.package.forms import Node
from gateway.package.receipt import Outcome, Result
from gateway.store import feedback, records, shares
from gateway.store.database import Connection
from gateway.store.feedback import Told
from gateway.store.origins import any_origin, origins

__all__ = ["Said", "first_words", "pass_down", "tell_below", "tell_refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What ``level`` said of the record with this id at this version of ours."""

    record_id: int
    version: int
    result: str
    code: str
    field: str
    message: str
    level: Node


def tell_below(conn: Connection, batch_id: str, outcomes: Sequence[Outcome], level: Node, *, at: str) -> None:
    """Note what a receipt says of records that came from below. Within the transaction that settles the batch."""
    if not any_origin(conn):
        return
    rejected = {one.key: one for one in outcomes if one.result is Result.REJECTED}
    found: list[Said] = []
    for share in shares.of_batch(conn, batch_id):
        outcome = rejected.get(share.key)
        found.append(
            Said(
                record_id=share.record_id,
                version=share.version,
                result=ACCEPTED if outcome is None else REJECTED,
                code=ACCEPTED if outcome is None else outcome.code,
                field="" if outcome is None else outcome.field,
                message="" if outcome is None else outcome.message,
                level=level,
            )
        )
    pass_down(conn, found, at=at)


def pass_down(conn: Connection, found: Sequence[Said], *, at: str) -> None:
    """Note outcomes for the senders of those records that are not our own.

    What is no longer about the record as it stands is left out: what is said of its newer version will come. That a record was accepted is
    told only to a sender that was told of its rejection, and not while another receiver of ours, or a node behind it, still rejects it.
    """
    standing = feedback.rejected_somewhere(conn, [one.record_id for one in found if one.result != REJECTED])
    found = [one for one in found if one.result == REJECTED or (one.record_id, one.version) not in standing]
    known = origins(conn, [one.record_id for one in found])
    by_route: defaultdict[str, list[Said]] = defaultdict(list)
    for one in found:
        if one.record_id in known:
            by_route[known[one.record_id].route].append(one)
    for route, said in by_route.items():
        stored = {record.id: record for record in records.fetch_heads(conn, [one.record_id for one in said])}
        last = feedback.last_told(conn, route, [record.key for record in stored.values()])
        rows = [
            Told(
                key=stored[one.record_id].key,
                version=known[one.record_id].version,
                result=one.result,
                code=one.code,
                field=one.field,
                message=one.message,
                level_code=one.level.code,
                level_name=one.level.name,
            )
            for one in said
            if stored[one.record_id].version == one.version
        ]
        _add(conn, route, rows, last, at)


def tell_refused(conn: Connection, route: str, rows: Sequence[Told], *, at: str) -> None:
    """Note what this node itself does not pass on, for the sender of ``route``. What was said already is not said again."""
    if rows:
        _add(conn, route, rows, feedback.last_told(conn, route, [one.key for one in rows]), at)


def first_words(problems: pl.DataFrame, catalog: Catalog, *, by: str) -> Iterator[tuple[str, Mapping[str, str], str]]:
    """The first rejecting problem of every record, with its sentence; ``by`` is the column that has the record's key."""
    rejecting = problems.filter(pl.col("weight") == "reject").unique(by, keep="first", maintain_order=True)
    for problem in rejecting.iter_rows(named=True):
        yield problem[by], problem, problem_text(problem, catalog)


def _add(conn: Connection, route: str, rows: Sequence[Told], last: Mapping[str, Told], at: str) -> None:
    """What is new in ``rows``: a rejection that was not told last, an acceptance of what was rejected last."""
    new = []
    for row in rows:
        before = last.get(row.key)
        if row.result == REJECTED:
            said = before is not None and before[:4] == row[:4] and before.level_code == row.level_code
        else:
            said = before is None or before.result != REJECTED
        if not said:
            new.append(row)
    feedback.add(conn, route, new, at=at)
