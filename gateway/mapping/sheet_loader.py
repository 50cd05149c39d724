"""``mappings/formats/<id>/`` of a format of sheets, read strictly: format.toml and a binding for each template, every mistake named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from gateway.catalog.loader import Library
from gateway.catalog.reading import LOOSE, Name, Shape, Words, read_shape
from gateway.errors import Finding, Findings, Severity
from gateway.mapping.columns_loader import BindText, ColumnsReader
from gateway.mapping.feedback_text import FeedbackText, name_findings
from gateway.mapping.format_model import Fact
from gateway.mapping.format_text import FactText
from gateway.mapping.sheet_model import SheetFeedback, SheetFormat, SheetTemplate, SheetType

__all__ = ["load_sheet_format"]


class _HeadText(Shape):
    id: Name
    version: Words
    zh: Words
    en: Words
    standard: Words
    receiver: Words
    sealing: Words
    document: Literal["sheet"]
    type: Annotated[SheetType, LOOSE]
    valid_from: date | None = None
    valid_to: date | None = None
    withdrawn: Words | None = None
    feedback: FeedbackText | None = None
    facts: dict[Name, FactText] | None = None


class _TemplateText(Shape):
    catalog: Words
    sheet: Words
    file: Words
    when: dict[Words, list[Words]] | None = None
    bind: list[BindText]


def load_sheet_format(folder: Path, library: Library) -> SheetFormat:
    """Read the format in ``folder``. Raises Findings with every error found."""
    findings: list[Finding] = []
    fmt = _Reader(ColumnsReader(folder, library, findings)).read()
    if fmt is None or any(finding.severity is Severity.ERROR for finding in findings):
        raise Findings(findings)
    return fmt


@dataclass(frozen=True, slots=True)
class _Reader:
    parts: ColumnsReader

    def read(self) -> SheetFormat | None:
        parts = self.parts
        raw = parts.toml("format.toml")
        head = None if raw is None else read_shape(_HeadText, raw, parts.name("format.toml"), (), parts.findings)
        if head is None:
            return None
        parts.head(head.id, head.valid_from, head.valid_to)
        return SheetFormat(
            id=head.id,
            version=head.version,
            zh=head.zh,
            en=head.en,
            standard=head.standard,
            receiver=head.receiver,
            sealing=head.sealing,
            type=head.type,
            templates=tuple(one for file in parts.bindings() if (one := self._template(file)) is not None),
            facts=tuple(
                Fact(id=name, zh=fact.zh, en=fact.en, profile=fact.profile) for name, fact in (head.facts or {}).items()
            ),
            texts=parts.texts,
            valid_from=head.valid_from,
            valid_to=head.valid_to,
            withdrawn=head.withdrawn,
            feedback=self._feedback(head),
            warnings=tuple(finding for finding in parts.findings if finding.severity is Severity.WARNING),
        )

    def _feedback(self, head: _HeadText) -> SheetFeedback | None:
        """How the receiver answers; its file's name and that of what is taken back are held to the same as a template's."""
        if head.withdrawn is not None:
            self._file_name("format.toml", "withdrawn", head.withdrawn)
        told = head.feedback
        if told is None:
            return None
        if not told.well_named():
            self.parts.find("sheet-file-name", "format.toml", "feedback.file", name=told.file)
        return told.feedback()

    def _file_name(self, file: str, key: str, name: str) -> None:
        for code, facts in name_findings(name):
            self.parts.find(code, file, key, **facts)

    def _template(self, file: str) -> SheetTemplate | None:
        parts = self.parts
        raw = parts.toml(file)
        text = None if raw is None else read_shape(_TemplateText, raw, parts.name(file), (), parts.findings)
        if text is None:
            return None
        stem = Path(file).stem
        if stem != text.catalog and not stem.startswith(f"{text.catalog}."):
            parts.find("binding-not-file", file, "catalog", catalog=text.catalog)
        catalog = parts.catalog(file, text.catalog)
        if catalog is None:
            return None
        self._file_name(file, "file", text.file)
        columns = tuple(parts.columns(file, text.bind, catalog))
        return SheetTemplate(
            id=stem,
            catalog=catalog.id,
            sheet=text.sheet,
            file=text.file,
            when=tuple(parts.when(file, text.when, catalog)),
            columns=columns,
        )
