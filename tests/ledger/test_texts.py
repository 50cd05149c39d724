"""Every code of this room, raised or found, is a sentence in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gateway.ledger
from gateway.texts import LANGUAGES, template

FILES = sorted(Path(gateway.ledger.__file__).parent.glob("*.py"))
CODES = {
    code
    for file in FILES
    for code in re.findall(r'(?:LedgerError|\.add|\.compare)\(\s*"([a-z0-9-]+)"', file.read_text())
}


def test_the_codes_were_found() -> None:
    assert {"ledger-forked", "ledger-hash-missing", "entry-route-gap", "ledger-held-checkpoint-wrong"} <= CODES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_sentence(language: str) -> None:
    assert [code for code in sorted(CODES) if template(code, language, "say") is None] == []
