"""One schema compiled while a parse in another thread, begun before, ends within it. Run in a process of its own, because
afterwards lxml's loader stays where it is and no other compilation of that process loses it:

    python -m tests.mapping.losing_loader imports|includes

Prints which files were asked for and whether the schema knows the element of the last one.
"""

from __future__ import annotations

import io
import json
import sys
import threading
from typing import Any, Final

from lxml import etree

from gateway.mapping.gate import compile_schema
from gateway.mapping.safe_xml import FolderResolver

LONG: Final = 20.0
HEAD: Final = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"'
FILES: Final = {
    "first.xsd": f'{HEAD} targetNamespace="urn:first"><xs:element name="F"/></xs:schema>',
    "second.xsd": f'{HEAD} targetNamespace="urn:second"><xs:element name="S"/></xs:schema>',
    "empty.xsd": f"{HEAD}/>",
    "third.xsd": f'{HEAD}><xs:element name="T"/></xs:schema>',
}
WAYS: Final = {
    "imports": (
        '<xs:import namespace="urn:first" schemaLocation="first.xsd"/><xs:import namespace="urn:second" schemaLocation="second.xsd"/>',
        '<S xmlns="urn:second"/>',
    ),
    "includes": ('<xs:include schemaLocation="empty.xsd"/><xs:include schemaLocation="third.xsd"/>', "<T/>"),
}


def texts(way: str) -> dict[str, bytes]:
    """A schema of two files more, which it imports or includes."""
    main = f"{HEAD}>{WAYS[way][0]}</xs:schema>"
    return {name: text.encode() for name, text in (FILES | {"main.xsd": main}).items()}


class _SlowParse(io.RawIOBase):
    """A document that is being parsed until it is told to end."""

    def __init__(self) -> None:
        super().__init__()
        self._begun, self._ending, self._left = threading.Event(), threading.Event(), b"<R/>"
        self._thread = threading.Thread(target=lambda: etree.parse(io.BufferedReader(self)))

    def begin(self) -> None:
        self._thread.start()
        assert self._begun.wait(LONG)

    def end(self) -> None:
        self._ending.set()
        self._thread.join(LONG)
        assert not self._thread.is_alive()

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        self._begun.set()
        assert self._ending.wait(LONG)
        given, self._left = self._left, b""
        into[: len(given)] = given
        return len(given)


def main(way: str) -> None:
    other = _SlowParse()
    asked: list[str] = []
    resolve = FolderResolver.resolve

    def resolve_while_the_other_ends(self: FolderResolver, system_url: str, public_id: str, context: Any = None) -> Any:
        asked.append(system_url.rsplit("/", 1)[-1])
        if len(asked) == 1:
            other.end()
        return resolve(self, system_url, public_id, context)

    FolderResolver.resolve = resolve_while_the_other_ends  # type: ignore[method-assign]  # this process has nothing else to do
    other.begin()
    schema = compile_schema("main.xsd", texts(way))
    last = etree.fromstring(WAYS[way][1])
    print(
        json.dumps(
            {
                "asked": asked,
                "whole": schema.validate(last),
                "strict": not schema.validate(etree.fromstring("<Unknown/>")),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
