"""A receiver of sheets that signs nothing: from the source to the ledger and the auditor's verdict, and nobody claims more than was told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.auditor import Wanted, entry_rows, export_evidence
from gateway.clock import RandomIds, SystemClock
from gateway.config import inspect_settings, load_settings
from gateway.errors import ExchangeError
from gateway.evidence.manifest import Selection
from gateway.evidence.policy import Policy
from gateway.evidence.verify import verify_bundle
from gateway.exchange.digests import RouteDigests
from gateway.exchange.outcome import Acknowledged, Outcome, ReceiptAnswer
from gateway.exchange.port import NodeInfo, Outgoing
from gateway.exchange.recorder import Recorder, Told
from gateway.ledger.report import Verdict
from gateway.opening import read_gateway
from gateway.package.batch import parse_batch
from gateway.package.container import open_package
from gateway.package.fields import read_fields
from gateway.store import batches, quarantine
from gateway.store.states import State
from tests.nodes import BUREAU, PROVINCE, Nodes, lay_nodes, permit, run_once


class Clerk:
    """The other organisation: takes packages, and says in a list what it thinks of each record. It signs nothing."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.taken: dict[str, bytes] = {}
        self.bad: set[str] = set()

    async def send(self, outgoing: Outgoing) -> Outcome:
        self.taken[outgoing.batch_id] = outgoing.package
        return await self.acknowledged(outgoing.batch_id)

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        return await self.acknowledged(batch_id)

    async def acknowledged(self, batch_id: str) -> Acknowledged:
        package = self.taken[batch_id]
        records = parse_batch(open_package(package).document).records
        told = [Told(key=one.key, accepted=one.key not in self.bad, code="E1", message="重复") for one in records]
        feedback = json.dumps([[one.key, one.accepted] for one in told]).encode()
        return Acknowledged(receipt=self.recorder.take_down(package, told, feedback), status=200, stored=False)

    async def node(self) -> NodeInfo:
        return NodeInfo(code=PROVINCE, name="示例省交通运输厅", versions=(1,))

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        raise ExchangeError("node-answer-malformed")

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    nodes = lay_nodes(tmp_path)
    nodes.bureau.configure(f"""
[peers.province]
code = "{PROVINCE}"
name = "示例省交通运输厅"
url = "file://{tmp_path}/exchange"
feedback = "taken-down"
retry = {{ first = "1s", max = "1s" }}

[sources.permits]
kind = "sql"
mapping = "credit-2018-permits"
url = "sqlite:///{nodes.business.file}"
query = "SELECT * FROM permits"

[exchanges.permits-to-province]
catalog = "administrative-license"
source = "permits"
format = "credit-2018-split"
peer = "province"
""")
    return nodes


def clerk_for(bureau: Gateway, monkeypatch: pytest.MonkeyPatch) -> Clerk:
    clerk = Clerk(bureau.recorder("province"))
    monkeypatch.setattr(bureau, "transport", lambda _name: clerk)
    return clerk


async def test_from_the_source_to_the_auditor(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [permit(number) for number in range(1, 5)]
    nodes.business.write(rows)
    with nodes.bureau.open() as bureau:
        clerk = clerk_for(bureau, monkeypatch)
        clerk.bad = {str(rows[1]["XK_WSH"])}
        statement = await run_once(bureau)
        assert (statement.sealed, statement.answered.created, statement.answered.rejected) == (4, 3, 1)
        (package,) = clerk.taken.values()
        texts = [read_fields(one.body) for one in parse_batch(open_package(package).document).records if one.body]
        assert {one.template for one in texts} == {"administrative-license.legal"}
        assert [one.texts["行政许可决定文书号"] for one in texts] == [row["XK_WSH"] for row in rows]
        with bureau.database.read() as conn:
            (batch,) = batches.list_batches(conn, limit=10)
            assert batch.state is State.RECONCILED
            (case,) = quarantine.cases(conn)
            assert case.reasons[0].code == "receiver-rejected"
            assert case.reasons[0].expected == "E1 重复"
        (entry,) = entry_rows(bureau, Wanted(kind="batch.reconciled"), 0)
        assert entry["receipt_signer"] == bureau.signer.key_id
        assert len(str(entry["feedback_sha256"])) == 64
        assert (entry["echo_size"], entry["peer_size"]) == (0, 0)
        # What is withdrawn has no fields, and is told like any other.
        clerk.bad = set()
        nodes.business.write(rows[:1])
        again = await run_once(bureau)
        assert (again.vanished, again.answered.withdrawn) == (3, 3)
        bureau.notary.publish(final=True)
        policy = Policy(
            ledger_keys=(bureau.note_signer.verifier,),
            signers={BUREAU: bureau.certificates([bureau.settings.document.keys.signing.certificate])},
        )
    target = tmp_path / "evidence.zip"
    with read_gateway(
        load_settings(nodes.bureau.path / "config.toml"), clock=SystemClock(), ids=RandomIds()
    ) as gateway:
        export_evidence(
            gateway, target, Selection(), person="审计员", reason="核查", entry=-1, not_entered="state-held",
            authorities=[], tell=lambda _stage, _done, _all: None,
        )  # fmt: skip
    with target.open("rb") as file:
        found = verify_bundle(file, policy=policy).by_question
    assert found["integrity"].verdict is Verdict.PROVED
    assert {one.code for one in found["completeness"].findings} == {"evidence-tail-unproved"}, (
        "nobody else holds a head"
    )
    assert found["authenticity"].verdict is Verdict.NOT_PROVABLE
    told = [one for one in found["authenticity"].findings if one.code == "evidence-receipt-taken-down"]
    assert [(one.expected, one.contradicts) for one in told] == [(PROVINCE, False)] * 2
    assert next(one.found for one in told) == entry["feedback_sha256"]
    assert {one.code for one in found["authenticity"].findings} == {"evidence-receipt-taken-down"}


def test_a_peer_that_signs_needs_certificates(nodes: Nodes) -> None:
    config = nodes.bureau.path / "config.toml"
    assert inspect_settings(config)[1] == ()
    config.write_text(config.read_text("utf-8").replace('feedback = "taken-down"\n', ""), "utf-8")
    assert {(one.code, one.key) for one in inspect_settings(config)[1]} == {
        ("config-peer-without-certificates", "peers.province.certificates"),
        ("config-format-not-in-packages", "exchanges.permits-to-province.format"),
    }
    assert BUREAU in config.read_text("utf-8")
