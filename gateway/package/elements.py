"""Small XML documents, read strictly with expat: the manifest, the header of a batch, a receipt.

No document type, comment, processing instruction or CDATA section; UTF-8 whatever the declaration says; bounded depth and number
of elements. With no document type there are no entities, so neither external entities nor "billion laughs" have a place to start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from gateway.errors import PackageError

__all__ = ["DECLARATION", "Element", "read_elements", "require_utf8"]

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
"""What we write. Others may declare the same in other quotes, or nothing: :func:`require_utf8`."""

_DECLARED = re.compile(
    rb"""<\?xml\s+version\s*=\s*(?:"1\.0"|'1\.0')"""
    rb"""(?:\s+encoding\s*=\s*(?:"(?i:utf-8)"|'(?i:utf-8)'))?(?:\s+standalone\s*=\s*(?:"(?:yes|no)"|'(?:yes|no)'))?\s*\?>\s*"""
)
_DEPTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element. ``name`` is local for the document's own namespace, ``"uri local"`` for any other."""

    name: str
    attributes: Mapping[str, str]
    children: Sequence[Element]
    text: str
    document: str  # whose error it is

    def called(self, name: str) -> None:
        """Raise PackageError ``document-structure`` when the element has another name."""
        if self.name != name:
            raise self._wrong(name)

    def only(
        self, children: Iterable[str], *, optional: Iterable[str] = (), attributes: Iterable[str] = ()
    ) -> dict[str, Element]:
        """The children by name: exactly ``children`` in this order, then any of ``optional`` in this order, and no text.

        ``attributes`` are those that the element itself has. Raises PackageError ``document-structure`` otherwise.
        """
        required, extra = list(children), list(optional)
        found = [child.name for child in self.children]
        rest = found[len(required) :]
        expected = [*required, *(name for name in extra if name in rest)]
        if found != expected or not self._bare(attributes):
            raise self._wrong(" ".join([*required, *(f"{name}?" for name in extra)]))
        return {child.name: child for child in self.children}

    def each(self, name: str) -> Sequence[Element]:
        """The children, all of them called ``name``. Raises PackageError ``document-structure`` otherwise."""
        if any(child.name != name for child in self.children) or not self._bare(()):
            raise self._wrong(f"{name}*")
        return self.children

    def _bare(self, attributes: Iterable[str]) -> bool:
        return not self.text.strip(" \n\t") and set(self.attributes) == set(attributes)

    def leaf(self, *attributes: str) -> Mapping[str, str]:
        """The attributes, exactly those named, of an element without children; its text is the caller's to judge.

        Raises PackageError ``document-structure`` otherwise.
        """
        if self.children or set(self.attributes) != set(attributes):
            raise self._wrong(" ".join(f"@{name}" for name in attributes) or "text")
        return self.attributes

    def facts(self, *attributes: str) -> Mapping[str, str]:
        """The attributes, exactly those named, of an empty element. Raises PackageError ``document-structure`` otherwise."""
        if self.text:
            raise self._wrong(" ".join(f"@{name}" for name in attributes))
        return self.leaf(*attributes)

    def value(self) -> str:
        """The text of an element with nothing else. Raises PackageError ``document-structure`` otherwise."""
        self.leaf()
        return self.text

    def _wrong(self, expected: str) -> PackageError:
        return PackageError("document-structure", document=self.document, element=self.name, expected=expected)


@dataclass(slots=True, kw_only=True)
class _Open:
    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self, *, document: str, namespace: str, prefixes: bool, elements: int) -> None:
        self._document = document
        self._own = f"{namespace} "
        self._namespace = namespace
        self._prefixes = prefixes
        self._elements_left = elements
        self._stack = [_Open(name="", attributes={})]
        self._parser = parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.XmlDeclHandler = self._declared
        parser.CommentHandler = self._refuse_markup
        parser.ProcessingInstructionHandler = self._refuse_markup
        parser.StartCdataSectionHandler = self._refuse_markup
        parser.StartNamespaceDeclHandler = self._bound
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters

    def read(self, xml: bytes) -> Element:
        try:
            self._parser.Parse(xml, True)
        except expat.ExpatError as error:
            raise PackageError(
                "document-not-xml", document=self._document, line=error.lineno, reason=expat.ErrorString(error.code)
            ) from error
        return self._stack[0].children[0]

    def _doctype(self, *_: object) -> None:
        raise PackageError("doctype-forbidden", document=self._document)

    def _declared(self, version: str, encoding: str | None, _standalone: int) -> None:
        if version != "1.0" or (encoding or "UTF-8").upper() != "UTF-8":
            raise PackageError("document-declaration", document=self._document)

    def _refuse_markup(self, *_: object) -> None:
        raise PackageError("document-markup", document=self._document, line=self._parser.CurrentLineNumber)

    def _bound(self, prefix: str | None, uri: str | None) -> None:
        at_root = len(self._stack) == 1
        if not self._prefixes and not (at_root and prefix is None and uri == self._namespace):
            raise PackageError("document-namespace", document=self._document, expected=self._namespace)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements_left -= 1
        if self._elements_left < 0 or len(self._stack) > _DEPTH:
            raise PackageError("document-too-complex", document=self._document)
        self._stack.append(_Open(name=name.removeprefix(self._own), attributes=attributes))
        if len(self._stack) == 2 and not name.startswith(self._own):
            raise PackageError("document-namespace", document=self._document, expected=self._namespace)

    def _characters(self, text: str) -> None:
        self._stack[-1].text.append(text)

    def _end(self, _name: str) -> None:
        done = self._stack.pop()
        element = Element(
            name=done.name,
            attributes=done.attributes,
            children=tuple(done.children),
            text="".join(done.text),
            document=self._document,
        )
        self._stack[-1].children.append(element)


def read_elements(xml: bytes, *, document: str, namespace: str, elements: int, prefixes: bool = False) -> Element:
    """The root element of ``xml``, whose namespace must be ``namespace``, with at most ``elements`` elements in all.

    ``document`` names it in errors. Without ``prefixes`` the one namespace declaration allowed is the default one on the root.
    Raises PackageError ``doctype-forbidden``, ``document-not-xml``, ``document-markup``, ``document-declaration``,
    ``document-namespace`` or ``document-too-complex``.
    """
    if not xml.startswith(b"<"):  # a byte order mark, or blanks: expat would take them
        raise PackageError("document-declaration", document=document)
    return _Reader(document=document, namespace=namespace, prefixes=prefixes, elements=elements).read(xml)


def require_utf8(xml: bytes, document: str) -> None:
    """Whether ``xml`` declares XML 1.0 in UTF-8, or declares nothing, which means the same (XML 1.0 §4.3.3).

    Raises PackageError ``document-declaration`` for any other encoding or version, and for a byte order mark.
    """
    right = _DECLARED.match(xml) is not None if xml.startswith(b"<?xml") else xml.startswith(b"<")
    if not right:
        raise PackageError("document-declaration", document=document)
