"""All files of a schema as the processors get them: readable, and every import naming the file that it means.

An import may leave out where its schema lies (XML Schema 1.0 Part 1, §4.2.3): whoever reads it is to know by the namespace. Both processors
here know a namespace only by a file that was named, so the file of the folder with that target namespace is written in.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping
from html import unescape
from typing import Final
from urllib.parse import quote

from gateway.mapping.schema_text import schema_text

__all__ = ["schema_texts"]

_TAG: Final = r"<(?:[\w.-]+:)?%s(?=\s)(?:[^<>\"']|\"[^\"]*\"|'[^']*')*+>"
_IMPORT: Final = re.compile(_TAG % "import")
_SCHEMA: Final = re.compile(_TAG % "schema")
_ATTRIBUTE: Final = r"""\s%s\s*=\s*(?:"([^"]*)"|'([^']*)')"""
_LOCATION: Final = re.compile(_ATTRIBUTE % "schemaLocation")
_NAMESPACE: Final = re.compile(_ATTRIBUTE % "namespace")
_TARGET: Final = re.compile(_ATTRIBUTE % "targetNamespace")


def schema_texts(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """``files`` (bytes by path below the folder) as UTF-8, without DOCTYPE, their imports with a file where just one can be meant.

    Raises what :func:`schema_text` raises.
    """
    texts = {file: schema_text(data) for file, data in files.items()}
    if not any(_left_out(text.decode()) for text in texts.values()):
        return texts
    homes = _homes(texts)
    return {file: _placed(file, text.decode(), homes).encode() for file, text in texts.items()}


def _left_out(text: str) -> bool:
    return any(_LOCATION.search(tag[0]) is None for tag in _IMPORT.finditer(text))


def _homes(texts: Mapping[str, bytes]) -> Mapping[str, str]:
    """The file of each target namespace that only one file has."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for file, text in texts.items():
        if (head := _SCHEMA.search(text.decode())) is not None and (namespace := _value(_TARGET, head[0])):
            found[namespace].append(file)
    return {namespace: files[0] for namespace, files in found.items() if len(files) == 1}


def _placed(file: str, text: str, homes: Mapping[str, str]) -> str:
    def with_location(tag: re.Match[str]) -> str:
        home = homes.get(_value(_NAMESPACE, tag[0]) or "")
        if home is None or home == file or _LOCATION.search(tag[0]) is not None:
            return tag[0]
        location = posixpath.relpath(home, posixpath.dirname(file) or ".")
        end = -2 if tag[0].endswith("/>") else -1
        return f'{tag[0][:end]} schemaLocation="{quote(location)}"{tag[0][end:]}'

    return _IMPORT.sub(with_location, text)


def _value(attribute: re.Pattern[str], tag: str) -> str | None:
    found = attribute.search(tag)
    return None if found is None else unescape(found[1] if found[1] is not None else found[2])
