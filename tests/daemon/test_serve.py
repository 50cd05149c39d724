"""The daemon as its users meet it: a process that is started, told things, stopped, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.process import LONGEST, Daemon, daemon
from tests.nodes import Nodes, lay_nodes, permit

EVERY_SECOND = '\nschedule = "* * * * * *"'


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    nodes = lay_nodes(tmp_path)
    nodes.business.write([permit(number) for number in range(1, 11)])
    return nodes


@pytest.fixture
def province(nodes: Nodes) -> Iterator[Daemon]:
    """The province's daemon, at work; the bureau knows its address."""
    started = Daemon(nodes.province.path)
    try:
        nodes.point_bureau_at(started.ready())
        yield started
    finally:
        started.kill()


def scheduled(nodes: Nodes, text: str = EVERY_SECOND) -> None:
    """Give the bureau's exchange a schedule."""
    config = nodes.bureau.path / "config.toml"
    config.write_text(config.read_text("utf-8").replace("batch_size = 4", f"batch_size = 4{text}"), "utf-8")


def gateway(nodes: Nodes, *words: str, code: int = 0) -> Any:
    """A command of the bureau, in a process of its own; its JSON when it prints some."""
    config = str(nodes.bureau.path / "config.toml")
    result = subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--config", config],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert result.returncode == code, result.stderr
    assert "cli-" not in result.stdout + result.stderr, "a code stands where its sentence is missing"
    try:
        return json.loads(result.stdout)
    except ValueError:
        return result.stdout + result.stderr


SIGNED = ("--person", "值班员", "--reason", "演练")


def test_what_the_schedule_asks_for_is_done_and_nothing_twice(nodes: Nodes, province: Daemon) -> None:
    scheduled(nodes)
    with daemon(nodes.bureau.path) as bureau:
        bureau.wait_for("run.closed", sealed=10)
        bureau.wait_for("run.closed", sealed=0)
        nodes.business.write([permit(number) for number in range(1, 13)])
        bureau.wait_for("run.closed", sealed=2)
        assert bureau.stop() == 0
        reconciled = [line for line in bureau.events() if line["event"] == "batch.reconciled"]
        assert sum(line["created"] for line in reconciled) == 12
        assert sum(line["total"] for line in reconciled) == 12


def test_missed_ticks_are_caught_up_once(nodes: Nodes, province: Daemon) -> None:
    """Ticks fell due while nobody was there: one run is made for them, at once, and not one each."""
    scheduled(nodes, '\nschedule = "*/2 * * * * *"')
    with daemon(nodes.bureau.path) as bureau:
        bureau.wait_for("run.closed")
        bureau.kill()
    database = nodes.bureau.path / "var" / "gateway.db"
    _move_ticks_back(database)
    with daemon(nodes.bureau.path) as bureau:
        first = bureau.wait_for("run.opened")
        bureau.wait_for("run.closed", run=first["run"])
        seconds = {line["timestamp"][:19] for line in bureau.seen if line["event"] == "run.opened"}
        assert len(seconds) == 1


def _move_ticks_back(database: Path) -> None:
    """As if the node had been away for a day."""
    with closing(sqlite3.connect(database)) as conn, conn:
        conn.execute("UPDATE run SET due_at = '2026-01-01T00:00:' || substr(due_at, 18) WHERE due_at IS NOT NULL")
        conn.execute("UPDATE timetable SET since = '2026-01-01T00:00:00.000000Z'")


def test_a_second_daemon_is_told_who_works_here(nodes: Nodes, province: Daemon) -> None:
    with daemon(nodes.bureau.path) as bureau:
        said = gateway(nodes, "serve", code=3)
        assert "state-held" in said
        assert str(bureau.process.pid) in said


def test_orders_reach_the_daemon(nodes: Nodes, province: Daemon) -> None:
    with daemon(nodes.bureau.path) as bureau:
        (statement,) = gateway(nodes, "run", "permits-to-province", "--json", *SIGNED)
        assert (statement["sealed"], statement["answered"]["created"]) == (10, 10)
        bureau.wait_for("control.order", verb="run")
        state = gateway(nodes, "status", "--json")
        assert state["daemon"]["pid"] == bureau.process.pid
        assert state["daemon"]["holds"] == []


def test_the_same_orders_without_a_daemon(nodes: Nodes, province: Daemon) -> None:
    (statement,) = gateway(nodes, "run", "permits-to-province", "--json", *SIGNED)
    assert statement["answered"]["created"] == 10
    gateway(nodes, "pause", "permits-to-province", *SIGNED)
    assert "exchange-paused" in gateway(nodes, "run", "permits-to-province", *SIGNED, code=3)
    state = gateway(nodes, "status", "--json")
    assert state["daemon"] is None
    assert [(one["name"], one["person"], one["reason"]) for one in state["paused"]] == [
        ("permits-to-province", "值班员", "演练")
    ]


