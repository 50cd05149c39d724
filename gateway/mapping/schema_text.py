"""The text of a schema file as the processors get it: UTF-8, without a document type declaration.

Schemas of others come as they were published. W3C's own for signatures and encryption, on which many build, have a DOCTYPE; editors
write UTF-16, and Chinese ones GBK. Nothing of a DOCTYPE is ever read: it is cut out before a parser sees the text, and one that the
text needs (because it uses an entity that only the DOCTYPE declares) is told by the parser afterwards.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from gateway.errors import MappingError

__all__ = ["schema_text"]

_BOMS: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_KNOWN: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    # GB 18030 holds GBK and GB 2312 with the same bytes.
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
    "iso-8859-1": "iso-8859-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "windows-1252",
}
_DECLARATION: Final = re.compile(r"""<\?xml\s[^>]*?\?>""")
_ENCODING: Final = re.compile(rb"""\A<\?xml\s[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]*)["']""")
_QUOTED: Final = r"""(?:[^<>\[\]"']|"[^"]*"|'[^']*')*+"""
_INSIDE: Final = r"""(?:\s|%[^;\s]+;|<!--.*?-->|<\?.*?\?>|<![A-Z](?:[^>"']|"[^"]*"|'[^']*')*+>)*+"""
_PROLOG: Final = re.compile(r"(?:\s|<!--.*?-->|<\?.*?\?>)*+", re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_DOCTYPE: Final = re.compile(rf"<!DOCTYPE{_QUOTED}(?:\[{_INSIDE}\]\s*)?>", re.DOTALL)


def schema_text(data: bytes) -> bytes:
    """``data`` as UTF-8, the DOCTYPE replaced by as many line ends as it had, so that places keep their lines.

    Raises MappingError ``document-encoding`` for bytes that are not what they say, or of an encoding that is not known here.
    """
    found = _ENCODING.match(data[:512])
    if b"<!DOCTYPE" not in data and found is not None and found[1].lower() in {b"utf-8", b"utf8"}:
        return data
    text = _decoded(data)
    start = _PROLOG.match(text)
    at = start.end() if start is not None else 0
    doctype = _DOCTYPE.match(text, at)
    # A comment before the schema may speak of a DOCTYPE too.
    before = _COMMENT.sub(_blank, text[:at])
    text = before + (_blank(doctype) + text[doctype.end() :] if doctype is not None else text[at:])
    return _DECLARATION.sub('<?xml version="1.0"?>', text, count=1).encode()


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _decoded(data: bytes) -> str:
    bom = next((mark for mark in _BOMS if data.startswith(mark)), b"")
    found = _ENCODING.match(data[:512])
    said = found[1].decode("ascii").lower() if found is not None else "utf-8"
    encoding = _BOMS[bom] if bom else _KNOWN.get(said)
    if encoding is None:
        raise MappingError("document-encoding", encoding=said[:20])
    try:
        return data[len(bom) :].decode(encoding)
    except UnicodeDecodeError:
        raise MappingError("document-encoding", encoding=encoding) from None
