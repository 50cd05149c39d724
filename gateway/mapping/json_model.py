"""What a format of JSON is: the receiver's JSON Schema, and what of a catalog's record stands at each place of a document.

Values only; :mod:`gateway.mapping.json_loader` makes them from ``mappings/formats/<id>/`` and names every mistake there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.catalog.model import Condition
from gateway.mapping.fields_format import FieldsFormat
from gateway.mapping.file_shape import FileFeedback, file_name, numbered_name
from gateway.mapping.json_schema import JsonSchema
from gateway.mapping.sheet_model import SheetColumn

__all__ = ["JsonFormat", "JsonKind", "JsonLeaf", "JsonTemplate", "pointer", "steps_of"]


class JsonKind(StrEnum):
    """As what a leaf's text stands in the document."""

    STRING = "string"
    NUMBER = "number"  # the text must be one by RFC 8259 §6, without exponent
    BOOLEAN = "boolean"  # the text must be true or false
    LIST = "list"  # the values of a field of several, each a string


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLeaf:
    """One place: the names that lead to it from the document's root, and where its text comes from (``column``).

    ``separator`` parts the values of a list. ``nullable`` says that ``blank`` is written as null and not as an empty text.
    """

    steps: tuple[str, ...]
    kind: JsonKind
    column: SheetColumn
    nullable: bool = False
    separator: str = ""

    @property
    def fixed(self) -> bool:
        """Whether it says the same of every record: it makes nothing stand, it goes along."""
        return self.column.field is None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonTemplate:
    """One kind of document. ``when`` are the conditions under which a record belongs into it (in none: always).

    ``records`` leads to the array that holds the records, None where each has a document by itself; ``repeat`` from the parts of the
    catalog to their arrays. ``most`` is how many records the array takes. ``demanded`` are places of objects and arrays that stand in any
    case. ``file`` is the file's name without the ending, with marks of :data:`gateway.mapping.file_shape.MARKS`.
    """

    id: str
    catalog: str
    file: str
    schema: JsonSchema
    when: tuple[Condition, ...]
    leaves: tuple[JsonLeaf, ...]
    records: tuple[str, ...] | None = None
    repeat: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    most: int | None = None
    demanded: frozenset[tuple[str, ...]] = frozenset()

    @property
    def columns(self) -> tuple[SheetColumn, ...]:
        """The leaves that stand in records, as columns under the names of their places."""
        return tuple(leaf.column for leaf in self.leaves if self.in_record(leaf.steps))

    def in_record(self, steps: tuple[str, ...]) -> bool:
        """Whether a place stands once for each record, or for each row of one."""
        return self.records is None or steps[: len(self.records)] == self.records

    def part_at(self, steps: tuple[str, ...]) -> str | None:
        """The part in whose rows a place stands; None: it stands once in the record, or outside of it."""
        within = [(len(path), part) for part, path in self.repeat.items() if steps[: len(path)] == path]
        return max(within)[1] if within else None

    def file_name(self, at: datetime, sequence: int, number: int, count: int) -> str:
        """The name of the document ``number`` (from 1) of ``count`` of a batch made ``at``, local time, number ``sequence`` of its route."""
        return f"{numbered_name(file_name(self.file, at, sequence), number, count)}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat(FieldsFormat[JsonTemplate]):
    """One format. ``withdrawn`` names the file that lists what is taken back, ``feedback`` says how the receiver answers: record 1 is the first
    of a file. Its ``texts`` hold every schema too.
    """

    withdrawn: str | None = None
    feedback: FileFeedback | None = None

    def template(self, name: str) -> JsonTemplate:
        """A template by its id. Raises KeyError."""
        return {template.id: template for template in self.templates}[name]


def steps_of(written: str) -> tuple[str, ...]:
    """The names in a path: those of RFC 6901 without the slash at the front (``~1`` is a slash in a name); ``.`` is the root."""
    if written == ".":
        return ()
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in written.split("/"))


def pointer(steps: tuple[str | int, ...]) -> str:
    """The inverse of :func:`steps_of`; a position in an array stands behind its name, counted from 1."""
    shown = ""
    for step in steps:
        if isinstance(step, int):
            shown += f"[{step + 1}]"
        else:
            name = step.replace("~", "~0").replace("/", "~1")
            shown += f"/{name}" if shown else name
    return shown or "."
