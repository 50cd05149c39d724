"""``make faults``: every test that tries a fault, the long ones too, and what became of each row, written into ``tests/README.md``.

``--quick`` leaves the long ones out, as ``make test`` does; rows that they alone try are written as not run.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.rows import ROWS

__all__ = ["main", "table"]

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
_SHOWN = 3
"""So many tests of a row are named; the marker finds the others."""


@dataclass(slots=True)
class Outcomes:
    """What became of the tests; a plugin of pytest that prints one line a test. ``skipped`` says nothing about a row."""

    figures: Counter[str] = field(default_factory=Counter)
    tests: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    failed: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    begun: float = field(default_factory=time.monotonic)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a test has told of its faults, under the rows that it tries."""
        for name, value in report.user_properties:
            if name == "row":
                self.tests[str(value)].add(report.nodeid)
            elif report.when == "call":
                self.figures[name] += int(str(value))
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def survived(self, row: str) -> bool | None:
        """Whether every test of the row passed; None when none ran."""
        if self.tests[row] & self.failed:
            return False
        return True if self.tests[row] & self.passed else None


def table(outcomes: Outcomes) -> str:
    """The table of the rows, in Markdown."""
    words: Mapping[bool | None, str] = {True: "survived", False: "**not survived**", None: "not run"}
    lines = ["| row | what goes wrong | tests | last run |", "|---|---|---|---|"]
    for row, told in ROWS.items():
        lines.append(f"| {row} | {told} | {_names(outcomes.tests[row])} | {words[outcomes.survived(row)]} |")
    return "\n".join(lines)


def _names(nodeids: Iterable[str]) -> str:
    functions = sorted({nodeid.split("[")[0] for nodeid in nodeids})
    shown = [f"[{name.split('::')[1]}]({name.split('::')[0].removeprefix('tests/')})" for name in functions[:_SHOWN]]
    more = len(functions) - len(shown)
    return "<br>".join(shown) + (f"<br>and {more} more" if more else "")


def main() -> int:
    """Run, tell, write; 0 when every row survived and nothing was lost or doubled."""
    outcomes = Outcomes()
    words = [
        "tests",
        "-m",
        "fault",
        "-q",
        "-p",
        "no:randomly",
        "-n",  # they wait for one another more than they work
        "4",
        "--dist",
        "worksteal",
        "-o",
        "addopts=--strict-markers",
    ]
    pytest.main(words, plugins=[outcomes])
    figures = outcomes.figures
    lost, doubled = figures["lost"], figures["doubled"]
    sys.stdout.write(
        f"\nfaults tried {figures['tried']}, survived {figures['survived']}, records lost {lost}, records doubled {doubled}; "
        f"{len(outcomes.passed)} tests passed, {len(outcomes.failed)} failed, {time.monotonic() - outcomes.begun:.0f} s\n"
    )
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{table(outcomes)}\n{END}{after}", "utf-8")
    broken = [row for row in ROWS if outcomes.survived(row) is not True]
    if broken:
        sys.stdout.write(f"not survived, or not run: {', '.join(broken)}\n")
    return 1 if broken or lost or doubled or outcomes.failed else 0


if __name__ == "__main__":
    sys.exit(main())
