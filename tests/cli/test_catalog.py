"""``gateway catalog``: lists, shows, compares, exports, and knows what of our wants has come."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import fastexcel
import pytest
from typer.testing import CliRunner

from gateway.catalog.difference import differences
from gateway.catalog.loader import load_catalogs
from gateway.cli.main import app
from gateway.errors import Findings
from tests.mapping.document_samples import MAPPINGS

WANT = """id = "province"
version = "1"
zh = "省平台"
en = "Province"

[[want]]
catalog = "red-list"
fields = ["subject_code"]
purpose = "联合激励"
every = "month"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    return tmp_path / "mappings"


def said(*words: str, folder: Path, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["catalog", *words, "--mappings", str(folder), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_the_bare_command_lists(folder: Path) -> None:
    bare, listed = said(folder=folder), said("list", folder=folder)
    assert bare == listed
    assert {one["id"] for one in listed["catalogs"]} == set(load_catalogs(MAPPINGS).catalogs)
    assert {one["received"] for one in listed["wants"]} == {None}


def test_one_catalog_is_shown(folder: Path) -> None:
    shown = said("show", "red-list", folder=folder)
    assert shown["id"] == "red-list"
    assert shown["deadline"]["profile"] is True
    words = ["catalog", "show", "red-list", "--mappings", str(folder)]
    plain = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert "统一社会信用代码" in plain.stdout


def test_what_changed_is_told(folder: Path) -> None:
    assert said("diff", str(MAPPINGS), folder=folder) == []
    file = folder / "catalogs" / "commendation.toml"
    text = file.read_text("utf-8").replace('version = "1"', 'version = "2"')
    text = text.replace(
        "[fields.level]",
        '[fields.medal]\nzh = "奖章"\nen = "Medal"\ntype = "text"\ndisclosure = "public"\n\n[fields.level]',
    )
    file.write_text(text.replace("max_length = 4000", "max_length = 3000"), "utf-8")
    (folder / "catalogs" / "performance.toml").unlink()
    found = {
        (one["catalog"], one["place"], one["entry"], one["before"], one["after"])
        for one in said("diff", str(MAPPINGS), folder=folder, code=1)
    }
    assert found == {
        ("commendation", "catalog", "version", "1", "2"),
        ("commendation", "fields.medal", "", "", "奖章"),
        ("commendation", "fields.content", "max_length", "4000", "3000"),
        ("performance", "catalog", "", "1", ""),
    }
    assert said("diff", str(MAPPINGS), "red-list", folder=folder) == []


def test_an_order_that_changed_is_a_difference() -> None:
    catalog = load_catalogs(MAPPINGS).catalogs["red-list"]
    turned = type(catalog)(
        **{**{name: getattr(catalog, name) for name in catalog.__slots__}, "fields": catalog.fields[::-1]}
    )
    (found,) = differences(catalog, turned)
    assert (found.place, found.entry) == ("fields", "order")
    assert differences(catalog, catalog) == ()


def test_the_sheets_can_be_read_with_a_spreadsheet_program(folder: Path, tmp_path: Path) -> None:
    words = ["catalog", "export", "red-list", "person", "--out", str(tmp_path / "c.xlsx"), "--mappings", str(folder)]
    assert CliRunner().invoke(app, words).exit_code == 0
    book = fastexcel.read_excel(tmp_path / "c.xlsx")
    assert book.sheet_names == ["目录", "信息项", "代码表", "共享需求"]
    catalogs = book.load_sheet("目录").to_polars()
    assert catalogs["目录编码"].to_list() == ["red-list", "person"]
    items = book.load_sheet("信息项").to_polars()
    library = load_catalogs(MAPPINGS)
    assert items.height == sum(len(library.catalogs[name].fields) for name in ("red-list", "person"))
    (row,) = items.filter(items["信息项编码"] == "person_id").to_dicts()
    assert (row["公开属性"], row["个人信息"], row["代码表"]) == ("政务共享", "是", None)
    assert "身份证" in book.load_sheet("代码表").to_polars()["代码"].to_list()
    again = CliRunner().invoke(app, words)
    assert again.exit_code != 0


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('catalog = "red-list"', 'catalog = "pink-list"', "demand-catalog"),
        ('["subject_code"]', '["subject"]', "catalog-field-unknown"),
        ('every = "month"', 'every = "month"\nprovider = "1"', "demand-provider"),
        ('every = "month"', 'every = "hour"', "catalog-choice-unknown"),
        ('id = "province"', 'id = "town"', "catalog-id-not-file"),
        ("[[want]]", "[[wish]]", "catalog-key-unknown"),
    ],
)
def test_a_mistake_in_a_demand_is_told(folder: Path, old: str, new: str, code: str) -> None:
    (folder / "demands" / "province.toml").write_text(WANT.replace(old, new), "utf-8")
    with pytest.raises(Findings) as refused:
        load_catalogs(folder)
    assert code in {finding.code for finding in refused.value.findings}
