"""Batches: what is built, round trips, the tree over the records, budgets."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import PackageError
from gateway.package.batch import build_batch, parse_batch
from gateway.package.forms import Node
from gateway.package.header import Count, FormatReference, Void
from gateway.package.limits import Limits
from gateway.package.record import Operation, Reason, leaf, record_line
from tests.package.samples import (
    FIRST,
    NOTE,
    NOW,
    PERMIT,
    SECOND,
    THIRD,
    body,
    draft,
    hash_by_hand,
    lines,
    refused,
    valid,
)
from tests.package.test_characters import CARRIED

XML = build_batch(draft(), lines()).xml
P = f'<Permit xmlns="{PERMIT}"/>'
BATCH_NAMES = {"b": "urn:credit-exchange:batch:1"}


def test_a_batch_comes_back_as_it_went() -> None:
    built = build_batch(draft(), lines())
    parsed = parse_batch(built.xml)
    assert parsed.header == built.header
    assert parsed.header.count == Count(upsert=2, withdraw=1, stop_share=1)
    assert [record.line for record in parsed.records] == lines()
    assert [(record.key, record.version, record.op) for record in parsed.records] == [
        ("黑交许可〔2026〕1号", 3, Operation.UPSERT),
        ('a "quoted" <key> & more\n', 1, Operation.UPSERT),
        ("黑交许可〔2026〕3号", 4, Operation.WITHDRAW),
        ("黑交许可〔2026〕4号", 2, Operation.STOP_SHARE),
    ]
    assert [record.body for record in parsed.records] == [body().encode(), body("b").encode(), None, None]
    assert [record.reason for record in parsed.records[2:]] == [
        Reason(code="revoked", text="依法<撤销>\n"),
        Reason(code="credit-repaired"),
    ]
    assert parsed.void is None


def test_the_document_is_that_of_the_protocol() -> None:
    expected = f"""<?xml version="1.0" encoding="UTF-8"?>
