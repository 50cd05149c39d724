"""What went wrong outside of any run and needs a person: raised once while it lasts, closed by a person who says why.

An alarm of a code and subject that is open already is not raised a second time: it counts, and its facts are the latest.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.errors import StoreError
from gateway.store.tables import alarm
from gateway.texts import DEFAULT_LANGUAGE, fix_text, say_text

__all__ = ["HOLDING", "Alarm", "AlarmCode", "close_about", "close_alarm", "held_peers", "open_alarms", "raise_alarm"]


class AlarmCode(StrEnum):
    """Every alarm there is. Its sentence stands under ``alarm-<code>``; ``subject`` is a peer's code or a witness's name."""

    PEER_LOG_INCONSISTENT = "peer-log-inconsistent"
    PEER_ROLLED_BACK = "peer-rolled-back"
    OWN_LOG_REFUSED = "own-log-refused"
    OWN_LOG_BEHIND = "own-log-behind"
    OWN_JOURNAL_BEHIND = "own-journal-behind"
    WITNESS_REFUSED = "witness-refused"


HOLDING = frozenset(AlarmCode) - {AlarmCode.WITNESS_REFUSED}
"""While one of these is open, nothing leaves for the peer that it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm. ``times`` counts how often it was raised while open."""

    id: int
    code: AlarmCode
    subject: str
    facts: Mapping[str, Any]
    raised_at: str
    last_at: str
    times: int

    def say(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What is wrong, as a sentence."""
        return say_text(f"alarm-{self.code}", language, {"subject": self.subject, **self.facts})

    def fix(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to do about it."""
        return fix_text(f"alarm-{self.code}", language, {"subject": self.subject, **self.facts})


def raise_alarm(conn: Connection, code: AlarmCode, subject: str, facts: Mapping[str, object], at: str) -> bool:
    """Raise an alarm; False when it was open already and only counts. ``facts`` hold no personal value."""
    written = json.dumps(dict(facts), ensure_ascii=False)
    lasting = conn.execute(
        update(alarm)
        .where(alarm.c.code == code.value, alarm.c.subject == subject, alarm.c.closed_at.is_(None))
        .values(times=alarm.c.times + 1, last_at=at, facts=written)
    )
    if lasting.rowcount:
        return False
    conn.execute(
        insert(alarm).values(code=code.value, subject=subject, facts=written, raised_at=at, last_at=at, times=1)
    )
    return True


def open_alarms(conn: Connection) -> list[Alarm]:
    """What waits for a person, oldest first."""
    query = select(alarm).where(alarm.c.closed_at.is_(None)).order_by(alarm.c.id)
    return [_alarm(row) for row in conn.execute(query)]


def close_alarm(conn: Connection, number: int, *, person: str, reason: str, at: str) -> Alarm:
    """A person looked and says why it is over; the alarm as it was. Raises StoreError ``alarm-not-open``."""
    row = conn.execute(select(alarm).where(alarm.c.id == number, alarm.c.closed_at.is_(None))).one_or_none()
    if row is None:
        raise StoreError("alarm-not-open", alarm=number)
    conn.execute(update(alarm).where(alarm.c.id == number).values(closed_at=at, person=person, reason=reason))
    return _alarm(row)


def close_about(conn: Connection, subject: str, *, person: str, reason: str, at: str) -> list[AlarmCode]:
    """Close whatever is open about a peer's state: a person has seen it, and orders what follows from it. The codes that were open."""
    codes = {AlarmCode.PEER_ROLLED_BACK, AlarmCode.PEER_LOG_INCONSISTENT}
    about = [one for one in open_alarms(conn) if one.subject == subject and one.code in codes]
    for one in about:
        close_alarm(conn, one.id, person=person, reason=reason, at=at)
    return [one.code for one in about]


def held_peers(conn: Connection, codes: Collection[AlarmCode] = HOLDING) -> frozenset[str]:
    """The codes of the peers about whom an alarm of these codes is open: nothing is exchanged until a person closes it."""
    words = [code.value for code in codes]
    query = select(alarm.c.subject).where(alarm.c.closed_at.is_(None), alarm.c.code.in_(words))
    return frozenset(conn.scalars(query))


def _alarm(row: Row[Any]) -> Alarm:
    return Alarm(
        id=row.id,
        code=AlarmCode(row.code),
        subject=row.subject,
        facts=json.loads(row.facts),
        raised_at=row.raised_at,
        last_at=row.last_at,
        times=row.times,
    )
