"""Time: every entry stands between two time-stamps of an authority, and claims to have been made between them.

A token over the checkpoint of N entries proves that those were there at its time; entered under the index i it proves that whatever comes
after i was not there before. So an entry is bracketed by the tokens before and after it. What nothing can bracket is exempt: the entries that
begin a ledger before its first token, the ``anchor`` entries after the last one, and the entry of the export.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from itertools import accumulate
from typing import Final

from gateway.clock import instant
from gateway.evidence.anchors import Anchor, read_anchor
from gateway.evidence.notes import Claimed
from gateway.evidence.trust import Trust
from gateway.ledger.entry import Entry
from gateway.ledger.report import Discrepancies
from gateway.package.certificates import fingerprint

__all__ = ["Timing"]

_BEGINNING: Final = frozenset({"genesis", "key.added", "config.changed", "anchor"})
_MOST_ANCHORS: Final = 200_000


class Timing:
    """Collects anchors in a first pass over the entries, then judges every entry in a second one.

    ``stamped`` gives the checkpoint of a size out of the evidence, None where it is not there. ``last`` is the entry of the export itself,
    which no time-stamp inside the bundle can follow.
    """

    def __init__(
        self, trust: Trust, stamped: Callable[[int], Claimed | None], found: Discrepancies, *, last: int = -1
    ) -> None:
        self._trust = trust
        self._last = last
        self._stamped = stamped
        self._found = found
        self._seen = 0
        self._anchors: list[Anchor] = []
        self._sizes: list[int] = []
        self._earliest: list[datetime] = []  # at each size, the earliest token over it or over a larger one
        self._indices: list[int] = []
        self._latest: list[datetime] = []  # at each index, the latest token entered there or before
        self._bounds: tuple[datetime | None, datetime | None] = (None, None)
        self._open: dict[str, tuple[int, int]] = {}  # what has no bracket: how many entries, and the first one

    @property
    def anchors(self) -> int:
        """How many tokens hold."""
        return len(self._anchors)

    @property
    def last(self) -> Anchor | None:
        """The anchor that reaches furthest."""
        return max(self._anchors, key=lambda one: one.size, default=None)

    @property
    def after(self) -> datetime | None:
        """The entry that was judged last was not there before this."""
        return self._bounds[0]

    @property
    def before(self) -> datetime | None:
        """The entry that was judged last was there at this time."""
        return self._bounds[1]

    def take(self, index: int, entry: Entry) -> None:
        """First pass: one entry."""
        if entry.kind != "anchor":
            return
        self._seen += 1
        if self._seen > _MOST_ANCHORS:
            self._found.add("evidence-anchors-too-many", index=index, expected=_MOST_ANCHORS, contradicts=False)
            return
        stamped = self._stamped(entry.number("checkpoint_size"))
        anchor = read_anchor(index, entry, stamped, self._trust.authorities(), self._found)
        if anchor is not None:
            self._anchors.append(anchor)

    def between(self) -> None:
        """Between the passes: put the anchors in order, and hold them against each other."""
        by_size = sorted(self._anchors, key=lambda one: one.size)
        self._sizes = [one.size for one in by_size]
        self._earliest = list(accumulate((one.at for one in reversed(by_size)), min))[::-1]
        self._indices = [one.index for one in self._anchors]
        self._latest = list(accumulate((one.at for one in self._anchors), max))
        for one in by_size:
            before = bisect_right(self._indices, one.size - 1)  # the tokens that are in the tree which this one stamps
            if before and self._latest[before - 1] > one.at + self._trust.skew:
                self._found.add(
                    "evidence-token-backwards",
                    index=one.index,
                    expected=instant(self._latest[before - 1]),
                    found=instant(one.at),
                )

    def judge(self, index: int, entry: Entry) -> None:
        """Second pass: one entry."""
        skew = self._trust.skew
        before, after = bisect_right(self._indices, index), bisect_right(self._sizes, index)
        lower = self._latest[before - 1] if before else None
        upper = self._earliest[after] if after < len(self._sizes) else None
        self._bounds = (lower, upper)
        if lower is not None and entry.at < lower - skew:
            self._found.add("evidence-time-early", index=index, expected=instant(lower), found=instant(entry.at))
        if upper is not None and entry.at > upper + skew:
            self._found.add("evidence-time-late", index=index, expected=instant(upper), found=instant(entry.at))
        if lower is None and entry.kind not in _BEGINNING:
            self._leave("evidence-time-head", index)
        if upper is None and entry.kind != "anchor" and index != self._last:
            self._leave("evidence-time-tail", index)

    def _leave(self, code: str, index: int) -> None:
        count, first = self._open.get(code, (0, index))
        self._open[code] = (count + 1, first)

    def conclude(self) -> None:
        """At the end: what could not be bracketed."""
        if not self._anchors:
            self._found.add("evidence-no-anchors", found=self._seen, contradicts=False)
            return
        if self._trust.authorities_on_its_word:
            names = ", ".join(fingerprint(each) for each in self._trust.authorities())
            self._found.add("evidence-trust-of-bundle", expected="time", found=names, contradicts=False)
        last = self.last
        for code, (count, first) in self._open.items():
            self._found.add(
                code, index=first, expected=instant(last.at) if last else "", found=count, contradicts=False
            )
