"""Four levels play to their end: every figure is what it has to be, and nothing is left behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.checkup import check_node
from gateway.cli.main import app
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.demo.business import PERMITS
from gateway.demo.levels import LEVELS, LISTENING, SPOILT, WITHDRAWN, Levels
from gateway.demo.levels_story import play_levels
from gateway.demo.platform import REFUSAL, Platform
from gateway.errors import ConfigError
from tests.demo.reading import MAPPINGS


def test_the_four_configurations_may_start(tmp_path: Path) -> None:
    levels = Levels(folder=tmp_path)
    levels.lay_out(clock=SystemClock(), ids=RandomIds())
    ways = []
    for level in LEVELS:
        levels.configure(level.name, dict.fromkeys(LISTENING, 1))
        settings = load_settings(levels.config(level.name))
        ways += [
            (one.delivery, (one.url or "").partition(":")[0])
            for one in (settings.peers[exchange.peer] for exchange in settings.exchanges.values())
        ]
    assert ways == [("push", "https"), ("pull", "https"), ("push", "file"), ("push", "")]
    peer = load_settings(levels.config("province")).peers["platform"]
    assert peer.feedback == "taken-down"
    assert peer.database is not None
    found = check_node(levels.config("province"), SystemClock(), RandomIds())
    assert [one for one in found if one.key == "peers.platform.database"] == [], "the table is as the format wants it"


def test_the_platform_decides_on_what_waits_and_on_nothing_twice(tmp_path: Path) -> None:
    platform = Platform(file=tmp_path / "platform.db", catalog=PERMITS.catalog)
    platform.build(MAPPINGS)
    with closing(sqlite3.connect(platform.file)) as connection, connection:
        connection.executemany(
            "INSERT INTO JH_XZXK (JH_BATCH_ID, JH_KEY, JH_VERSION, JH_OP, JH_STATUS, XK_XKWS, XK_WSH) VALUES (?, ?, ?, ?, 0, ?, ?)",
            [
                ("b", "3", 1, "upsert", "3号", "3号"),
                ("b", "1", 1, "upsert", "许可决定书", "1号"),
                ("b", "2", 2, "withdraw", None, None),
            ],
        )
    assert platform.withdrawn() == []
    assert [(row.key, row.status, row.code) for row in platform.work()] == [
        ("1", 2, None),
        ("2", 2, None),
        ("3", 3, REFUSAL),
    ]
    assert [(row.key, row.version) for row in platform.withdrawn()] == [("2", 2)]
    assert platform.work() == []


def test_the_business_table_is_spoilt_mended_and_shortened(tmp_path: Path) -> None:
    business = Levels(folder=tmp_path).business
    business.build(6, 1, date(2026, 11, 20))

    def rows() -> dict[int, tuple[str, str]]:
        with closing(sqlite3.connect(business.file)) as connection:
            found = connection.execute(f"SELECT ID, WS_NAME, WS_NO FROM {PERMITS.name}").fetchall()
        return {number: (name, document) for number, name, document in found}

    assert [number for number, (name, document) in rows().items() if name == document] == [SPOILT]
    business.mend()
    business.delete()
    assert all(name != document for name, document in rows().values())
    assert set(rows()) == set(range(1, 7)) - {WITHDRAWN}


def test_a_folder_with_something_in_it_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ConfigError, match="workfolder-not-empty"):
        play_levels(tmp_path, seed=1)


@pytest.mark.slow
def test_four_levels_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(app, ["demo", "--levels"])
    assert done.exit_code == 0, done.output
    assert "每个数字都与预期相符" in done.output
    assert done.output.count("核验通过") == 4
    assert "12 行；它自己的作业把其中 1 行的 JH_STATUS 写为 3" in done.output
    assert f"退回，{REFUSAL} 文书名称与文书号相同" in done.output
    assert done.output.count("JH_OP = withdraw") == 1
    assert "示例部 11100000000000101B 退回" in done.output
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
