"""``make tamper``: the whole set, its count and its result. Exit code 1 when a tampering was not found out."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from gateway.ledger.kinds import KINDS
from gateway.ledger.report import Verdict
from tests.evidence.world import live
from tests.tamper.cases import Case, Given, all_cases, cases_of, judge
from tests.tamper.disputed import dispute
from tests.tamper.setting import given

_TOLD_EVERY = 250


def settings(folder: Path) -> Iterator[tuple[str, Given, Verdict, Iterator[Case]]]:
    """The bundles, what is said of each untouched, and the tamperings with it."""
    world = live(folder)
    for side in ("bureau", "province"):
        start = given(world, side, folder)
        yield side, start, Verdict.PROVED, all_cases(start)
    apart = folder / "apart"
    apart.mkdir()
    start = given(dispute(apart), "bureau", apart)
    yield "dispute", start, Verdict.NOT_PROVABLE, cases_of(start, "batch.disputed")


def main() -> int:
    """Run and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    started, count, wrong = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory() as folder:
        kinds: set[str] = set()
        for side, start, expected, cases in list(settings(Path(folder))):
            untouched = start.evidence.verify(start.evidence.policy, [start.evidence.newest])
            if untouched.verdict is not expected:
                sys.stdout.write(f"{side}: the bundle itself is {untouched.verdict.value}\n")
                return 1
            kinds |= {entry.kind for entry in start.evidence.entries}
            for case in cases:
                count += 1
                problem = judge(start, case)
                if problem is not None:
                    wrong.append(f"{side}: {case.name}: {problem}")
                    sys.stdout.write(wrong[-1] + "\n")
                if count % _TOLD_EVERY == 0:
                    sys.stdout.write(f"  {count} …\n")
                    sys.stdout.flush()
    missing = sorted(set(KINDS) - kinds)
    for kind in missing:
        sys.stdout.write(f"no entry of the kind {kind} was there to be changed\n")
    seconds = time.monotonic() - started
    sys.stdout.write(f"{count} tamperings, {count - len(wrong)} judged rightly, {len(wrong)} not, in {seconds:.0f} s\n")
    return 1 if wrong or missing else 0


if __name__ == "__main__":
    sys.exit(main())
