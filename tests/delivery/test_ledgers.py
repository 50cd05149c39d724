"""Peers' ledgers: what was shown once binds the peer, and who shows two histories is found out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.custody import close_alarm
from gateway.delivery.exchange import Route
from gateway.delivery.ledgers import Consistent, Contradiction, PeerLedgers, ProofWanted, Showing
from gateway.errors import LedgerError
from gateway.exchange.shown import NOTHING, Shown
from gateway.ledger.append import append
from gateway.ledger.entry import decode
from gateway.ledger.history import KEY_KINDS, KeyHistory
from gateway.ledger.note import VerifierKey
from gateway.package.forms import Node
from gateway.store import alarms, batches, outside, peer_heads
from gateway.store.alarms import AlarmCode
from gateway.store.database import Connection, Database
from gateway.store.entries import DurableLog, TransactionLog
from gateway.store.outside import OutsideKind
from gateway.store.pauses import Scope
from gateway.store.states import State
from tests.delivery.shown_ledger import ShownLedger
from tests.ledger.samples import own_fields
from tests.nodes import BUREAU, PROVINCE, Folder, Nodes, lay_nodes, permit, run_once

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LEDGER, FORK = ShownLedger(), ShownLedger(total=4)


def begin(conn: Connection) -> None:
    fields = own_fields("genesis", node=PROVINCE, verifier_key=ShownLedger(1, seed=1).key)
    append(TransactionLog(conn), "genesis", fields, at=START)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path}/gateway.db")
    database.migrate()
    with database.begin() as conn:
        begin(conn)
    yield database
    database.close()


class Judge:
    """Shows one checkpoint after another to one node, and keeps what is kept."""

    def __init__(self, database: Database, *keys: VerifierKey) -> None:
        self.database = database
        self.ledgers = PeerLedgers(node=Node(code=PROVINCE, name="p"), keys={BUREAU: keys})
        self.minutes = 0

    def show(
        self, note: str, beside: Shown = NOTHING, *, minutes: int | None = None
    ) -> Consistent | ProofWanted | Contradiction:
        """``minutes`` after the start, by the peer's clock; an hour after the last one if unsaid."""
        self.minutes = self.minutes + 60 if minutes is None else minutes
        claimed = START + timedelta(minutes=self.minutes)
        showing = Showing(peer=BUREAU, batch_id=f"at {self.minutes}", note=note, claimed_at=claimed, beside=beside)
        with self.database.begin() as conn:
            found = self.ledgers.judge(conn, showing, now=START)
            if isinstance(found, Consistent):
                self.ledgers.keep(conn, BUREAU, found, now=START)
        return found


@pytest.fixture
def judge(database: Database) -> Judge:
    return Judge(database)


def contradicts(found: object, why: str) -> None:
    assert isinstance(found, Contradiction), found
    assert found.why == why


def test_a_ledger_that_grows_is_believed_with_and_without_proofs(judge: Judge) -> None:
    for size in (3, 7, 8, 21):
        assert isinstance(judge.show(LEDGER.note(size)), Consistent)
    for since, size in ((21, 22), (22, 40)):
        assert isinstance(judge.show(LEDGER.note(size), LEDGER.shown(size, since)), Consistent)
    with judge.database.read() as conn:
        held = [peer_heads.head_at(conn, BUREAU, size) for size in (3, 7, 8, 21, 22, 40)]
    assert [one.proved for one in held if one] == [False] * 4 + [True] * 2


def test_two_roots_of_one_size_are_a_fork(judge: Judge) -> None:
    judge.show(LEDGER.note(9))
    contradicts(judge.show(FORK.note(9)), "root")
    contradicts(judge.show(FORK.note(9), minutes=-600), "root")


def test_a_ledger_does_not_get_shorter_while_time_goes_on(judge: Judge) -> None:
    judge.show(LEDGER.note(20), minutes=0)
    assert isinstance(judge.show(LEDGER.note(15), minutes=-30), Consistent), "sealed before, sent later"
    assert isinstance(judge.show(LEDGER.note(16), minutes=4), Consistent), "dated a moment before it was read"
    contradicts(judge.show(LEDGER.note(17), minutes=30), "shrunk")


