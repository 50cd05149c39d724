"""A whole node with the ledger's outside memory configured: daemon, single commands, `gateway check`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.checkup import check_node
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.control import perform
from gateway.daemon import serve
from gateway.delivery.holds import Work
from gateway.ledger.entry import decode
from gateway.store import outside
from gateway.store.entries import DurableLog
from gateway.store.outside import OutsideKind
from tests.exchange.authority import LocalAuthority
from tests.exchange.still import until
from tests.nodes import Nodes, lay_nodes


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalAuthority]:
    async with LocalAuthority(tmp_path / "authority").serving() as authority:
        yield authority


@pytest.fixture
def nodes(tmp_path: Path, local: LocalAuthority) -> Nodes:
    """The province has the local authority for its own."""
    nodes = lay_nodes(tmp_path)
    folder = nodes.province.path
    (folder / "certs" / "tsa.crt").write_bytes(local.root.certificate.public_bytes(Encoding.PEM))
    section = f'authorities = [{{ name = "national", url = "{local.url}", certificates = ["certs/tsa.crt"] }}]'
    file = folder / "config.toml"
    file.write_text(file.read_text("utf-8").replace("# authorities = []", f"{section} #"), "utf-8")
    return nodes


def stamped(log: DurableLog) -> list[int]:
    return [decode(entry.leaf).number("checkpoint_size") for entry in log.of_kinds(["anchor"])]


async def test_the_daemon_has_its_ledger_stamped_beside_its_work(nodes: Nodes, local: LocalAuthority) -> None:
    stop = asyncio.Event()
    with nodes.province.open() as province:
        working = asyncio.create_task(serve(province, stop))
        log = DurableLog(province.database)
        await until(lambda: bool(stamped(log)) or working.done())
        stop.set()
        await working
        assert len(stamped(log)) == 1


async def test_a_daemon_that_waits_for_a_stamp_stops_at_once(nodes: Nodes, local: LocalAuthority) -> None:
    local.gate, stop = asyncio.Event(), asyncio.Event()
    with nodes.province.open() as province:
        working = asyncio.create_task(serve(province, stop))
        await local.asked.wait()
        stop.set()
        await asyncio.wait_for(working, 10)
    local.gate.set()


async def test_a_command_without_a_daemon_has_it_stamped_too(nodes: Nodes, local: LocalAuthority) -> None:
    settings = load_settings(nodes.province.path / "config.toml")
    done = await asyncio.to_thread(perform, settings, "anchor", {}, lambda _stage, _count: None)
    assert [one["name"] for one in done["authorities"]] == ["national"]
    with nodes.province.open() as province:
        assert len(stamped(DurableLog(province.database))) == 1


async def test_a_node_that_owes_a_stamp_for_too_long_takes_nothing(nodes: Nodes, local: LocalAuthority) -> None:
    with nodes.province.open() as province, province.database.begin() as conn:
        owed = outside.Outside(kind=OutsideKind.AUTHORITY, name="national", waiting_since="2020-01-01T00:00:00.000000Z")
        outside.store(conn, owed)
    with nodes.province.open() as province:
        province.anchors.hold()
        assert province.holds.on(Work.INTAKE)
        assert province.holds.on(Work.SENDING)
        await province.anchors.step()
        assert province.holds.all() == ()


async def test_the_check_asks_for_a_stamp(nodes: Nodes, local: LocalAuthority) -> None:
    def found() -> list[tuple[str, str]]:
        findings = check_node(nodes.province.path / "config.toml", SystemClock(), RandomIds())
        return [(one.key, one.code) for one in findings if one.key.startswith("ledger.")]

    assert await asyncio.to_thread(found) == []
    assert len(local.queries) == 1
    local.reply = local.other_nonce
    assert await asyncio.to_thread(found) == [("ledger.authorities.0", "stamp-nonce")]
