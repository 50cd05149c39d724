"""Records that look alike: what is reconciled is counted by key and version, never by content."""

from __future__ import annotations

import pytest

from tests.faults.books import load
from tests.faults.scene import Scene


@pytest.mark.fault("F45")
def test_the_same_content_under_other_keys_and_versions(scene: Scene) -> None:
    """A value that goes and comes back is three versions; withdrawals say the same of each record; a row may stand there twice."""
    scene.check(0)
    before = dict(scene.rows)
    scene.set_rows(before | {1: "许可内容变更"})
    scene.check()
    scene.set_rows(before)
    scene.check()
    scene.set_rows({number: content for number, content in before.items() if number > 3})
    scene.check()
    (held,) = load(scene.nodes).held.values()
    assert held["黑森交许〔2026〕1号"] == (4, "withdraw")
    assert [op for _, op in held.values()].count("withdraw") == 3
