"""The unit of systemd that ``gateway init`` lays out: systemd understands it, it is tight, and the gateway can live in it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.workfolder import SERVICE, service
from tests.nodes import lay_nodes

ROOT = Path(__file__).parent.parent
ANALYZE = shutil.which("systemd-analyze")
# systemd's own measure, 0 (tight) to 100; what is left are the network, which is the gateway's trade, and the host's root folder.
MOST_EXPOSED = 15
# prctl(2): no memory becomes executable that was not, as MemoryDenyWriteExecute= has it. Then the command.
_NO_NEW_CODE = "import ctypes, os, sys; sys.exit(77) if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) else os.execv(sys.argv[1], sys.argv[1:])"


def keys(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def laid_out(folder: Path, home: str = "/srv/credit/node") -> Path:
    """A unit whose interpreter exists, for systemd looks for it."""
    file = folder / SERVICE
    file.write_text(service(Path(home), user="credit-gateway", python=Path(sys.executable)), "utf-8")
    return file


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *map(str, words)], capture_output=True, text=True, check=False)


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
@pytest.mark.parametrize("home", ["/srv/credit/node", "/srv/信用 共享/100%n $HOME \"x\\y'"])
def test_systemd_understands_every_line(tmp_path: Path, home: str) -> None:
    done = analyze("verify", "--man=no", laid_out(tmp_path, home))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
def test_it_is_tight(tmp_path: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", laid_out(tmp_path))
    assert done.returncode == 0, done.stdout


def test_what_it_needs_in_a_home_stays_visible(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to("/home/zhang/.pyenv/bin/python3")
    for folder, python, seen in (
        ("/srv/credit/node", "/opt/credit-gateway/bin/python3", "yes"),
        ("/home/zhang/node", "/opt/credit-gateway/bin/python3", "read-only"),
        ("/srv/credit/node", "/root/venv/bin/python3", "read-only"),
        ("/srv/credit/node", str(tmp_path / "python3"), "read-only"),
        ("/homely/node", "/opt/credit-gateway/bin/python3", "yes"),
    ):
        found = keys(service(Path(folder), user="u", python=Path(python)))
        assert found["ProtectHome"] == [seen], folder
        assert found["User"] == ["u"]
        assert found["ReadWritePaths"] == [f'"{folder}/var"']


def test_it_waits_longer_than_the_node_drains_and_does_not_start_again_what_needs_a_person() -> None:
    found = keys(service(Path("/srv/node"), user="u", python=Path("/usr/bin/python3")))
    (stop,) = found["TimeoutStopSec"]
    assert timedelta(minutes=int(stop.removesuffix("min"))) > timedelta(seconds=30)
    assert found["RestartPreventExitStatus"] == ["2 4"]
    assert found["Type"] == ["notify"]


def test_the_gateway_can_live_in_it(tmp_path: Path) -> None:
    """The unit's own command line and environment, in a process that may make no new code; with `check` instead of `serve`."""
    folder = lay_nodes(tmp_path).bureau.path
    unit = keys((folder / SERVICE).read_text("utf-8"))
    command = shlex.split(unit["ExecStart"][0].replace("%%", "%").replace("$$", "$"))
    assert command[-1] == str(folder / "config.toml")
    command[command.index("serve")] = "check"
    environment = {
        **os.environ,
        **dict(line.split("=", 1) for line in unit["Environment"]),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", _NO_NEW_CODE, *command, "--json"],
        cwd=unit["WorkingDirectory"][0],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this kernel cannot forbid new code to a process (Linux 6.3)")
    assert (done.returncode, done.stderr) == (1, "")
    assert "node-question-failed" in done.stdout, "it came as far as asking the peer"
