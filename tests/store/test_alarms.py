"""Alarms: raised once while they last, closed by a person, and each one a sentence."""

from __future__ import annotations

import pytest

from gateway.errors import StoreError
from gateway.store import alarms
from gateway.store.alarms import HOLDING, AlarmCode
from gateway.store.database import Database
from gateway.texts import LANGUAGES
from tests.store.samples import AT, later

PEER = "11230000000000019J"


def test_an_alarm_that_lasts_counts_and_is_not_raised_again(database: Database) -> None:
    with database.begin() as conn:
        assert alarms.raise_alarm(conn, AlarmCode.PEER_LOG_INCONSISTENT, PEER, {"held": 7}, AT)
        assert not alarms.raise_alarm(conn, AlarmCode.PEER_LOG_INCONSISTENT, PEER, {"held": 9}, later(5))
        assert alarms.raise_alarm(conn, AlarmCode.PEER_LOG_INCONSISTENT, "another", {}, later(6))
        assert alarms.raise_alarm(conn, AlarmCode.WITNESS_REFUSED, PEER, {}, later(7))
        first, *others = alarms.open_alarms(conn)
    assert (first.times, first.raised_at, first.last_at, first.facts) == (2, AT, later(5), {"held": 9})
    assert [(one.code, one.subject) for one in others] == [
        (AlarmCode.PEER_LOG_INCONSISTENT, "another"),
        (AlarmCode.WITNESS_REFUSED, PEER),
    ]


def test_a_person_closes_it_and_it_may_come_again(database: Database) -> None:
    with database.begin() as conn:
        alarms.raise_alarm(conn, AlarmCode.OWN_LOG_REFUSED, PEER, {}, AT)
        (first,) = alarms.open_alarms(conn)
        assert alarms.close_alarm(conn, first.id, person="审计员", reason="已核对", at=later(1)) == first
        assert alarms.open_alarms(conn) == []
        with pytest.raises(StoreError, match="alarm-not-open"):
            alarms.close_alarm(conn, first.id, person="审计员", reason="已核对", at=later(2))
        assert alarms.raise_alarm(conn, AlarmCode.OWN_LOG_REFUSED, PEER, {}, later(3))
        assert alarms.open_alarms(conn)[0].id != first.id


def test_some_alarms_hold_a_peer_back(database: Database) -> None:
    with database.begin() as conn:
        for code in AlarmCode:
            alarms.raise_alarm(conn, code, code.value, {}, AT)
        assert alarms.held_peers(conn) == {code.value for code in HOLDING}
        for one in alarms.open_alarms(conn):
            alarms.close_alarm(conn, one.id, person="p", reason="r", at=AT)
        assert alarms.held_peers(conn) == frozenset()


@pytest.mark.parametrize("code", AlarmCode)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_alarm_is_a_sentence_with_a_remedy(language: str, code: AlarmCode) -> None:
    facts = {"why": "w", "held": 1, "shown": 2, "batch": "b", "found": 3, "size": 4}
    facts |= {"route": "a/b/c", "expected": 5, "answered": 6, "sequence": 7}
    alarm = alarms.Alarm(id=1, code=code, subject="PEER", facts=facts, raised_at=AT, last_at=AT, times=1)
    assert "PEER" in alarm.say(language)
    assert "{" not in alarm.say(language) + alarm.fix(language)
    assert alarm.fix(language)
