"""The table in ``tests/README.md``: every row is tried by a test that exists, and the last run that wrote it found none broken."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from tests.faults.__main__ import BEGIN, END, README
from tests.faults.rows import ROWS

_MARK = re.compile(r"mark\.fault\(([^)]*)\)")


def marked() -> dict[str, set[str]]:
    """Row → files that try it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in README.parent.rglob("test_*.py"):
        for marks in _MARK.findall(file.read_text("utf-8")):
            for row in re.findall(r'"([FS]\d+)"', marks):
                found[row].add(file.name)
    return found


def test_every_row_is_tried_and_every_mark_is_a_row() -> None:
    assert set(ROWS) - set(marked()) == set(), "rows without a test"
    assert set(marked()) - set(ROWS) == set(), "marks without a row"


def test_the_table_is_of_these_rows_and_none_is_broken() -> None:
    table = README.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    assert [(row[0], row[1]) for row in rows] == list(ROWS.items()), "make faults writes it anew"
    assert {row[3] for row in rows} == {"survived"}, "the last run of make faults"
    for row in rows:
        for file in re.findall(r"\]\(([^)]*)\)", row[2]):
            assert (Path(README).parent / file).is_file()
