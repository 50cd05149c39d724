"""The receiving side against a sender who does everything that a sender should not."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.clock import RandomIds, uuid7
from gateway.delivery.receive import Receiver
from gateway.exchange.intake import Pending, ProblemAnswer, ReceiptTaken
from gateway.package.batch import build_batch
from gateway.package.certificates import load_certificates, load_private_key
from gateway.package.cms import Signer
from gateway.package.container import BATCH, RECEIPT, open_package
from gateway.package.forms import Node
from gateway.package.header import BatchDraft, FormatReference, Void
from gateway.package.receipt import Receipt, parse_receipt
from gateway.package.record import Operation, Reason, record_line
from gateway.package.sealing import seal, unseal
from gateway.receiving import open_receiver
from gateway.store import inbox
from gateway.store.entries import DurableLog
from tests.nodes import BUREAU, PROVINCE, Nodes, lay_nodes


def now() -> datetime:
    """Asked for anew each time: a certificate is not valid before it was made, and a long test run makes them late."""
    return datetime.now(UTC)


NAMESPACE = "urn:credit-exchange:credit-2018"


def permit_body(number: str, **changes: str) -> str:
    values = {
        "XK_XDR_MC": "双鸭山智慧城市运营有限公司",
        "XK_XDR_LB": "法人及非法人组织",
        "XK_XDR_SHXYM": "91230500MA1B3N1N2M",
        "XK_FRDB": "测试甲",
        "XK_XKWS": "决定书",
        "XK_WSH": number,
        "XK_XKLB": "普通",
        "XK_NR": "许可内容",
        "XK_JDRQ": "2026/09/01",
        "XK_YXQZ": "2026/09/05",
        "XK_YXQZI": "2029/09/04",
        "XK_XKJG": "示例林业局交通运输局",
        "XK_XKJGDM": BUREAU,
        "XK_ZT": "1",
        "XK_LYDW": "示例林业局交通运输局",
        "XK_LYDWDM": BUREAU,
    } | changes
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return f'<Permit xmlns="{NAMESPACE}">{inside}</Permit>'


def upsert(number: str, version: int = 1, **changes: str) -> bytes:
    return record_line(number, version, Operation.UPSERT, permit_body(number, **changes))


def withdraw(number: str, version: int) -> bytes:
    return record_line(number, version, Operation.WITHDRAW, reason=Reason(code="decision-revoked"))


class Sender:
    """A bureau that speaks the protocol by hand."""

    def __init__(self, nodes: Nodes, province: Gateway) -> None:
        certs = nodes.bureau.path / "certs"
        self.signer = Signer(
            key=load_private_key(certs / "signing.key"), certificate=load_certificates(certs / "signing.crt")[0]
        )
        self.province = province
        self.receiver: Receiver = open_receiver(province)
        self.sequence = 0
        self.previous: str | None = None

    def draft(self, **changes: object) -> BatchDraft:
        draft = BatchDraft(
            batch_id=uuid7(now(), RandomIds().bytes(10)),
            sequence=self.sequence + 1,
            previous_batch_id=self.previous,
            sender=Node(code=BUREAU, name="示例林业局交通运输局"),
            receiver=Node(code=PROVINCE, name="示例省交通运输厅"),
            catalog="administrative-license",
            format=FormatReference(id="credit-2018", version="1"),
            mapping_digest="00" * 32,
            created_at=now(),
            salt=bytes(32),
        )
        return dataclasses.replace(draft, **changes)  # type: ignore[arg-type]  # a test names the fields that it bends

    def seal(self, draft: BatchDraft, lines: Sequence[bytes]) -> bytes:
        return seal(BATCH, build_batch(draft, lines).xml, self.signer, now())

    async def send(self, *lines: bytes, **changes: object) -> Receipt:
        """A batch that is taken; its receipt."""
        draft = self.draft(**changes)
        answer = await self.receiver.take(BUREAU, draft.batch_id, self.seal(draft, lines))
        assert isinstance(answer, ReceiptTaken), answer
        self.sequence, self.previous = draft.sequence, draft.batch_id
        return self.read(answer.receipt)

    def read(self, receipt: bytes) -> Receipt:
        trusted = load_certificates(self.province.settings.folder / "certs" / "signing.crt")
        return parse_receipt(unseal(receipt, RECEIPT, trusted).document)

    async def refused(self, draft: BatchDraft, package: bytes, caller: str = BUREAU) -> tuple[str, int | None]:
        """The code of the refusal, and the sequence number that it expects."""
        answer = await self.receiver.take(caller, draft.batch_id, package)
        assert isinstance(answer, ProblemAnswer), answer
        with self.province.database.read() as conn:
            assert inbox.find_batch(conn, draft.batch_id) is None, "nothing is kept of what is refused"
        return answer.problem.code, answer.problem.expected


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    nodes = lay_nodes(tmp_path)
    with nodes.province.open() as province:
        yield Sender(nodes, province)


async def test_versions_decide_what_becomes_of_a_record(sender: Sender) -> None:
    """Protocol, section 2: newer is taken, the same is unchanged, other bytes conflict, older is superseded."""
    first = await sender.send(upsert("甲"), upsert("乙"))
    assert (first.figures.created, first.figures.rejected, first.verdict.value) == (2, 0, "accepted")
    second = await sender.send(upsert("甲"), upsert("乙", 3, XK_NR="改"), upsert("丙"), withdraw("丁", 4))
    figures = second.figures
    assert (figures.unchanged, figures.updated, figures.created, figures.withdrawn) == (1, 1, 1, 1)
    third = await sender.send(upsert("甲", 1, XK_NR="other bytes"), upsert("乙", 2), withdraw("丙", 2), upsert("丁", 5))
    assert {(outcome.key, outcome.result.value, outcome.code) for outcome in third.outcomes} == {
        ("甲", "rejected", "version-conflict"),
        ("乙", "unchanged", "superseded"),
    }
    figures = third.figures
    assert (figures.rejected, figures.unchanged, figures.withdrawn, figures.created) == (1, 1, 1, 1)
    assert third.verdict.value == "partly-accepted"


async def test_a_bad_record_is_an_outcome_and_never_refuses_its_batch(sender: Sender) -> None:
    receipt = await sender.send(
        upsert("one", XK_XDR_SHXYM="91230500MA1B3N1N2N"),
        upsert("two"),
        upsert("three", XK_ZT="9"),
        upsert("four", XK_JDRQ="2026/02/30"),
        record_line("five", 1, Operation.UPSERT, permit_body("another number")),
        record_line("six", 1, Operation.UPSERT, f'<Surprise xmlns="{NAMESPACE}"/>'),
    )
    found = {outcome.key: (outcome.code, outcome.field) for outcome in receipt.outcomes}
    assert receipt.figures.created == 1
    assert receipt.figures.rejected == 5
    assert found["one"] == ("identifier-invalid", "XK_XDR_SHXYM")
    assert found["three"][1] == "XK_ZT"
    assert found["four"][1] == "XK_JDRQ"
    assert found["five"][0] == "key-mismatch"
    assert all("91230500MA1B3N1N2N" not in outcome.message for outcome in receipt.outcomes)
    corrected = await sender.send(upsert("one", 2))
    assert corrected.figures.created == 1


async def test_the_same_package_again_gets_the_same_receipt(sender: Sender) -> None:
    draft = sender.draft()
    package = sender.seal(draft, [upsert("甲")])
    first = await sender.receiver.take(BUREAU, draft.batch_id, package)
    again = await sender.receiver.take(BUREAU, draft.batch_id, package)
    asked = await sender.receiver.receipt(BUREAU, draft.batch_id)
    assert isinstance(first, ReceiptTaken)
    assert isinstance(again, ReceiptTaken)
    assert isinstance(asked, ReceiptTaken)
    assert (first.new, again.new) == (True, False)
    assert first.receipt == again.receipt == asked.receipt
    kinds = [entry.kind for entry in DurableLog(sender.province.database).entries(0, 100)]
    assert kinds.count("batch.received") == 1
    other = sender.seal(draft, [upsert("乙")])
    conflict = await sender.receiver.take(BUREAU, draft.batch_id, other)
    assert isinstance(conflict, ProblemAnswer)
    assert conflict.problem.code == "batch-id-conflict"
    stranger = await sender.receiver.receipt(PROVINCE, draft.batch_id)
    assert isinstance(stranger, ProblemAnswer)
    assert stranger.problem.code == "unknown-batch", "what others sent is nobody's business"


async def test_what_concerns_the_batch_as_a_whole_refuses_it(sender: Sender, tmp_path: Path) -> None:
    line = upsert("甲")

    async def code(changes: dict[str, object], **options: str) -> tuple[str, int | None]:
        draft = sender.draft(**changes)
        return await sender.refused(draft, sender.seal(draft, [line]), **options)

    previous = {"previous_batch_id": sender.draft().batch_id}
    assert await code({"sequence": 3, **previous}) == ("sequence-gap", 1)
    assert await code({"receiver": Node(code=BUREAU, name="x")}) == ("wrong-receiver", None)
    assert await code({"sender": Node(code=PROVINCE, name="x")}) == ("route-forbidden", None)
    assert await code({"catalog": "administrative-penalty"}) == ("route-forbidden", None)
    assert await code({"format": FormatReference(id="credit-2018", version="9")}) == ("schema-invalid", None)
    assert await code({}, caller=PROVINCE) == ("route-forbidden", None)
    draft = sender.draft()
    xml = build_batch(draft, [line]).xml
    wrong_figures = seal(BATCH, xml.replace(b'total="1" upsert="1"', b'total="2" upsert="2"'), sender.signer, now())
    assert await sender.refused(draft, wrong_figures) == ("figures-wrong", None)
    other_root = seal(
        BATCH,
        xml.replace(b"<RecordRoot>", b"<RecordRoot>00").replace(b"</RecordRoot>", b"</RecordRoot>"),
        sender.signer,
        now(),
    )
    assert (await sender.refused(draft, other_root))[0] == "schema-invalid"
    laughs = xml.replace(b"<Batch", b'<!DOCTYPE x [<!ENTITY a "b">]><Batch', 1)
    assert (await sender.refused(draft, seal(BATCH, laughs, sender.signer, now())))[0] in {
        "schema-invalid",
        "package-malformed",
    }
    assert await sender.refused(draft, b"PK\x03\x04 nonsense") == ("package-malformed", None)
    stranger = tmp_path / "stranger"
    lay_nodes(stranger)
    certs = stranger / "bureau" / "certs"
    foreign = Signer(
        key=load_private_key(certs / "signing.key"), certificate=load_certificates(certs / "signing.crt")[0]
    )
    assert await sender.refused(draft, seal(BATCH, xml, foreign, datetime.now(UTC))) == ("signature-invalid", None)
    future = seal(BATCH, xml, sender.signer, now() + timedelta(days=1))
    assert await sender.refused(draft, future) == ("signature-invalid", None)
    assert (await sender.send(line)).figures.created == 1, "and none of that stands in the way of the right one"


async def test_a_void_batch_takes_the_place_of_one_that_was_given_up(sender: Sender) -> None:
    given_up = sender.draft()
    receipt = await sender.send(void=Void(of=given_up.batch_id, reason="given up"))
    assert (receipt.figures.total, receipt.verdict.value) == (0, "accepted")
    assert (await sender.send(upsert("甲"))).sequence == 2


async def test_both_sides_can_compare_what_they_hold(sender: Sender) -> None:
    """256 buckets by SHA-256 of the key; a prefix opens one."""
    await sender.send(upsert("甲"), upsert("乙"))
    answer = await sender.receiver.digests(BUREAU, BUREAU, "administrative-license", PROVINCE, "")
    assert not isinstance(answer, ProblemAnswer)
    hashed = {hashlib.sha256(key.encode()).hexdigest() for key in ("甲", "乙")}
    buckets = answer.body["buckets"]
    assert isinstance(buckets, list)
    assert {bucket["prefix"] for bucket in buckets} == {one[:2] for one in hashed}
    assert isinstance(
        await sender.receiver.digests(PROVINCE, BUREAU, "administrative-license", PROVINCE, ""), ProblemAnswer
    )
    assert isinstance(
        await sender.receiver.digests(BUREAU, BUREAU, "administrative-license", PROVINCE, "zz"), ProblemAnswer
    )
    told = await sender.receiver.node(BUREAU)
    assert told["catalogs"] == ["administrative-license"]


async def test_openssl_believes_our_packages_and_receipts(sender: Sender, tmp_path: Path) -> None:
    """The hand check of the protocol: the digest in the manifest is the document's, the signature is over the manifest."""
    draft = sender.draft()
    package = sender.seal(draft, [upsert("甲")])
    answer = await sender.receiver.take(BUREAU, draft.batch_id, package)
    assert not isinstance(answer, ProblemAnswer | Pending)
    certs = {BATCH: "bureau-signing.crt", RECEIPT: "signing.crt"}
    for name, data in ((BATCH, package), (RECEIPT, answer.receipt)):
        opened = open_package(data)
        digest = base64.b64encode(hashlib.sha256(opened.document).digest())
        assert digest in opened.manifest
        signature, manifest = tmp_path / "signature.p7s", tmp_path / "ASiCManifest.xml"
        signature.write_bytes(opened.signature)
        manifest.write_bytes(opened.manifest)
        authority = str(sender.province.settings.folder / "certs" / certs[name])
        verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(signature)]
        words = [*verify, "-content", str(manifest), "-CAfile", authority, "-purpose", "any", "-out", "/dev/null"]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
