"""XML from outside, parsed so that it can neither read files, nor reach the network, nor grow in memory.

Three locks, each enough by itself for what it bars: the bytes are searched for a DOCTYPE before any parser sees them
(so no entity can be declared), the only encoding taken is UTF-8 (so the search cannot be misled by UTF-7, UTF-16 or
EBCDIC), and libxml2 is told to resolve nothing, load no DTD, use no network and keep its own limits on depth and text
size (OWASP XXE Prevention; W3C XML 1.0 §4.3.3).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any, Final

from lxml import etree

from gateway.errors import MappingError
from gateway.mapping.schema_paths import XML_SCHEMA, located

__all__ = ["MEMORY", "FolderResolver", "parse_safely", "parse_schema"]

MEMORY: Final = "format:///"  # base of the addresses under which a format's own files are known to libxml2

_ENCODING: Final = re.compile(rb"""\A(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']""")
_OPTIONS: Final = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "attribute_defaults": False,
    "huge_tree": False,
    "collect_ids": False,
    # Text around a comment must read as one text: `<X>a<!-- -->b</X>` is "ab" for a schema, and never "a" for us.
    "remove_comments": True,
    "remove_pis": True,
}
_local = threading.local()


def parse_safely(data: bytes) -> etree._Element:
    """The root element of ``data``; comments and processing instructions are left out.

    Raises MappingError ``document-doctype``, ``document-encoding`` (not UTF-8) or ``document-malformed`` (with line
    and column, never the text there). Safe to call from several threads; libxml2 works outside the interpreter's
    lock.
    """
    _refuse_disguises(data)
    parser = getattr(_local, "parser", None)
    if parser is None:
        # One parser a thread: lxml lets a shared one serve a single thread at a time.
        parser = _local.parser = etree.XMLParser(**_OPTIONS)  # type: ignore[arg-type]  # one table of options, of two types
    return _parse(data, parser)


def parse_schema(file: str, texts: Mapping[str, bytes]) -> etree._Element:
    """The schema document ``file`` of ``texts``, ready for :class:`lxml.etree.XMLSchema`: what it includes comes from ``texts`` alone.

    ``texts`` are as :func:`gateway.mapping.schema_files.readable` makes them. Raises what :func:`parse_safely` raises.
    """
    parser = etree.XMLParser(**_OPTIONS)  # type: ignore[arg-type]  # as above
    parser.resolvers.add(FolderResolver(texts))
    _refuse_disguises(texts[file])
    return _parse(texts[file], parser, base_url=MEMORY + file)


class FolderResolver(etree.Resolver):
    """Answers libxml2's wish for a file from a format's own texts, and refuses every other address."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts

    def resolve(self, system_url: str, public_id: str, context: Any = None) -> Any:
        """The text at ``system_url``, or that of the same name; any other address gives an empty text, which no schema can be made of."""
        del public_id
        name = located(system_url.removeprefix(MEMORY), "", self._texts)
        own = XML_SCHEMA.read_bytes() if system_url.endswith("/xml.xsd") else b""
        data = own if name is None else self._texts[name]
        _refuse_disguises(data)
        return self.resolve_string(data, context, base_url=MEMORY + name if name is not None else system_url)


def _refuse_disguises(data: bytes) -> None:
    if b"\0" in data or data[:1] not in {b"", b"<", b"\xef", b" ", b"\t", b"\r", b"\n"}:
        raise MappingError("document-encoding", encoding="?")
    if (found := _ENCODING.match(data[:512])) and found[1].lower() not in {b"utf-8", b"utf8"}:
        raise MappingError("document-encoding", encoding=found[1][:20].decode("ascii", "replace"))
    if b"<!DOCTYPE" in data:
        raise MappingError("document-doctype")


def _parse(data: bytes, parser: etree.XMLParser, base_url: str = "") -> etree._Element:
    try:
        root = etree.fromstring(data, parser, base_url=base_url)
    except etree.XMLSyntaxError as error:
        # libxml2's own message may quote the document, so only the place goes on.
        line, column = error.position
        raise MappingError("document-malformed", line=line, column=column) from None
    if root is None:
        raise MappingError("document-malformed", line=1, column=1)
    return root
