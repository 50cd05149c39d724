"""What entries say of each other: strict decoding, gap-free routes, previous pointers, figures that balance.

Entries are fed one by one in the order of their index; memory is bounded by the routes, the open batches and the open runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import LedgerError
from gateway.ledger.entry import Entry, decode
from gateway.ledger.kinds import NO_PREVIOUS
from gateway.ledger.report import Discrepancies

__all__ = ["Chain"]

_OUTCOMES = ("created", "updated", "unchanged", "withdrawn", "rejected")
_BALANCED_KINDS = frozenset({"batch.reconciled", "batch.received"})
_TERMINAL_KINDS = frozenset({"batch.reconciled", "batch.abandoned"})
_MOST: Final = (
    500_000  # routes, and runs, that are kept account of: a log made up by a stranger must not fill our memory
)


@dataclass(slots=True)
class _Route:
    """Where a route stands: its newest entry, its highest number, the numbers that may still come again, and how many gaps the log had
    when its newest entry came.
    """

    newest: int = NO_PREVIOUS
    highest: int = 0
    open: set[int] = field(default_factory=set)
    gaps: int = 0


@dataclass(slots=True)
class _Run:
    """What a run said it sealed when it closed, and what its finished batches add up to."""

    closed: bool = False
    sealed: int = 0
    batches: int = 0
    totals: int = 0
    finished: int = 0


class Chain:
    """Takes entries and collects what contradicts: bytes that are no entry into ``unreadable``, everything else into ``found``."""

    def __init__(self, unreadable: Discrepancies, found: Discrepancies | None = None) -> None:
        self._unreadable = unreadable
        self._found = unreadable if found is None else found
        self._routes: dict[str, _Route] = {}
        self._runs: dict[str, _Run] = {}
        self._gaps = 0

    def unfinished(self) -> Iterator[tuple[str, int, int]]:
        """The runs that closed and whose batches have not all finished: run id, how many batches, how many of them finished."""
        return ((name, run.batches, run.finished) for name, run in self._runs.items() if run.closed)

    def interrupt(self) -> None:
        """Entries are missing here, or unreadable. The next entry of each route is then believed: what it misses is not its fault."""
        self._gaps += 1

    def take(self, index: int, leaf: bytes) -> Entry | None:
        """The decoded entry, or None when its bytes are no entry."""
        try:
            entry = decode(leaf)
        except LedgerError as error:
            self._unreadable.add("entry-invalid", index=index, expected="canonical", found=error.code)
            self.interrupt()
            return None
        if (index == 0) != (entry.kind == "genesis"):
            self._unreadable.add(
                "entry-genesis-misplaced", index=index, expected="genesis, first and once", found=entry.kind
            )
        if entry.kind in _BALANCED_KINDS:
            self._balance(index, "total", entry.number("total"), sum(entry.number(name) for name in _OUTCOMES))
        if "route" in entry.fields:
            self._take_route(index, entry)
        if entry.kind in _TERMINAL_KINDS and entry.text("run_id"):
            self._take_batch(index, entry)
        if entry.kind == "run.closed":
            self._balance_run(index, entry)
            self._take_run(index, entry)
        return entry

    def _take_route(self, index: int, entry: Entry) -> None:
        name, number, previous = entry.text("route"), entry.number("route_seq"), entry.number("previous")
        if name not in self._routes and len(self._routes) >= _MOST:
            self._found.add("entry-too-many-open", index=index, expected=_MOST, contradicts=False)
            return
        route = self._routes.setdefault(name, _Route())
        if route.gaps == self._gaps:
            self._follow(index, name, route, number, previous)
        route.newest, route.highest, route.gaps = index, max(route.highest, number), self._gaps
        # A disputed batch may be reconciled later; an abandoned one gives its number to a void batch; a refused package comes again.
        settled = entry.kind == "batch.reconciled" or (
            entry.kind == "batch.received" and entry.text("verdict") != "refused"
        )
        (route.open.discard if settled else route.open.add)(number)

    def _follow(self, index: int, name: str, route: _Route, number: int, previous: int) -> None:
        if number > route.highest + 1:
            self._found.add(
                "entry-route-gap", index=index, expected=f"{name} {route.highest + 1}", found=f"{name} {number}"
            )
        elif number <= route.highest and number not in route.open:
            self._found.add(
                "entry-route-repeat", index=index, expected=f"{name} {route.highest + 1}", found=f"{name} {number}"
            )
        if previous != route.newest:
            self._found.add("entry-previous-wrong", index=index, expected=route.newest, found=previous)

    def _take_batch(self, index: int, entry: Entry) -> None:
        if entry.number("total") == 0:  # a void batch in the place of an abandoned one, which was counted
            return
        run = self._run(index, entry.text("run_id"))
        run.totals += entry.number("total")
        run.finished += 1
        self._compare_run(index, entry.text("run_id"), run)

    def _take_run(self, index: int, entry: Entry) -> None:
        run = self._run(index, entry.text("run_id"))
        run.closed, run.sealed, run.batches = True, entry.number("sealed"), entry.number("batches")
        self._compare_run(index, entry.text("run_id"), run)

    def _compare_run(self, index: int, run_id: str, run: _Run) -> None:
        """``sealed = Σ batch totals``, as soon as the run is closed and its last batch finished; too much is wrong at once."""
        if not run.closed or (run.finished < run.batches and run.totals <= run.sealed):
            return
        if (run.finished, run.totals) != (run.batches, run.sealed):
            self._found.add(
                "entry-run-unbalanced",
                index=index,
                expected=f"{run_id}: {run.sealed} in {run.batches}",
                found=f"{run.totals} in {run.finished}",
            )
        self._runs.pop(run_id, None)

    def _run(self, index: int, run_id: str) -> _Run:
        if run_id not in self._runs and len(self._runs) >= _MOST:
            self._found.add("entry-too-many-open", index=index, expected=_MOST, contradicts=False)
            return _Run()
        return self._runs.setdefault(run_id, _Run())

    def _balance_run(self, index: int, entry: Entry) -> None:
        read, sealed, withdrawn = (entry.number(name) for name in ("read", "sealed", "withdrawn"))
        self._balance(index, "read", read, sum(entry.number(name) for name in ("rows", "vanished", "carried")))
        self._balance(index, "read", read, sum(entry.number(name) for name in ("unchanged", "quarantined", "sealed")))
        if withdrawn > sealed:
            self._found.add("entry-figures-wrong", index=index, expected=f"withdrawn ≤ {sealed}", found=withdrawn)

    def _balance(self, index: int, figure: str, stated: int, summed: int) -> None:
        if stated != summed:
            self._found.add("entry-figures-wrong", index=index, expected=f"{figure} = {stated}", found=summed)
