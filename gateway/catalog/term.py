"""Whether a record is published at all, and until when: judged once, from the record and the regime of its day.

A catalog without a rule about publication periods has no end to its publication. What lies before the first regime is not published: nothing
says that it may be. Decisions about minors are not published (《行政处罚结果信息网上公示暂行办法》).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from gateway.catalog.identifiers import is_resident_id
from gateway.catalog.model import Catalog
from gateway.catalog.publicity import Regime, add_months, regime_at

__all__ = ["OVER", "Term", "term_of"]

OVER: Final = "publicity-over"
"""The reason of what is withdrawn at the end of its period."""
_OF_AGE: Final = 18  # 民法典第十七条


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """``until`` is the last day, None without end; ``refused`` is the reason code when it is not published: ``not-published``,
    ``minor-person``, ``regime-unknown``."""

    until: date | None = None
    regime: str = ""
    gravity: str = ""
    refused: str = ""


def term_of(catalog: Catalog, content: Mapping[str, object], regimes: Iterable[Regime]) -> Term:
    """The term of a record. ``content`` holds its canonical texts by field, as far as they are filled."""
    decided_on = _day(content.get(catalog.deadline.field))
    if decided_on is not None and _minor(content, decided_on):
        return Term(refused="minor-person")
    rule = next((rule for rule in catalog.rules if rule.kind == "publicity"), None)
    if rule is None:
        return Term()
    decided_on, stated = _day(content.get(rule.fields[0])), _day(content.get(rule.fields[1]))
    regime = None if decided_on is None else regime_at(decided_on, regimes)
    if decided_on is None or regime is None:
        return Term(refused="regime-unknown")
    separator = next((field.separator for field in catalog.fields if field.name == "penalty_kinds"), None) or ";"
    kinds = [kind for kind in str(content.get("penalty_kinds", "")).split(separator) if kind]
    fine = content.get("fine_amount")
    period = regime.period_of(
        kinds, str(content.get("violation_kind", "")), None if fine is None else Decimal(str(fine))
    )
    if period is None:
        # The text names no usual gravity: the shortest of the longest periods harms nobody.
        period = min(regime.periods, key=lambda one: one.max_months)
    if not period.published:
        return Term(regime=regime.id, gravity=period.gravity, refused="not-published")
    latest = add_months(decided_on, period.max_months)
    until = latest if stated is None else min(stated, latest)
    return Term(until=until, regime=regime.id, gravity=period.gravity)


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None


def _minor(content: Mapping[str, object], decided_on: date) -> bool:
    """Whether the natural person was under age on the day of the decision, as far as the identity number says so."""
    number = str(content.get("person_id", ""))
    if not is_resident_id(number):
        return False
    born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    return add_months(born, 12 * _OF_AGE) > decided_on
