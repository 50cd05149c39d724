"""Records and shares against a model that knows one rule: what the receiver holds must become what we hold."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from gateway.store import batches, records, shares
from gateway.store.database import Database
from gateway.store.records import ChangedRecord
from gateway.store.shares import ListedOutcome
from gateway.store.states import State
from tests.store.samples import (
    AT,
    CATALOG,
    EXCHANGE,
    LEASE,
    ROUTE,
    RUN,
    SOURCE,
    abandon,
    add_records,
    digest,
    later,
    open_run,
    seal_batch,
    void_batch,
)


@dataclass
class Known:
    """A record as the model sees it, on our side and (``there``) at the receiver, who may hold more than we know (``maybe``)."""

    version: int = 1
    op: str = "upsert"
    refused: int = 0  # the version that the receiver rejected
    there: tuple[int, str] | None = None
    maybe: bool = False


@dataclass
class Sent:
    name: str
    records: dict[int, tuple[int, str]] = field(default_factory=dict)


class Sharing(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "gateway.db")
        self.database = Database.open(f"sqlite:///{self.folder / 'gateway.db'}")
        self.known: dict[int, Known] = {}
        self.keys: dict[int, str] = {}
        self.flying: list[Sent] = []
        self.sequence = 0
        self.number = 0
        with self.database.begin() as conn:
            open_run(conn)

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    @rule()
    def a_new_record(self) -> None:
        key = f"key {len(self.keys)}"
        with self.database.begin() as conn:
            (number,) = add_records(conn, key)
        self.known[number], self.keys[number] = Known(), key

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def it_changes(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.known)))
        with self.database.begin() as conn:
            records.change(conn, [ChangedRecord(number, digest("x"), "{}", None, None)], run_id=RUN, at=AT)
        self.known[number].version += 1
        self.known[number].op = "upsert"

    @precondition(lambda self: self.known)
    @rule(data=st.data(), op=st.sampled_from(["withdraw", "stop-share"]))
    def it_is_taken_back(self, data: st.DataObject, op: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.known)))
        record = self.known[number]
        with self.database.begin() as conn:
            changed = records.take_back(conn, [number], op=op, reason="r", run_id=RUN, at=AT)
        assert changed == (record.op != op)
        if changed:
            record.version += 1
            record.op = op

    @precondition(lambda self: len(self.flying) < 3)
    @rule()
    def what_is_due_is_sealed(self) -> None:
        with self.database.begin() as conn:
            ids = list(shares.due(conn, EXCHANGE, CATALOG, [SOURCE]))
            self.sequence += 1
            self.number += 100
            name = seal_batch(conn, self.number, ids, sequence=self.sequence)
        self.flying.append(Sent(name, {number: (self.known[number].version, self.known[number].op) for number in ids}))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def the_first_batch_is_answered(self, data: st.DataObject) -> None:
        sent = self.flying.pop(0)
        refused = data.draw(st.sets(st.sampled_from(sorted(sent.records)))) if sent.records else set()
        listed = [ListedOutcome(self.keys[n], sent.records[n][0], "rejected", "code", "", "") for n in sorted(refused)]
        with self.database.begin() as conn:
            taken = batches.claim(conn, owner="w", at=later(1), lease_seconds=LEASE, route=ROUTE)
            assert taken is not None
            assert taken.batch_id == sent.name
            for state in (State.ACKNOWLEDGED, State.RECONCILED):
                batches.move(conn, sent.name, state, at=AT, fence=taken.fence)
            shares.settle(conn, EXCHANGE, sent.name, listed)
        for number, (version, op) in sent.records.items():
            if number in refused:
                self.known[number].refused = version
            else:
                self.known[number].there = (version, op)

    @precondition(lambda self: self.flying)
    @rule(arrived=st.booleans())
    def the_first_batch_is_given_up(self, arrived: bool) -> None:
        """Whether it had arrived nobody here knows."""
        sent = self.flying.pop(0)
        with self.database.begin() as conn:
            abandon(conn, sent.name)
            shares.release(conn, sent.name)
            self.number += 1
            void = void_batch(conn, self.number, sent.name)
        self.flying.insert(0, Sent(void))
        for number, (version, op) in sent.records.items():
            self.known[number].maybe = True
            if arrived:
                self.known[number].there = (version, op)

    @invariant()
    def due_is_what_the_receiver_lacks(self) -> None:
        with self.database.read() as conn:
            due = set(shares.due(conn, EXCHANGE, CATALOG, [SOURCE]))
        flying = {number: version for sent in self.flying for number, (version, _) in sent.records.items()}
        for number, record in self.known.items():
            if max(flying.get(number, 0), record.refused) >= record.version:
                assert number not in due, "it is under way, or was rejected as it is"
            elif record.there is not None and record.there[0] < record.version:
                assert number in due, "the receiver holds an older version"
            elif record.there is None and record.op == "upsert":
                assert number in due, "the receiver never had it"
            elif record.there is None and not record.maybe and not record.refused and number not in flying:
                assert number not in due, "it was taken back before it ever left"


def test_nothing_is_lost_on_the_way(migrated: Path) -> None:
    Sharing.template = migrated
    run_state_machine_as_test(Sharing, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))
