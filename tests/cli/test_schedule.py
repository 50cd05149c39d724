"""``gateway schedule`` as operators meet it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.cli.screen import ExitCode
from gateway.clock import instant
from gateway.store import runs, timetable
from gateway.store.runs import Kind, RunState
from gateway.store.tables import pause
from tests.cli.test_cli import gateway
from tests.daemon.process import daemon
from tests.nodes import Folder, lay_nodes

NAME = "permits-to-province"


@pytest.fixture
def bureau(tmp_path: Path) -> Folder:
    return lay_nodes(tmp_path).bureau


def plan(bureau: Folder, *lines: str) -> None:
    """Give the exchange more keys."""
    file = bureau.path / "config.toml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("batch_size = 4\n", "\n".join(("batch_size = 4", *lines, ""))), "utf-8")


def shown(bureau: Folder, *words: str) -> dict[str, Any]:
    result = gateway("schedule", *words, "--config", bureau.path / "config.toml", "--json")
    assert result.exit_code == 0, result.output
    (one,) = json.loads(result.stdout)["exchanges"]
    assert isinstance(one, dict)
    return one


def told(bureau: Folder, *words: str) -> str:
    result = gateway("schedule", *words, "--config", bureau.path / "config.toml")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_without_a_schedule_and_without_a_journal(bureau: Folder) -> None:
    one = shown(bureau)
    assert (one["schedule"], one["next"], one["last_run"]) == (None, [], None)
    assert "只按指令运行" in told(bureau)


def test_the_next_runs_are_told_before_the_node_ever_ran(bureau: Folder) -> None:
    plan(bureau, 'schedule = "0 9 * * mon-fri"', "working_days_only = true")
    one = shown(bureau, NAME, "--count", "5")
    now = datetime.now(UTC)
    moments = [datetime.fromisoformat(tick["local"]) for tick in one["next"]]
    assert len(moments) == 5
    assert all(moment > now and moment.hour == 9 and moment.weekday() < 5 for moment in moments)
    assert [tick["at"] for tick in one["next"]] == [instant(moment) for moment in moments]
    assert one["since"] is None
    assert "gateway serve" in told(bureau)


def test_a_schedule_that_no_working_day_fits_says_so(bureau: Folder) -> None:
    plan(bureau, 'schedule = "0 9 1 10 *"', "working_days_only = true")
    file = bureau.path / "mappings" / "codelists" / "working-days.csv"
    days = [f"{year}-10-01,否,国庆\n" for year in range(2020, 2100)]
    file.write_text(file.read_text("utf-8") + "".join(days), "utf-8")
    assert shown(bureau)["next"] == []
    assert "今后不会运行" in told(bureau)


def test_an_exchange_that_does_not_exist(bureau: Folder) -> None:
    result = gateway("schedule", "nothing", "--config", bureau.path / "config.toml")
    assert result.exit_code == ExitCode.USAGE


def remember(bureau: Folder, promise: str) -> None:
    """A schedule that holds since three hours ago, a run two hours ago that failed, and two pauses."""
    now = datetime.now(UTC)
    with bureau.open() as node, node.database.begin() as conn:
        timetable.begin(conn, NAME, promise, instant(now - timedelta(hours=3)))
        assert runs.open_run(
            conn,
            run_id="0193aaaa-0000-7000-8000-000000000001",
            exchange=NAME,
            kind=Kind.SCHEDULED,
            due_at=instant(now - timedelta(hours=2)),
            at=instant(now - timedelta(hours=2)),
            mapping_digest="m" * 64,
        )
        runs.close_run(
            conn,
            "0193aaaa-0000-7000-8000-000000000001",
            state=RunState.FAILED,
            figures={"error": "source-unreachable"},
            at=instant(now),
        )
        for scope, name in (("exchange", NAME), ("peer", "province")):
            values = {"scope": scope, "name": name, "at": instant(now), "person": "张三", "reason": "[省]平台升级"}
            conn.execute(insert(pause).values(**values))


def test_what_was_missed_what_becomes_of_it_and_what_holds_it_up(
    bureau: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(bureau, 'schedule = "* * * * *"', 'catch_up = "all"')
    remember(bureau, "* * * * * Asia/Shanghai")
    one = shown(bureau)
    assert 119 <= one["missed"]["count"] <= 121
    assert one["missed"]["more"] is False
    assert len(one["due"]) == 100
    assert one["due"][0]["at"] == one["missed"]["first"]
    assert one["last_run"]["error"] == "source-unreachable"
    assert [held["scope"] for held in one["paused"]] == ["exchange", "peer"]
    text = told(bureau)
    assert "张三" in text
    assert "[省]平台升级" in text
    assert "逐次补运行" in text
    monkeypatch.setenv("GATEWAY_LANG", "en")
    text = told(bureau)
    assert "failed (source-unreachable)" in text
    assert "catch_up = all" in text


@pytest.mark.parametrize(("hours", "believed"), [(5, True), (9000, False)])
def test_a_run_that_lies_ahead_is_told_and_a_wild_one_is_not_believed(
    bureau: Folder, hours: int, believed: bool
) -> None:
    plan(bureau, 'schedule = "* * * * *"')
    remember(bureau, "* * * * * Asia/Shanghai")
    ahead = datetime.now(UTC) + timedelta(hours=hours)
    with bureau.open() as node, node.database.begin() as conn:
        assert runs.open_run(
            conn,
            run_id="0193aaaa-0000-7000-8000-000000000002",
            exchange=NAME,
            kind=Kind.SCHEDULED,
            due_at=instant(ahead),
            at=instant(ahead),
            mapping_digest="m" * 64,
        )
    one = shown(bureau)
    assert one["ahead"] == (instant(ahead) if believed else None)
    assert (datetime.fromisoformat(one["next"][0]["local"]) > ahead) == believed
    assert ("当时时钟偏快" in told(bureau)) == believed


def test_a_schedule_that_was_changed_has_missed_nothing(bureau: Folder) -> None:
    plan(bureau, 'schedule = "* * * * *"')
    remember(bureau, "*/5 * * * * Asia/Shanghai")
    assert (shown(bureau)["since"], shown(bureau)["missed"]) == (None, None)


def test_a_daemon_takes_the_schedule_up_and_tells_what_holds_it_up(bureau: Folder) -> None:
    plan(bureau, 'schedule = "0 9 1 1 *"')
    file = bureau.path / "config.toml"
    text = file.read_text("utf-8").replace("[daemon]\n", f"[daemon]\nfree_space = {10**15}\n")
    file.write_text(text, "utf-8")
    words = ("schedule", "--config", file)
    assert "守护进程未运行" in told(bureau)
    with daemon(bureau.path):
        found = json.loads(gateway(*words, "--json").stdout)
        assert found["daemon"] is True
        assert [hold["code"] for hold in found["holds"]] == ["space-low"]
        assert found["exchanges"][0]["since"] is not None
        text = told(bureau)
        assert "暂不开始任何运行：磁盘剩余" in text
        assert "守护进程未运行" not in text
