"""Which key was believed for what: the fold of key entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.append import append
from gateway.ledger.entry import decode
from gateway.ledger.history import KEY_KINDS, KeyHistory, key_id_of
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner, VerifierKey
from tests.ledger.memory_log import MemoryLog
from tests.ledger.samples import ORIGIN, START, own_fields

NODE = "11230000MB1234567X"
KEYS = [NoteSigner(ORIGIN, generate_key(bytes([number]) * 32)).verifier for number in range(1, 8)]


def genesis(log: MemoryLog) -> None:
    append(log, "genesis", own_fields("genesis", node=NODE, origin=ORIGIN, verifier_key=str(KEYS[0])), at=START)


def enter(log: MemoryLog, kind: str, key: VerifierKey, *, owner: str = NODE, **changes: str | int) -> int:
    fields = own_fields(kind, node=NODE, purpose="ledger", owner=owner, key_id=key_id_of(key), **changes)
    if "key" in fields:
        fields["key"] = str(key)
    return append(log, kind, fields, at=START)


def history(log: MemoryLog) -> KeyHistory:
    return KeyHistory.of(log.entries(0, log.head().size))


def test_the_first_key_is_that_of_the_genesis_entry() -> None:
    log = MemoryLog()
    genesis(log)
    (key,) = history(log).ledger_keys()
    assert (key.key, key.key_id, key.index, key.owner) == (str(KEYS[0]), key_id_of(KEYS[0]), 0, NODE)
    assert key.current
    assert [key.signs(size) for size in (1, 2, 1000)] == [True, True, True]


def test_a_key_vouches_for_its_successor_and_signs_no_more() -> None:
    log = MemoryLog()
    genesis(log)
    append(log, "operator.action", own_fields("operator.action"), at=START)
    index = enter(log, "key.rotated", KEYS[1], before_key_id=key_id_of(KEYS[0]))
    old, new = history(log).ledger_keys()
    assert (index, old.replaced, new.index) == (2, 2, 2)
    assert [old.signs(size) for size in (1, 2, 3, 4, 5)] == [True, True, True, False, False]
    assert [new.signs(size) for size in (1, 2, 3, 4, 5)] == [False, False, False, True, True]
    assert history(log).current("ledger", NODE) == (new,)


def test_a_revoked_key_is_believed_below_the_size_that_the_entry_names() -> None:
    log = MemoryLog()
    genesis(log)
    enter(log, "key.added", KEYS[1], owner="peer")
    enter(log, "key.revoked", KEYS[1], owner="peer", from_size=2)
    (key,) = [one for one in history(log).keys if one.owner == "peer"]
    assert [key.revoked(size) for size in (1, 2, 3)] == [False, True, True]
    assert history(log).current("ledger", "peer") == ()
    assert len(history(log).ledger_keys()) == 1, "a peer's ledger key signs the peer's ledger"


def test_a_key_may_come_back() -> None:
    log = MemoryLog()
    genesis(log)
    enter(log, "key.added", KEYS[1], owner="peer")
    enter(log, "key.revoked", KEYS[1], owner="peer", from_size=2)
    enter(log, "key.added", KEYS[1], owner="peer")
    enter(log, "key.revoked", KEYS[1], owner="peer", from_size=9)
    first, second = (one for one in history(log).keys if one.owner == "peer")
    assert (first.revoked_from, second.revoked_from) == (2, 9)


@pytest.mark.parametrize("kind", ["key.revoked", "key.rotated"])
def test_what_was_never_entered_cannot_end(kind: str) -> None:
    log = MemoryLog()
    genesis(log)
    if kind == "key.revoked":
        enter(log, kind, KEYS[3], from_size=0)
    else:
        enter(log, kind, KEYS[3], before_key_id="none")
    with pytest.raises(LedgerError, match="key-unknown"):
        history(log)


@given(st.lists(st.integers(min_value=0, max_value=3), max_size=6))
def test_every_checkpoint_has_exactly_one_key_whatever_came_between(gaps: list[int]) -> None:
    log = MemoryLog()
    genesis(log)
    for number, gap in enumerate(gaps):
        for _ in range(gap):
            append(log, "operator.action", own_fields("operator.action"), at=START)
        enter(log, "key.rotated", KEYS[number + 1], before_key_id=key_id_of(KEYS[number]))
    keys = history(log).ledger_keys()
    assert len(keys) == len(gaps) + 1
    for size in range(1, log.head().size + 3):
        signing = [key for key in keys if key.signs(size)]
        assert len(signing) == 1, (size, [key.index for key in signing])


def test_other_kinds_are_passed_over() -> None:
    log = MemoryLog()
    genesis(log)
    append(log, "operator.action", own_fields("operator.action"), at=START)
    folded = KeyHistory()
    for stored in log.entries(0, 2):
        folded.take(stored.index, decode(stored.leaf))
    assert folded.keys == history(log).keys
    assert "operator.action" not in KEY_KINDS
