"""Which test sends what for real: tests say it of themselves by ``@pytest.mark.sends(catalog=…, format=…, mode=…)``.

``format`` may be a tuple, for a test that runs once for each. Read from the text of the tests, so that none of them need run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MODES", "Sending", "sendings"]

MODES = {
    "service": "服务 service",
    "file": "文件夹 folder",
    "sftp": "SFTP",
    "database": "前置库 database",
    "pull": "拉取 pull",
    "site": "公示网站 site",
}
"""The modes of exchange, as the table calls them."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One declaration. ``test`` is the test as pytest names it."""

    catalog: str
    format: str
    mode: str
    test: str


def sendings() -> list[Sending]:
    """Every declaration, in order of the tests' names."""
    home = Path(__file__).parent
    found = [
        one
        for file in sorted(home.rglob("test_*.py"))
        for one in _declared(ast.parse(file.read_text("utf-8")), file.relative_to(home.parent).as_posix())
    ]
    return sorted(found, key=lambda one: one.test)


def _declared(tree: ast.Module, file: str) -> Iterator[Sending]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.sends":
                    # Plain texts alone: who reads the table must find the words in the test.
                    said = {one.arg: ast.literal_eval(one.value) for one in decorator.keywords}
                    formats = said["format"] if isinstance(said["format"], tuple) else (said["format"],)
                    for name in formats:
                        yield Sending(said["catalog"], name, said["mode"], f"{file}::{node.name}")