def test_a_proof_that_does_not_hold_is_a_fork(judge: Judge) -> None:
    judge.show(LEDGER.note(9), LEDGER.shown(9, 0))
    contradicts(judge.show(FORK.note(12), FORK.shown(12, 9)), "proof")
    contradicts(judge.show(LEDGER.note(12), replace(LEDGER.shown(12, 9), proof=LEDGER.proof(13, 9))), "proof")
    assert isinstance(judge.show(LEDGER.note(12), LEDGER.shown(12, 9)), Consistent)


def test_a_smaller_one_of_before_can_be_proved_too(judge: Judge) -> None:
    judge.show(LEDGER.note(20), LEDGER.shown(20, 0), minutes=0)
    contradicts(judge.show(FORK.note(15), FORK.shown(15, 20), minutes=-10), "proof")
    assert isinstance(judge.show(LEDGER.note(15), LEDGER.shown(15, 20), minutes=-10), Consistent)


def test_who_has_proved_must_go_on_proving(judge: Judge) -> None:
    judge.show(LEDGER.note(9))
    assert isinstance(judge.show(LEDGER.note(10)), Consistent)
    assert judge.show(LEDGER.note(12), LEDGER.shown(12, 9)) == ProofWanted(size=10), "from another than the largest"
    assert isinstance(judge.show(LEDGER.note(12), LEDGER.shown(12, 10)), Consistent)
    assert judge.show(LEDGER.note(14)) == ProofWanted(size=12)
    assert judge.show(FORK.note(14)) == ProofWanted(size=12)
    assert isinstance(judge.show(LEDGER.note(12)), Consistent), "what is held already needs none"


def test_another_log_is_not_the_same_one(judge: Judge) -> None:
    judge.show(LEDGER.note(9))
    contradicts(judge.show(ShownLedger(origin="credit-gateway/new").note(10)), "log")


def test_the_key_is_trusted_on_first_use_and_entered(judge: Judge) -> None:
    assert isinstance(judge.show(LEDGER.note(5)), Consistent), "nobody told the key: the package's signature counts"
    judge.show(LEDGER.note(6), Shown(key=LEDGER.key))
    with judge.database.read() as conn:
        history = KeyHistory.of(TransactionLog(conn).of_kinds(KEY_KINDS))
    assert [key.key for key in history.current("ledger", BUREAU)] == [LEDGER.key]
    thief = ShownLedger(seed=77)
    for beside in (NOTHING, Shown(key=thief.key)):
        with pytest.raises(LedgerError, match="note-unsigned"):
            judge.show(thief.note(7), beside)
    judge.show(LEDGER.note(7))
    assert DurableLog(judge.database).head().size == 2, "entered once"


def test_a_key_beside_a_note_that_it_did_not_sign_is_not_trusted(judge: Judge) -> None:
    with pytest.raises(LedgerError, match="note-unsigned"):
        judge.show(LEDGER.note(6), Shown(key=ShownLedger(seed=77).key))
    with pytest.raises(LedgerError, match="verifier-key-invalid"):
        judge.show(LEDGER.note(6), Shown(key="nonsense"))
    assert DurableLog(judge.database).head().size == 1


def test_configured_keys_count_alone_and_overlap_while_they_change(database: Database) -> None:
    new = ShownLedger(seed=10)
    judge = Judge(database, LEDGER.signer.verifier, new.signer.verifier)
    assert isinstance(judge.show(LEDGER.note(5)), Consistent)
    assert isinstance(judge.show(new.note(6)), Consistent)
    thief = ShownLedger(seed=77)
    with pytest.raises(LedgerError, match="note-unsigned"):
        judge.show(thief.note(7), Shown(key=thief.key))
    assert DurableLog(database).head().size == 1, "what is configured is entered at the start, not here"


