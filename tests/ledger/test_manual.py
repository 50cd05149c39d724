"""The manuals tell of every kind and field of ledger entries, in the catalogue's own words."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gateway.ledger.kinds import KINDS, FieldType
from gateway.ledger.manual import kinds_table
from gateway.texts import LANGUAGES

ROOT = Path(__file__).parent.parent.parent
PAGES = {"en": ROOT / "README.md", "zh-CN": ROOT / "README.zh-CN.md"}
MARKED = re.compile(r"(?<=<!-- ledger entries -->\n).*(?=<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_manual_holds_the_catalogue(language: str) -> None:
    """``GATEWAY_WRITE_DOCS=1`` writes the tables anew."""
    page = PAGES[language]
    text, expected = page.read_text("utf-8"), f"\n{kinds_table(language)}\n"
    if os.environ.get("GATEWAY_WRITE_DOCS"):
        page.write_text(MARKED.sub(lambda _: expected, text), "utf-8")
    found = MARKED.search(page.read_text("utf-8"))
    assert found is not None
    assert found[0] == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_without_a_sentence(language: str) -> None:
    table = kinds_table(language)
    for kind in KINDS.values():
        assert f"| `{kind.name}` |" in table
        assert set(kind.fields) <= set(re.findall(r"[a-z_0-9]+", table))
    for form in FieldType:
        assert f"| `{form.value}` |" in table
    assert "ledger-kind-" not in table
    assert "ledger-field-" not in table
    assert "ledger-form-" not in table


def test_a_field_that_means_another_thing_in_one_kind_says_so() -> None:
    rows = [line for line in kinds_table("en").splitlines() if "claimed_at" in line and line.count("|") == 4]
    told = [line for line in rows if ": claimed_at" in line]
    assert len(told) == 2
    assert told[0] != told[1]
