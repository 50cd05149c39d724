"""``gateway resync`` and ``gateway quarantine`` as their users meet them, with and without a daemon at work."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import Result

from gateway.cli.screen import ExitCode
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.ledger.entry import decode
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.opening import read_gateway
from gateway.store import batches, quarantine, runs
from gateway.store.entries import DurableLog
from gateway.store.runs import Kind
from tests.cli.test_cli import gateway
from tests.daemon.process import daemon
from tests.delivery.again import EXCHANGE, compared, held_at, held_there, lost, meddle, planted
from tests.nodes import BUREAU, Nodes, lay_nodes, permit, run_once

ORDER = ("--person", "王芳", "--reason", "对方数据库恢复")


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


@pytest.fixture
def command(nodes: Nodes) -> Callable[..., Result]:
    """``gateway WORDS --config`` of the bureau."""

    def call(*words: str | Path) -> Result:
        return gateway(*words, "--config", nodes.bureau.path / "config.toml")

    return call


async def said(call: Callable[..., Result], *words: str | Path) -> dict[str, Any]:
    """What a command says with ``--json``; it has to succeed."""
    result = await asyncio.to_thread(call, *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def text(result: Result) -> str:
    """What was printed, however wide the terminal is thought to be."""
    return "".join(result.stdout.split())


def key(number: int) -> str:
    return str(permit(number)["XK_WSH"])


async def test_a_dry_run_shows_what_would_go_and_a_resync_sends_it(
    nodes: Nodes, command: Callable[..., Result]
) -> None:
    nodes.business.write([permit(number) for number in range(1, 5)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        meddle(nodes.province, lost(key(1)), held_at(key(2), 9), planted("他人的", key(3)))
        looked = await said(command, "resync", EXCHANGE, "--compare", "--dry-run")
        assert compared(looked) == {"identical": 2, "different": 1, "missing": 1, "unknown": 1, "stray": 1}
        shown = await asyncio.to_thread(command, "resync", EXCHANGE, "--compare", "--dry-run")
        for words in (
            "接收方缺失",
            "版本不同",
            "接收方多出",
            key(1),
            key(2),
            "他人的",
            "第 9 版",
            "升版后重发",
            "没有写入，没有发送",
        ):
            assert words.replace(" ", "") in text(shown), words
        unsigned = await asyncio.to_thread(command, "resync", EXCHANGE, "--compare", "--person", "王芳")
        assert unsigned.exit_code == ExitCode.USAGE, "a reason is asked for"
        done = await said(command, "resync", EXCHANGE, "--compare", *ORDER)
        assert {name: done[name] for name in looked} == looked
        assert done["statement"]["sealed"] == 2
        assert held_there(province)[key(2)] == (10, "upsert")
        nothing = await asyncio.to_thread(command, "resync", EXCHANGE, "--rejected", *ORDER)
        assert "没有需要重新报送的记录" in text(nothing)
        vague = await asyncio.to_thread(command, "resync", EXCHANGE, *ORDER)
        assert vague.exit_code == ExitCode.USAGE
        told = await asyncio.to_thread(command, "resync", EXCHANGE, "--since", "2026-09-01", "--key", key(4), *ORDER)
        assert (told.exit_code, "按原版本重发" in text(told)) == (0, True)
    with nodes.bureau.open() as bureau:
        entries = list(DurableLog(bureau.database).entries(0, 1000))
        assert [entry.kind for entry in entries].count("operator.action") == 2
        report = verify_log(DurableLog(bureau.database), [bureau.note_signer.verifier], origin=bureau.origin)
        assert report.verdict is Verdict.PROVED


async def test_what_could_not_leave_yet_ends_with_later(nodes: Nodes, command: Callable[..., Result]) -> None:
    nodes.business.write([permit(1)])
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
    result = await asyncio.to_thread(command, "resync", EXCHANGE, "--all", *ORDER)
    assert result.exit_code == ExitCode.LATER
    comparing = await asyncio.to_thread(command, "resync", EXCHANGE, "--compare", "--dry-run")
    assert comparing.exit_code == ExitCode.LATER


async def test_beside_a_daemon_that_runs_by_itself(nodes: Nodes, command: Callable[..., Result]) -> None:
    """The daemon runs the exchange every second and carries the orders out between its runs; nothing is doubled."""
    nodes.business.write([permit(number) for number in range(1, 31)])
    async with nodes.province_listening() as province:
        config = nodes.bureau.path / "config.toml"
        config.write_text(
            config.read_text("utf-8").replace("batch_size = 4", 'batch_size = 4\nschedule = "* * * * * *"'), "utf-8"
        )
        with nodes.bureau.open() as bureau:
            await run_once(bureau)

        def work() -> list[dict[str, Any]]:
            with daemon(nodes.bureau.path) as running:
                running.wait_for("run.closed")
                meddle(nodes.province, *(lost(key(number)) for number in range(1, 11)))
                ordered = [command("resync", EXCHANGE, "--compare", *ORDER, "--json") for _ in range(2)]
                ordered.append(command("run", EXCHANGE, "--full", *ORDER, "--json"))
                ordered.append(command("resync", EXCHANGE, "--all", "--dry-run", "--json"))
                running.wait_for("run.closed", sealed=0)
                assert running.stop() == 0
            assert [result.exit_code for result in ordered] == [0, 0, 0, 0], [result.output for result in ordered]
            return [json.loads(result.stdout) for result in ordered]

        first, second, _run, looked = await asyncio.to_thread(work)
        assert first["statement"]["answered"]["created"] == 10
        assert second["statement"] is None, "the first has mended everything"
        assert looked["chosen"] == {"again": 30}
        assert set(held_there(province).values()) == {(1, "upsert")}
    with nodes.bureau.open() as bureau, bureau.database.read() as conn:
        assert batches.open_batches(conn) == []
        kinds = [run.kind for run in runs.list_runs(conn, EXCHANGE, limit=999)]
        assert (kinds.count(Kind.RESYNC), kinds.count(Kind.SCHEDULED) > 1) == (1, True)
        assert sum(batch.total for batch in batches.list_batches(conn, exchange=EXCHANGE, limit=999)) == 30 + 10


SIGNED = ("--person", "王芳", "--reason", "复核")


def entered(nodes: Nodes) -> list[tuple[str, ...]]:
    """What the ledger says of personal data that left quarantine; it holds none itself."""
    with read_gateway(load_settings(nodes.bureau.path / "config.toml"), clock=SystemClock(), ids=RandomIds()) as bureau:
        found = [decode(one.leaf) for one in DurableLog(bureau.database).of_kinds(["operator.action"])]
    told = [tuple(one.text(name) for name in ("action", "subject", "person", "reason")) for one in found]
    return [one for one in told if one[0].startswith("quarantine-")]


@pytest.fixture
def quarantined(nodes: Nodes) -> Nodes:
    """Three rows that fail: a date, an identifier, one without a number."""
    rows = [
        permit(1),
        permit(2, XK_JDRQ="not a day"),
        permit(3, XK_XDR_SHXYM="91230500MA1B3N1N2N"),
        permit(4, XK_WSH=None, XK_LYDWDM="11230000000000019J"),
    ]
    nodes.business.write(rows)
    return nodes


async def ran(nodes: Nodes) -> None:
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)


async def test_quarantine_lists_as_ever_with_or_without_the_word(
    quarantined: Nodes, command: Callable[..., Result]
) -> None:
    await ran(quarantined)
    bare = await said(command, "quarantine")
    assert bare == await said(command, "quarantine", "list")
    assert {code for one in bare["cases"] for code in one["codes"]} == {
        "date-invalid", "identifier-invalid", "key-missing"
    }  # fmt: skip
    narrowed = await said(command, "quarantine", "--code", "date-invalid", "--unit", BUREAU, "--limit", "5")
    assert [one["codes"] for one in narrowed["cases"]] == [["date-invalid"]]


async def test_a_case_shows_everything_but_personal_values(quarantined: Nodes, command: Callable[..., Result]) -> None:
    await ran(quarantined)
    listed = await said(command, "quarantine", "list", "--code", "identifier-invalid")
    number = str(listed["cases"][0]["case"])
    found = await said(command, "quarantine", "show", number)
    assert found["key"] == key(3)
    assert found["row"]["XK_XDR_SHXYM"] == "91230500MA1B3N1N2N", "an organisation's code is no person's"
    assert found["row"]["XK_XDR_MC"].startswith("（"), "a name may be a person's"
    assert found["row"]["XK_FRDB"].startswith("（")
    assert found["row"]["XK_JDRQ"] == "2026-09-01"
    assert (found["standing"], len(found["history"])) == (None, 1)
    assert any(found["fixes"])
    shown = await asyncio.to_thread(command, "quarantine", "show", number)
    assert "测试甲" not in text(shown)
    assert (await asyncio.to_thread(command, "quarantine", "show", number, "--reveal")).exit_code == ExitCode.USAGE
    revealed = await said(command, "quarantine", "show", number, "--reveal", *SIGNED)
    assert entered(quarantined) == [("quarantine-reveal", f"case {number}", "王芳", "复核")]
    assert revealed["row"]["XK_FRDB"] == "测试甲"
    quarantined.business.write([permit(3, XK_XDR_SHXYM=None)])
    await ran(quarantined)
    again = await said(command, "quarantine", "show", number)
    assert [one["closed_why"] for one in again["history"]] == [None, "replaced"]
    missing = await asyncio.to_thread(command, "quarantine", "show", "9999")
    assert missing.exit_code == ExitCode.FOUND


async def test_the_workbook_holds_what_the_units_have_to_mend(
    quarantined: Nodes, command: Callable[..., Result], tmp_path: Path
) -> None:
    await ran(quarantined)
    file = tmp_path / "退回.xlsx"
    assert (await asyncio.to_thread(command, "quarantine", "export", "-o", file)).exit_code == ExitCode.USAGE
    assert not file.exists()
    done = await said(command, "quarantine", "export", "-o", file, *SIGNED)
    assert entered(quarantined) == [("quarantine-export", "all rows=3", "王芳", "复核")]
    assert (done["rows"], done["by_exchange"]) == (3, {EXCHANGE: 3})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    frame = pl.read_excel(file, sheet_name=EXCHANGE, infer_schema_length=None)
    rows = {row["XK_WSH"] or "": row for row in frame.iter_rows(named=True)}
    assert set(rows) == {key(2), key(3), ""}
    assert rows[key(2)]["XK_JDRQ"] == "not a day"
    assert rows[key(2)]["XK_FRDB"] == "测试甲", "it is the unit's own row"
    assert "不是可以认定的日期" in rows[key(2)]["问题"]
    again = await asyncio.to_thread(command, "quarantine", "export", "-o", file, *SIGNED)
    assert again.exit_code == ExitCode.FOUND
    one_unit = await said(
        command, "quarantine", "export", "-o", file, "--force", "--unit", BUREAU, "--code", "date-invalid", *SIGNED
    )
    assert one_unit["rows"] == 1
    empty = tmp_path / "none.xlsx"
    none = await asyncio.to_thread(command, "quarantine", "export", "-o", empty, "--code", "too-long", *SIGNED)
    assert none.exit_code == ExitCode.FOUND
    assert not empty.exists()
    assert len(entered(quarantined)) == 2, "what did not leave is not entered"


async def test_what_the_receiver_rejected_is_tried_again_at_a_persons_word(
    nodes: Nodes, command: Callable[..., Result]
) -> None:
    catalog = nodes.province.path / "mappings" / "catalogs" / "administrative-license.toml"
    kind = catalog.read_text("utf-8")
    before, mark, after = kind.partition("[rules.name-is-not-number]")
    catalog.write_text(before + mark + after.replace('"notice"', '"reject"', 1), "utf-8")
    nodes.business.write([permit(1), permit(2, XK_XKWS=permit(2)["XK_WSH"]), permit(3, XK_JDRQ="not a day")])
    await ran(nodes)
    catalog.write_text(kind, "utf-8")
    async with nodes.province_listening() as province:
        done = await said(command, "quarantine", "retry", "--exchange", EXCHANGE, *ORDER)
        assert done == {"exchanges": {EXCHANGE: {"due": 1, "source": 1, "under_way": 0, "gone": 0}}}
        with nodes.bureau.open() as bureau:
            statement = await run_once(bureau)
            assert (statement.sealed, statement.answered.created) == (1, 1)
            with bureau.database.read() as conn:
                assert [case.stage for case in quarantine.cases(conn)] == ["source"]
            kinds = [entry.kind for entry in DurableLog(bureau.database).entries(0, 1000)]
            assert kinds.count("operator.action") == 1
        assert held_there(province)[key(2)] == (1, "upsert")
        with nodes.bureau.open() as bureau, bureau.database.read() as conn:
            (left,) = quarantine.cases(conn)
        shown = await asyncio.to_thread(command, "quarantine", "retry", str(left.id), *ORDER)
        assert f"gatewayrun{EXCHANGE}--full" in text(shown), "its row has to be read again"


async def test_a_version_that_they_hold_with_other_content_goes_out_under_a_new_one(
    nodes: Nodes, command: Callable[..., Result]
) -> None:
    nodes.business.write([permit(1), permit(2)])
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
            meddle(
                nodes.province, ("UPDATE inbox_record SET version = 2, digest = zeroblob(32) WHERE key = ?", (key(1),))
            )
            nodes.business.write([permit(1, XK_NR="变更"), permit(2)])
            statement = await run_once(bureau)
            assert statement.answered.rejected == 1
            with bureau.database.read() as conn:
                (case,) = quarantine.cases(conn, code="version-conflict")
        await said(command, "quarantine", "retry", str(case.id), *ORDER)
        with nodes.bureau.open() as bureau:
            assert (await run_once(bureau)).answered.updated == 1
        assert held_there(province)[key(1)] == (3, "upsert")


async def test_a_retry_says_which_cases(nodes: Nodes, command: Callable[..., Result]) -> None:
    nodes.business.write([permit(1)])
    await ran(nodes)
    nothing = await asyncio.to_thread(command, "quarantine", "retry", *ORDER)
    assert nothing.exit_code == ExitCode.USAGE
    unknown = await asyncio.to_thread(command, "quarantine", "retry", "77", *ORDER)
    assert unknown.exit_code == ExitCode.FOUND
