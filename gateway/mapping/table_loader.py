"""``mappings/formats/<id>/`` of a format of database tables, read strictly: format.toml and a binding for each table, every mistake named."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from gateway.catalog.loader import Library
from gateway.catalog.reading import Shape, Words
from gateway.mapping.columns_loader import BindText, ColumnsReader
from gateway.mapping.fields_plan import UNTOLD
from gateway.mapping.format_text import FieldsHead
from gateway.mapping.table_model import ControlColumns, FeedbackColumns, TableFormat, TableTemplate

__all__ = ["load_table_format"]

_IDENTIFIER: Final = re.compile(r"[^\W\d][\w$#]{0,62}")
"""A table's or column's name: a letter (of any script), letters, digits, ``_ $ #``; the shortest limit of the engines is 63 bytes."""


class _ControlText(Shape):
    batch: Words | None = None
    sequence: Words | None = None
    key: Words | None = None
    version: Words | None = None
    op: Words | None = None
    status: Words | None = None
    code: Words | None = None
    message: Words | None = None
    time: Words | None = None


class _FeedbackText(Shape):
    table: Words
    table_schema: Words | None = None
    batch: Words | None = None
    key: Words | None = None
    status: Words | None = None
    code: Words | None = None
    message: Words | None = None


class _HeadText(FieldsHead):
    document: Literal["table"]
    control: _ControlText | None = None
    feedback: _FeedbackText | None = None


class _TableText(Shape):
    catalog: Words
    table: Words
    table_schema: Words | None = None
    when: dict[Words, list[Words]] | None = None
    bind: list[BindText]


def load_table_format(folder: Path, library: Library) -> TableFormat:
    """Read the format in ``folder``. Raises Findings with every error found."""
    parts = ColumnsReader(folder, library, [])
    return parts.sound(_Reader(parts).read())


@dataclass(frozen=True, slots=True)
class _Reader:
    parts: ColumnsReader

    def read(self) -> TableFormat | None:
        parts = self.parts
        head = parts.head(_HeadText)
        if head is None:
            return None
        control = ControlColumns(**_given(head.control))
        self._names("format.toml", "control", asdict(control).values())
        feedback = None
        if head.feedback is not None:
            told = _given(head.feedback)
            feedback = FeedbackColumns(schema=told.pop("table_schema", None), **told)
            self._names("format.toml", "feedback", [name for name in told.values() if name != feedback.table])
            self._names("format.toml", "feedback.table", [name for name in (feedback.table, feedback.schema) if name])
        own = set(asdict(control).values())
        return TableFormat(
            **head.values(),
            control=control,
            feedback=feedback,
            templates=tuple(one for file in parts.bindings() if (one := self._table(file, own)) is not None),
            texts=parts.texts,
            warnings=parts.warnings(),
        )

    def _table(self, file: str, control: set[str]) -> TableTemplate | None:
        parts = self.parts
        text = parts.shaped(file, _TableText)
        catalog = None if text is None else parts.catalog(file, text.catalog)
        if text is None or catalog is None:
            return None
        if Path(file).stem != catalog.id and Path(file).stem.startswith(f"{catalog.id}."):
            parts.find("binding-not-file", file, "catalog", catalog=catalog.id)  # one table a catalog
        self._names(file, "table", [name for name in (text.table, text.table_schema) if name])
        self._names(file, "bind", [bind.to for bind in text.bind])
        for bind in text.bind:
            if bind.to.casefold() in {name.casefold() for name in control}:
                parts.find("table-column-control", file, "bind", column=bind.to)
            if bind.batch in UNTOLD:
                parts.find("table-column-batch", file, "bind", column=bind.to, fact=bind.batch)
        return TableTemplate(
            id=catalog.id,
            catalog=catalog.id,
            table=text.table,
            schema=text.table_schema,
            when=tuple(parts.when(file, text.when, catalog)),
            columns=tuple(parts.columns(file, text.bind, catalog)),
        )

    def _names(self, file: str, key: str, names: Iterable[str]) -> None:
        """Names that no database takes as they stand, and names that differ by capitals alone, which many take for one."""
        given = list(names)
        for name in given:
            if _IDENTIFIER.fullmatch(name) is None or len(name.encode()) > 63:
                self.parts.find("table-name-invalid", file, key, name=name)
        for name, count in Counter(name.casefold() for name in given).items():
            if count > 1:
                self.parts.find("table-name-twice", file, key, name=name)


def _given(text: Shape | None) -> dict[str, str]:
    return {} if text is None else {name: str(value) for name, value in text.model_dump(exclude_none=True).items()}
