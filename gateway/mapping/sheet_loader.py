"""``mappings/formats/<id>/`` of a format of sheets, read strictly: format.toml and a binding for each template, every mistake named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from gateway.catalog.loader import Library
from gateway.catalog.reading import LOOSE, Shape, Words
from gateway.mapping.columns_loader import BindText, ColumnsReader
from gateway.mapping.feedback_text import FeedbackText
from gateway.mapping.format_text import FieldsHead
from gateway.mapping.sheet_model import SheetFormat, SheetTemplate, SheetType

__all__ = ["load_sheet_format"]


class _HeadText(FieldsHead):
    document: Literal["sheet"]
    type: Annotated[SheetType, LOOSE]
    withdrawn: Words | None = None
    feedback: FeedbackText | None = None


class _TemplateText(Shape):
    catalog: Words
    sheet: Words
    file: Words
    when: dict[Words, list[Words]] | None = None
    bind: list[BindText]


def load_sheet_format(folder: Path, library: Library) -> SheetFormat:
    """Read the format in ``folder``. Raises Findings with every error found."""
    parts = ColumnsReader(folder, library, [])
    return parts.sound(_Reader(parts).read())


@dataclass(frozen=True, slots=True)
class _Reader:
    parts: ColumnsReader

    def read(self) -> SheetFormat | None:
        parts = self.parts
        head = parts.head(_HeadText)
        if head is None:
            return None
        return SheetFormat(
            **head.values(),
            type=head.type,
            templates=tuple(one for file in parts.bindings() if (one := self._template(file)) is not None),
            texts=parts.texts,
            withdrawn=head.withdrawn,
            feedback=parts.feedback(head.withdrawn, head.feedback),
            warnings=parts.warnings(),
        )

    def _template(self, file: str) -> SheetTemplate | None:
        parts = self.parts
        text = parts.shaped(file, _TemplateText)
        catalog = None if text is None else parts.catalog(file, text.catalog)
        if text is None or catalog is None:
            return None
        parts.file_name(file, "file", text.file)
        columns = tuple(parts.columns(file, text.bind, catalog))
        return SheetTemplate(
            id=Path(file).stem,
            catalog=catalog.id,
            sheet=text.sheet,
            file=text.file,
            when=tuple(parts.when(file, text.when, catalog)),
            columns=columns,
        )
