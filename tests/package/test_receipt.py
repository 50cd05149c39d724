"""Receipts: round trips, and the sender's numbered checks, each failing in its turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import PackageError
from gateway.package.batch import build_batch, parse_batch
from gateway.package.characters import escape
from gateway.package.container import BATCH, RECEIPT, open_package, pack
from gateway.package.forms import Node
from gateway.package.limits import Limits
from gateway.package.receipt import (
    Figures,
    Outcome,
    Receipt,
    Result,
    SentBatch,
    Verdict,
    build_receipt,
    check_receipt,
    parse_receipt,
    verdict_of,
)
from gateway.package.sealing import seal
from tests.package.samples import (
    FIRST,
    NOTE,
    NOW,
    RECEIVER,
    SECOND,
    THIRD,
    draft,
    ecdsa,
    lines,
    receipt,
    refused,
    rsa_identity,
    stranger,
    valid,
    with_line,
)
from tests.package.test_characters import CARRIED

XML = build_receipt(receipt())
REJECTED = receipt().outcomes[0]


def test_a_receipt_comes_back_as_it_went() -> None:
    assert parse_receipt(XML) == receipt()
    assert valid("receipt-1.xsd", XML)


def test_the_document_is_that_of_the_protocol() -> None:
    note = NOTE.replace("\n", "&#10;")
    message = REJECTED.message.replace("\n", "&#10;")
    outcome = (
        '<Outcome key="a &quot;quoted&quot; &lt;key&gt; &amp; more&#10;" version="1" result="rejected"'
        f' code="identifier-invalid" field="XK_XDR_SHXYM">{message}</Outcome>'
    )
    expected = f"""<?xml version="1.0" encoding="UTF-8"?>
