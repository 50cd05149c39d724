"""Records of several rows, from a table to the receiver's store, in the format of the README's recipe: the whole way between two nodes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.mapping.document_samples import MAPPINGS
from tests.nodes import BUREAU, Folder, Nodes, lay_nodes, run_once

STEP = re.compile(r"^<!-- recipe: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COLUMNS = (
    "合同编号",
    "合同名称",
    "签订日期",
    "发包人",
    "发包人代码",
    "承包人",
    "标段",
    "类别",
    "金额",
    "完工",
    "应完工",
)
# What the receiver of the recipe does not want and a receiving node's own catalog does.
MORE = {
    '<xs:attribute name="number" type="xs:token" use="required"/>': '<xs:attribute name="number" type="xs:token" use="required"/>'
    '<xs:attribute name="signed" type="xs:date" use="required"/><xs:attribute name="owner" type="xs:token" use="required"/>',
    "bind = [\n": 'bind = [\n  { to = "@signed", field = "signed_on", empty = "reject" },\n'
    '  { to = "@owner", field = "owner_code", empty = "reject" },\n',
}


def section(contract: int, number: int, **changes: object) -> dict[str, object]:
    row = (
        f"HT-{contract}",
        "公路改建",
        "2026-03-02",
        "林业局",
        BUREAU,
        "路桥公司",
        number,
        "公路",
        "100.5",
        None,
        None,
    )
    return {**dict(zip(COLUMNS, row, strict=True)), **changes}


def lay_recipe(folder: Folder) -> None:
    for name, body in STEP.findall((MAPPINGS / "README.md").read_text("utf-8")):
        if not name.startswith("out/") and not name.endswith(".csv"):
            changed = body
            for old, new in MORE.items():
                changed = changed.replace(old, new)
            file = folder.path / "mappings" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(changed, "utf-8")


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    source = (
        f'kind = "sql"\nmapping = "contracts-csv"\nurl = "sqlite:///{tmp_path}/business.db"\n'
        'query = "SELECT * FROM permits ORDER BY 1"\n'
    )
    nodes = lay_nodes(tmp_path, source)
    for folder in (nodes.bureau, nodes.province):
        lay_recipe(folder)
    file = nodes.province.path / "config.toml"
    allowed = 'allow = { bureau = ["contracts"] }\nformat = "contracts"'
    file.write_text(
        file.read_text("utf-8").replace('allow = { bureau = ["administrative-license"] }', allowed), "utf-8"
    )
    return nodes


def as_contracts(nodes: Nodes) -> None:
    file = nodes.bureau.path / "config.toml"
    told = file.read_text("utf-8").replace('catalog = "administrative-license"', 'catalog = "contracts"')
    file.write_text(told.replace('format = "credit-2018"', 'format = "contracts"'), "utf-8")


async def test_records_of_several_rows_go_the_whole_way(nodes: Nodes) -> None:
    rows = [section(contract, number) for contract in (1, 2, 3) for number in (1, 2)]
    nodes.business.write([*rows, section(4, 1, 金额="dear"), section(4, 2)], COLUMNS)
    async with nodes.province_listening() as province:
        as_contracts(nodes)
        with nodes.bureau.open() as bureau:
            first = await run_once(bureau)
            assert (first.rows, first.sealed, first.quarantined, first.answered.created) == (4, 3, 1, 3)
            assert first.quarantined_by == {"decimal-invalid": 1}
            assert (await run_once(bureau)).sealed == 0
            # A section more is a change of its contract; one that is gone is none of the others'.
            rows = [*rows[:2], section(1, 3, 类别="桥梁"), *rows[2:5]]
            nodes.business.write(rows, COLUMNS)
            second = await run_once(bureau)
            assert (second.rows, second.sealed, second.answered.updated, second.unchanged) == (3, 2, 2, 1)
        with province.database.read() as conn:
            held = dict(conn.execute(text("SELECT key, content FROM inbox_record")).tuples().all())
    assert sorted(held) == ["HT-1", "HT-2", "HT-3"]
    sections = {key: [one["section"] for one in json.loads(content)["sections"]] for key, content in held.items()}
    assert sections == {"HT-1": ["1", "2", "3"], "HT-2": ["1", "2"], "HT-3": ["1"]}
