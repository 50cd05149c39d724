"""What an exchange format is: the schema a receiver demands, and for each catalog which field goes to which place in it.

Values only; :mod:`gateway.mapping.format_loader` makes them from ``mappings/formats/<id>/`` and names every mistake
there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from gateway.catalog.model import FieldType
from gateway.errors import Finding
from gateway.mapping.file_shape import FileFeedback
from gateway.mapping.model import Rule
from gateway.mapping.schema import Schema, local_name, namespace_of

__all__ = [
    "RECORDS",
    "BatchFact",
    "Binding",
    "BoundLeaf",
    "Document",
    "Fact",
    "Format",
    "WhenEmpty",
    "binding_path",
    "name_of",
    "place_of",
]

RECORDS: Final = "records"
"""The name under which ``repeat`` says where the records stand in a whole document."""


class Document(StrEnum):
    """What the format's schema describes."""

    RECORD = "record"  # the element of one record, which stands in a batch
    WHOLE = "whole"  # a document by itself, which a batch cannot hold


class BatchFact(StrEnum):
    """What a document may say of the batch that it carries, beside constants."""

    ID = "id"
    SEQUENCE = "sequence"
    COUNT = "count"  # the records in it
    CREATED_AT = "created-at"  # yyyy-MM-ddTHH:mm:ss, local time
    CREATED_ON = "created-on"
    SENDER_CODE = "sender-code"
    SENDER_NAME = "sender-name"
    RECEIVER_CODE = "receiver-code"
    RECEIVER_NAME = "receiver-name"
    CATALOG = "catalog"

    @property
    def type(self) -> FieldType:
        """The type of its value."""
        kinds = {self.SEQUENCE: FieldType.INTEGER, self.COUNT: FieldType.INTEGER, self.CREATED_ON: FieldType.DATE}
        return kinds.get(self, FieldType.TEXT)


class WhenEmpty(StrEnum):
    """The three answers to an empty value; none of them is a default."""

    OMIT = "omit"  # the element or attribute is left out
    BLANK = "blank"  # it is written with nothing in it
    REJECT = "reject"  # the record is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundLeaf:
    """One place in the document and what is written there.

    ``steps`` lead from the record's root element down, each ``{namespace}local`` (with ``[2]`` behind it for the second
    element of that name), the last one ``@name`` for an attribute; ``target`` is the same path as people write it
    (``Subject/s:Code/@scheme``). ``field`` is None where the first rule makes the value itself, or where ``batch`` says
    what it tells of the batch. ``profile`` marks what no published standard confirms.
    """

    target: str
    steps: tuple[str, ...]
    field: str | None
    rules: tuple[Rule, ...]
    when_empty: WhenEmpty
    why: str = ""
    profile: bool = False
    batch: BatchFact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """How records of one catalog are written: the global element of a record, and its leaves in the order of the text.

    ``repeat`` leads from the steps of an element to the part of the catalog whose rows it stands for. ``file`` is what the files of a whole
    document are called without the ending, with :data:`gateway.mapping.file_shape.MARKS` in braces; None where it goes by no files.
    """

    catalog: str
    root: str
    leaves: tuple[BoundLeaf, ...]
    repeat: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    file: str | None = None

    def part_at(self, steps: tuple[str, ...]) -> str | None:
        """The part in whose rows the place ``steps`` stands; None: it stands once in a record."""
        within = [path for path in self.repeat if steps[: len(path)] == path]
        return self.repeat[max(within, key=len)] if within else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something the format rests on; ``profile`` is true when it is a project profile, not confirmed by a published text."""

    id: str
    zh: str
    en: str
    profile: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format. ``prefixes`` name the namespaces in paths; the main one has the prefix ``""``.

    ``texts`` are the bytes of format.toml, of every schema and of every binding by path in the folder. ``valid_from``
    and ``valid_to`` are inclusive; None is open. ``warnings`` are findings that do not forbid its use. For whole documents that go by files
    ``receiver`` says in words who demands them, ``sealing`` how they are vouched for, ``withdrawn`` names the file that lists what is taken
    back, and ``feedback`` says how the receiver answers: record 1 is the first of a file.
    """

    id: str
    version: str
    zh: str
    en: str
    standard: str
    schema_file: str
    schema: Schema
    prefixes: Mapping[str, str]
    facts: tuple[Fact, ...]
    bindings: Mapping[str, Binding]
    texts: Mapping[str, bytes]
    document: Document = Document.RECORD
    valid_from: date | None = None
    valid_to: date | None = None
    warnings: tuple[Finding, ...] = ()
    receiver: str = ""
    sealing: str = ""
    withdrawn: str | None = None
    feedback: FileFeedback | None = None

    def digest(self, catalog: str) -> str:
        """SHA-256 (hex) over what decides how a record of ``catalog`` is written: format.toml, every schema, its binding.

        Hashed are lines ``<sha256 hex of the bytes> <path>``, in order of path, each ended by a line feed.
        """
        used = [
            path for path in sorted(self.texts) if not path.startswith("bindings/") or path == binding_path(catalog)
        ]
        lines = (f"{hashlib.sha256(self.texts[path]).hexdigest()} {path}\n" for path in used)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def schemas(self) -> Mapping[str, bytes]:
        """The bytes of every schema by path."""
        return {path: data for path, data in self.texts.items() if path.endswith(".xsd")}

    def shown(self, *steps: str) -> str:
        """Steps of a path (``{namespace}local``, ``@…``) as a person writes them: ``Subject/s:Code/@scheme``."""
        return "/".join(map(self._shown, steps))

    def _shown(self, step: str) -> str:
        mark, name = ("@", step[1:]) if step.startswith("@") else ("", name_of(step))
        namespace = namespace_of(name)
        prefix = next((prefix for prefix, uri in self.prefixes.items() if uri == namespace), "") if namespace else ""
        number = f"[{place_of(step)}]" if place_of(step) > 1 else ""
        return f"{mark}{prefix}:{local_name(name)}{number}" if prefix else f"{mark}{local_name(name)}{number}"


def name_of(step: str) -> str:
    """A step without the number of its place."""
    return step.rpartition("[")[0] if step.endswith("]") else step


def place_of(step: str) -> int:
    """Which of the elements of one name a step means, from 1."""
    return int(step.rpartition("[")[2][:-1]) if step.endswith("]") else 1


def binding_path(catalog: str) -> str:
    """Where the binding of ``catalog`` stands in a format's folder."""
    return f"bindings/{catalog}.toml"
