"""The table in ``mappings/README.md`` that says which catalog can be written in which format: made from the folders, held here.

``python -m tests.mapping.test_catalog_formats`` prints it anew.
"""

from __future__ import annotations

import sys

import pytest
from xmlschema import XMLSchema10

from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mappings import Mappings
from tests.mapping.document_samples import LICENSE, MAPPINGS, PENALTY, library, records

BEGIN, END = "<!-- table: catalogs and formats -->\n", "<!-- end of table -->\n"


def table() -> str:
    """Catalogs down, formats across."""
    mappings = Mappings(MAPPINGS, "Asia/Shanghai")
    takes: dict[str, dict[str, str]] = {}
    for name in mappings.format_names():
        if mappings.is_sheet_format(name):
            sheets = mappings.sheet_format(name)
            counted = [template.catalog for template in sheets.templates]
            takes[name] = {one: f"{sheets.type} × {counted.count(one)}" for one in counted}
        elif mappings.document_of(name) == "json":
            takes[name] = dict.fromkeys(mappings.json_format(name).catalogs(), "JSON")
        elif mappings.is_table_format(name):
            takes[name] = {one.catalog: f"表 `{one.table}`" for one in mappings.table_format(name).templates}
        else:
            fmt = mappings.format(name)
            takes[name] = dict.fromkeys(fmt.bindings, "XML" if fmt.document == "record" else "XML（整份）")
    lines = ["| 目录 · catalog | " + " | ".join(f"`{name}`" for name in takes) + " |", "|---" * (len(takes) + 1) + "|"]
    for catalog in mappings.library.catalogs.values():
        cells = " | ".join(found.get(catalog.id, "") for found in takes.values())
        lines.append(f"| {catalog.zh} `{catalog.id}` | {cells} |")
    return "\n".join(lines) + "\n"


def test_the_table_is_what_the_folders_say() -> None:
    text = (MAPPINGS / "README.md").read_text("utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == table(), (
        "python -m tests.mapping.test_catalog_formats prints it"
    )


@pytest.mark.parametrize("catalog", [LICENSE, PENALTY])
def test_messages_of_header_and_fields_are_whole_documents(catalog: str) -> None:
    mappings = Mappings(MAPPINGS, "Asia/Shanghai")
    fmt = mappings.format("message-fields")
    plan = mappings.document_plan(fmt, library().catalogs[catalog])
    made = plan.documents(records(catalog, {}, {"document_number": "第2号"}), SOME_BATCH)
    assert made.problems.is_empty(), made.problems
    schema = XMLSchema10(str(MAPPINGS / "formats" / "message-fields" / "message-fields.xsd"))
    assert [keys for _, keys in made.documents] == [("0",), ("1",)]
    for document, _ in made.documents:
        schema.validate(document.decode())
        assert f"<flow>{SOME_BATCH.id}</flow>" in document.decode()
    text = made.documents[1][0].decode()
    assert ("<XK_WSH>第2号</XK_WSH>" in text) == (catalog == LICENSE)
    assert "<SJC>2026/01/02</SJC>" in text


if __name__ == "__main__":
    sys.stdout.write(table())
