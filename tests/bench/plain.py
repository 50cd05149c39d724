"""What a stage is held against: the library or the machine alone, doing the unavoidable part of the same work on the same bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

import xmlschema
from lxml import etree

from gateway.mapping.format_model import Format

__all__ = ["PlainSchema", "PlainTable", "parse_with_expat"]

_BATCH: Final = "urn:credit-exchange:batch:1"
# As the store demands of its own connection (gateway/store/engines.py).
_PRAGMAS: Final = (
    "page_size = 8192",
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 8192",
    "cache_size = -65536",
)


class PlainTable:
    """A bare SQLite table, as durable as the store, with nothing but a key: the least that keeping rows can cost."""

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        for pragma in _PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(f"CREATE TABLE kept ({', '.join(columns)}, PRIMARY KEY ({columns[0]}))")
        self._insert = f"INSERT INTO kept VALUES ({', '.join('?' * len(columns))})"

    def keep(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert ``rows`` in one durable transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(self._insert, rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class PlainSchema:
    """The envelope's and the format's own XSD files, as libxml2 and xmlschema read them without any help of ours."""

    def __init__(self, folder: Path, fmt: Format) -> None:
        folder.mkdir()
        for name, data in fmt.schemas().items():
            (folder / "format" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "format" / name).write_bytes(data)
        (folder / "batch.xsd").write_bytes(
            (resources.files("gateway.package") / "schemas" / "batch-1.xsd").read_bytes()
        )
        both = folder / "both.xsd"
        both.write_text(
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
            f'<xs:import namespace="{_BATCH}" schemaLocation="batch.xsd"/>'
            f'<xs:import namespace="{fmt.schema.namespace}" schemaLocation="format/{fmt.schema_file}"/>'
            "</xs:schema>",
            "utf-8",
        )
        self._libxml2 = etree.XMLSchema(file=str(both))
        self._xmlschema = xmlschema.XMLSchema10(str(both))

    def libxml2(self, document: bytes) -> None:
        """Parse and validate with libxml2. Raises AssertionError when the document is not valid: then there was nothing to compare."""
        assert self._libxml2.validate(etree.fromstring(document)), "the document is not valid"

    def xmlschema(self, document: bytes) -> None:
        """Parse and validate with xmlschema. Raises its own error when the document is not valid."""
        self._xmlschema.validate(document)


def parse_with_expat(document: bytes) -> None:
    """Read through a document without looking at anything in it."""
    expat.ParserCreate("UTF-8").Parse(document, True)
