"""The recipe in ``mappings/README.md`` for someone else's schema, followed to the letter."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.mapping.document_samples import MAPPINGS

STEP = re.compile(r"^<!-- recipe: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder after every step of the recipe but the last."""
    shutil.copytree(MAPPINGS, tmp_path / "mappings-try")
    for name, text in steps().items():
        if not name.startswith("out/"):
            file = tmp_path / ("" if name.endswith(".csv") else "mappings-try") / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def steps() -> dict[str, str]:
    found = dict(STEP.findall((MAPPINGS / "README.md").read_text("utf-8")))
    assert len(found) == 7
    return found


def check() -> list[tuple[str, str]]:
    result = CliRunner().invoke(app, ["mapping", "check", "--mappings", "mappings-try", "--json"])
    return [(one["severity"], one["code"]) for one in json.loads(result.stdout) if "contracts" in one["file"]]


def test_the_recipe_makes_the_document_that_it_shows(home: Path) -> None:
    assert sorted(check()) == [
        ("warning", "coverage-field-unsent"),
        ("warning", "coverage-field-unsent"),
        ("warning", "coverage-narrower"),
    ]
    words = "mapping write contracts-csv --rows contracts.csv --format contracts --out out --mappings mappings-try"
    assert words in (MAPPINGS / "README.md").read_text("utf-8")
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    assert len(list((home / "out").iterdir())) == 2
    written, shown = (home / "out" / "000001.xml").read_text("utf-8"), steps()["out/000001.xml"]
    assert ElementTree.canonicalize(written) == ElementTree.canonicalize(shown, strip_text=True)


def test_an_empty_binding_is_told_what_it_lacks(home: Path) -> None:
    binding = home / "mappings-try" / "formats" / "contracts" / "bindings" / "contracts.toml"
    binding.write_text('catalog = "contracts"\nroot = "Contract"\nbind = []\n', "utf-8")
    assert ("error", "coverage-unbound") in check()
    blocks = re.findall(
        r"^  \{.*?\},\n(?=  \{|\])", steps()["formats/contracts/bindings/contracts.toml"], re.MULTILINE | re.DOTALL
    )
    # An xs:string may be empty: with its attribute bound, the schema misses nothing.
    optional = ('"Section/Finished"', '"Section/Due"', '"Party"', "Party[2]")
    for left in [block for block in blocks if not any(name in block for name in optional)]:
        kept = "\n".join(block for block in blocks if block != left)
        head = 'catalog = "contracts"\nroot = "Contract"\nrepeat = { sections = "Section" }\n'
        binding.write_text(f"{head}bind = [\n{kept}\n]\n", "utf-8")
        assert ("error", "coverage-unbound") in check(), left
