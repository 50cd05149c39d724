"""Text as XML carries it, held against libxml2."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.package.characters import escape, unescape
from tests.package.samples import refused


def is_char(code_point: int) -> bool:
    """Production 2 of XML 1.0."""
    return code_point in (0x9, 0xA, 0xD) or any(
        first <= code_point <= last for first, last in ((0x20, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x10FFFF))
    )


CARRIED = st.text(st.characters(exclude_categories=["Cs"]).filter(lambda one: is_char(ord(one))))


@given(CARRIED)
def test_escaped_text_is_one_line_and_reads_back(value: str) -> None:
    written = escape(value, place="here")
    assert not {"\n", "\r", "\t", '"', "<", ">"} & set(written)
    assert unescape(written, place="here") == value
    document = etree.fromstring(f'<a b="{written}">{written}</a>'.encode())
    assert (document.get("b"), document.text or "") == (value, value)


def test_what_xml_cannot_carry_is_refused_raw_and_by_reference() -> None:
    for code_point in (
        *range(0x20),
        0x7F,
        0x85,
        0x2028,
        0xD7FF,
        0xD800,
        0xDFFF,
        0xE000,
        *range(0xFFFC, 0x10002),
        0x10FFFF,
    ):
        character = chr(code_point)
        if is_char(code_point):
            assert unescape(escape(character, place="here"), place="here") == character
            assert unescape(f"&#{code_point};&#x{code_point:x};", place="here") == character * 2
            continue
        error = refused("character-not-xml", partial(escape, f"a{character}", place="here"))
        assert f"U+{code_point:04X}" in error.say("en"), "the sentence names it without showing it"
        refused("character-not-xml", partial(unescape, character, place="here"))
        refused("character-not-xml", partial(unescape, f"&#{code_point};", place="here"))
        refused("character-not-xml", partial(unescape, f"&#x{code_point:X};", place="here"))


@pytest.mark.parametrize(
    "raw",
    [
        "&",
        "a & b",
        "&amp",
        "&nbsp;",
        "&#;",
        "&#x;",
        "&#1114112;",
        "&#x110000;",
        "&#99999999;",
        "&#-1;",
        "& amp;",
        "&&amp;",
    ],
)
def test_other_references_are_refused(raw: str) -> None:
    refused("reference-invalid", lambda: unescape(raw, place="here"))


def test_the_five_names_are_known() -> None:
    assert unescape("&amp;&lt;&gt;&quot;&apos;&amp;lt;", place="here") == "&<>\"'&lt;"
