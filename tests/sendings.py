"""Which test sends what for real: tests say it of themselves by ``@pytest.mark.sends(catalog=…, format=…, mode=…)``, a test that is
run for many cases by the same mark on each of them (``pytest.param(…, marks=[…])``).

``format`` may be a tuple, for a test that runs once for each. Read from the marks of the functions, so that none of them need run.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

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
    """Every declaration, each once, in order of the tests' names."""
    home = Path(__file__).parent
    found: dict[Sending, None] = {}
    for file in sorted(home.rglob("test_*.py")):
        if re.search(r"mark\.sends\(", file.read_text("utf-8")):
            place = file.relative_to(home.parent)
            module = importlib.import_module(".".join(place.with_suffix("").parts))
            found |= dict.fromkeys(_declared(module, place.as_posix()))
    return sorted(found, key=lambda one: one.test)


def _declared(module: ModuleType, file: str) -> Iterator[Sending]:
    for name, function in vars(module).items():
        if name.startswith("test_") and getattr(function, "__module__", "") == module.__name__:
            for mark in _marks(getattr(function, "pytestmark", ())):
                said = mark.kwargs
                formats = said["format"] if isinstance(said["format"], tuple) else (said["format"],)
                for each in formats:
                    yield Sending(said["catalog"], each, said["mode"], f"{file}::{name}")


def _marks(marks: object) -> Iterator[pytest.Mark]:
    """The marks ``sends`` of a function and of the cases that it is run for."""
    for one in marks if isinstance(marks, list | tuple) else ():
        mark = one if isinstance(one, pytest.Mark) else one.mark
        if mark.name == "sends":
            yield mark
        elif mark.name == "parametrize":
            for case in mark.args[1]:
                yield from _marks(getattr(case, "marks", ()))
