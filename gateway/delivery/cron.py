"""A cron expression: five fields (minute, hour, day, month, weekday), or six with seconds in front; read strictly.

A field is ``*``, ``*/n``, ``a``, ``a-b``, ``a-b/n``, or several of these with commas. Months are numbers or English names, weekdays are
names alone. The expression knows wall-clock times only; what they mean in a time zone, :mod:`gateway.delivery.schedule` says.

APScheduler finds the times, but its own reading of crontabs is not used. ``CronTrigger.from_crontab`` counts weekdays from Monday = 0 where
cron counts from Sunday; takes the machine's time zone unless told, not the scheduler's; wants both day and weekday to fit where cron
takes either; passes over what follows a name (the ``/2`` in ``mon-fri/2``); and searches until the year 9999 for a 30 February.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from apscheduler.triggers.cron import CronTrigger

from gateway.errors import ConfigError

__all__ = ["Cron", "parse_cron"]

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM: Final = re.compile(r"(?:\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A parsed expression; ``text`` is how it was written, with single spaces."""

    text: str
    _trigger: CronTrigger = field(repr=False, compare=False)

    def next(self, wall: datetime) -> datetime | None:
        """The first wall-clock time at ``wall`` or later, both without a zone; None when the calendar ends before."""
        # As UTC, so that no change of clocks comes in: APScheduler has its own rules for those.
        found: datetime | None = self._trigger.get_next_fire_time(None, wall.replace(tzinfo=UTC))
        return None if found is None else found.replace(tzinfo=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One field: APScheduler's name for it, ours in both languages, its range, and names that stand for numbers from ``first`` on."""

    name: str
    zh: str
    en: str
    first: int
    last: int
    words: tuple[str, ...] = ()

    def read(self, text: str) -> tuple[str, frozenset[int]]:
        """What APScheduler is given, and the numbers that fit. Raises ConfigError ``schedule-field`` or ``schedule-weekday-digits``."""
        if self.words == _WEEKDAYS and re.search("[0-9]", text):
            raise ConfigError("schedule-weekday-digits")
        spans = [self._span(item) for item in text.lower().split(",")]
        numbers = frozenset(number for first, last, step in spans for number in range(first, last + 1, step))
        if len(numbers) > self.last - self.first:
            return "*", numbers
        return ",".join(_written(*span) for span in spans), numbers

    def _span(self, item: str) -> tuple[int, int, int]:
        found = _ITEM.fullmatch(item)
        if found is None or (found[3] and found[1] and not found[2]):
            raise self._refused()
        first = self._number(found[1]) if found[1] else self.first
        last = self._number(found[2]) if found[2] else first if found[1] else self.last
        step = int(found[3] or 1)
        if first > last or not 1 <= step <= self.last - self.first:
            raise self._refused()
        return first, last, step

    def _number(self, word: str) -> int:
        if word in self.words:
            return self.first + self.words.index(word)
        if not word.isdigit() or not self.first <= int(word) <= self.last:
            raise self._refused()
        return int(word)

    def _refused(self) -> ConfigError:
        span = f"{self.words[0]}–{self.words[-1]}" if self.words == _WEEKDAYS else f"{self.first}–{self.last}"
        return ConfigError("schedule-field", zh=self.zh, en=self.en, range=span)


def _written(first: int, last: int, step: int) -> str:
    """A span as APScheduler takes it: it refuses a step that leads out of the span."""
    if step > last - first:
        return str(first)
    return f"{first}-{last}/{step}" if step > 1 else f"{first}-{last}"


_FIELDS: Final = (
    _Field(name="second", zh="秒", en="seconds", first=0, last=59),
    _Field(name="minute", zh="分", en="minute", first=0, last=59),
    _Field(name="hour", zh="时", en="hour", first=0, last=23),
    _Field(name="day", zh="日", en="day of the month", first=1, last=31),
    _Field(name="month", zh="月", en="month", first=1, last=12, words=_MONTHS),
    # Monday = 0 is APScheduler's own count; nobody writes it.
    _Field(name="day_of_week", zh="星期", en="weekday", first=0, last=6, words=_WEEKDAYS),
)


def parse_cron(text: str) -> Cron:
    """The expression in ``text``.

    Raises ConfigError ``schedule-fields`` (wrong number of fields), ``schedule-field`` (one cannot be read), ``schedule-weekday-digits``,
    ``schedule-two-days`` (day and weekday both restricted) or ``schedule-never`` (no such day in any year).
    """
    words = text.split()
    if len(words) not in {5, 6}:
        raise ConfigError("schedule-fields", found=len(words))
    seconds = [] if len(words) == 6 else ["0"]
    read = {each.name: each.read(word) for each, word in zip(_FIELDS, [*seconds, *words], strict=True)}
    days, months, weekdays = (read[name][1] for name in ("day", "month", "day_of_week"))
    if len(days) < 31 and len(weekdays) < 7:
        raise ConfigError("schedule-two-days")
    if min(days) > max(_LONGEST_MONTHS[month - 1] for month in months):
        raise ConfigError("schedule-never")
    given = {name: written for name, (written, _) in read.items()}
    return Cron(text=" ".join(words), _trigger=CronTrigger(**given, timezone=UTC))
