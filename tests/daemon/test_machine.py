"""The daemon and the machine that it runs on: its service manager, and its clock."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.daemon.process import LONGEST, Daemon, daemon
from tests.faketime import environment, needs_faketime
from tests.nodes import Nodes, lay_nodes, permit


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    nodes = lay_nodes(tmp_path)
    nodes.business.write([permit(1)])
    return nodes


def configure(nodes: Nodes, old: str, new: str) -> None:
    """Change the bureau's configuration."""
    file = nodes.bureau.path / "config.toml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_the_service_manager_is_told_how_it_is(nodes: Nodes, tmp_path: Path) -> None:
    """Ready only after it listens, alive every few seconds, stopping as soon as it was told to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LONGEST)
        started = Daemon(nodes.province.path, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        try:
            assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"WATCHDOG=1"
            started.stop()
            said = [b"WATCHDOG=1"]
            while said[-1] == b"WATCHDOG=1":
                said.append(manager.recv(100))
            assert said[-1] == b"STOPPING=1"
        finally:
            started.kill()


def readiness(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=LONGEST) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


@needs_faketime
def test_a_clock_that_is_off_starts_no_run_and_is_not_ready(nodes: Nodes, unused_tcp_port: int) -> None:
    with daemon(nodes.province.path) as province:
        nodes.point_bureau_at(str(province.seen[-1]["url"]))
        configure(nodes, "batch_size = 4", 'batch_size = 4\nschedule = "* * * * * *"')
        configure(nodes, "[daemon]", f'[daemon]\nhealth = "127.0.0.1:{unused_tcp_port}"')
        with daemon(nodes.bureau.path, environment=environment("+2h")) as ahead:
            # The peers are asked before anything is run.
            assert ahead.wait_for("clock.skew")["held"] is True
            ahead.wait_for("hold.begun", code="clock-skew")
            assert readiness(unused_tcp_port) == 503
            assert ahead.stop() == 0
            assert "run.opened" not in {line["event"] for line in ahead.events()}
        with daemon(nodes.bureau.path) as right:
            right.wait_for("run.opened")
            assert readiness(unused_tcp_port) == 200
