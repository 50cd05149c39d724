"""A schema is compiled whole whatever other threads parse meanwhile: lxml shares libxml2's one loader of files among all of them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gateway.errors import MappingError
from gateway.mapping.gate import compile_schema
from gateway.mapping.safe_xml import FolderResolver
from tests.mapping.losing_loader import WAYS, texts


@pytest.mark.parametrize("way", WAYS)
def test_a_parse_that_ends_within_a_compilation_takes_nothing_out_of_the_schema(way: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mapping.losing_loader", way], capture_output=True, check=True, timeout=60
    )
    said = json.loads(done.stdout)
    # The first compilation lost its loader after one file: the second file was asked for by the next one alone.
    first, again, last = said["asked"]
    assert first == again != last
    assert said["whole"]
    assert said["strict"]


def test_a_loader_that_never_comes_back_ends_in_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FolderResolver, "resolve", lambda *_args: None)
    with pytest.raises(MappingError, match="schema-unusable"):
        compile_schema("main.xsd", texts("imports"))
