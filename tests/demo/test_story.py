"""The demonstration plays to its end, and every figure in it is what the database is known to hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.sends(catalog="administrative-license", format="credit-2018", mode="service")
@pytest.mark.sends(catalog="administrative-penalty", format="credit-2018", mode="service")
@pytest.mark.slow
def test_the_demonstration_plays(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    words = [sys.executable, "-m", "gateway", "demo", str(folder), "--permits", "300", "--penalties", "200"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "每一张对账单都平" in done.stdout
    assert "没有变化，没有发送任何数据" in done.stdout
    assert done.stdout.count("核验通过") == 2
    assert "Traceback" not in done.stderr
    assert f"rm -r {folder}" in done.stdout
    again = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 2, "a folder with something in it is not touched"
