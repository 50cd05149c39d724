"""The files of a schema: what one includes or imports is another of the same folder, and nothing else is ever opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.errors import MappingError
from gateway.mapping.safe_xml import parse_safely
from gateway.mapping.schema_paths import XML_NAMESPACE, located

__all__ = ["reachable"]

_XSD: Final = "{http://www.w3.org/2001/XMLSchema}"


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
