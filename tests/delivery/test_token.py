"""A peer that is known by a bearer token instead of a client certificate; without TLS that is for loopback alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import attempts, batches
from gateway.store.states import State
from tests.nodes import Nodes, lay_nodes, permit, run_once


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    nodes = lay_nodes(tmp_path)
    monkeypatch.setenv("PROVINCE_KNOWS", "a-token-of-the-bureau")
    config = nodes.province.path / "config.toml"
    text = config.read_text("utf-8").replace("[receive]", "[receive]\ntls = false")
    text = text.replace("[peers.bureau]", '[peers.bureau]\ntoken = "env:PROVINCE_KNOWS"')
    config.write_text(text, "utf-8")
    nodes.business.write([permit(1), permit(2)])
    return nodes


def show(nodes: Nodes) -> None:
    """The bureau shows the token in ``BUREAU_SHOWS``."""
    config = nodes.bureau.path / "config.toml"
    text = config.read_text("utf-8")
    config.write_text(text.replace("[peers.province]", '[peers.province]\ntoken = "env:BUREAU_SHOWS"'), "utf-8")


async def test_the_right_token_is_let_in(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUREAU_SHOWS", "a-token-of-the-bureau")
    async with nodes.province_listening():
        show(nodes)
        with nodes.bureau.open() as bureau:
            assert (await run_once(bureau)).answered.created == 2


@pytest.mark.parametrize("token", ["another-token", None])
async def test_another_token_or_none_is_refused(
    nodes: Nodes, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes.province_listening():
        if token is not None:
            monkeypatch.setenv("BUREAU_SHOWS", token)
            show(nodes)
        with nodes.bureau.open() as bureau:
            assert (await run_once(bureau)).open == 2
            with bureau.database.read() as conn:
                (batch,) = batches.open_batches(conn)
                assert batch.state is State.REFUSED
                (tried,) = attempts.list_attempts(conn, batch.id)
                assert (tried.status, tried.code) == (401, "caller-unknown")
