"""Sealed batches of whole XML as documents: the same bytes at each attempt, rows of parts where they stood, nothing lost without a word."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from lxml import etree

from gateway.checkup import check_mappings
from gateway.delivery.carry import FormatCarrier
from gateway.delivery.carry_xml import XmlCarrier
from gateway.errors import DeliveryError, MappingError
from gateway.exchange.recorder import Told
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.format_model import Format
from gateway.mappings import Mappings
from gateway.package.batch import ParsedBatch, build_batch, parse_batch
from gateway.package.container import BATCH, open_package
from gateway.package.fields import read_fields
from gateway.package.header import FormatReference
from gateway.package.record import Operation, Reason, record_line
from gateway.package.sealing import seal
from tests.mapping import payment_texts
from tests.mapping.document_samples import LICENSE, MAPPINGS, records
from tests.mapping.test_foreign_payment import ISO, made
from tests.package.samples import NOW, RECEIVER, SENDER, draft, ecdsa

FORMAT = "message-fields"
ZONE = "Asia/Shanghai"
STAMP = f"{NOW.astimezone(ZoneInfo(ZONE)):%Y%m%d%H%M%S}"


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return Mappings(MAPPINGS, ZONE)


@pytest.fixture(scope="module")
def bodies(mappings: Mappings) -> list[str]:
    writing = mappings.writing(FORMAT, mappings.catalog(LICENSE))
    sent = records(LICENSE, {}, {"document_number": '第<2>号 & "其他"\n第二行'})
    return writing.bodies.render(sent, SOME_BATCH).frame["body"].to_list()


def carrier_of(mappings: Mappings, fmt: Format | None = None) -> XmlCarrier:
    def format_of(name: str) -> Format:
        return fmt or mappings.format(name)

    return XmlCarrier(
        format_of, lambda name, catalog: mappings.whole_plan(name, mappings.catalog(catalog)), ZoneInfo(ZONE)
    )


def sealed(*bodies: str, gone: str = "") -> bytes:
    lines = [record_line(f"K{number}", 1, Operation.UPSERT, one) for number, one in enumerate(bodies)]
    if gone:
        lines.append(record_line(gone, 2, Operation.WITHDRAW, reason=Reason(code="revoked", text="撤 <销>")))
    built = build_batch(draft(catalog=LICENSE, format=FormatReference(id=FORMAT, version="1")), lines)
    return seal(BATCH, built.xml, ecdsa().signer, NOW)


def test_each_record_is_a_file_and_tells_its_own_batch(mappings: Mappings, bodies: list[str]) -> None:
    carrier, package = FormatCarrier(lambda _id: carrier_of(mappings)), sealed(*bodies, gone="<K&9>")
    first, second, gone = carrier.carry(package)
    assert carrier.carry(package) == (first, second, gone), "the same bytes at each attempt"
    assert [one.name for one in (first, second, gone)] == [
        f"xzxk_{STAMP}_000002_000001.xml",
        f"xzxk_{STAMP}_000002_000002.xml",
        f"cxqd_{STAMP}_000002.xml",
    ]
    assert first.answer == f"xzxk_{STAMP}_000002_000001_反馈.csv"
    assert [list(one.keys) for one in (first, second, gone)] == [["K0"], ["K1"], ["<K&9>"]]
    message = etree.fromstring(second.data)
    assert message.findtext("Body/fields/XK_WSH") == '第<2>号 & "其他"\n第二行'
    # The batch's own facts, whatever batch the records were written for.
    header = draft()
    said = [message.findtext(f"Header/{name}") for name in ("sender", "receiver", "flow", "sn")]
    assert said == [SENDER.code, RECEIVER.code, header.batch_id, "2"]
    assert message.findtext("Body/fields/SJC") == f"{NOW.astimezone(ZoneInfo(ZONE)):%Y/%m/%d}"
    assert SOME_BATCH.id.encode() not in second.data
    (row,) = etree.fromstring(gone.data)
    assert {cell.tag: cell.text for cell in row} == {
        "记录编号": "<K&9>", "操作": "撤销", "原因代码": "revoked", "原因": "撤 <销>",
    }  # fmt: skip
    answered = carrier.read(second, "序号,结果,代码,说明\n1,失败,E1,重复\n".encode())
    assert list(answered.told) == [Told(key="K1", accepted=False, code="E1", message="重复")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f'template="{LICENSE}"', 'template="another"'),
        ('name="Body/fields/XK_NR"', 'name="Body/fields/GONE"'),
        ('name="Body/fields/XK_NR"', 'name="Body/fields/XK_NR #2"'),
        ('name="Body/fields/XK_NR"', 'name="Header/sn"'),
    ],
)
def test_what_the_format_has_no_place_for_any_more_is_not_dropped(
    mappings: Mappings, bodies: list[str], old: str, new: str
) -> None:
    assert old in bodies[0]
    with pytest.raises(DeliveryError) as raised:
        carrier_of(mappings).files(_parsed(sealed(bodies[0].replace(old, new))))
    assert raised.value.code == "sheets-template-unknown"


def test_what_the_schema_would_refuse_never_leaves(mappings: Mappings, bodies: list[str]) -> None:
    day = '<Field name="Body/fields/XK_JDRQ">2019/09/01</Field>'
    assert day in bodies[0]
    for spoilt in (day.replace("2019/09/01", "1.9.2019"), ""):
        with pytest.raises(MappingError) as raised:
            carrier_of(mappings).files(_parsed(sealed(bodies[0].replace(day, spoilt))))
        assert raised.value.code == "gate-refused"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"withdrawn": None}, "sheets-withdrawal"),
        ({"feedback": None}, "sheets-feedback-unsaid"),
        ({"bindings": {}}, "xml-file-unsaid"),
    ],
)
def test_a_format_that_says_too_little_refuses(
    mappings: Mappings, bodies: list[str], change: Mapping[str, object], code: str
) -> None:
    fmt = mappings.format(FORMAT)
    if "bindings" in change:
        change = {"bindings": {LICENSE: replace(fmt.bindings[LICENSE], file=None)}}
    with pytest.raises(DeliveryError) as raised:
        carrier_of(mappings, replace(fmt, **change)).files(_parsed(sealed(bodies[0], gone="K9")))  # type: ignore[arg-type]  # a test names what it bends
    assert raised.value.code == code


def test_rows_within_rows_come_back_where_they_stood(tmp_path: Path) -> None:
    """Parts within parts in a document of one record: what is carried is what would have been written at once."""
    texts = {**payment_texts.TEXTS, "formats/transfer/format.toml": payment_texts.WHOLE_FORMAT}
    folder = made(tmp_path, texts)
    (document,) = _round(folder.home, payment_texts.ROWS)
    folder.hold([document])
    payments = etree.fromstring(document).findall(f".//{ISO}PmtInf")
    assert [len(one.findall(f"{ISO}CdtTrfTxInf")) for one in payments] == [2, 1]


def test_records_together_in_a_document_come_back_too(tmp_path: Path) -> None:
    folder = made(tmp_path, payment_texts.ONE_TEXTS)
    (document,) = _round(folder.home, payment_texts.ONE_ROWS)
    folder.hold([document])
    assert etree.fromstring(document).findtext(f".//{ISO}NbOfTxs") == "2"


def _round(home: Path, rows: str) -> list[bytes]:
    """The documents of rows by way of sealed bodies, which are those written at once."""
    mappings = Mappings(home / "mappings", ZONE)
    plan = mappings.record_plan("transfer-rows")
    frame = pl.read_csv(rows.encode(), infer_schema=False).with_row_index("@row").cast({"@row": pl.String})
    sent = plan.map(frame).records
    whole = mappings.whole_plan("transfer", plan.catalog)
    facts = replace(SOME_BATCH, created_at=SOME_BATCH.created_at.astimezone(ZoneInfo(ZONE)))
    written = [read_fields(one.encode()) for one in whole.render(sent, facts).frame["body"]]
    assert all(whole.knows(one) for one in written)
    carried = [data for data, _ in whole.carry(written, facts)]
    at_once = mappings.document_plan("transfer", plan.catalog).documents(sent, facts)
    assert carried == [data for data, _ in at_once.documents]
    return carried


def test_a_record_against_the_schema_stays_out(tmp_path: Path) -> None:
    """What only the whole document shows is told of its record, in a batch of others."""
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    schema = tmp_path / "mappings" / "formats" / FORMAT / "message-fields.xsd"
    text = schema.read_text("utf-8")
    unique = '<xs:unique name="u"><xs:selector xpath="Body/fields/*"/><xs:field xpath="."/></xs:unique>'
    cut = '  </xs:element>\n  <xs:simpleType name="Guid">'
    assert text.count(cut) == 1
    schema.write_text(text.replace(cut, f"{unique}\n{cut}"), "utf-8")
    mappings = Mappings(tmp_path / "mappings", ZONE)
    sent = records(LICENSE, {}, {"document_number": "重", "document_name": "重"})
    rendered = mappings.writing(FORMAT, mappings.catalog(LICENSE)).bodies.render(sent, SOME_BATCH)
    assert rendered.frame["@key"].to_list() == ["0"]
    assert {(one["@key"], one["weight"]) for one in rendered.problems.to_dicts()} == {("1", "reject")}


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "key"),
    [
        ("bindings/administrative-license.toml", "{sequence}", "{number}", "sheet-file-mark", "file"),
        ("bindings/administrative-license.toml", 'file = "xzxk_', 'file = "a/b_', "sheet-file-name", "file"),
        ("bindings/administrative-license.toml", 'file = "', 'files = "', "catalog-key-unknown", "files"),
        ("bindings/administrative-license.toml", 'file = "xzxk_{yyyyMMddHHmmss}_{sequence}"\n', "", "xml-file-missing", "file"),
        ("format.toml", "cxqd_{yyyyMMddHHmmss}", "cxqd_{hour}", "sheet-file-mark", "withdrawn"),
        ("format.toml", 'file = "{file}_反馈"', 'file = "反馈"', "sheet-file-name", "feedback.file"),
        ("format.toml", 'type = "csv"', 'type = "xml"', "catalog-choice-unknown", "feedback.type"),
        ("format.toml", 'receiver = "', '# "', "xml-head-missing", "receiver"),
        ("format.toml", 'sealing = "', '# "', "xml-head-missing", "sealing"),
    ],
)  # fmt: skip
def test_the_check_names_what_is_missing_or_wrong(
    tmp_path: Path, file: str, old: str, new: str, code: str, key: str
) -> None:
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    path = tmp_path / "mappings" / "formats" / FORMAT / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    found = [one for one in check_mappings(Mappings(tmp_path / "mappings", ZONE)) if one.file == str(path)]
    assert (code, key) in {(one.code, one.key) for one in found}
    for one in found:
        assert one.say("zh-CN") != one.say("en")


def test_single_records_make_no_files(tmp_path: Path) -> None:
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    folder = tmp_path / "mappings" / "formats" / "credit-2018"
    for name, at, line in (
        ("format.toml", "xsd = ", 'withdrawn = "x"\n'),
        ("bindings/administrative-license.toml", "root = ", 'file = "x"\n'),
    ):
        text = (folder / name).read_text("utf-8")
        (folder / name).write_text(text.replace(at, line + at, 1), "utf-8")
    found = check_mappings(Mappings(tmp_path / "mappings", ZONE))
    assert [(one.code, one.key) for one in found if one.code == "format-no-files"] == [
        ("format-no-files", "withdrawn"),
        ("format-no-files", "file"),
    ]


def test_a_format_is_compiled_once(mappings: Mappings) -> None:
    catalog = mappings.catalog(LICENSE)
    assert mappings.whole_plan(FORMAT, catalog) is mappings.whole_plan(FORMAT, catalog)
    assert mappings.json_plans("message-json", catalog) is mappings.json_plans("message-json", catalog)
    assert mappings.json_format("message-json") is mappings.json_format("message-json")


def _parsed(package: bytes) -> ParsedBatch:
    return parse_batch(open_package(package).document)
