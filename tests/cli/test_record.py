"""``gateway record`` as its users meet it: taken back, shared again, corrected, listed; what each says and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.app import Gateway
from gateway.cli.screen import ExitCode
from gateway.errors import GatewayError
from tests.cli.test_cli import gateway
from tests.delivery.again import held_there
from tests.nodes import Nodes, lay_nodes, permit, run_once

CATALOG = "administrative-license"
ORDER = ("--person", "王芳", "--reason", "法院判决")
BASIS = ("--basis", "（2026）黑01行终1号")
KEY = str(permit(1)["XK_WSH"])


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    laid = lay_nodes(tmp_path)
    laid.business.write([permit(1), permit(2)])
    return laid


@pytest.fixture
async def province(nodes: Nodes) -> AsyncIterator[Gateway]:
    """The province at work; it has the bureau's records."""
    async with nodes.province_listening() as opened:
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
        yield opened


@pytest.fixture
def record(nodes: Nodes) -> Callable[..., Result]:
    """``gateway record WORDS --config`` of the bureau."""
    return lambda *words: gateway("record", *words, "--config", nodes.bureau.path / "config.toml")


def refusal(result: Result) -> str:
    """The code of the error that ended a command."""
    assert isinstance(result.exception, GatewayError), result.output
    return result.exception.code


async def test_a_record_is_taken_back_listed_and_shared_again(
    nodes: Nodes, province: Gateway, record: Callable[..., Result]
) -> None:
    taken = await asyncio.to_thread(record, "withdraw", CATALOG, KEY, *BASIS, *ORDER)
    assert taken.exit_code == 0, taken.output
    assert "已对 1 条记录下达" in taken.stdout
    assert held_there(province)[KEY] == (2, "withdraw")
    listed = await asyncio.to_thread(record, "list", CATALOG)
    assert listed.exit_code == 0
    for words in ("撤销", "revoked", "王芳"):
        assert words in listed.stdout, listed.stdout
    again = await asyncio.to_thread(record, "withdraw", CATALOG, KEY, *BASIS, *ORDER)
    assert (again.exit_code, refusal(again)) == (ExitCode.FOUND, "record-held-back")
    shared = await asyncio.to_thread(record, "share-again", CATALOG, KEY, *ORDER, "--json")
    assert shared.exit_code == 0, shared.output
    assert json.loads(shared.stdout)["records"] == 1
    assert held_there(province)[KEY] == (3, "upsert")
    nothing = await asyncio.to_thread(record, "list")
    assert nothing.exit_code == 0
    assert KEY not in nothing.stdout


async def test_no_longer_shared_after_credit_repair(
    nodes: Nodes, province: Gateway, record: Callable[..., Result]
) -> None:
    done = await asyncio.to_thread(record, "stop-share", CATALOG, KEY, *BASIS, *ORDER)
    assert done.exit_code == 0, done.output
    assert held_there(province)[KEY] == (2, "stop-share")
    listed = json.loads((await asyncio.to_thread(record, "list", "--json")).stdout)
    assert [(one["key"], one["code"], one["basis"]) for one in listed] == [(KEY, "credit-repaired", BASIS[1])]


async def test_a_correction_says_whether_the_source_was_corrected(
    nodes: Nodes, province: Gateway, record: Callable[..., Result]
) -> None:
    same = await asyncio.to_thread(record, "correct", CATALOG, KEY, *ORDER)
    assert same.exit_code == ExitCode.FOUND, same.output
    nodes.business.write([permit(1, XK_NR="更正后的内容"), permit(2)])
    done = await asyncio.to_thread(record, "correct", CATALOG, KEY, *ORDER)
    assert done.exit_code == 0, done.output
    assert held_there(province)[KEY] == (2, "upsert")


async def test_an_order_is_signed_and_names_what_exists(
    nodes: Nodes, province: Gateway, record: Callable[..., Result]
) -> None:
    unsigned = await asyncio.to_thread(record, "withdraw", CATALOG, KEY, *BASIS, "--person", "王芳")
    assert unsigned.exit_code == ExitCode.USAGE, "a reason is asked for"
    unknown = await asyncio.to_thread(record, "withdraw", CATALOG, "没有的文号", *BASIS, *ORDER)
    assert (unknown.exit_code, refusal(unknown)) == (ExitCode.USAGE, "record-unknown")
    baseless = await asyncio.to_thread(record, "withdraw", CATALOG, KEY, *ORDER)
    assert baseless.exit_code == ExitCode.USAGE
    assert held_there(province)[KEY] == (1, "upsert")


async def test_what_cannot_leave_yet_ends_with_later(nodes: Nodes, record: Callable[..., Result]) -> None:
    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
    done = await asyncio.to_thread(record, "withdraw", CATALOG, KEY, *BASIS, *ORDER)
    assert done.exit_code == ExitCode.LATER, done.output
