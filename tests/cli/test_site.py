"""``gateway site`` as its users meet it: written, checked, spoilt by hand, written anew."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gateway.cli.screen import ExitCode
from tests.cli.test_cli import gateway
from tests.cli.test_record import refusal
from tests.nodes import Nodes, run_once
from tests.site.test_publication import COMPANY, nodes

__all__ = ["nodes"]


def test_what_hands_have_spoilt_is_found_and_written_anew(nodes: Nodes) -> None:
    config = nodes.bureau.path / "config.toml"
    unbuilt = gateway("site", "check", "--config", config)
    assert (unbuilt.exit_code, refusal(unbuilt)) == (ExitCode.USAGE, "site-empty")
    with nodes.bureau.open() as opened:
        asyncio.run(run_once(opened, "publish"))
    sound = gateway("site", "check", "--config", config)
    assert sound.exit_code == 0, sound.output
    page = detail_of(nodes.bureau.path / "public", COMPANY)
    page.write_text(page.read_text("utf-8").replace(COMPANY, "另一文号"), "utf-8")
    stray = nodes.bureau.path / "public" / "stray.html"
    stray.write_text("手工放入", "utf-8")
    spoilt = gateway("site", "check", "--config", config)
    assert spoilt.exit_code == ExitCode.FOUND, spoilt.output
    [found] = json.loads(gateway("site", "check", "--json", "--config", config).stdout)
    assert (len(found["altered"]), found["stray"]) == (1, ["stray.html"])
    built = gateway("site", "build", "--config", config)
    assert built.exit_code == 0, built.output
    assert COMPANY in page.read_text("utf-8")
    assert gateway("site", "check", "--config", config).exit_code == ExitCode.FOUND, (
        "what is not ours stays, and is told"
    )
    stray.unlink()
    assert gateway("site", "check", "--config", config).exit_code == 0


def test_a_site_that_is_not_configured_is_named(nodes: Nodes) -> None:
    result = gateway("site", "check", "elsewhere", "--config", nodes.bureau.path / "config.toml")
    assert (result.exit_code, refusal(result)) == (ExitCode.USAGE, "site-unknown")


def detail_of(site: Path, key: str) -> Path:
    """The page of one decision."""
    found = [path for path in (site / "d").rglob("*.html") if key in path.read_text("utf-8")]
    if len(found) != 1:
        pytest.fail(f"{len(found)} pages of {key}")
    return found[0]
