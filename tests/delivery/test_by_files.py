"""Two real nodes that never see each other: packages and receipts travel as files, in one shared place or carried by somebody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.app import Gateway
from gateway.checkup import check_node
from gateway.cli.main import app
from gateway.clock import RandomIds, SystemClock
from gateway.config import inspect_settings, load_settings
from gateway.errors import Severity
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.orders import ORDERS
from gateway.store import attempts, batches, inbox
from gateway.store.batches import Batch
from gateway.store.entries import DurableLog
from gateway.store.states import State
from tests.daemon.process import daemon
from tests.exchange.sshd import Account, sshd
from tests.nodes import BUREAU, PROVINCE, Nodes, lay_nodes, permit, run_once

ROUTE = f"{BUREAU}/administrative-license/{PROVINCE}"
SWAPPED = 'folders = { outgoing = "incoming", incoming = "outgoing", every = "1s" }'


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    """The bureau and the province share one place."""
    nodes = lay_nodes(tmp_path)
    for folder in ("outgoing", "incoming"):
        (tmp_path / "exchange" / folder).mkdir(parents=True)
    receive_by_files(nodes, f"file://{tmp_path}/exchange", SWAPPED)
    send_by_files(nodes, f"file://{tmp_path}/exchange", 'folders = { every = "1s" }')
    nodes.business.write([permit(number) for number in range(1, 11)])
    return nodes


def receive_by_files(nodes: Nodes, url: str, more: str = "") -> None:
    nodes.province.configure(f'''
[peers.bureau]
code = "{BUREAU}"
name = "示例林业局交通运输局"
url = "{url}"
certificates = ["certs/bureau-signing.crt"]
{more}

[receive]
allow = {{ bureau = ["administrative-license"] }}
''')


def send_by_files(nodes: Nodes, url: str, more: str = "") -> None:
    nodes.point_bureau_at(url)
    file = nodes.bureau.path / "config.toml"
    text = file.read_text("utf-8").replace('tls_certificates = ["certs/province-tls.crt"]\n', f"{more}\n")
    file.write_text(text, "utf-8")


async def collect(gateway: Gateway) -> dict[str, list[str]]:
    (found,) = (await ORDERS["collect"](gateway, {"peers": []}, lambda _stage, _count: None))["peers"].values()
    return found  # type: ignore[no-any-return]


def held(province: Gateway) -> int:
    with province.database.read() as conn:
        return sum(bucket.count for bucket in inbox.bucket_digests(conn, ROUTE))


def sent(bureau: Gateway) -> list[Batch]:
    with bureau.database.read() as conn:
        return sorted(batches.list_batches(conn, limit=10), key=lambda batch: batch.sequence)


def proved(gateway: Gateway) -> bool:
    gateway.notary.publish(final=True)
    report = verify_log(DurableLog(gateway.database), [gateway.note_signer.verifier], origin=gateway.origin)
    return report.verdict is Verdict.PROVED


@pytest.mark.sends(catalog="administrative-license", format="credit-2018", mode="file")
async def test_every_record_arrives_once_and_every_receipt_comes_back(nodes: Nodes) -> None:
    with nodes.bureau.open() as bureau, nodes.province.open() as province:
        await run_once(bureau)
        for _ in range(3):  # a batch at a time: the next leaves when the receipt before it has come
            assert len((await collect(province))["taken"]) == 1
            assert len((await collect(bureau))["receipts"]) == 1
        assert held(province) == 10
        assert [batch.state for batch in sent(bureau)] == [State.RECONCILED] * 3
        assert (await collect(province))["taken"] == []
        again = await run_once(bureau)
        assert (again.unchanged, again.sealed) == (10, 0)
        assert proved(bureau)
        assert proved(province)


async def test_a_batch_put_twice_is_one_batch(nodes: Nodes, tmp_path: Path) -> None:
    with nodes.bureau.open() as bureau, nodes.province.open() as province:
        await run_once(bureau)
        await collect(province)
        taken = tmp_path / "exchange" / "outgoing" / "taken"
        (receipt,) = (tmp_path / "exchange" / "incoming").glob("*.receipt.asice")
        before = receipt.read_bytes()
        receipt.unlink()
        for file in taken.iterdir():
            (taken.parent / file.name).write_bytes(file.read_bytes())
        assert len((await collect(province))["taken"]) == 1
        assert receipt.read_bytes() == before
        assert held(province) == 4


async def test_a_late_receipt_counts_after_the_batch_was_given_up(nodes: Nodes) -> None:
    with nodes.bureau.open() as bureau, nodes.province.open() as province:
        await run_once(bureau)
        batch = sent(bureau)[0]
        with bureau.database.begin() as conn:
            conn.exec_driver_sql("UPDATE batch SET state = 'refused' WHERE sequence = 1")
        await collect(province)
        assert (await collect(bureau))["receipts"] == [batch.id]
        with bureau.database.read() as conn:
            kept = attempts.find_receipt(conn, batch.id)
        assert kept is not None
        assert kept.late


async def test_a_forged_receipt_is_kept_as_evidence_and_the_true_one_counts(nodes: Nodes, tmp_path: Path) -> None:
    with nodes.bureau.open() as bureau, nodes.province.open() as province:
        await run_once(bureau)
        batch = sent(bureau)[0]
        await collect(province)
        (receipt,) = (tmp_path / "exchange" / "incoming").glob("*.receipt.asice")
        digest = receipt.with_name(receipt.name + ".sha256")
        true, line = receipt.read_bytes(), digest.read_bytes()
        (package,) = (tmp_path / "exchange" / "outgoing" / "taken").glob("*.asice")
        receipt.write_bytes(package.read_bytes())
        digest.write_text(f"{batch.package_sha256}  {receipt.name}\n")
        assert (await collect(bureau))["receipts"] == []
        with bureau.database.read() as conn:
            assert len(attempts.refused_receipts(conn, batch.id)) == 1
        receipt.write_bytes(true)
        digest.write_bytes(line)
        assert (await collect(bureau))["receipts"] == [batch.id]


async def test_a_refused_batch_waits_for_a_person(nodes: Nodes) -> None:
    """The province does not take the catalog: its answer comes back as a file."""
    file = nodes.province.path / "config.toml"
    text = file.read_text("utf-8")
    file.write_text(text.replace('["administrative-license"] }', '["administrative-penalty"] }'), "utf-8")
    with nodes.bureau.open() as bureau, nodes.province.open() as province:
        await run_once(bureau)
        batch = sent(bureau)[0]
        assert list((await collect(province))["refused"]) == [
            f"{BUREAU}_administrative-license_00000001_{batch.id}.asice"
        ]
        order = {"batch": batch.id, "person": "tester", "reason": "ask now"}
        await ORDERS["retry"](bureau, order, lambda _stage, _count: None)
        after = sent(bureau)[0]
        assert after.state is State.REFUSED
        assert (after.reason or "").startswith("route-forbidden: ")


async def test_a_folder_that_is_not_mounted_costs_no_attempt_beyond_the_first(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "exchange").rename(tmp_path / "elsewhere")
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        batch = sent(bureau)[0]
        assert batch.state is State.WAITING
        with bureau.database.read() as conn:
            assert [one.code for one in attempts.list_attempts(conn, batch.id)] == ["folder-missing"]
        found = await ORDERS["collect"](bureau, {"peers": []}, lambda _stage, _count: None)
        assert found["peers"]["province"]["why"] == "folder-missing"


@pytest.mark.slow
def test_two_daemons_and_a_place_between_them(nodes: Nodes) -> None:
    file = nodes.bureau.path / "config.toml"
    file.write_text(file.read_text("utf-8") + 'schedule = "* * * * * *"\n', "utf-8")
    with daemon(nodes.province.path) as province, daemon(nodes.bureau.path) as bureau:
        for sequence in (1, 2, 3):
            province.wait_for("batch.received", sequence=sequence)
        bureau.wait_for("receipt.taken")
        assert "url" not in province.seen[0] or province.seen[0]["url"] is None
        assert bureau.stop() == 0
        assert province.stop() == 0
    with nodes.province.open() as gateway:
        assert held(gateway) == 10


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    (tmp_path / "sshd").mkdir()
    with sshd(tmp_path / "sshd") as running:
        yield running


@pytest.mark.sends(catalog="administrative-license", format="credit-2018", mode="sftp")
async def test_the_bureau_by_sftp_the_province_by_its_own_folder(
    nodes: Nodes, account: Account, tmp_path: Path
) -> None:
    address = account.address(tmp_path)
    send_by_files(
        nodes,
        f"sftp://{address.user}@127.0.0.1:{account.port}{tmp_path}/exchange",
        f'sftp = {{ host_keys = ["{account.host_key}"], private_key = "file:{account.private_key}" }}',
    )
    with nodes.bureau.open() as bureau, nodes.province.open() as province:
        await run_once(bureau)
        for _ in range(3):
            await collect(province)
            await collect(bureau)
        assert held(province) == 10
        assert [batch.state for batch in sent(bureau)] == [State.RECONCILED] * 3


def test_the_command_says_what_it_found(nodes: Nodes) -> None:
    run = CliRunner()
    config = ["--config", str(nodes.bureau.path / "config.toml")]
    assert run.invoke(app, ["run", "permits-to-province", *config]).exit_code == 3, "receipts follow"
    config = ["--config", str(nodes.province.path / "config.toml")]
    told = run.invoke(app, ["collect", "--json", *config])
    assert told.exit_code == 0, told.output
    assert len(json.loads(told.stdout)["bureau"]["taken"]) == 1
    assert run.invoke(app, ["collect", *config]).exit_code == 0
    wrong = run.invoke(app, ["collect", "nobody", *config])
    assert wrong.exception is not None
    assert wrong.exception.code == "peer-not-by-files"  # type: ignore[attr-defined]


def told(nodes: Nodes) -> set[str]:
    """What the configuration itself is told about its peers."""
    _, findings = inspect_settings(nodes.province.path / "config.toml")
    return {finding.code for finding in findings if finding.key.startswith("peers.")}


class TestCheck:
    """``gateway check`` looks at the folders too."""

    @staticmethod
    def codes(nodes: Nodes) -> dict[str, Severity]:
        findings = check_node(nodes.province.path / "config.toml", SystemClock(), RandomIds())
        return {finding.code: finding.severity for finding in findings if finding.key.startswith("peers.")}

    def test_sound(self, nodes: Nodes) -> None:
        assert self.codes(nodes) == {}

    def test_files_set_aside_are_shown(self, nodes: Nodes, tmp_path: Path) -> None:
        aside = tmp_path / "exchange" / "outgoing" / "aside"
        aside.mkdir()
        (aside / "what.is.this").write_bytes(b"?")
        assert self.codes(nodes) == {"check-files-aside": Severity.WARNING}

    def test_a_folder_is_missing(self, nodes: Nodes, tmp_path: Path) -> None:
        (tmp_path / "exchange" / "incoming").rmdir()
        assert self.codes(nodes) == {"node-question-failed": Severity.ERROR}

    def test_every_catalog_comes_in_a_format_that_takes_it(self, nodes: Nodes) -> None:
        file = nodes.province.path / "config.toml"
        text = file.read_text("utf-8")

        def codes(allowed: str) -> set[str]:
            file.write_text(text.replace('["administrative-license"] }', allowed), "utf-8")
            found = check_node(file, SystemClock(), RandomIds())
            return {one.code for one in found if one.key == "receive"}

        both = '["administrative-license", "red-list"] }'
        assert codes(both) == {"check-format-without-catalog"}
        assert codes(both + '\nformats = { red-list = "credit-catalogs" }') == set()
        assert codes(both + '\nformats = { red-list = "nothing" }') == {"check-format-unusable"}
        assert codes('["nothing"] }') == {"check-catalog-unknown"}

    def test_what_does_not_fit_together(self, nodes: Nodes, tmp_path: Path) -> None:
        url = f"file://{tmp_path}/exchange"
        receive_by_files(nodes, url, 'folders = { outgoing = "one", incoming = "one" }')
        assert "config-folders-same" in told(nodes)
        receive_by_files(nodes, url, 'sftp = { host_keys = ["SHA256:' + "A" * 43 + '"], private_key = "file:x" }')
        assert "config-sftp-unused" in told(nodes)
        receive_by_files(nodes, "sftp://us@sftp.province.example/exchange")
        assert "config-sftp-missing" in told(nodes)
        receive_by_files(nodes, "https://127.0.0.1:1", 'folders = { outgoing = "one" }')
        assert "config-folders-unused" in told(nodes)
        for wrong in ("sftp://h/x", "sftp://u:secret@h/x", "file:", "ftp://h/x", "sftp://u@h:99999/x"):
            receive_by_files(nodes, wrong)
            assert "config-url-invalid" in told(nodes), wrong


def test_every_is_bounded(nodes: Nodes) -> None:
    peer = load_settings(nodes.province.path / "config.toml").peers["bureau"]
    assert peer.folders.every == timedelta(seconds=1)
