"""Schemas that nobody here wrote, from packages that are installed for the tests, made into formats by text files alone.

A test writes a mappings folder (catalog, source mapping, format folder with the schemas copied beside it) and a CSV file, and calls the
command line; what comes out is held against xmlschema and libxml2 apart from the gateway.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lxml import etree
from typer.testing import CliRunner
from xmlschema import XMLSchema10

from gateway.cli.main import app
from tests.mapping.order_catalog import KINDS, REGIMES

SHARED = {
    "codelists/subject-kinds.csv": KINDS,
    "codelists/working-days.csv": "date,working,note\n",
    "codelists/publicity-regimes.toml": REGIMES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A mappings folder under ``home`` with one source mapping and one format, and the schema that its documents must obey."""

    home: Path
    mapping: str
    format: str
    schema: str

    @property
    def schema_file(self) -> Path:
        return self.home / "mappings" / "formats" / self.format / self.schema

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one text of the folder, which holds ``old`` once."""
        path = self.home / "mappings" / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{name} holds {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new), "utf-8")

    def check(self) -> list[tuple[str, str]]:
        """(code, place) of everything that ``gateway mapping check`` finds."""
        result = CliRunner().invoke(app, ["mapping", "check", "--mappings", str(self.home / "mappings"), "--json"])
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        assert result.exit_code in {0, 1}, result.output
        found = json.loads(result.stdout)
        for one in found:
            assert one["zh-CN"], one
            assert one["fix"], one
            assert "{" not in one["zh-CN"] + one["en"] + one["fix"]
        return [(one["code"], one["key"]) for one in found]

    def write(self, rows: Path, out: str = "out") -> tuple[list[bytes], dict[str, Any]]:
        """The documents that ``gateway mapping write`` makes of a CSV file, each of them valid, and what it says."""
        folder = self.home / out
        words = ["mapping", "write", self.mapping, "--rows", str(rows), "--format", self.format, "--out", str(folder)]
        result = CliRunner().invoke(app, [*words, "--mappings", str(self.home / "mappings"), "--json"])
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        assert result.exit_code in {0, 1}, result.output
        documents = [file.read_bytes() for file in sorted(folder.iterdir())]
        self.hold(documents)
        return documents, json.loads(result.stdout)

    def hold(self, documents: Iterable[bytes]) -> None:
        """Both processors take every document."""
        one, other = XMLSchema10(str(self.schema_file)), etree.XMLSchema(etree.parse(str(self.schema_file)))
        for document in documents:
            element = etree.fromstring(document)
            one.validate(element)
            other.assertValid(element)


def write_folder(home: Path, texts: Mapping[str, str], schemas: Iterable[Path], folder: Folder) -> Folder:
    """Write ``texts`` below the mappings folder, with ``schemas`` in the format's folder."""
    for name, text in {**SHARED, **texts}.items():
        path = home / "mappings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for schema in schemas:
        shutil.copy(schema, folder.schema_file.parent / schema.name)
    return folder


def packaged(package: str, *path: str) -> Path:
    """A folder of an installed package, without importing it."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*path)
