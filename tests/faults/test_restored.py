"""Yesterday's database put back: the node refuses to work on it, says why, and goes on when today's is back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.children import LONGEST
from tests.faults.scene import Scene

FILES = ("gateway.db", "gateway.db-wal", "gateway.db-shm")


def put(source: Path, target: Path) -> None:
    """The journal's files of ``source`` in place of those of ``target``."""
    target.mkdir(exist_ok=True)
    for name in FILES:
        (target / name).unlink(missing_ok=True)
        if (source / name).exists():
            shutil.copy(source / name, target / name)


def gateway(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--config", folder / "config.toml"],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


@pytest.mark.fault("F21", "S18")
@pytest.mark.parametrize("who", ["bureau", "province"])
def test_an_old_database_is_refused(scene: Scene, tmp_path: Path, who: str) -> None:
    folder = {"bureau": scene.nodes.bureau, "province": scene.nodes.province}[who].path
    scene.settle()
    scene.stop()
    put(folder / "var", tmp_path / "yesterday")
    scene.set_rows(scene.rows | {50: "新增许可"})
    scene.settle()
    scene.stop()
    put(folder / "var", tmp_path / "today")
    published = (folder / "var" / "ledger" / "checkpoint").read_bytes()

    put(tmp_path / "yesterday", folder / "var")
    refused = gateway(folder, "serve")
    assert refused.returncode == 4
    assert "ledger-rolled-back" in refused.stderr
    assert (folder / "var" / "ledger" / "checkpoint").read_bytes() == published, "nothing is signed over it"

    put(tmp_path / "today", folder / "var")
    scene.set_rows(scene.rows | {51: "新增许可"})
    scene.check()
