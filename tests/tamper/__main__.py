"""``make tamper``: the whole set, its count and its result. Exit code 1 when a tampering was not found out."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

import structlog

from gateway.ledger.kinds import KINDS
from gateway.ledger.report import Verdict
from tests.evidence.world import live
from tests.tamper.cases import Case, Given, all_cases, cases_of, judge
from tests.tamper.disputed import dispute
from tests.tamper.setting import given

_AT_ONCE = 50
"""So many cases does a process judge before it tells."""

_SETTINGS: list[tuple[str, Given, Verdict, str | None]] = []
"""The bundles; the processes that judge are forked when they are laid out, and share them."""


def lay_out(folder: Path) -> None:
    """The bundles, what is said of each untouched, and the kind of entries that alone is changed there (None: all)."""
    world = live(folder)
    for side in ("bureau", "province"):
        _SETTINGS.append((side, given(world, side, folder), Verdict.PROVED, None))
    apart = folder / "apart"
    apart.mkdir()
    _SETTINGS.append(("dispute", given(dispute(apart), "bureau", apart), Verdict.NOT_PROVABLE, "batch.disputed"))


def cases(setting: int) -> Iterator[Case]:
    """The tamperings with one of the bundles; the same ones in every process."""
    _, start, _, kind = _SETTINGS[setting]
    return all_cases(start) if kind is None else cases_of(start, kind)


def judged(task: tuple[int, int]) -> tuple[int, list[str]]:
    """How many cases were judged, and what was wrong."""
    setting, first = task
    side, start, _, _ = _SETTINGS[setting]
    chosen = list(islice(cases(setting), first, first + _AT_ONCE))
    problems = ((case.name, judge(start, case)) for case in chosen)
    return len(chosen), [f"{side}: {name}: {problem}" for name, problem in problems if problem is not None]


def main() -> int:
    """Run and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    started, count, wrong = time.monotonic(), 0, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder))
        kinds: set[str] = set()
        for side, start, expected, _ in _SETTINGS:
            untouched = start.evidence.verify(start.evidence.policy, [start.evidence.newest])
            if untouched.verdict is not expected:
                sys.stdout.write(f"{side}: the bundle itself is {untouched.verdict.value}\n")
                return 1
            kinds |= {entry.kind for entry in start.evidence.entries}
        sizes = [sum(1 for _ in cases(setting)) for setting in range(len(_SETTINGS))]
        tasks = [(setting, first) for setting, size in enumerate(sizes) for first in range(0, size, _AT_ONCE)]
        with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork")) as pool:
            for done, problems in pool.map(judged, tasks):
                count += done
                wrong += problems
                sys.stdout.write("".join(f"{problem}\n" for problem in problems) + f"  {count} of {sum(sizes)} …\n")
                sys.stdout.flush()
    missing = sorted(set(KINDS) - kinds)
    for kind in missing:
        sys.stdout.write(f"no entry of the kind {kind} was there to be changed\n")
    seconds = time.monotonic() - started
    sys.stdout.write(f"{count} tamperings, {count - len(wrong)} judged rightly, {len(wrong)} not, in {seconds:.0f} s\n")
    return 1 if wrong or missing else 0


if __name__ == "__main__":
    sys.exit(main())
