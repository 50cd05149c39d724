"""What peers sent, read behind a position; where records came from; what is said of them further up. On both engines."""

from __future__ import annotations

import hashlib

import pytest

from gateway.errors import StoreError
from gateway.store import feedback, inbox, records
from gateway.store.database import Database
from gateway.store.feedback import Sent, Told
from gateway.store.inbox import InboxRow
from gateway.store.origins import Arrival, Origin, any_origin, arrivals, origins, remember
from gateway.store.records import ChangedRecord, NewRecord, TakenBack
from tests.store.samples import AT, ROUTE, RUN, batch_id, digest, inbox_batch, later, open_run, package

CATALOG = ROUTE.split("/")[1]


def receive(database: Database, number: int, *rows: InboxRow) -> None:
    with database.begin() as conn:
        inbox.add_batch(conn, inbox_batch(number), package=package(number), receipt=b"receipt")
        inbox.apply(conn, ROUTE, rows, batch_id=batch_id(number), at=later(number))


def row(key: str, version: int, op: str = "upsert", reason: str | None = None) -> InboxRow:
    content = "{}" if op == "upsert" else None
    return InboxRow(key, version, op, digest(f"{key}{version}"), None, content, reason)


def test_arrivals_stand_at_the_batch_that_changed_them_last(database: Database) -> None:
    receive(database, 1, row("a", 1), row("b", 1), row("c", 1))
    receive(database, 2, row("b", 3, "withdraw", "revoked"))
    with database.read() as conn:
        first = arrivals(conn, ROUTE, after=(0, ""), limit=2)
        assert first == [Arrival(1, "a", 1, "upsert", "{}", None), Arrival(1, "c", 1, "upsert", "{}", None)]
        rest = arrivals(conn, ROUTE, after=(1, "a"), limit=9)
        assert rest == [first[1], Arrival(2, "b", 3, "withdraw", None, "revoked")]
        assert arrivals(conn, ROUTE, after=(2, "b"), limit=9) == []
        assert arrivals(conn, "x/y/z", after=(0, ""), limit=9) == []


def test_versions_follow_the_owner_and_never_fall(database: Database) -> None:
    with database.begin() as conn:
        open_run(conn)
        assert not any_origin(conn)
        new = [NewRecord(key, digest(key), "{}", "unit", None, 4) for key in ("a", "b")]
        a, b = records.add(conn, new, catalog=CATALOG, source="s", run_id=RUN, at=AT)
        remember(conn, [Origin(a, ROUTE, 4, "upsert")])
        remember(conn, [Origin(a, ROUTE, 9, "withdraw")])
        assert any_origin(conn)
        assert origins(conn, [a, b]) == {a: Origin(a, ROUTE, 9, "withdraw")}
        changed = [ChangedRecord(number, digest("n"), "{}", None, None, least) for number, least in ((a, 9), (b, 2))]
        records.change(conn, changed, run_id=RUN, at=AT)
        assert {one.key: one.version for one in records.fetch_heads(conn, [a, b])} == {"a": 9, "b": 5}
        back = [TakenBack(a, "withdraw", "revoked", 12), TakenBack(b, "stop-share", None, 0)]
        assert records.take_back_as(conn, back, run_id=RUN, at=AT) == 2
        assert records.take_back_as(conn, back, run_id=RUN, at=AT) == 0
        found = [(one.version, one.op, one.reason) for one in records.fetch(conn, [a, b])]
        assert found == [(12, "withdraw", "revoked"), (6, "stop-share", None)]


def told(key: str, version: int = 1, result: str = "rejected", code: str = "too-long") -> Told:
    return Told(key, version, result, code, "XK_NR", "太长", "11230000000000019J", "示例省交通运输厅")


def test_feedback_is_numbered_by_route_and_kept_as_it_came(database: Database) -> None:
    with database.begin() as conn:
        feedback.add(conn, ROUTE, [], at=AT)
        feedback.add(conn, ROUTE, [told("a"), told("b")], at=AT)
        feedback.add(conn, "x/y/z", [told("a")], at=AT)
        feedback.add(conn, ROUTE, [told("a", 1, "accepted", "accepted")], at=AT)
        assert [number for number, _ in feedback.after(conn, ROUTE, 0, limit=9)] == [1, 2, 3]
        assert feedback.after(conn, ROUTE, 1, limit=1) == [(2, told("b"))]
        assert feedback.after(conn, "x/y/z", 1, limit=9) == []
        last = feedback.last_told(conn, ROUTE, ["a", "b", "c"])
        assert {key: one.result for key, one in last.items()} == {"a": "accepted", "b": "rejected"}
        assert feedback.last_taken(conn, ROUTE) == 0
        data = b"sealed"
        feedback.keep(conn, ROUTE, 3, sha256=hashlib.sha256(data).hexdigest(), data=data, at=AT)
        assert feedback.last_taken(conn, ROUTE) == 3
        assert feedback.sent(conn, ROUTE, "up", "s", ["a"]) == []
        feedback.mark(conn, [(Sent("up", "s", 1, "a", 1, "accepted", RUN), told("a"))])
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        feedback.keep(conn, ROUTE, 3, sha256="0" * 64, data=b"other", at=AT)
