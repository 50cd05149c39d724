"""Every way in which a batch can be wrong, or can contradict itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from gateway.package.batch import build_batch, parse_batch
from gateway.package.header import Void
from gateway.package.record import Reason
from tests.package.samples import (
    FIRST,
    PERMIT,
    SECOND,
    draft,
    hash_by_hand,
    lines,
    records_of,
    refused,
    valid,
    with_line,
)

XML = build_batch(draft(), lines()).xml


def with_record(line: bytes | str) -> bytes:
    """A batch of this one line, with the figures and the root that belong to it: only the line itself can be wrong."""
    raw = line.encode() if isinstance(line, str) else line
    xml = build_batch(draft(), lines()[:1]).xml
    old = records_of(xml)[0]
    root = hash_by_hand(draft().salt, [raw]).hex().encode()
    if b'op="withdraw"' in raw:
        xml = xml.replace(b'upsert="1" withdraw="0"', b'upsert="0" withdraw="1"')
    return with_line(xml, b"<RecordRoot>", b"<RecordRoot>" + root + b"</RecordRoot>").replace(old, raw)


def record(content: str, *, key: str = "k", version: str = "1", op: str = "upsert") -> bytes:
    return with_record(f'<Record key="{key}" version="{version}" op="{op}">{content}</Record>')


def header(start: str, new: str) -> bytes:
    return with_line(XML, start.encode(), new.encode())


def after_header(line: str) -> bytes:
    return XML.replace(b"</Header>", line.encode() + b"\n</Header>")


def swapped_lines() -> bytes:
    one, two = records_of(XML)[:2]
    return XML.replace(one + b"\n" + two, two + b"\n" + one)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BILLION = f'<!DOCTYPE Batch [<!ENTITY l0 "lol">{LAUGHS}]>\n<Batch '
XXE = '<!DOCTYPE Batch [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<Batch '
P = f'<Permit xmlns="{PERMIT}"/>'

WRONG: list[tuple[str, str, Callable[[], bytes]]] = [
    ("empty", "document-declaration", lambda: b""),
    ("other encoding", "document-declaration", lambda: XML.replace(b"UTF-8", b"GBK", 1)),
    ("byte order mark", "document-declaration", lambda: b"\xef\xbb\xbf" + XML),
    ("utf-16", "document-declaration", lambda: XML.decode().encode("utf-16")),
    ("gb 18030", "document-declaration", lambda: XML.replace(b"UTF-8", b"GB18030", 1)),
    (
        "gb 18030 without saying so",
        "document-not-xml",
        lambda: header("<Receiver", "").replace(
            b"<Catalog>", '<Receiver code="a" name="局"/>\n<Catalog>'.encode("gb18030")
        ),
    ),
    ("external entity", "doctype-forbidden", lambda: XML.replace(b"<Batch ", XXE.encode())),
    ("billion laughs", "doctype-forbidden", lambda: XML.replace(b"<Batch ", BILLION.encode())),
    (
        "external subset",
        "doctype-forbidden",
        lambda: XML.replace(b"<Batch ", b'<!DOCTYPE Batch SYSTEM "http://localhost/">\n<Batch '),
    ),
    ("entity without declaration", "document-not-xml", lambda: header("<Checkpoint>", "<Checkpoint>&x;</Checkpoint>")),
    ("comment", "document-markup", lambda: after_header("<!-- -->")),
    ("instruction", "document-markup", lambda: after_header("<?php ?>")),
    ("cdata", "document-markup", lambda: header("<Checkpoint>", "<Checkpoint><![CDATA[a]]></Checkpoint>")),
    ("another namespace", "document-namespace", lambda: XML.replace(b"batch:1", b"batch:2", 1)),
    ("a prefix", "document-namespace", lambda: XML.replace(b'batch:1"', b'batch:1" xmlns:p="urn:p"', 1)),
    (
        "a namespace in the header",
        "document-namespace",
        lambda: XML.replace(b"<Catalog>", b'<Catalog xmlns="urn:credit-exchange:batch:1">'),
    ),
    ("carriage returns", "batch-lines", lambda: XML.replace(b"\n", b"\r\n")),
    ("a carriage return in the header", "batch-lines", lambda: XML.replace(b"<Header>\n", b"<Header>\r\n")),
    ("body elsewhere", "batch-lines", lambda: XML.replace(b"<Body>\n", b"<Body>")),
    ("body with blanks", "batch-lines", lambda: XML.replace(b"<Body>\n", b"<Body >\n")),
    ("no end", "batch-lines", lambda: XML.removesuffix(b"</Batch>\n")),
    ("more after the end", "batch-lines", lambda: XML + b"<!-- -->"),
    ("blanks without end", "batch-lines", lambda: XML + b" " * 300),
    ("records run into the end", "batch-lines", lambda: XML.replace(b"</Record>\n</Body>", b"</Record></Body>")),
    ("a header without end", "batch-lines", lambda: XML.replace(b"<Checkpoint>", b"<Checkpoint>" + b"x" * 70_000)),
    (
        "another root",
        "document-not-xml",
        lambda: XML.replace(b"<Batch ", b"<Bitch "),
    ),
    ("an attribute on the root", "document-structure", lambda: XML.replace(b"<Batch ", b'<Batch id="1" ')),
    ("an attribute on the header", "document-structure", lambda: XML.replace(b"<Header>", b'<Header id="1">')),
    ("two headers", "document-structure", lambda: XML.replace(b"</Header>\n", b"</Header>\n<Header></Header>\n")),
    ("text in the header", "document-structure", lambda: after_header("more")),
    ("an element missing", "document-structure", lambda: header("<Salt>", "")),
    ("an element twice", "document-structure", lambda: XML.replace(b"<Catalog>", b"<Catalog>a</Catalog>\n<Catalog>")),
    ("an unknown element", "document-structure", lambda: after_header("<Note/>")),
    (
        "elements in another order",
        "document-structure",
        lambda: header("<Sequence>", "").replace(b"<Catalog>", b"<Sequence>2</Sequence>\n<Catalog>"),
    ),
    ("an unknown attribute", "document-structure", lambda: XML.replace(b"<Format ", b'<Format a="b" ')),
    ("a missing attribute", "document-structure", lambda: header("<Format ", '<Format id="credit-2018"/>')),
    ("an attribute on a value", "document-structure", lambda: XML.replace(b"<Salt>", b'<Salt xml:space="preserve">')),
    (
        "text in an empty element",
        "document-structure",
        lambda: header("<Format ", '<Format id="a" version="1"> </Format>'),
    ),
    ("an element in a value", "document-structure", lambda: header("<Catalog>", "<Catalog>a<b/></Catalog>")),
    (
        "two voids",
        "document-structure",
        lambda: after_header(f'<Void of="{FIRST}" reason=""/><Void of="{FIRST}" reason=""/>'),
    ),
    ("very many elements", "document-too-complex", lambda: after_header("<a/>" * 50)),
    ("very deep", "document-too-complex", lambda: header("<Catalog>", "<Catalog><a><b/></a></Catalog>")),
    ("another batch id form", "document-value", lambda: header("<BatchId>", f"<BatchId>{SECOND.upper()}</BatchId>")),
    ("uuid 4", "document-value", lambda: header("<BatchId>", f"<BatchId>{SECOND.replace('-7', '-4')}</BatchId>")),
    (
        "uuid of another variant",
        "document-value",
        lambda: header("<BatchId>", f"<BatchId>{SECOND.replace('-8', '-c')}</BatchId>"),
    ),
    ("uuid with blanks", "document-value", lambda: header("<BatchId>", f"<BatchId> {SECOND}</BatchId>")),
    ("uuid with a line end", "document-value", lambda: header("<BatchId>", f"<BatchId>{SECOND}&#10;</BatchId>")),
    ("sequence 0", "document-value", lambda: header("<Sequence>", "<Sequence>0</Sequence>")),
    ("sequence 02", "document-value", lambda: header("<Sequence>", "<Sequence>02</Sequence>")),
    ("sequence -1", "document-value", lambda: header("<Sequence>", "<Sequence>-1</Sequence>")),
    ("sequence in other digits", "document-value", lambda: header("<Sequence>", "<Sequence>२</Sequence>")),
    ("a very long sequence", "document-value", lambda: header("<Sequence>", f"<Sequence>{'9' * 5000}</Sequence>")),
    (
        "previous is no id",
        "document-value",
        lambda: header("<PreviousBatchId>", "<PreviousBatchId>none</PreviousBatchId>"),
    ),
    ("a slash in a code", "document-value", lambda: XML.replace(b'code="1123', b'code="../1123')),
    ("a path as catalog", "document-value", lambda: header("<Catalog>", "<Catalog>../x</Catalog>")),
    ("a very long name", "document-value", lambda: header("<Sender ", f'<Sender code="A" name="{"x" * 257}"/>')),
    (
        "digest in capitals",
        "document-value",
        lambda: header("<MappingDigest>", f"<MappingDigest>{'0F' * 32}</MappingDigest>"),
    ),
    (
        "digest cut short",
        "document-value",
        lambda: header("<MappingDigest>", f"<MappingDigest>{'0f' * 31}</MappingDigest>"),
    ),
    ("salt cut short", "document-value", lambda: header("<Salt>", "<Salt>00</Salt>")),
    ("local time", "document-value", lambda: header("<CreatedAt>", "<CreatedAt>2026-11-22T14:02:37+08:00</CreatedAt>")),
    ("fractions", "document-value", lambda: header("<CreatedAt>", "<CreatedAt>2026-11-22T06:02:37.5Z</CreatedAt>")),
    ("no such day", "document-value", lambda: header("<CreatedAt>", "<CreatedAt>2026-02-30T06:02:37Z</CreatedAt>")),
    ("count is no figure", "document-value", lambda: XML.replace(b'withdraw="1"', b'withdraw="one"')),
    ("void of nothing", "document-value", lambda: after_header('<Void of="" reason=""/>')),
    ("another sender", "batch-route", lambda: XML.replace(b'<Sender code="1', b'<Sender code="2')),
    ("another receiver", "batch-route", lambda: XML.replace(b'<Receiver code="1', b'<Receiver code="2')),
    ("another catalog", "batch-route", lambda: header("<Catalog>", "<Catalog>administrative-penalty</Catalog>")),
    (
        "route turned round",
        "batch-route",
        lambda: header("<Route>", "<Route>11100000MB7654321Y/administrative-license/11230000MB1234567X</Route>"),
    ),
    ("first with predecessor", "batch-previous", lambda: header("<Sequence>", "<Sequence>1</Sequence>")),
    ("second without", "batch-previous", lambda: header("<PreviousBatchId>", "<PreviousBatchId></PreviousBatchId>")),
    (
        "its own predecessor",
        "batch-previous",
        lambda: header("<PreviousBatchId>", f"<PreviousBatchId>{SECOND}</PreviousBatchId>"),
    ),
    ("void with records", "batch-void", lambda: after_header(f'<Void of="{FIRST}" reason="x"/>')),
    (
        "void of itself",
        "batch-void",
        lambda: build_batch(draft(void=Void(of=FIRST, reason="")), []).xml.replace(
            f'of="{FIRST}'.encode(), f'of="{SECOND}'.encode()
        ),
    ),
    ("total is no sum", "batch-count", lambda: XML.replace(b'total="4"', b'total="5"')),
    ("more than there are", "batch-count", lambda: XML.replace(b'total="4" upsert="2"', b'total="5" upsert="3"')),
    ("fewer than there are", "batch-count", lambda: XML.replace(b'total="4" upsert="2"', b'total="3" upsert="1"')),
    (
        "counted as another operation",
        "batch-count",
        lambda: XML.replace(b'upsert="2" withdraw="1"', b'upsert="1" withdraw="2"'),
    ),
    (
        "withdraw for stop-share",
        "batch-count",
        lambda: XML.replace(b'withdraw="1" stopShare="1"', b'withdraw="2" stopShare="0"'),
    ),
    ("an empty line", "batch-count", lambda: XML.replace(b"</Body>", b"\n</Body>")),
    ("a record dropped", "batch-count", lambda: XML.replace(records_of(XML)[0] + b"\n", b"")),
    ("records swapped", "batch-root", swapped_lines),
    ("a record changed", "batch-root", lambda: XML.replace("许可</Name>".encode(), "不许可</Name>".encode())),
    ("a version changed", "batch-root", lambda: XML.replace(b'version="3"', b'version="4"')),
    ("another salt", "batch-root", lambda: header("<Salt>", f"<Salt>{'00' * 32}</Salt>")),
    ("another root hash", "batch-root", lambda: header("<RecordRoot>", f"<RecordRoot>{'00' * 32}</RecordRoot>")),
    ("a key twice", "record-key-repeated", lambda: XML.replace("3号".encode(), "4号".encode())),
    (
        "a key twice in two spellings",
        "record-key-repeated",
        lambda: XML.replace("〔2026〕3号".encode(), "〔2026〕&#52;号".encode()),
    ),
    ("no record", "record-line", lambda: with_record("<Permit/>")),
    (
        "attributes in another order",
        "record-line",
        lambda: with_record(f'<Record version="1" key="k" op="upsert">{P}</Record>'),
    ),
    (
        "another attribute",
        "record-line",
        lambda: with_record(f'<Record key="k" version="1" op="upsert" a="">{P}</Record>'),
    ),
    (
        "a namespace on the record",
        "record-line",
        lambda: with_record(f'<Record key="k" version="1" op="upsert" xmlns:p="urn:p">{P}</Record>'),
    ),
    ("single quotes", "record-line", lambda: with_record(f'<Record key=\'k\' version="1" op="upsert">{P}</Record>')),
    ("an empty key", "record-line", lambda: record(P, key="")),
    ("a raw tab in the key", "record-line", lambda: record(P, key="a\tb")),
    ("version 0", "record-line", lambda: record(P, version="0")),
    ("version 01", "record-line", lambda: record(P, version="01")),
    ("an unknown operation", "record-line", lambda: record(P, op="delete")),
    ("an empty record", "record-line", lambda: with_record('<Record key="k" version="1" op="upsert"/>')),
    ("nothing inside", "record-line", lambda: record("")),
    ("text inside", "record-line", lambda: record("text")),
    ("text before", "record-line", lambda: record("text" + P)),
    ("a comment before", "record-line", lambda: record("<!-- -->" + P)),
    ("a document type inside", "record-line", lambda: record("<!DOCTYPE a>" + P)),
    ("a declaration inside", "record-line", lambda: record('<?xml version="1.0" encoding="GBK"?>' + P)),
    ("a carriage return inside", "record-line", lambda: record(f'<Permit xmlns="{PERMIT}">\r</Permit>')),
    ("blanks at the end", "record-line", lambda: with_record(f'<Record key="k" version="1" op="upsert">{P}</Record> ')),
    ("text after", "record-line", lambda: record(P + "text")),
    ("text between", "record-not-xml", lambda: record(P + "text" + P)),
    ("two elements", "record-not-xml", lambda: record(P + P)),
    (
        "two records on a line",
        "record-not-xml",
        lambda: with_record(
            f'<Record key="k" version="1" op="upsert">{P}</Record><Record key="l" version="1" op="upsert">{P}</Record>'
        ),
    ),
    ("closed too early", "record-not-xml", lambda: record(P + "</Record></Body></Batch><!-- >")),
    ("an end in a comment", "record-not-xml", lambda: record(P + "<!-- >")),
    ("not closed", "record-not-xml", lambda: record(f'<Permit xmlns="{PERMIT}">')),
    ("closed twice", "record-not-xml", lambda: record(P + "</Permit>")),
    ("a record in a record", "record-namespace", lambda: record('<Record key="l" version="1" op="upsert"></Record>')),
    ("an undeclared prefix", "record-not-xml", lambda: record("<p:Permit/>")),
    ("an undeclared entity", "record-not-xml", lambda: record(f'<Permit xmlns="{PERMIT}">&x;</Permit>')),
    ("a reference to nothing", "record-not-xml", lambda: record(f'<Permit xmlns="{PERMIT}">&#0;</Permit>')),
    ("a control character", "record-not-xml", lambda: record(f'<Permit xmlns="{PERMIT}">\x01</Permit>')),
    ("a noncharacter", "record-not-xml", lambda: record(f'<Permit xmlns="{PERMIT}">\uffff</Permit>')),
    ("a cdata end in text", "record-not-xml", lambda: record(f'<Permit xmlns="{PERMIT}">]]></Permit>')),
    ("an attribute twice", "record-not-xml", lambda: record(f'<Permit xmlns="{PERMIT}" a="" a=""/>')),
    (
        "not utf-8",
        "record-not-xml",
        lambda: with_record(
            f'<Record key="k" version="1" op="upsert"><Permit xmlns="{PERMIT}">局</Permit></Record>'.encode("gb18030")
        ),
    ),
    (
        "a key not utf-8",
        "record-not-xml",
        lambda: with_record(f'<Record key="局" version="1" op="upsert">{P}</Record>'.encode("gb18030")),
    ),
    (
        "half a surrogate pair",
        "record-not-xml",
        lambda: with_record(
            f'<Record key="\ud800" version="1" op="upsert">{P}</Record>'.encode("utf-8", "surrogatepass")
        ),
    ),
    ("no namespace", "record-namespace", lambda: record("<Permit/>")),
    ("namespace taken away", "record-namespace", lambda: record('<Permit xmlns=""/>')),
    ("the batch's own namespace", "record-namespace", lambda: record('<Permit xmlns="urn:credit-exchange:batch:1"/>')),
    ("a reason for an upsert", "record-namespace", lambda: record('<Reason code="revoked"></Reason>')),
    ("content for a withdrawal", "record-content", lambda: record(P, op="withdraw")),
    ("content beside a reason", "record-content", lambda: record('<Reason code="a"></Reason>' + P, op="stop-share")),
    ("a reason without code", "record-content", lambda: record("<Reason></Reason>", op="withdraw")),
    ("an element in a reason", "record-content", lambda: record('<Reason code="a"><b/></Reason>', op="withdraw")),
    ("a cdata end in a reason", "record-content", lambda: record('<Reason code="a">]]></Reason>', op="withdraw")),
    ("an empty reason element", "record-content", lambda: record('<Reason code="a"/>', op="withdraw")),
    ("a very long reason", "document-value", lambda: record(f'<Reason code="a">{"x" * 2001}</Reason>', op="withdraw")),
    ("a very long key", "document-value", lambda: record(P, key="x" * 1025)),
    ("an entity in the key", "reference-invalid", lambda: record(P, key="&x;")),
    ("an ampersand in the key", "reference-invalid", lambda: record(P, key="a & b")),
    ("an ampersand in a reason", "reference-invalid", lambda: record('<Reason code="a">&</Reason>', op="withdraw")),
    ("a reference to nothing in the key", "character-not-xml", lambda: record(P, key="&#1;")),
    ("a noncharacter in the key", "character-not-xml", lambda: record(P, key="\ufffe")),
    (
        "a control character in a reason",
        "character-not-xml",
        lambda: record('<Reason code="a">\x02</Reason>', op="withdraw"),
    ),
]


@pytest.mark.parametrize(("code", "make"), [pytest.param(code, make, id=name) for name, code, make in WRONG])
def test_a_wrong_batch_is_refused(code: str, make: Callable[[], bytes]) -> None:
    xml = make()
    assert xml != XML, "the case does not change anything"
    refused(code, lambda: parse_batch(xml))


def test_the_record_that_is_bent_for_these_tests_holds() -> None:
    assert parse_batch(record(P)).records[0].body == P.encode()
    assert parse_batch(record('<Reason code="a">b</Reason>', op="withdraw")).records[0].reason == Reason(
        code="a", text="b"
    )


def test_errors_name_the_record_by_its_place_and_never_show_it() -> None:
    whole = records_of(XML)
    bent = XML.replace(whole[1], whole[1].replace(b"<Name>", b"<Name>&secret;"))
    error = refused("record-not-xml", lambda: parse_batch(bent))
    assert error.facts["record"] == 2
    assert "secret" not in str(error)


def test_bodies_are_opaque() -> None:
    for content in (
        f'<Record xmlns="{PERMIT}" key="l"><Record/></Record>',
        f'<p:Permit xmlns:p="{PERMIT}" xmlns:q="urn:q" q:a="b&gt;"><q:x/>&#10;</p:Permit>',
        f'<Permit xmlns="{PERMIT}"><!-- c --><?p i?><![CDATA[</Record>]]></Permit>',
        f'<Permit xmlns="{PERMIT}" a="/>">{"<d>" * 500}{"</d>" * 500}</Permit>',
        f'<Permit xmlns="{PERMIT}">\U00020000\ue000\x85\t</Permit>',
    ):
        assert parse_batch(record(content)).records[0].body == content.encode()


def test_a_reason_in_another_namespace_is_a_body() -> None:
    content = f'<Reason xmlns="{PERMIT}" code="a"/>'
    assert parse_batch(record(content)).records[0].body == content.encode()


SCHEMA_TOO = {"document-structure", "document-namespace", "document-value", "document-too-complex", "record-namespace"}
BEYOND_THE_SCHEMA = {"a prefix", "a namespace in the header", "a reason for an upsert"}


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, id=name) for name, code, make in WRONG if code in SCHEMA_TOO and name not in BEYOND_THE_SCHEMA],
)
def test_the_schema_refuses_what_it_can_know(make: Callable[[], bytes]) -> None:
    assert valid("batch-1.xsd", XML)
    assert not valid("batch-1.xsd", make())


def test_one_long_token_does_not_take_quadratic_time() -> None:
    # expat before 2.6.0 rescans a token at each slice of 1 MiB that it is fed: the budgets keep tokens below that.
    huge = f'<Permit xmlns="{PERMIT}" a="{"x" * 60_000_000}"/>'
    started = time.perf_counter()
    refused("record-too-large", lambda: parse_batch(record(huge)))
    assert time.perf_counter() - started < 5
