"""What a verification found: a verdict and every discrepancy, bounded in memory however much is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.texts import DEFAULT_LANGUAGE, fix_text, say_text

__all__ = ["MAX_PER_CODE", "Discrepancies", "Discrepancy", "Report", "Verdict"]

MAX_PER_CODE: Final = 20
"""So many discrepancies of one code are kept; the rest are counted."""


class Verdict(StrEnum):
    """What may be said of the ledger."""

    PROVED = "proved"
    CONTRADICTED = "contradicted"
    NOT_PROVABLE = "not-provable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One thing that is not as it should be. ``index`` is the first entry concerned, -1 where it is no entry in particular.

    ``contradicts`` tells what was changed from what is only missing and so cannot be proved.
    """

    code: str
    index: int
    expected: str
    found: str
    contradicts: bool = True

    def say(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What is wrong, as a sentence."""
        return say_text(self.code, language, {"index": self.index, "expected": self.expected, "found": self.found})

    def fix(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to do about it; empty when nothing is to be done."""
        return fix_text(self.code, language, {"index": self.index, "expected": self.expected, "found": self.found})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result. ``signed`` entries from the first on stand under the newest checkpoint, so ``entries - signed`` are not signed yet.

    ``root`` is computed from the entries' bytes, None where an entry is missing. ``findings`` are in the order of their index, at most
    :data:`MAX_PER_CODE` of a code; ``total`` counts all there were.
    """

    verdict: Verdict
    entries: int
    signed: int
    root: bytes | None
    findings: tuple[Discrepancy, ...]
    total: int


class Discrepancies:
    """Collects discrepancies, keeping the first of each code."""

    def __init__(self) -> None:
        self._kept: list[Discrepancy] = []
        self._counts: dict[tuple[str, bool], int] = {}

    def add(
        self, code: str, *, index: int = -1, expected: object = "", found: object = "", contradicts: bool = True
    ) -> None:
        """Take one down."""
        count = self._counts[code, contradicts] = self._counts.get((code, contradicts), 0) + 1
        if count <= MAX_PER_CODE:
            self._kept.append(
                Discrepancy(code=code, index=index, expected=str(expected), found=str(found), contradicts=contradicts)
            )

    def report(self, *, entries: int, signed: int, root: bytes | None) -> Report:
        """The report over what was collected: proved only if a signature covers something and nothing is amiss."""
        if any(one.contradicts for one in self._kept):
            verdict = Verdict.CONTRADICTED
        elif self._kept or signed == 0:
            verdict = Verdict.NOT_PROVABLE
        else:
            verdict = Verdict.PROVED
        return Report(
            verdict=verdict,
            entries=entries,
            signed=signed,
            root=root,
            findings=tuple(_in_order(self._kept)),
            total=sum(self._counts.values()),
        )


def _in_order(kept: Iterable[Discrepancy]) -> list[Discrepancy]:
    """By entry; what concerns no entry in particular comes last."""
    return sorted(kept, key=lambda one: (one.index < 0, one.index))