<Batch xmlns="urn:credit-exchange:batch:1">
<Header>
<BatchId>{SECOND}</BatchId>
<Route>11230000MB1234567X/administrative-license/11100000MB7654321Y</Route>
<Sequence>2</Sequence>
<PreviousBatchId>{FIRST}</PreviousBatchId>
<Sender code="11230000MB1234567X" name="黑龙江省&quot;林草&quot;局 &amp; 公司"/>
<Receiver code="11100000MB7654321Y" name="国家&lt;中心&gt;"/>
<Catalog>administrative-license</Catalog>
<Format id="credit-2018" version="1"/>
<MappingDigest>{"0f" * 32}</MappingDigest>
<CreatedAt>2026-11-22T06:02:37Z</CreatedAt>
<Count total="1" upsert="1" withdraw="0" stopShare="0"/>
<Salt>{bytes(range(32)).hex()}</Salt>
<RecordRoot>{hash_by_hand(bytes(range(32)), lines()[:1]).hex()}</RecordRoot>
<Checkpoint>{NOTE.replace(chr(10), "&#10;")}</Checkpoint>
</Header>
<Body>
<Record key="黑交许可〔2026〕1号" version="3" op="upsert"><Permit xmlns="urn:test:permit"><Name>许可</Name></Permit></Record>
</Body>
</Batch>
"""
    assert build_batch(draft(), lines()[:1]).xml.decode() == expected


def test_the_leaf_is_that_of_the_protocol() -> None:
    blind = hmac.new(b"s" * 32, b"\0\0\0\0\0\0\x01\x02", "sha256").digest()
    assert leaf(b"s" * 32, 258, b"line") == hashlib.sha256(b"\0" + blind + b"line").digest()


@pytest.mark.parametrize("count", range(10))
def test_the_root_is_that_of_the_protocol(count: int) -> None:
    records = [record_line(str(index), index + 1, Operation.UPSERT, body()) for index in range(count)]
    built = build_batch(draft(), records)
    assert built.header.record_root == hash_by_hand(draft().salt, records)
    assert parse_batch(built.xml).header == built.header


def test_a_void_batch_comes_back() -> None:
    void = Void(of=THIRD, reason="接收方拒绝 & 放弃")
    built = build_batch(draft(void=void), [])
    assert built.xml.endswith(
        f'</Checkpoint>\n<Void of="{THIRD}" reason="接收方拒绝 &amp; 放弃"/>\n</Header>\n<Body>\n</Body>\n</Batch>\n'.encode()
    )
    parsed = parse_batch(built.xml)
    assert (parsed.void, parsed.records, parsed.header.count.total) == (void, (), 0)
    assert parsed.header.record_root == hashlib.sha256(b"").digest()
    assert valid("batch-1.xsd", built.xml)


def test_the_first_batch_of_a_route_has_no_predecessor() -> None:
    built = build_batch(draft(sequence=1, previous_batch_id=None, checkpoint=""), lines())
    assert b"<PreviousBatchId></PreviousBatchId>" in built.xml
    assert parse_batch(built.xml).header.previous_batch_id is None
    assert valid("batch-1.xsd", built.xml)


def test_the_time_of_creation_is_utc_and_cut_to_the_second() -> None:
    local = (NOW + timedelta(microseconds=999_999)).astimezone(timezone(timedelta(hours=8)))
    built = build_batch(draft(created_at=local), lines())
    assert built.header.created_at == NOW
    assert parse_batch(built.xml).header == built.header


NAMES = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.-]{0,63}", fullmatch=True)
REASONS = st.builds(
    Reason, code=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), text=CARRIED.map(lambda text: text[:2000])
)
BODIES = CARRIED.map(
    lambda text: body(
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace("]]>", "]]&gt;")
        .replace("\r", "&#13;")
        .replace("\n", "&#10;")
    )
)


@st.composite
def record_lines(draw: st.DrawFn) -> list[bytes]:
    keys = draw(st.lists(CARRIED.filter(lambda key: 0 < len(key) <= 1024), unique=True, max_size=8))
    made: list[bytes] = []
    for key in keys:
        version = draw(st.integers(1, 10**18 - 1))
        op = draw(st.sampled_from(Operation))
        if op is Operation.UPSERT:
            made.append(record_line(key, version, op, draw(BODIES)))
        else:
            made.append(record_line(key, version, op, reason=draw(REASONS)))
    return made


@given(
    made=record_lines(),
    sequence=st.integers(2, 10**18 - 1),
    node=st.builds(Node, code=NAMES, name=CARRIED.filter(lambda name: len(name) <= 256)),
    format_reference=st.builds(FormatReference, id=NAMES, version=NAMES),
    salt=st.binary(min_size=32, max_size=32),
    created_at=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis wants naive bounds)
    checkpoint=CARRIED,
)
@settings(max_examples=150, deadline=None)
def test_any_batch_comes_back_and_other_readers_read_the_same(
    made: list[bytes],
    sequence: int,
    node: Node,
    format_reference: FormatReference,
    salt: bytes,
    created_at: datetime,
    checkpoint: str,
) -> None:
    whole = draft(
        sequence=sequence, sender=node, format=format_reference, salt=salt, created_at=created_at, checkpoint=checkpoint
    )
    built = build_batch(whole, made)
    parsed = parse_batch(built.xml)
    assert parsed.header == built.header
    assert [record.line for record in parsed.records] == made
    assert parsed.header.record_root == hash_by_hand(salt, made)
    document = etree.fromstring(built.xml)
    assert valid("batch-1.xsd", built.xml)
    assert document.findtext("b:Header/b:Checkpoint", namespaces=BATCH_NAMES) == checkpoint
    sender = document.find("b:Header/b:Sender", namespaces=BATCH_NAMES)
    assert sender is not None
    assert dict(sender.items()) == {"code": node.code, "name": node.name}
    read = document.findall("b:Body/b:Record", namespaces=BATCH_NAMES)
    assert [(one.get("key"), one.get("version"), one.get("op")) for one in read] == [
        (record.key, str(record.version), record.op.value) for record in parsed.records
    ]
    for one, record in zip(read, parsed.records, strict=True):
        if record.body is not None:
            assert etree.tostring(etree.fromstring(record.body), method="c14n") == etree.tostring(
                one[0], method="c14n", with_tail=False
            )
        else:
            assert record.reason is not None
            assert (one[0].get("code"), one[0].text or "") == (record.reason.code, record.reason.text)


def test_budgets_hold() -> None:
    size, longest = len(XML), max(len(line) for line in lines())
    head = XML.index(b"\n<Body>\n") + len(b"\n<Body>\n")
    exact = Limits(document_bytes=size, records=4, record_bytes=longest, header_bytes=head)
    assert parse_batch(XML, limits=exact).header.count.total == 4
    assert build_batch(draft(), lines(), limits=exact).xml == XML
    for code, limits in (
        ("document-too-large", replace(exact, document_bytes=size - 1)),
        ("batch-lines", replace(exact, header_bytes=head - 1)),
        ("batch-too-many-records", replace(exact, records=3)),
        ("record-too-large", replace(exact, record_bytes=longest - 1)),
    ):
        with pytest.raises(PackageError) as caught:
            parse_batch(XML, limits=limits)
        assert caught.value.code == code
    refused("batch-too-many-records", lambda: build_batch(draft(), lines(), limits=replace(exact, records=3)))
    refused("record-too-large", lambda: build_batch(draft(), lines(), limits=replace(exact, record_bytes=longest - 1)))


def test_nothing_is_built_that_cannot_be_read() -> None:
    twice = [*lines(), lines()[0]]
    refused("record-key-repeated", lambda: build_batch(draft(), twice))
    refused("record-line", lambda: build_batch(draft(), [b"<Record/>"]))
    refused("record-line", lambda: build_batch(draft(), [lines()[0] + b"\n"]))
    refused("record-line", lambda: build_batch(draft(), [lines()[0].replace("许可</Name>".encode(), b"a\nb</Name>")]))
    refused("batch-void", lambda: build_batch(draft(void=Void(of=FIRST, reason="")), lines()))
    refused("batch-void", lambda: build_batch(draft(void=Void(of=SECOND, reason="")), []))
    refused("batch-previous", lambda: build_batch(draft(sequence=1), lines()))
    refused("batch-previous", lambda: build_batch(draft(previous_batch_id=None), lines()))
    for wrong in (
        {"batch_id": SECOND.upper()},
        {"sequence": 0},
        {"catalog": "a/b"},
        {"mapping_digest": ""},
        {"salt": b"short"},
        {"sender": Node(code="", name="")},
        {"format": FormatReference(id="a b", version="1")},
        {"checkpoint": "x" * 16385},
    ):
        with pytest.raises(PackageError) as caught:
            build_batch(draft(**wrong), lines())
        assert caught.value.code == "document-value", wrong
    refused("character-not-xml", lambda: build_batch(draft(sender=Node(code="A", name="\x00")), lines()))


def test_a_record_line_says_no() -> None:
    upsert, withdraw, reason = Operation.UPSERT, Operation.WITHDRAW, Reason(code="revoked")
    refused("document-value", lambda: record_line("", 1, upsert, P))
    refused("document-value", lambda: record_line("k", 0, upsert, P))
    refused("document-value", lambda: record_line("k", 1, withdraw, reason=Reason(code="Not a code")))
    refused("document-value", lambda: record_line("k", 1, withdraw, reason=Reason(code="a", text="x" * 2001)))
    refused("character-not-xml", lambda: record_line("\x00", 1, upsert, P))
    refused("character-not-xml", lambda: record_line("k", 1, upsert, body("\x0b")))
    refused("character-not-xml", lambda: record_line("k", 1, upsert, body("\ud800")))
    refused("character-not-xml", lambda: record_line("k", 1, upsert, body("\ufffe")))
    refused("character-not-xml", lambda: record_line("k", 1, upsert, body("局").encode("gb18030")))
    refused("character-not-xml", lambda: record_line("k", 1, withdraw, reason=Reason(code="a", text="\x1f")))
    for wrong in ("", "text", P + "\n", body("a\nb"), body("a\rb"), " " + P):
        with pytest.raises(PackageError) as caught:
            record_line("k", 1, upsert, wrong)
        assert caught.value.code == "record-body", wrong
    refused("record-body", lambda: record_line("k", 1, upsert, "text"))
    refused("record-content", lambda: record_line("k", 1, upsert))
    refused("record-content", lambda: record_line("k", 1, upsert, P, reason))
    refused("record-content", lambda: record_line("k", 1, withdraw))
    refused("record-content", lambda: record_line("k", 1, withdraw, P))
    refused("record-content", lambda: record_line("k", 1, withdraw, P, reason))
    assert record_line("k", 1, upsert, P.encode()) == record_line("k", 1, upsert, P)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_no_change_of_the_document_raises_anything_else_or_goes_unseen(data: st.DataObject) -> None:
    raw = bytearray(XML)
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(PackageError):
        parsed = parse_batch(bytes(raw))
        # The root covers the records; the header is covered by the package's signature alone.
        assert [record.line for record in parsed.records] == lines()