@pytest.mark.parametrize("note", ["nonsense", "a\nb\nc\n", LEDGER.note(5).replace("\n5\n", "\n6\n")])
def test_what_is_no_checkpoint_of_the_key_is_none(database: Database, note: str) -> None:
    judge = Judge(database, LEDGER.signer.verifier)
    with pytest.raises(LedgerError):
        judge.show(note)
    assert isinstance(judge.show(""), Consistent), "nothing shown is nothing claimed"


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=12))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_two_histories_are_ever_kept_of_a_peer_that_proves(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[bool, int]]
) -> None:
    """Whatever is shown in whatever order, what is kept lies on the history that was shown first."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('story')}/gateway.db")
    database.migrate()
    with database.begin() as conn:
        begin(conn)
    judge = Judge(database)
    judge.show(LEDGER.note(2), LEDGER.shown(2, 0))
    for forked, size in story:
        ledger = FORK if forked else LEDGER
        with database.read() as conn:
            largest = peer_heads.largest_head(conn, BUREAU)
        assert largest is not None
        judge.show(ledger.note(size), ledger.shown(size, largest.size), minutes=0)
    with database.read() as conn:
        for size in range(2, 41):
            head = peer_heads.head_at(conn, BUREAU, size)
            assert head is None or head.root == LEDGER.checkpoint(size).root
    database.close()


def test_a_receipt_that_contradicts_raises_an_alarm_and_counts(database: Database) -> None:
    judge = Judge(database)

    def receipt(note: str, minutes: int, beside: Shown = NOTHING, echo: int = 0) -> None:
        claimed = START + timedelta(minutes=minutes)
        batch = f"at {minutes}"
        judge.ledgers.offer(BUREAU, batch, beside)
        with database.begin() as conn:
            showing = Showing(peer=BUREAU, batch_id=batch, note=note, claimed_at=claimed)
            judge.ledgers.receipt(conn, showing, echo, now=START)

    receipt(LEDGER.note(20), 0, LEDGER.shown(20, 0), echo=4)
    receipt(LEDGER.note(22), 10, echo=9)
    receipt(LEDGER.note(21), 9, echo=8)
    with database.read() as conn:
        assert alarms.open_alarms(conn) == []
        assert outside.find(conn, OutsideKind.PEER, BUREAU).size == 9
        assert peer_heads.largest_head(conn, BUREAU).size == 22  # type: ignore[union-attr]  # it was just kept
    receipt(FORK.note(15), 90)
    receipt(FORK.note(30), 91, FORK.shown(30, 22))
    receipt("nonsense", 92)
    with database.read() as conn:
        (alarm,) = alarms.open_alarms(conn)
        assert (alarm.code, alarm.subject, alarm.times) == (AlarmCode.PEER_LOG_INCONSISTENT, BUREAU, 3)
        assert alarms.held_peers(conn) == {BUREAU}


# Two whole nodes


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


class Backup:
    """A node's whole state as it is now, to be put back later: what an operator with every right can do."""

    def __init__(self, folder: Folder) -> None:
        self._state = folder.path / "var"
        self._copy = folder.path / "backup"
        shutil.copytree(self._state, self._copy)

    def restore(self) -> None:
        shutil.rmtree(self._state)
        shutil.copytree(self._copy, self._state)


async def sent(nodes: Nodes, *numbers: int) -> None:
    """One run of the bureau with these permits, against a province that listens."""
    nodes.business.write([permit(number) for number in numbers])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)


async def test_both_sides_remember_each_others_ledgers(nodes: Nodes) -> None:
    await sent(nodes, *range(1, 7))
    await sent(nodes, *range(1, 9))
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        held = peer_heads.largest_head(conn, PROVINCE)
        known = outside.find(conn, OutsideKind.PEER, PROVINCE)
        keys = KeyHistory.of(TransactionLog(conn).of_kinds(KEY_KINDS)).current("ledger", PROVINCE)
        ours = str(bureau.note_signer.verifier)
        assert alarms.open_alarms(conn) == []
    with nodes.province.open() as province, province.database.read() as conn:
        heads = peer_heads.largest_head(conn, BUREAU)
        assert heads is not None
        assert heads.proved
        assert heads.size == known.size > 1
        assert held is not None
        assert held.proved
        assert [key.key for key in keys] == [str(province.note_signer.verifier)]
        entered = KeyHistory.of(TransactionLog(conn).of_kinds(KEY_KINDS)).current("ledger", BUREAU)
        assert [key.key for key in entered] == [ours]
        assert alarms.open_alarms(conn) == []


async def test_a_sender_put_back_to_an_old_backup_learns_it_from_its_peer(nodes: Nodes) -> None:
    await sent(nodes, 1, 2)
    backup = Backup(nodes.bureau)
    await sent(nodes, 1, 2, 3)
    await sent(nodes, 1, 2, 3, 4)
    backup.restore()
    with nodes.bureau.open() as bureau:
        bureau.decisions.pause(Scope.EXCHANGE, "another", person="p", reason="one entry that the peer has not seen")
    await sent(nodes, 1, 2, 5)
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        (alarm,) = alarms.open_alarms(conn)
        assert alarm.code is AlarmCode.OWN_LOG_BEHIND
        assert alarm.facts["held"] > alarm.facts["found"]


