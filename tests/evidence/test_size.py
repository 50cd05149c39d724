"""A ledger of 100,000 entries: exported and verified in memory that does not grow with it. Time is for ``python -m tests.bench.evidence``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.evidence import BATCHES, ENTRIES, build, measure

MOST = 64.0  # MB over an idle process; the bundle itself has 13, its entries unpacked 60


@pytest.mark.slow
def test_a_hundred_thousand_entries_in_bounded_memory(tmp_path: Path) -> None:
    build(tmp_path, ENTRIES, BATCHES)
    exported = measure(tmp_path, "export")
    assert (exported.told["entries"], exported.told["batches"], exported.told["absent"]) == (ENTRIES, BATCHES, 0)
    assert exported.grown < MOST, exported
    verified = measure(tmp_path, "verify")
    assert verified.told["integrity"] == "proved"
    assert verified.told["authenticity"] == "proved"
    assert verified.grown < MOST, verified
