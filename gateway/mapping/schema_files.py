"""The files of a schema: what one includes or imports is another of the same folder, and nothing else is ever opened."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from lxml import etree

from gateway.errors import MappingError
from gateway.mapping.safe_xml import parse_safely
from gateway.mapping.schema_paths import XML_NAMESPACE, located
from gateway.mapping.schema_text import schema_text

__all__ = ["reachable", "readable"]

_XSD: Final = "{http://www.w3.org/2001/XMLSchema}"


def readable(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """``files`` of a folder as the processors get them: each as :func:`schema_text` makes it, and every import naming a file.

    An import may leave out where its schema lies (XML Schema 1.0 Part 1, §4.2.3). Both processors know a namespace only by a file that was
    named: the one that has it as its target is written in, if there is just one.

    Raises what :func:`schema_text` and :func:`parse_safely` raise.
    """
    texts = {file: schema_text(data) for file, data in files.items()}
    roots = {file: parse_safely(text) for file, text in texts.items()}
    targets = {file: root.get("targetNamespace") for file, root in roots.items()}
    shared = Counter(targets.values())
    homes = {namespace: file for file, namespace in targets.items() if shared[namespace] == 1}
    for file, root in roots.items():
        left_out = [one for one in root.iterfind(f"{_XSD}import") if one.get("schemaLocation") is None]
        placed = [(one, home) for one in left_out if (home := homes.get(one.get("namespace"))) is not None]
        for element, home in placed:
            element.set("schemaLocation", quote(posixpath.relpath(home, posixpath.dirname(file) or ".")))
        if placed:
            texts[file] = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return texts


def reachable(main: str, texts: Mapping[str, bytes]) -> Mapping[str, Mapping[str, str]]:
    """The files that ``main`` leads to, each with the file that every location in it means.

    Raises MappingError ``schema-file-missing`` with all that are not there, and what :func:`parse_safely` raises.
    """
    found: dict[str, dict[str, str]] = {}
    waiting = [main]
    missing: dict[str, str] = {}
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found[file] = {}
        for namespace, location in _references(texts[file]):
            target = located(location, file, texts)
            if target is None:
                if namespace == XML_NAMESPACE:
                    continue
                missing.setdefault(location, f"{location} ({file})")
                continue
            found[file][location] = target
            waiting.append(target)
    if missing:
        raise MappingError("schema-file-missing", schema=main, missing="、".join(missing.values()))
    return found


def _references(data: bytes) -> Iterator[tuple[str | None, str]]:
    """(namespace, location) of everything that a schema document includes, imports or redefines."""
    for kind in ("include", "import", "redefine"):
        for element in parse_safely(data).iterfind(f"{_XSD}{kind}"):
            location = element.get("schemaLocation")
            if location is not None:
                yield element.get("namespace"), location
