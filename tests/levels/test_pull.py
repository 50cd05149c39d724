"""A node that lays its batches out, and a peer that fetches them: in order, once, whatever is cut off in between, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.config import load_settings
from gateway.delivery.exchange import route_of
from gateway.delivery.pull import Puller
from gateway.errors import DeliveryError, ExchangeError, Findings, PeerUnavailableError
from gateway.exchange.service import ServiceTransport
from gateway.exchange.shares import ServiceShares, SharedPackage
from gateway.exchange.shown import NOTHING, Shown
from gateway.fetching import Fetcher, pull_once
from gateway.orders import ORDERS
from gateway.package.container import RECEIPT
from gateway.package.sealing import seal
from gateway.receiving import open_listener, open_pull_receiver
from gateway.store import attempts, batches, inbox
from gateway.store.entries import TransactionLog
from gateway.store.states import State
from gateway.ways import build_service_transport
from tests.nodes import BUREAU, PROVINCE, Nodes, lay_nodes, permit, run_once

CATALOG = "administrative-license"
ROUTE = route_of(BUREAU, CATALOG, PROVINCE)


def way(gateway: Gateway) -> ServiceTransport:
    return build_service_transport(gateway.settings, "bureau", clock=gateway.clock, ids=gateway.ids)


@dataclass(frozen=True, slots=True)
class Pair:
    """The bureau lays out, the province fetches."""

    nodes: Nodes
    bureau: Gateway
    province: Gateway

    def states(self) -> list[State]:
        with self.bureau.database.read() as conn:
            return [one.state for one in reversed(batches.list_batches(conn, limit=99))]

    def shares(self) -> ServiceShares:
        return ServiceShares(way(self.province), peer="bureau", package_bytes=1 << 20)

    def puller(self) -> Puller:
        return Puller(
            database=self.province.database, node=self.province.node, receiver=open_pull_receiver(self.province)
        )


def peer(name: str, code: str, more: str) -> str:
    return (
        f'\n[peers.{name}]\ncode = "{code}"\nname = "{name}"\ncertificates = ["certs/{name}-signing.crt"]\n'
        f'tls_certificates = ["certs/{name}-tls.crt"]\n{more}\n'
    )


def configure_bureau(nodes: Nodes) -> None:
    nodes.bureau.configure(
        peer("province", PROVINCE, 'delivery = "pull"')
        + '\n[receive]\nlisten = "127.0.0.1:0"\n'
        + f'\n[sources.permits]\nkind = "sql"\nmapping = "credit-2018-permits"\nurl = "sqlite:///{nodes.business.file}"\n'
        + 'query = "SELECT * FROM permits"\n'
        + f'\n[exchanges.permits-to-province]\ncatalog = "{CATALOG}"\nsource = "permits"\nformat = "credit-2018"\n'
        + 'peer = "province"\nbatch_size = 4\n'
    )


def configure_province(nodes: Nodes, url: str, more: str = "") -> None:
    nodes.province.configure(
        peer("bureau", BUREAU, f'url = "{url}"')
        + f'\n[pulls.permits]\npeer = "bureau"\ncatalog = "{CATALOG}"\n{more}\n'
    )


@asynccontextmanager
async def pair(folder: Path, more: str = "") -> AsyncIterator[Pair]:
    nodes = lay_nodes(folder)
    configure_bureau(nodes)
    nodes.business.write([permit(number) for number in range(1, 8)])
    with nodes.bureau.open() as bureau:
        listener = open_listener(bureau)
        await listener.start()
        try:
            configure_province(nodes, listener.url, more)
            with nodes.province.open() as province:
                yield Pair(nodes, bureau, province)
        finally:
            await listener.stop()


@pytest.mark.sends(catalog="administrative-license", format="credit-2018", mode="pull")
async def test_what_is_laid_out_is_fetched_in_order_and_once(tmp_path: Path) -> None:
    async with pair(tmp_path) as both:
        statement = await run_once(both.bureau)
        assert (statement.sealed, statement.batches) == (7, 2)
        # Laid out and waiting; the second one only when the first is settled.
        assert both.states() == [State.WAITING, State.READY]
        with both.bureau.database.read() as conn:
            (head,) = batches.laid_out(conn, ROUTE, after=0, limit=9)
            assert [one.code for one in attempts.list_attempts(conn, head.id)] == ["not-fetched"]
        done = await pull_once(both.province, "permits")
        assert (done.batches, done.records, done.receipts) == (2, 7, 2)
        assert both.states() == [State.RECONCILED, State.RECONCILED]
        with both.province.database.read() as conn:
            kept = [inbox.find_batch(conn, one.id) for one in batches_of(both.bureau)]
            assert [one is not None and one.sequence for one in kept] == [1, 2]
            assert [one.kind for one in TransactionLog(conn).entries(0, 99)].count("batch.received") == 2
        with both.bureau.database.read() as conn:
            assert [one.kind for one in TransactionLog(conn).entries(0, 99)].count("batch.reconciled") == 2
        again = await pull_once(both.province, "permits")
        assert (again.batches, again.receipts) == (0, 0)
        # A change travels the same way, by order of the command line.
        both.nodes.business.write([permit(number) for number in range(1, 7)])
        await run_once(both.bureau)
        ordered = await ORDERS["pull"](both.province, {"names": ["permits", "none"]}, lambda _stage, _count: None)
        assert ordered["done"] == {"permits": {"batches": 1, "records": 1, "receipts": 1}}
        assert ordered["failed"]["none"]["code"] == "pull-unknown"
        with both.province.database.read() as conn:
            held = inbox.held_versions(conn, ROUTE, [str(permit(7)["XK_WSH"])])
        assert [(one.version, one.op) for one in held.values()] == [(2, "withdraw")]


def batches_of(gateway: Gateway) -> list[batches.Batch]:
    with gateway.database.read() as conn:
        return list(reversed(batches.list_batches(conn, limit=99)))


class Cut(ServiceShares):
    """A line that breaks at a receipt, before or after the peer has it."""

    after: bool = False

    async def hand_over(self, batch_id: str, receipt: bytes, shown: Shown) -> None:
        if self.after:
            await super().hand_over(batch_id, receipt, shown)
        raise PeerUnavailableError("question-later", peer="bureau", why="peer-cut", status="-")


@pytest.mark.parametrize("after", [False, True])
async def test_a_receipt_that_did_not_get_through_is_brought_by_the_next_pull(tmp_path: Path, after: bool) -> None:
    async with pair(tmp_path) as both:
        await run_once(both.bureau)
        cut = Cut(way(both.province), peer="bureau", package_bytes=1 << 20)
        cut.after = after
        with pytest.raises(PeerUnavailableError):
            await both.puller().pull(cut, BUREAU, CATALOG)
        await cut.close()
        assert both.states()[0] is (State.RECONCILED if after else State.WAITING)
        done = await pull_once(both.province, "permits")
        # The first batch was taken then, so it is not taken again; its receipt is brought unless it is there.
        assert (done.batches, done.receipts) == ((1, 1) if after else (1, 2))
        assert both.states() == [State.RECONCILED, State.RECONCILED]
        with both.province.database.read() as conn:
            assert [one.kind for one in TransactionLog(conn).entries(0, 99)].count("batch.received") == 2


async def test_other_bytes_and_strangers_get_nothing(tmp_path: Path) -> None:
    async with pair(tmp_path) as both:
        await run_once(both.bureau)
        shares = both.shares()
        try:
            (one,) = await shares.listed(CATALOG, after=0, limit=9)
            assert await shares.listed(CATALOG, after=1, limit=9) == []
            assert await shares.listed("administrative-penalty", after=0, limit=9) == []
            # What is not laid out yet is not there.
            hidden = batches_of(both.bureau)[1].id
            for batch_id in (hidden, one.id[:-1] + ("0" if one.id[-1] != "0" else "1")):
                with pytest.raises(ExchangeError) as unknown:
                    await shares.package(batch_id, held=0)
                assert unknown.value.facts["why"] == "unknown-batch"
                with pytest.raises(ExchangeError):
                    await shares.hand_over(batch_id, b"receipt", NOTHING)
            # A receipt that does not hold settles nothing.
            for receipt in (b"receipt", seal(RECEIPT, b"<x/>", both.bureau.signer, both.bureau.clock.now())):
                with pytest.raises(ExchangeError) as refused:
                    await shares.hand_over(one.id, receipt, NOTHING)
                assert refused.value.facts["why"] == "receipt-invalid"
            assert both.states() == [State.WAITING, State.READY]
            with pytest.raises(ExchangeError) as malformed:
                await shares.listed("a b", after=0, limit=9)
            assert malformed.value.code == "question-failed"
        finally:
            await shares.close()

        class Bent(ServiceShares):
            async def package(self, batch_id: str, *, held: int) -> SharedPackage:
                given = await super().package(batch_id, held=held)
                return SharedPackage(data=given.data[:-1] + b"x", shown=given.shown)

        bent = Bent(way(both.province), peer="bureau", package_bytes=1 << 20)
        with pytest.raises(DeliveryError, match="pull-differs"):
            await both.puller().pull(bent, BUREAU, CATALOG)
        await bent.close()
        tight = ServiceShares(way(both.province), peer="bureau", package_bytes=100)
        with pytest.raises(PeerUnavailableError) as large:
            await tight.package(one.id, held=0)
        assert large.value.facts["why"] == "answer-too-large"
        await tight.close()
        # A sender that the pull does not name cannot be judged: nothing is taken.
        with both.province.database.read() as conn:
            assert inbox.last_sequence(conn, ROUTE) == 0


async def test_a_node_at_work_pulls_by_itself(tmp_path: Path) -> None:
    async with pair(tmp_path, 'schedule = "0 3 * * *"') as both:
        await run_once(both.bureau)
        fetcher = Fetcher(both.province)
        await fetcher.look()  # once at the start, whatever the schedule says
        assert both.states() == [State.RECONCILED, State.RECONCILED]
        await fetcher.look()


def test_who_fetches_must_be_able_to_come(tmp_path: Path) -> None:
    nodes = lay_nodes(tmp_path)
    configure_bureau(nodes)
    file = nodes.bureau.path / "config.toml"
    file.write_text(file.read_text("utf-8").replace('[receive]\nlisten = "127.0.0.1:0"\n', ""), "utf-8")
    with pytest.raises(Findings) as found:
        load_settings(file)
    assert {one.code for one in found.value.findings} == {"config-fetching-not-heard"}
    nodes.province.configure(f'\n[pulls.permits]\npeer = "nobody"\ncatalog = "{CATALOG}"\n')
    with pytest.raises(Findings) as missing:
        load_settings(nodes.province.path / "config.toml")
    assert {one.code for one in missing.value.findings} == {"config-name-unknown"}
