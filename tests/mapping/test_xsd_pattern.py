"""XSD patterns are said to the column engine exactly, or not at all."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.xsd_judge import matches
from gateway.mapping.xsd_pattern import to_rust
from gateway.mapping.xsd_types import Pattern

PATTERNS = [
    "[0-9]{4}/(0[1-9]|1[0-2])/(0[1-9]|[12][0-9]|3[01])",
    "[0-9A-HJ-NPQRTUWXY]{18}",
    "[a-z-[aeiou]]+",
    "[^a-z-[0-9]]*",
    "[^a-z]|",
    r"[\-a]+",
    "[a-]+",
    "[-a]+",
    r"\p{Lu}\P{L}",
    r"[^\s\d]{2,3}",
    "^a$",
    ".*",
    r"[\^a]",
    "[a^]",
    "(ab|c(d|e)?)+",
    "x{3}|y{2,}|z{0,1}",
    "[&&a]|[~~#]",
    "[一-龥]+",
    r"\d{2}",
    r"[\p{L}\d_-]+",
    r"[\w-[\d]]",
    r"\n\r\t",
    r"\\\|\.\-\^\?\*\+\{\}\(\)\[\]",
    "a?b*c+",
    r"\W|\S|\D",
]
# No unassigned characters: libxml2 forgets that they are of category C, so that it takes them for letters of words.
SIGNS = "abcdexyzABC019/-^$&~#.|\\?*+{}()[]_ \n\r\t一龥１é\ue000\U00020000"


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(SIGNS, max_size=6), min_size=5, max_size=30))
def test_both_engines_match_the_same(pattern: str, texts: list[str]) -> None:
    rust = to_rust(pattern)
    assert rust is not None
    judge = matches(Pattern(text=pattern))
    texts += ["", "^a$", "a", "bcd", "2020/01/31", "\n\r\t", "\\|.-^?*+{}()[]", "abcde", "xxx", "yy", "Aé"]
    assert pl.Series(texts).str.contains(rust).to_list() == [judge(text) for text in texts]


@pytest.mark.parametrize(
    "pattern",
    [
        *[
            r"\i\c*",
            r"[\i-[:]]",
            r"\p{IsCJKUnifiedIdeographs}",
            r"\p{Cs}",
            "a{1,2}?",
            "a**",
            "[a-c-e]",
            "[]a]",
            r"[a-\]]",
        ],
        *["(", "a)", "a{2,1}", "a{１}", "[z-a]", "[a", "a\\", r"\q", "{2}", "+", "[a-\\d]", "[a-c[x]]"],
    ],
)
def test_what_has_no_exact_counterpart_is_not_guessed(pattern: str) -> None:
    assert to_rust(pattern) is None


def test_negation_does_not_let_the_neighbours_of_the_surrogates_pass() -> None:
    rust = to_rust("[^ -\ud7ff\ue000-\ufffd]")
    assert rust is not None
    assert pl.Series(["\ud7ff", "\ue000", "\U00010000"]).str.contains(rust).to_list() == [False, False, True]