def test_a_pause_lasts_over_a_restart_and_stands_in_the_ledger(nodes: Nodes, province: Daemon) -> None:
    scheduled(nodes)
    with daemon(nodes.bureau.path) as bureau:
        bureau.wait_for("run.closed")
        gateway(nodes, "pause", "permits-to-province", *SIGNED)
        bureau.kill()
    nodes.business.write([permit(number) for number in range(1, 12)])
    with daemon(nodes.bureau.path) as bureau:
        gateway(nodes, "resume", "permits-to-province", *SIGNED)
        bureau.wait_for("pause.ended")
        assert not any(line["event"] == "run.opened" for line in bureau.seen), "nothing ran while it was paused"
        bureau.wait_for("run.closed", sealed=1)
        assert bureau.stop() == 0
    kinds = gateway(nodes, "audit", "show", "--kind", "operator.action", "--json")
    assert [(one["action"], one["person"], one["reason"]) for one in kinds] == [
        ("pause", "值班员", "演练"),
        ("resume", "值班员", "演练"),
    ]


def test_the_socket_is_the_owners_alone_and_goes_with_the_daemon(nodes: Nodes, province: Daemon) -> None:
    with daemon(nodes.bureau.path) as bureau:
        path = nodes.bureau.path / "var" / "control.sock"
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert bureau.stop() == 0
        assert not path.exists()


def test_a_socket_that_a_crash_left_behind_stops_nobody(nodes: Nodes, province: Daemon) -> None:
    with daemon(nodes.bureau.path) as bureau:
        bureau.kill()
    assert (nodes.bureau.path / "var" / "control.sock").exists()
    assert gateway(nodes, "status", "--json")["daemon"] is None
    (statement,) = gateway(nodes, "run", "permits-to-province", "--json", *SIGNED)
    assert statement["sealed"] == 10
    with daemon(nodes.bureau.path) as bureau:
        assert bureau.stop() == 0


def _until_sending(nodes: Nodes) -> None:
    """Until a package is under way; a query waits a little for the database itself, so this does not spin for nothing."""
    deadline = time.monotonic() + LONGEST
    with closing(sqlite3.connect(nodes.bureau.path / "var" / "gateway.db")) as conn:
        while not conn.execute("SELECT count(*) FROM batch WHERE state = 'sending'").fetchone()[0]:
            assert time.monotonic() < deadline


def test_the_second_signal_does_not_wait(nodes: Nodes, province: Daemon) -> None:
    """A receiver that is stopped keeps the line open for ever; who is in a hurry says it twice."""
    province.process.send_signal(signal.SIGSTOP)
    scheduled(nodes)
    with daemon(nodes.bureau.path) as bureau:
        bureau.wait_for("run.opened")
        _until_sending(nodes)
        bureau.process.send_signal(signal.SIGTERM)
        bureau.wait_for("daemon.stopping")
        bureau.process.send_signal(signal.SIGTERM)
        assert bureau.process.wait(LONGEST) == 3
    province.process.send_signal(signal.SIGCONT)
    with daemon(nodes.bureau.path) as bureau:
        bureau.wait_for("batch.reconciled", sequence=3)


def test_it_drains_within_its_limit(nodes: Nodes, province: Daemon) -> None:
    """SIGTERM while a package is under way to a receiver that does not answer: cut off at the limit, unknown, asked for afterwards."""
    province.process.send_signal(signal.SIGSTOP)
    scheduled(nodes)
    config = nodes.bureau.path / "config.toml"
    config.write_text(config.read_text("utf-8").replace("[daemon]", '[daemon]\ndrain = "1s"'), "utf-8")
    with daemon(nodes.bureau.path) as bureau:
        bureau.wait_for("run.opened")
        _until_sending(nodes)
        assert bureau.stop() == 0
        assert any(line["event"] == "daemon.cut-off" for line in bureau.events())
    province.process.send_signal(signal.SIGCONT)
    with daemon(nodes.bureau.path) as bureau:
        bureau.wait_for("batch.reconciled", sequence=3)
        assert bureau.stop() == 0


def test_health_is_answered_where_nothing_is_received(nodes: Nodes, province: Daemon, unused_tcp_port: int) -> None:
    scheduled(nodes, "")
    config = nodes.bureau.path / "config.toml"
    address = f"127.0.0.1:{unused_tcp_port}"
    config.write_text(config.read_text("utf-8").replace("[daemon]", f'[daemon]\nhealth = "{address}"'), "utf-8")
    with daemon(nodes.bureau.path):
        for path, status in (("healthz", "ok"), ("readyz", "ready")):
            with urllib.request.urlopen(f"http://{address}/{path}", timeout=LONGEST) as answer:
                assert json.load(answer) == {"status": status}


def test_too_little_room_holds_work_back_and_says_so(nodes: Nodes, province: Daemon) -> None:
    config = nodes.bureau.path / "config.toml"
    free = os.statvfs(nodes.bureau.path).f_bavail * os.statvfs(nodes.bureau.path).f_frsize
    config.write_text(config.read_text("utf-8").replace("[daemon]", f"[daemon]\nfree_space = {free * 2}"), "utf-8")
    scheduled(nodes)
    with daemon(nodes.bureau.path):
        (hold,) = gateway(nodes, "status", "--json")["daemon"]["holds"]
        assert hold["code"] == "space-low"
        assert "held-back" in gateway(nodes, "run", "permits-to-province", *SIGNED, code=3)


def test_nothing_to_do_is_said_at_once(nodes: Nodes) -> None:
    config = nodes.bureau.path / "config.toml"
    config.write_text(config.read_text("utf-8").split("[peers.")[0], "utf-8")
    assert "nothing-to-serve" in gateway(nodes, "serve", code=2)
