"""XML from outside can neither read files, nor reach the network, nor grow in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import MappingError
from gateway.mapping.safe_xml import parse_safely

LAUGHS = "<!DOCTYPE a [" + "".join(f'<!ENTITY a{n + 1} "&a{n};&a{n};">' for n in range(30)) + "]><a>&a30;</a>"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document-doctype"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document-doctype"),
        (b"<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://127.0.0.1/'> %x;]><a/>", "document-doctype"),
        (LAUGHS.encode(), "document-doctype"),
        (b'<?xml version="1.0"?>\n<!-- --><!DOCTYPE a><a/>', "document-doctype"),
        ('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><a/>'.encode("utf-16"), "document-encoding"),
        ('<?xml version="1.0"?><!DOCTYPE a><a/>'.encode("utf-16-be"), "document-encoding"),
        ('<?xml version="1.0"?><!DOCTYPE a><a/>'.encode("utf-16-le"), "document-encoding"),
        ('<?xml version="1.0" encoding="UTF-32"?><a/>'.encode("utf-32"), "document-encoding"),
        (b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-<a/>', "document-encoding"),
        ('<?xml version="1.0" encoding="GBK"?><a>许可</a>'.encode("gbk"), "document-encoding"),
        (b"\x4c\x6f\xa7\x94<a/>", "document-encoding"),
        (b"<a>&x;</a>", "document-malformed"),
        (b"<a>&#0;</a>", "document-malformed"),
        ("<a>\ufffe</a>".encode(), "document-malformed"),
        (b"<a>\xff</a>", "document-malformed"),
        (b"<a><b></a></b>", "document-malformed"),
        (b"<a/><a/>", "document-malformed"),
        (b"<a>" * 100_000, "document-malformed"),
        (b"", "document-malformed"),
        (b"<a>" + b"x" * 11_000_000 + b"</a>", "document-malformed"),
    ],
)
def test_what_is_unsafe_or_no_xml_is_refused(document: bytes, code: str) -> None:
    with pytest.raises(MappingError) as refused:
        parse_safely(document)
    assert refused.value.code == code


def test_a_refusal_never_shows_what_stands_in_the_document() -> None:
    with pytest.raises(MappingError) as refused:
        parse_safely(b"<a><b>230102199001011234</c></a>")
    assert refused.value.facts == {"line": 1, "column": 29}
    assert "2301" not in str(refused.value)


def test_comments_and_character_data_sections_do_not_cut_a_text_in_two() -> None:
    assert parse_safely("<a>一<!-- 二 -->三<![CDATA[<四>]]><?x 五?>六</a>".encode()).text == "一三<四>六"


def test_escaped_markup_and_bytes_of_a_byte_order_mark_are_harmless() -> None:
    assert parse_safely(b"\xef\xbb\xbf<a>&lt;!DOCTYPE a&gt;&#38;#0;</a>").text == "<!DOCTYPE a>&#0;"


def test_threads_do_not_share_a_parser() -> None:
    documents = [f"<a><b>{number}</b></a>".encode() for number in range(400)]
    with ThreadPoolExecutor(4) as pool:
        texts = [root[0].text for root in pool.map(parse_safely, documents)]
    assert texts == [str(number) for number in range(400)]
