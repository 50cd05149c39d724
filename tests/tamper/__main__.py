"""``make tamper``: the whole set, its count and its result. Exit code 1 when a tampering was not found out."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import structlog

from gateway.ledger.report import Verdict
from tests.evidence.world import live
from tests.tamper.cases import all_cases, judge
from tests.tamper.setting import given

_TOLD_EVERY = 250


def main() -> int:
    """Run and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    started, count, wrong = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory() as folder:
        world = live(Path(folder))
        for side in ("bureau", "province"):
            start = given(world, side, Path(folder))
            untouched = start.evidence.verify(start.evidence.policy, [start.evidence.newest])
            if untouched.verdict is not Verdict.PROVED:
                sys.stdout.write(f"{side}: the bundle itself is {untouched.verdict.value}\n")
                return 1
            for case in all_cases(start):
                count += 1
                problem = judge(start, case)
                if problem is not None:
                    wrong.append(f"{side}: {case.name}: {problem}")
                if count % _TOLD_EVERY == 0:
                    sys.stdout.write(f"  {count} …\n")
                    sys.stdout.flush()
    for line in wrong:
        sys.stdout.write(line + "\n")
    seconds = time.monotonic() - started
    sys.stdout.write(f"{count} tamperings, {count - len(wrong)} judged rightly, {len(wrong)} not, in {seconds:.0f} s\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
