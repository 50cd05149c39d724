"""How long a penalty may be published, by the regime in force on the day of its decision.

Regimes stand in ``codelists/publicity-regimes.toml``. The gravity of a case is not among a record's fields, so a record
can be held only to the shortest and the longest period of its regime; with a gravity the bounds are its own. For publication the gravity is
made out from the penalties, the matter and the fine, by what that text says (:mod:`gateway.catalog.term`).
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Annotated

from pydantic import Field

from gateway.catalog.reading import Name, Shape, Words, read_shape, read_toml
from gateway.errors import Finding

__all__ = ["Period", "Regime", "add_months", "bounds", "parse_regimes", "regime_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """How long a case of one gravity is published, in months after the decision."""

    gravity: str
    zh: str
    en: str
    min_months: int
    max_months: int
    published: bool = True
    kinds: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    amount: Decimal | None = None
    usual: bool = False

    def takes(self, kinds: Sequence[str], matter: str, amount: Decimal | None) -> bool:
        """Whether a case is of this gravity: one of its penalties begins with one of ``kinds``, all of them with those of ``only``, its matter
        names one of ``words``, or its fine (万元) reaches ``amount``."""
        return (
            any(kind.startswith(self.kinds) for kind in kinds if self.kinds)
            or (bool(self.only) and bool(kinds) and all(kind.startswith(self.only) for kind in kinds))
            or any(word in matter for word in self.words)
            or (self.amount is not None and amount is not None and amount >= self.amount)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """The rules for decisions from ``valid_from`` to ``valid_to``, both included; None: still in force."""

    id: str
    zh: str
    en: str
    valid_from: date
    valid_to: date | None
    periods: tuple[Period, ...]

    def period_of(self, kinds: Sequence[str], matter: str, amount: Decimal | None) -> Period | None:
        """The period of a case. Of several that take it the one with the longest, and one that publishes before one that does not; when none
        takes it the usual one, or None when the text names none."""
        taking = [period for period in self.periods if period.takes(kinds, matter, amount)]
        taking = taking or [period for period in self.periods if period.usual]
        return max(taking, key=lambda period: (period.published, period.max_months), default=None)

    @property
    def min_months(self) -> int:
        """The shortest period of any gravity."""
        return min(period.min_months for period in self.periods)

    @property
    def max_months(self) -> int:
        """The longest period of any gravity."""
        return max(period.max_months for period in self.periods)


def regime_at(decided_on: date, regimes: Iterable[Regime]) -> Regime | None:
    """The regime in force on the day of the decision; None before the first one: nothing is then known to hold."""
    for regime in regimes:
        if regime.valid_from <= decided_on and (regime.valid_to is None or decided_on <= regime.valid_to):
            return regime
    return None


def bounds(decided_on: date, regimes: Iterable[Regime], gravity: str | None = None) -> tuple[date, date] | None:
    """The earliest and the latest day on which publication may end, or None when no regime is known for the day.

    Raises KeyError for a ``gravity`` that the regime does not know.
    """
    regime = regime_at(decided_on, regimes)
    if regime is None:
        return None
    if gravity is None:
        return add_months(decided_on, regime.min_months), add_months(decided_on, regime.max_months)
    period = {item.gravity: item for item in regime.periods}[gravity]
    return add_months(decided_on, period.min_months), add_months(decided_on, period.max_months)


def add_months(day: date, months: int) -> date:
    """The corresponding day ``months`` later, or the last of that month when it has none (民法典第二百零二条).

    At the end of the calendar (year 9999) the last day there is.
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > date.max.year:
        return date.max
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


class _PeriodText(Shape):
    zh: Words
    en: Words
    min_months: Annotated[int, Field(ge=0)]
    max_months: Annotated[int, Field(ge=0)]
    published: bool = True
    kinds: list[Words] = Field(default_factory=list)
    only: list[Words] = Field(default_factory=list)
    words: list[Words] = Field(default_factory=list)
    amount: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")] | None = None
    usual: bool = False


class _RegimeText(Shape):
    zh: Words
    en: Words
    valid_from: date
    valid_to: date | None = None
    periods: Annotated[dict[Name, _PeriodText], Field(min_length=1)]


class _RegimesText(Shape):
    regimes: dict[Name, _RegimeText]


def parse_regimes(file: str, data: bytes, findings: list[Finding]) -> tuple[Regime, ...]:
    """The regimes in the bytes of the TOML text, oldest first; mistakes are appended to ``findings``."""
    raw = read_toml(file, data, findings)
    text = None if raw is None else read_shape(_RegimesText, raw, file, (), findings)
    if text is None:
        return ()
    regimes = sorted(
        (
            Regime(
                id=regime_id,
                zh=item.zh,
                en=item.en,
                valid_from=item.valid_from,
                valid_to=item.valid_to,
                periods=tuple(
                    Period(
                        gravity=gravity,
                        zh=period.zh,
                        en=period.en,
                        min_months=period.min_months,
                        max_months=period.max_months,
                        published=period.published,
                        kinds=tuple(period.kinds),
                        only=tuple(period.only),
                        words=tuple(period.words),
                        amount=None if period.amount is None else Decimal(period.amount),
                        usual=period.usual,
                    )
                    for gravity, period in item.periods.items()
                ),
            )
            for regime_id, item in text.regimes.items()
        ),
        key=lambda regime: regime.valid_from,
    )
    findings.extend(_contradictions(file, regimes))
    return tuple(regimes)


def _contradictions(file: str, regimes: list[Regime]) -> Iterable[Finding]:
    """Periods and dates the wrong way round, and two regimes for one day."""
    for regime in regimes:
        place = f"regimes.{regime.id}"
        if regime.valid_to is not None and regime.valid_to < regime.valid_from:
            facts = {"start": regime.valid_from, "end": regime.valid_to}
            yield Finding(code="regime-dates-reversed", file=file, key=f"{place}.valid_to", facts=facts)
        for period in regime.periods:
            if period.max_months < period.min_months:
                gravity = f"{place}.periods.{period.gravity}"
                limits = {"least": period.min_months, "most": period.max_months}
                yield Finding(code="regime-period-reversed", file=file, key=gravity, facts=limits)
    for earlier, later in combinations(regimes, 2):
        if earlier.valid_to is None or later.valid_from <= earlier.valid_to:
            who = {"earlier": earlier.id, "later": later.id, "start": later.valid_from}
            yield Finding(code="regime-overlap", file=file, key=f"regimes.{later.id}.valid_from", facts=who)