async def test_a_sender_that_lost_one_batch_alone_learns_it_from_the_number(nodes: Nodes) -> None:
    """The lost batch carried the checkpoint of before itself: nothing of the peer's contradicts the ledger yet."""
    async with nodes.province_listening():  # at one address: no start of the bureau finds its configuration changed
        backups: list[Backup] = []
        for numbers in ((1, 2), (1, 2, 3), (1, 2, 4)):
            nodes.business.write([permit(number) for number in numbers])
            if 4 in numbers:
                backups[0].restore()
            with nodes.bureau.open() as bureau:
                await run_once(bureau)
            if not backups:
                backups.append(Backup(nodes.bureau))
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        (alarm,) = alarms.open_alarms(conn)
        assert alarm.code is AlarmCode.OWN_JOURNAL_BEHIND
        assert (alarm.facts["expected"], alarm.facts["sequence"]) == (3, 2)


async def test_a_sender_that_goes_on_from_an_old_backup_is_refused(nodes: Nodes) -> None:
    """It grows past what the peer holds before anybody notices: the proof gives it away, and nothing leaves any more."""
    await sent(nodes, 1, 2)
    backup = Backup(nodes.bureau)
    await sent(nodes, 1, 2, 3)
    await sent(nodes, 1, 2, 3, 4)
    backup.restore()
    with nodes.bureau.open() as bureau:
        for number in range(12):
            bureau.decisions.pause(Scope.PEER, "province", person="p", reason=f"{number}")
            bureau.decisions.resume(Scope.PEER, "province", person="p", reason=f"{number}")
    await sent(nodes, 1, 2, 4)
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        assert [one.code for one in alarms.open_alarms(conn)] == [AlarmCode.OWN_LOG_REFUSED]
        (refused,) = batches.open_batches(conn)
        assert (refused.state, refused.attempts) == (State.REFUSED, 1)
    with nodes.province.open() as province, province.database.read() as conn:
        (alarm,) = alarms.open_alarms(conn)
        assert (alarm.code, alarm.facts["why"]) == (AlarmCode.PEER_LOG_INCONSISTENT, "proof")
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            async with bureau.peer("province") as peer:
                bureau.decisions.retry(refused.id, peer, person="p", reason="r")
                assert not await bureau.dispatcher.deliver(Route(refused.route), peer)


async def test_a_receiver_put_back_to_an_old_backup_is_found_out(nodes: Nodes) -> None:
    await sent(nodes, 1, 2)
    backup = Backup(nodes.province)
    await sent(nodes, 1, 2, 3)
    backup.restore()
    await sent(nodes, 1, 2, 3, 4)
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        (alarm,) = alarms.open_alarms(conn)
        assert (alarm.code, alarm.facts["expected"], alarm.facts["answered"]) == (AlarmCode.PEER_ROLLED_BACK, 2, 2)


async def test_a_person_closes_the_alarm_and_may_accept_another_ledger(nodes: Nodes) -> None:
    await sent(nodes, 1, 2)
    with nodes.province.open() as province, province.database.begin() as conn:
        held = peer_heads.largest_head(conn, BUREAU)
        assert held is not None
        shown = LEDGER.checkpoint(held.size)
        found = Contradiction(why="root", held=held, shown=shown)
        province.ledgers.alarm(conn, BUREAU, "b", found, now=datetime.now(UTC))
    await sent(nodes, 1, 2, 3)
    with nodes.province.open() as province:
        args = {"alarm": 1, "person": "审计员", "reason": "换了台账", "accept": True}
        done = await close_alarm(province, args, lambda _stage, _count: None)
        assert done["forgotten"] == 1
        entries = list(DurableLog(province.database).of_kinds(["operator.action"]))
        assert decode(entries[-1].leaf).text("subject") == f"peer-log-inconsistent {BUREAU} forgotten=1"
    with nodes.bureau.open() as bureau:
        with bureau.database.read() as conn:
            (alarm,) = alarms.open_alarms(conn)
            (refused,) = batches.open_batches(conn)
        await close_alarm(bureau, {"alarm": alarm.id, "person": "p", "reason": "r"}, lambda _stage, _count: None)
        async with bureau.peer("province") as peer:
            bureau.decisions.retry(refused.id, peer, person="p", reason="r")
    await sent(nodes, 1, 2, 3)
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        assert batches.open_batches(conn) == []
        assert alarms.open_alarms(conn) == []
