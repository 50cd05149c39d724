"""Payment orders in a bank's schema: parts within parts, a choice in every row, and the same schema for one document a batch."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from lxml import etree

from gateway.errors import MappingError
from gateway.mapping.canonical import encode
from gateway.mappings import Mappings
from tests.mapping import payment_texts as texts
from tests.mapping.foreign import Folder, packaged, write_folder

ISO = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.03}"
BINDING = "formats/transfer/bindings/transfers.toml"


def made(home: Path, written: dict[str, str]) -> Folder:
    folder = Folder(home=home, mapping="transfer-rows", format="transfer", schema="pain.001.001.03.xsd")
    return write_folder(home, written, [packaged("sepaxml", "schemas", "pain.001.001.03.xsd")], folder)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return made(tmp_path, texts.TEXTS)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text(texts.ROWS, "utf-8")
    return file


def test_parts_within_parts_make_a_valid_message(folder: Folder, rows: Path) -> None:
    assert {code for code, _ in folder.check()} == {"coverage-field-unsent", "coverage-narrower"}
    (document,), said = folder.write(rows)
    assert said["problems"] == []
    payments = etree.fromstring(document).findall(f".//{ISO}PmtInf")
    told = [[order.text for order in payment.iter(f"{ISO}EndToEndId")] for payment in payments]
    assert told == [["O1", "O2"], ["O1"]]
    accounts = [
        [child.tag.removeprefix(ISO) for child in one.iterfind(f".//{ISO}CdtrAcct/{ISO}Id/*")] for one in payments
    ]
    assert accounts == [["IBAN", "Othr"], []]
    amounts = [(one.get("Ccy"), one.text) for one in etree.fromstring(document).iter(f"{ISO}InstdAmt")]
    assert amounts == [("EUR", "100"), ("CNY", "1.5"), ("EUR", "7")]


def test_a_receiver_reads_the_parts_back(folder: Folder, rows: Path) -> None:
    mappings = Mappings(folder.home / "mappings", "Asia/Shanghai")
    plan = mappings.record_plan("transfer-rows")
    document = mappings.document_plan("transfer", plan.catalog)
    frame = pl.read_csv(rows, infer_schema=False).with_row_index("@row").with_columns(pl.col("@row").cast(pl.String))
    records = plan.map(frame).records
    (body,) = document.render(records).frame["body"]
    read = document.read([body.encode()])
    assert read.problems.is_empty(), read.problems
    assert encode(read.records.with_columns(records["unit"]), plan.catalog)[1] == encode(records, plan.catalog)[1]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("DE02120300000000202051,,", "DE02120300000000202051,6222,", ("payee_iban", "must-be-empty")),
        ("DE02120300000000202051", "none", ("payee_iban", "pattern-mismatch")),
        ("COBADEFFXXX,O2", "COBA,O2", ("payer_bank", "rows-disagree")),
        ("BNPAFRPP", "BNP", ("payer_bank", "pattern-mismatch")),
        ("1.50,CNY", "1.50,cny", ("currency", "pattern-mismatch")),
        ("7,EUR", "-7,EUR", ("amount", "decimal-out-of-range")),
        ("P2,2026-03-06", "P2,", ("due_on", "required-missing")),
    ],
)
def test_a_fault_deep_in_a_record_is_named(
    folder: Folder, rows: Path, old: str, new: str, expected: tuple[str, str]
) -> None:
    assert old in texts.ROWS
    rows.write_text(texts.ROWS.replace(old, new), "utf-8")
    documents, said = folder.write(rows)
    assert documents == []
    assert [(one["field"], one["code"]) for one in said["problems"]] == [expected]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('value = "TRF"', 'value = "TRANSFER"', "coverage-never-fits"),
        ('  { to = "CstmrCdtTrfInitn/PmtInf/PmtMtd", rules = [{ rule = "constant", value = "TRF" }] },\n', "", "coverage-unbound"),
        ('  { to = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/Amt/InstdAmt/@Ccy", field = "currency", empty = "reject" },\n', "", "coverage-unbound"),
        ('orders = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf"', 'orders = "CstmrCdtTrfInitn/PmtInf"', "binding-path-twice"),
        (', orders = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf"', "", "binding-part-unrepeated"),
        ("GrpHdr/MsgId\"", "GrpHdr/MsgId[2]\"", "binding-place-too-many"),
        ('GrpHdr/MsgId", field = "message", empty = "reject"', 'GrpHdr/MsgId", batch = "sequence"', "binding-batch-record"),
        ('field = "purpose", empty = "omit"', 'field = "purpose", empty = "blank"', "coverage-blank"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_binding_is_told(folder: Folder, old: str, new: str, code: str) -> None:
    folder.edit(BINDING, old, new)
    assert code in {found for found, _ in folder.check()}


def test_one_document_holds_all_records_of_a_batch(tmp_path: Path) -> None:
    folder = made(tmp_path, texts.ONE_TEXTS)
    rows = tmp_path / "rows.csv"
    rows.write_text(texts.ONE_ROWS, "utf-8")
    assert {code for code, _ in folder.check()} == {"coverage-narrower"}
    (document,), said = folder.write(rows)
    assert [one["keys"] for one in said["documents"]] == [["P1", "P2"]]
    assert [(one["@row"], one["field"], one["code"]) for one in said["problems"]] == [
        ("rows.csv:4", "payer_account", "pattern-mismatch")
    ]
    message = etree.fromstring(document)
    assert message.findtext(f".//{ISO}NbOfTxs") == "2"
    assert len(message.findall(f".//{ISO}PmtInf")) == 2


def test_a_whole_document_never_stands_in_a_batch(tmp_path: Path) -> None:
    folder = made(tmp_path, texts.ONE_TEXTS)
    mappings = Mappings(folder.home / "mappings", "Asia/Shanghai")
    plan = mappings.record_plan("transfer-rows")
    document = mappings.document_plan("transfer", plan.catalog)
    rows = pl.DataFrame({"@row": ["1"]}).with_columns(pl.lit("x").alias(column) for column in plan.fields_by_column())
    with pytest.raises(MappingError) as refused:
        document.render(plan.map(rows).records)
    assert refused.value.code == "format-whole"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('records = "CstmrCdtTrfInitn/PmtInf"', 'records = "CstmrCdtTrfInitn/GrpHdr"', "binding-repeat-once"),
        ('batch = "sequence"', 'field = "payment", empty = "reject"', "binding-record-outside"),
        ('batch = "sequence"', 'batch = "id"', "coverage-never-fits"),
        ('batch = "sequence"', 'batch = "number"', "catalog-choice-unknown"),
        ('batch = "sequence"', 'batch = "sequence", field = "payment", empty = "omit"', "binding-batch-field"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_whole_document_is_told(tmp_path: Path, old: str, new: str, code: str) -> None:
    folder = made(tmp_path, texts.ONE_TEXTS)
    folder.edit(BINDING, old, new)
    assert code in {found for found, _ in folder.check()}
