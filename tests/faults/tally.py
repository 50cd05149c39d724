"""What a test tells of the faults that it tried: how many, and what became of the records."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.books import Audit

__all__ = ["FIGURES", "Tally"]

FIGURES = ("tried", "survived", "lost", "doubled")
"""The names under which figures stand in a test's report; faults, faults, records, records."""


class Tally:
    """Counts for one test; ``record`` is pytest's ``record_property``."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def note(self, found: Audit, faults: int = 1) -> None:
        """Count the faults that came before this audit, and what it found. Raises AssertionError when it found anything."""
        self._record("tried", faults)
        self._record("lost", found.lost)
        self._record("doubled", found.doubled)
        found.must_hold()
        self._record("survived", faults)

    def survived(self, faults: int = 1) -> None:
        """Count faults whose outcome the test has seen for itself, without an audit."""
        self._record("tried", faults)
        self._record("survived", faults)