<Receipt xmlns="urn:credit-exchange:receipt:1">
<BatchId>{SECOND}</BatchId>
<Route>11230000MB1234567X/administrative-license/11100000MB7654321Y</Route>
<Sequence>2</Sequence>
<PackageSha256>{"ab" * 32}</PackageSha256>
<Receiver code="11100000MB7654321Y" name="国家&lt;中心&gt;"/>
<ReceivedAt>2026-11-22T06:02:42Z</ReceivedAt>
<Verdict>partly-accepted</Verdict>
<Count total="4" created="1" updated="0" unchanged="0" withdrawn="2" rejected="1"/>
<SenderCheckpoint>{note}</SenderCheckpoint>
<ReceiverCheckpoint></ReceiverCheckpoint>
<Outcomes>
{outcome}
</Outcomes>
</Receipt>
"""
    assert XML.decode() == expected


OUTCOMES = st.lists(
    st.builds(
        Outcome,
        key=CARRIED.filter(lambda key: 0 < len(key) <= 1024),
        version=st.integers(1, 10**18 - 1),
        result=st.sampled_from(Result),
        code=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
        field=CARRIED.map(lambda text: text[:256]),
        message=CARRIED.map(lambda text: text[:2000]),
    ),
    unique_by=lambda outcome: outcome.key,
    max_size=6,
)


@given(outcomes=OUTCOMES, more=st.integers(0, 10**6), checkpoint=CARRIED, name=CARRIED.map(lambda text: text[:256]))
@settings(max_examples=150, deadline=None)
def test_any_receipt_comes_back(outcomes: list[Outcome], more: int, checkpoint: str, name: str) -> None:
    listed = {result.value: sum(1 for outcome in outcomes if outcome.result is result) for result in Result}
    listed["created"] += more
    figures = Figures(total=sum(listed.values()), **listed)
    whole = receipt(
        figures=figures,
        verdict=verdict_of(figures),
        outcomes=tuple(outcomes),
        sender_checkpoint=checkpoint,
        receiver_checkpoint=checkpoint[::-1],
        receiver=Node(code="A", name=name),
    )
    xml = build_receipt(whole)
    assert parse_receipt(xml) == whole
    assert valid("receipt-1.xsd", xml)


@pytest.mark.parametrize(
    ("total", "rejected", "verdict"),
    [(0, 0, "accepted"), (4, 0, "accepted"), (4, 1, "partly-accepted"), (4, 4, "refused"), (1, 1, "refused")],
)
def test_the_verdict_follows_from_the_figures(total: int, rejected: int, verdict: str) -> None:
    assert verdict_of(Figures(total=total, created=total - rejected, rejected=rejected)) == verdict


def bent(**changes: object) -> Receipt:
    """A receipt that contradicts itself."""
    return receipt(**changes)


CONTRADICTIONS: list[tuple[str, str, Receipt]] = [
    ("one short", "receipt-figures", bent(figures=Figures(total=5, created=1, withdrawn=2, rejected=1))),
    ("one over", "receipt-figures", bent(figures=Figures(total=4, created=2, withdrawn=2, rejected=1))),
    ("accepted with a rejection", "receipt-verdict", bent(verdict=Verdict.ACCEPTED)),
    ("refused without reason", "receipt-verdict", bent(verdict=Verdict.REFUSED)),
    ("a rejection not listed", "receipt-outcomes", bent(outcomes=())),
    ("a rejection too many", "receipt-outcomes", bent(outcomes=(REJECTED, replace(REJECTED, key="other")))),
    ("listed as something else", "receipt-outcomes", bent(outcomes=(replace(REJECTED, result=Result.WITHDRAWN),))),
    (
        "more listed than counted",
        "receipt-outcomes",
        bent(outcomes=(REJECTED, replace(REJECTED, key="other", result=Result.UNCHANGED, code="superseded"))),
    ),
    (
        "one record twice",
        "receipt-outcome-repeated",
        bent(outcomes=(REJECTED, replace(REJECTED, result=Result.WITHDRAWN))),
    ),
]


def unbalanced(whole: Receipt) -> bytes:
    """The document of a receipt that :func:`build_receipt` refuses to write."""
    count = " ".join(f'{name}="{getattr(whole.figures, name)}"' for name in ("total", *(each.value for each in Result)))
    outcomes = "\n".join(
        f'<Outcome key="{escape(one.key, place="")}"'
        f' version="{one.version}" result="{one.result.value}" code="{one.code}" field=""></Outcome>'
        for one in whole.outcomes
    )
    xml = with_line(XML, b"<Count ", f"<Count {count}/>".encode())
    xml = with_line(xml, b"<Verdict>", f"<Verdict>{whole.verdict.value}</Verdict>".encode())
    return with_line(xml, b"<Outcome ", outcomes.encode())


@pytest.mark.parametrize(
    ("code", "whole"), [pytest.param(code, whole, id=name) for name, code, whole in CONTRADICTIONS]
)
def test_a_receipt_that_contradicts_itself_is_neither_written_nor_believed(code: str, whole: Receipt) -> None:
    refused(code, lambda: build_receipt(whole))
    sealed = seal(RECEIPT, unbalanced(whole), ecdsa().signer, NOW)
    refused(code, lambda: check_receipt(sealed, sent(b"", package_sha256="ab" * 32), [ecdsa().certificate]))


def test_a_word_on_a_record_that_went_through_is_allowed() -> None:
    superseded = Outcome(key="old", version=1, result=Result.UNCHANGED, code="superseded")
    figures = Figures(total=3, created=1, unchanged=2)
    whole = receipt(figures=figures, verdict=Verdict.ACCEPTED, outcomes=(superseded,))
    assert parse_receipt(build_receipt(whole)) == whole


def header(start: str, new: str) -> bytes:
    return with_line(XML, start.encode(), new.encode())


def outcome(**changes: str) -> bytes:
    facts = {"key": "k", "version": "1", "result": "rejected", "code": "a", "field": ""} | changes
    return header("<Outcome ", "<Outcome " + " ".join(f'{name}="{value}"' for name, value in facts.items()) + "/>")


WRONG: list[tuple[str, str, Callable[[], bytes]]] = [
    ("empty", "document-declaration", lambda: b""),
    ("other encoding", "document-declaration", lambda: XML.replace(b"UTF-8", b"GBK", 1)),
    ("utf-16", "document-declaration", lambda: XML.decode().encode("utf-16")),
    (
        "external entity",
        "doctype-forbidden",
        lambda: XML.replace(b"<Receipt ", b'<!DOCTYPE Receipt [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<Receipt '),
    ),
    ("a batch", "document-namespace", lambda: build_batch(draft(), []).xml),
    ("another namespace", "document-namespace", lambda: XML.replace(b"receipt:1", b"receipt:2")),
    (
        "another root",
        "document-structure",
        lambda: XML.replace(b"Receipt xmlns", b"Answer xmlns").replace(b"</Receipt>", b"</Answer>"),
    ),
    ("comment", "document-markup", lambda: header("<Verdict>", "<Verdict>refused<!-- not --></Verdict>")),
    ("not closed", "document-not-xml", lambda: XML[:-12]),
    ("two documents", "document-not-xml", lambda: XML + XML),
    ("not utf-8", "document-not-xml", lambda: XML.replace("国家".encode(), "国家".encode("gb18030"))),
    *(
        (f"without {name}", "document-structure", lambda name=name: header(f"<{name}", ""))
        for name in (
            "BatchId",
            "Route",
            "Sequence",
            "PackageSha256",
            "Receiver ",
            "ReceivedAt",
            "Verdict",
            "Count",
            "SenderCheckpoint",
            "ReceiverCheckpoint",
        )
    ),
    ("without outcomes", "document-structure", lambda: XML.split(b"<Outcomes>")[0] + b"</Receipt>\n"),
    ("something else among the outcomes", "document-structure", lambda: header("<Outcome ", "<Other/>")),
    ("text among the outcomes", "document-structure", lambda: header("<Outcome ", "text")),
    ("more after the outcomes", "document-structure", lambda: XML.replace(b"</Receipt>", b"<Note/></Receipt>")),
    ("no version", "document-structure", lambda: outcome().replace(b' version="1"', b"")),
    ("an unknown fact", "document-structure", lambda: outcome(value="x")),
    (
        "an element in an outcome",
        "document-structure",
        lambda: header("<Outcome ", '<Outcome key="k" version="1" result="rejected" code="a" field=""><b/></Outcome>'),
    ),
    ("a figure missing", "document-structure", lambda: XML.replace(b' updated="0"', b"")),
    ("batch id", "document-value", lambda: header("<BatchId>", "<BatchId>17</BatchId>")),
    ("route", "document-value", lambda: header("<Route>", "<Route>a/b</Route>")),
    ("sequence", "document-value", lambda: header("<Sequence>", "<Sequence></Sequence>")),
    (
        "package digest",
        "document-value",
        lambda: header("<PackageSha256>", f"<PackageSha256>{'AB' * 32}</PackageSha256>"),
    ),
    ("receiver", "document-value", lambda: header("<Receiver ", '<Receiver code="" name=""/>')),
    ("time", "document-value", lambda: header("<ReceivedAt>", "<ReceivedAt>2026-11-22 06:02:42</ReceivedAt>")),
    ("day", "document-value", lambda: header("<ReceivedAt>", "<ReceivedAt>2026-13-22T06:02:42Z</ReceivedAt>")),
    ("verdict", "document-value", lambda: header("<Verdict>", "<Verdict>Accepted</Verdict>")),
    ("negative figure", "document-value", lambda: XML.replace(b'updated="0"', b'updated="-1"')),
    (
        "checkpoint",
        "document-value",
        lambda: header("<SenderCheckpoint>", f"<SenderCheckpoint>{'x' * 16385}</SenderCheckpoint>"),
    ),
    ("key", "document-value", lambda: outcome(key="")),
    ("version", "document-value", lambda: outcome(version="1.0")),
    ("result", "document-value", lambda: outcome(result="lost")),
    ("code", "document-value", lambda: outcome(code="")),
    ("field", "document-value", lambda: outcome(field="x" * 257)),
    ("message", "document-value", lambda: XML.replace("校验位".encode(), b"x" * 2001)),
]


@pytest.mark.parametrize(("code", "make"), [pytest.param(code, make, id=name) for name, code, make in WRONG])
def test_a_wrong_receipt_is_refused(code: str, make: Callable[[], bytes]) -> None:
    xml = make()
    assert xml != XML, "the case does not change anything"
    refused(code, lambda: parse_receipt(xml))
    if code in {"document-structure", "document-namespace", "document-value"}:
        assert not valid("receipt-1.xsd", xml)


def test_budgets_hold() -> None:
    refused("document-too-large", lambda: parse_receipt(XML, limits=Limits(receipt_bytes=len(XML) - 1)))
    refused("document-too-complex", lambda: parse_receipt(XML, limits=Limits(records=0)))
    assert parse_receipt(XML, limits=Limits(receipt_bytes=len(XML), records=1)) == receipt()


BATCH_PACKAGE = seal(BATCH, build_batch(draft(), lines()).xml, ecdsa().signer, NOW)


def sent(package: bytes = BATCH_PACKAGE, **changes: object) -> SentBatch:
    records = parse_batch(open_package(BATCH_PACKAGE).document).records
    whole = SentBatch(
        batch_id=SECOND,
        route=draft().route,
        sequence=2,
        package_sha256=sha256(package).hexdigest(),
        total=4,
        checkpoint=NOTE,
        receiver_code=RECEIVER.code,
        version_of={record.key: record.version for record in records}.get,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # a test names the fields that it bends


def answer(**changes: object) -> bytes:
    return seal(
        RECEIPT,
        build_receipt(receipt(package_sha256=sha256(BATCH_PACKAGE).hexdigest(), **changes)),
        rsa_identity().signer,
        NOW + timedelta(seconds=5),
    )


TRUSTED = [rsa_identity().certificate]


def test_an_honest_answer_is_believed() -> None:
    package = answer()
    checked = check_receipt(package, sent(), TRUSTED, now=NOW + timedelta(seconds=6))
    assert checked.receipt.figures == receipt().figures
    assert checked.signed_by.key_id == rsa_identity().signer.key_id
    assert checked.receipt_sha256 == sha256(package).hexdigest()
    assert checked.manifest_sha256 == sha256(open_package(package).manifest).hexdigest()


def test_the_answer_to_a_void_batch_is_believed() -> None:
    figures = Figures(total=0)
    package = answer(figures=figures, verdict=Verdict.ACCEPTED, outcomes=())
    assert check_receipt(package, sent(total=0, version_of={}.get), TRUSTED).receipt.verdict is Verdict.ACCEPTED


def stored(document: bytes) -> bytes:
    opened = open_package(answer())
    return pack(RECEIPT, document, opened.manifest, opened.signature)


OTHER = replace(REJECTED, key="somebody else's")
NEWER = replace(REJECTED, version=2)
FIVE = Figures(total=5, created=2, withdrawn=2, rejected=1)

DISHONEST: list[tuple[str, str, Callable[[], bytes]]] = [
    ("nothing", "package-not-zip", lambda: b""),
    ("the document without its seal", "package-not-zip", lambda: XML),
    ("our own batch", "package-document", lambda: BATCH_PACKAGE),
    (
        "changed after sealing",
        "manifest-digest",
        lambda: stored(open_package(answer()).document.replace(b'created="1"', b'created="2"')),
    ),
    ("somebody else's seal", "signer-unknown", lambda: seal(RECEIPT, XML, stranger().signer, NOW)),
    ("sealed by ourselves", "signer-unknown", lambda: seal(RECEIPT, XML, ecdsa().signer, NOW)),
    ("sealed nonsense", "document-declaration", lambda: seal(RECEIPT, b"yes", rsa_identity().signer, NOW)),
    ("another receiver", "receipt-receiver", lambda: answer(receiver=Node(code="A", name=""))),
    ("another batch", "receipt-batch-id", lambda: answer(batch_id=THIRD)),
    ("another route", "receipt-route", lambda: answer(route="A/administrative-license/B")),
    ("another sequence", "receipt-sequence", lambda: answer(sequence=3)),
    ("another package", "receipt-package-digest", lambda: seal(RECEIPT, XML, rsa_identity().signer, NOW)),
    ("another total", "receipt-total", lambda: answer(figures=FIVE)),
    ("a record that was not sent", "receipt-outcome-unknown", lambda: answer(outcomes=(OTHER,))),
    ("a version that was not sent", "receipt-outcome-unknown", lambda: answer(outcomes=(NEWER,))),
    ("another checkpoint", "receipt-checkpoint", lambda: answer(sender_checkpoint=NOTE.replace("17", "18"))),
    ("no checkpoint", "receipt-checkpoint", lambda: answer(sender_checkpoint="")),
]


@pytest.mark.parametrize(("code", "make"), [pytest.param(code, make, id=name) for name, code, make in DISHONEST])
def test_a_dishonest_answer_is_refused(code: str, make: Callable[[], bytes]) -> None:
    refused(code, lambda: check_receipt(make(), sent(), TRUSTED))


def test_the_checks_come_in_the_order_of_the_protocol() -> None:
    """Everything is wrong at once; mended one by one, the next complaint is always that of the next step."""
    wrong: dict[str, object] = {
        "receiver": Node(code="A", name=""),
        "batch_id": FIRST,
        "route": "A/b/C",
        "sequence": 9,
        "package_sha256": "00" * 32,
        "figures": FIVE,
        "outcomes": (OTHER,),
        "sender_checkpoint": "",
    }
    right = {"package_sha256": sha256(BATCH_PACKAGE).hexdigest()}
    seen = []
    for name in [*wrong, "nothing"]:
        document = build_receipt(receipt(**(right | wrong)))
        sealed = seal(RECEIPT, document, rsa_identity().signer, NOW)
        if name == "nothing":
            assert check_receipt(sealed, sent(), TRUSTED)
            break
        with pytest.raises(PackageError) as caught:
            check_receipt(sealed, sent(), TRUSTED)
        seen.append(caught.value.code)
        del wrong[name]
    assert seen == [
        "receipt-receiver",
        "receipt-batch-id",
        "receipt-route",
        "receipt-sequence",
        "receipt-package-digest",
        "receipt-total",
        "receipt-outcome-unknown",
        "receipt-checkpoint",
    ]


def test_figures_come_before_outcomes_and_digests_before_figures() -> None:
    lost = unbalanced(receipt(figures=Figures(total=9)))
    sealed = seal(RECEIPT, lost, ecdsa().signer, NOW)
    other = sent(version_of={}.get)
    refused("receipt-package-digest", lambda: check_receipt(sealed, other, [ecdsa().certificate]))
    same = replace(other, package_sha256="ab" * 32)
    refused("receipt-figures", lambda: check_receipt(sealed, same, [ecdsa().certificate]))


def test_an_answer_from_the_future_is_refused() -> None:
    refused("signing-time-ahead", lambda: check_receipt(answer(), sent(), TRUSTED, now=NOW - timedelta(hours=1)))


def test_nothing_is_built_that_cannot_be_read() -> None:
    for wrong in (
        {"batch_id": "1"},
        {"route": ""},
        {"sequence": 0},
        {"package_sha256": ""},
        {"receiver": Node(code="局", name="")},
        {"receiver_checkpoint": "x" * 16385},
        {"outcomes": (replace(REJECTED, code="XK_BAD"),)},
        {"outcomes": (replace(REJECTED, version=0),)},
    ):
        with pytest.raises(PackageError) as caught:
            build_receipt(receipt(**wrong))
        assert caught.value.code == "document-value", wrong
    negative = Figures(total=4, created=-1, updated=2, withdrawn=2, rejected=1)
    refused("receipt-outcomes", lambda: build_receipt(receipt(figures=negative)))
    refused("character-not-xml", lambda: build_receipt(receipt(outcomes=(replace(REJECTED, message="\x07"),))))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_no_change_of_the_document_raises_anything_else(data: st.DataObject) -> None:
    raw = bytearray(XML)
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(PackageError):
        assert parse_receipt(bytes(raw)).batch_id
        assert etree.fromstring(bytes(raw)) is not None
