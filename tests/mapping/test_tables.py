"""Formats of database tables: read strictly, told in full, and their rows are what the catalog's records say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.checkup import check_mappings
from gateway.cli.main import app
from gateway.errors import Findings, MappingError
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.fields_plan import FieldsPlan
from gateway.mapping.table_loader import load_table_format
from gateway.mappings import Mappings
from gateway.package.fields import read_fields
from tests.mapping.document_samples import LICENSE, MAPPINGS, PENALTY, library, records

NAME = "front-tables"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MAPPINGS, tmp_path / "mappings"))


@pytest.mark.parametrize(("catalog", "table", "width"), [(LICENSE, "JH_XZXK", 28), (PENALTY, "JH_XZCF", 30)])
def test_a_row_has_the_short_names_in_their_order(catalog: str, table: str, width: int) -> None:
    fmt = load_table_format(MAPPINGS / "formats" / NAME, library())
    template = next(one for one in fmt.templates if one.catalog == catalog)
    assert (template.table, len(template.columns)) == (table, width)
    rendered = FieldsPlan(fmt, library().catalogs[catalog], library(), "Asia/Shanghai").render(
        records(catalog, {}), SOME_BATCH
    )
    assert rendered.problems.is_empty(), rendered.problems
    texts = read_fields(rendered.frame["body"].item().encode()).texts
    order = [column.heading for column in template.columns]
    assert list(texts) == [name for name in order if name in texts]
    day = "XK_JDRQ" if catalog == LICENSE else "CF_JDRQ"
    assert texts[day].count("-") == 2, "dates as every engine takes them"


def test_what_does_not_fit_the_receiver_s_column_is_told_before_anything_is_sealed() -> None:
    fmt = load_table_format(MAPPINGS / "formats" / NAME, library())
    plan = FieldsPlan(fmt, library().catalogs[LICENSE], library(), "Asia/Shanghai")
    rendered = plan.render(records(LICENSE, {"document_name": "文" * 65}), SOME_BATCH)
    assert [(one["code"], one["source"], one["expected"]) for one in rendered.problems.to_dicts()] == [
        ("too-long", "XK_XKWS", "64")
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        ("format.toml", 'key = "JH_KEY" ', 'key = "JH KEY" ', "table-name-invalid"),
        ("format.toml", 'key = "JH_KEY" ', 'key = "jh_batch_id" ', "table-name-twice"),
        ("format.toml", 'document = "table"\n\n', 'document = "table"\nkind = "x"\n', "catalog-key-unknown"),
        ("format.toml", 'id = "front-tables"', 'id = "other"', "format-id-not-folder"),
        (f"bindings/{LICENSE}.toml", 'table = "JH_XZXK"', 'table = "x; DROP TABLE y"', "table-name-invalid"),
        (f"bindings/{LICENSE}.toml", 'to = "XK_WSH"', 'to = "JH_KEY"', "table-column-control"),
        (f"bindings/{LICENSE}.toml", 'to = "XK_WSH"', 'to = "xk_xdr_mc"', "table-name-twice"),
        (f"bindings/{LICENSE}.toml", 'field = "document_number"', 'batch = "sequence"', "table-column-batch"),
        (f"bindings/{LICENSE}.toml", f'catalog = "{LICENSE}"', f'catalog = "{PENALTY}"', "binding-not-file"),
    ],
)
def test_a_mistake_in_a_format_of_tables_is_told(folder: Path, file: str, old: str, new: str, code: str) -> None:
    path = folder / "formats" / NAME / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(Findings) as refused:
        load_table_format(folder / "formats" / NAME, library())
    found = {finding.code for finding in refused.value.findings}
    assert code in found, found
    assert code in {finding.code for finding in check_mappings(Mappings(folder, "Asia/Shanghai"))}
    for finding in refused.value.findings:
        assert finding.say("en") != finding.say("zh-CN")


def test_a_feedback_table_is_read_from_the_format(folder: Path) -> None:
    path = folder / "formats" / NAME / "format.toml"
    lines = path.read_text("utf-8").splitlines()
    start = lines.index(next(line for line in lines if line.startswith("# [feedback]")))
    for number in range(start, start + 7):
        lines[number] = lines[number].removeprefix("# ")
    path.write_text("\n".join(lines), "utf-8")
    told = load_table_format(folder / "formats" / NAME, library()).feedback
    assert told is not None
    assert (told.table, told.batch, told.message) == ("JH_FEEDBACK", "JH_BATCH_ID", "JH_MESSAGE")


def test_tables_cannot_be_received_and_the_command_line_tells_of_them(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="format-of-sheets"):
        Mappings(MAPPINGS, "Asia/Shanghai").format(NAME)
    told = CliRunner().invoke(app, ["mapping", "explain", NAME, "--mappings", str(MAPPINGS), "--json"])
    assert len(json.loads(told.stdout)[LICENSE]["columns"]) == 28
    shown = CliRunner().invoke(app, ["mapping", "explain", NAME, "--mappings", str(MAPPINGS)], env={"COLUMNS": "200"})
    assert "JH_XZXK" in shown.stdout
    row = tmp_path / "row.json"
    cells = {
        "XDR_NAME": "示例公司", "XDR_TYPE": "02", "XDR_USCC": "91230500MA1B3N1N2M", "FR_NAME": "示例人", "WS_NAME": "决定书", "WS_NO": "1号",
        "XK_TYPE": "01", "XK_CONTENT": "准予", "JD_DATE": "2026-07-06", "VALID_FROM": "2026-07-06", "JG_NAME": "示例局",
        "JG_USCC": "11230700001001013H", "ZT": "有效", "LY_NAME": "示例局", "LY_USCC": "11230700001001013H",
    }  # fmt: skip
    row.write_text(json.dumps(cells, ensure_ascii=False), "utf-8")
    tried = CliRunner().invoke(
        app,
        ["mapping", "try", "permits-local", "--row", str(row), "--format", NAME, "--mappings", str(MAPPINGS), "--json"],
    )
    assert json.loads(tried.stdout)["format_problems"] == []
    assert tried.exit_code == 0
