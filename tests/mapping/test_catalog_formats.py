"""The table in ``mappings/README.md`` that says which catalog can be written in which format, and the one that says which test
sends it for real: made from the folders and the tests, held here.

``python -m tests.mapping.test_catalog_formats`` prints it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

import pytest
from xmlschema import XMLSchema10

from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.format_model import Format
from gateway.mappings import Mappings
from tests.mapping.document_samples import LICENSE, MAPPINGS, PENALTY, library, records
from tests.sendings import MODES, sendings
from tests.ways import modes_of

BEGIN, END = "<!-- table: catalogs and formats -->\n", "<!-- end of table -->\n"
SENT, SENT_END = "<!-- table: what is sent -->\n", "<!-- end of what is sent -->\n"


def table() -> str:
    """Catalogs down, formats across."""
    mappings = Mappings(MAPPINGS, "Asia/Shanghai")
    takes: dict[str, dict[str, str]] = {}
    for name in mappings.format_names():
        if mappings.document_of(name) == "sheet":
            sheets = mappings.sheet_format(name)
            counted = [template.catalog for template in sheets.templates]
            takes[name] = {one: f"{sheets.type} × {counted.count(one)}" for one in counted}
        elif mappings.document_of(name) == "json":
            takes[name] = dict.fromkeys(mappings.json_format(name).catalogs(), "JSON")
        elif mappings.document_of(name) == "table":
            takes[name] = {one.catalog: f"表 `{one.table}`" for one in mappings.table_format(name).templates}
        else:
            fmt = mappings.format(name)
            takes[name] = dict.fromkeys(fmt.bindings, "XML" if fmt.document == "record" else "XML（整份）")
    lines = ["| 目录 · catalog | " + " | ".join(f"`{name}`" for name in takes) + " |", "|---" * (len(takes) + 1) + "|"]
    for catalog in mappings.library.catalogs.values():
        cells = " | ".join(found.get(catalog.id, "") for found in takes.values())
        lines.append(f"| {catalog.zh} `{catalog.id}` | {cells} |")
    return "\n".join(lines) + "\n"


def sent() -> str:
    """A row for each catalog in each format, a column for each mode; a cell names the tests by the numbers of the list below."""
    told = sendings()
    tests = list(dict.fromkeys(one.test for one in told))
    lines = ["| 目录 · catalog | 格式 · format | " + " | ".join(MODES.values()) + " |", "|---" * (len(MODES) + 2) + "|"]
    for catalog, name in bound():
        cells = []
        for mode in MODES:
            found = {one.test for one in told if (one.catalog, one.format, one.mode) == (catalog, name, mode)}
            numbers = " ".join(f"[{tests.index(test) + 1}]" for test in tests if test in found)
            cells.append(numbers or ("" if mode in modes_of(name) else "—"))
        lines.append(f"| `{catalog}` | `{name}` | " + " | ".join(cells) + " |")
    listed = [f"{number}. `{test}`" for number, test in enumerate(tests, start=1)]
    return "\n".join([*lines, "", *listed]) + "\n"


def bound() -> list[tuple[str, str]]:
    """Every catalog with every format that takes it."""
    mappings = Mappings(MAPPINGS, "Asia/Shanghai")
    taking = {name: catalogs_of(mappings, name) for name in mappings.format_names()}
    return [(one, name) for one in mappings.library.catalogs for name, takes in taking.items() if one in takes]


def catalogs_of(mappings: Mappings, name: str) -> Collection[str]:
    fmt = mappings.any_format(name)
    return fmt.bindings if isinstance(fmt, Format) else {one.catalog for one in fmt.templates}


def test_every_test_that_sends_is_in_the_table() -> None:
    known, taken = set(bound()), Mappings(MAPPINGS, "Asia/Shanghai").library.catalogs
    for one in sendings():
        assert one.mode in MODES, one
        assert one.catalog in taken, one
        assert (one.catalog, one.format) in known, f"{one}: no such binding in the folders"
    text = (MAPPINGS / "README.md").read_text("utf-8")
    assert text.partition(SENT)[2].partition(SENT_END)[0] == sent(), (
        "python -m tests.mapping.test_catalog_formats prints it"
    )


def test_every_way_that_a_format_can_go_is_gone() -> None:
    told = {(one.catalog, one.format, one.mode) for one in sendings()}
    ways = {(catalog, name, mode) for catalog, name in bound() for mode in modes_of(name)}
    assert ways - told == set()


def test_the_table_is_what_the_folders_say() -> None:
    text = (MAPPINGS / "README.md").read_text("utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == table(), (
        "python -m tests.mapping.test_catalog_formats prints it"
    )


@pytest.mark.parametrize("catalog", [LICENSE, PENALTY])
def test_messages_of_header_and_fields_are_whole_documents(catalog: str) -> None:
    mappings = Mappings(MAPPINGS, "Asia/Shanghai")
    plan = mappings.document_plan("message-fields", library().catalogs[catalog])
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
    sys.stdout.write(f"{BEGIN}{table()}{END}\n{SENT}{sent()}{SENT_END}")
