"""``mappings/formats/<id>/`` of a format of sheets, read strictly: format.toml and a binding for each template, every mistake named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Condition, FieldType, Operator
from gateway.catalog.reading import LOOSE, Name, Shape, Words, dotted, read_shape, read_toml
from gateway.errors import Finding, Findings, Severity
from gateway.mapping.format_model import BatchFact, Fact, WhenEmpty
from gateway.mapping.format_text import FactText
from gateway.mapping.model import Rule
from gateway.mapping.rule_reader import read_rules
from gateway.mapping.sheet_model import (
    MOMENTS,
    FeedbackType,
    SheetColumn,
    SheetFeedback,
    SheetFormat,
    SheetTemplate,
    SheetType,
)

__all__ = ["document_of", "load_sheet_format"]

_MARK: Final = re.compile(r"\{([^{}]*)\}")
_NO_NAME: Final = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


class _FeedbackText(Shape):
    file: Words
    type: Annotated[FeedbackType, LOOSE]
    row: Words
    result: Words
    code: Words
    message: Words
    accepted: list[Words]
    unlisted_accepted: bool = False


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
    feedback: _FeedbackText | None = None
    facts: dict[Name, FactText] | None = None


class _BindText(Shape):
    to: Words
    field: Words | None = None
    batch: Annotated[BatchFact, LOOSE] | None = None
    rules: list[object] | None = None
    empty: Annotated[WhenEmpty, LOOSE] | None = None
    max_length: int | None = None
    why: str = ""
    profile: bool = False


class _TemplateText(Shape):
    catalog: Words
    sheet: Words
    file: Words
    when: dict[Words, list[Words]] | None = None
    bind: list[_BindText]


def document_of(folder: Path) -> str:
    """What the format in ``folder`` says that its documents are; ``record`` when it says nothing, or cannot be read."""
    try:
        raw = read_toml("format.toml", (folder / "format.toml").read_bytes(), [])
    except OSError:
        return "record"
    return str((raw or {}).get("document", "record"))


def load_sheet_format(folder: Path, library: Library) -> SheetFormat:
    """Read the format in ``folder``. Raises Findings with every error found."""
    findings: list[Finding] = []
    fmt = _Reader(folder, library, findings).read()
    if fmt is None or any(finding.severity is Severity.ERROR for finding in findings):
        raise Findings(findings)
    return fmt


@dataclass(frozen=True, slots=True)
class _Reader:
    folder: Path
    library: Library
    findings: list[Finding]
    texts: dict[str, bytes] = field(default_factory=dict)

    def read(self) -> SheetFormat | None:
        raw = self._toml("format.toml")
        head = None if raw is None else read_shape(_HeadText, raw, self._name("format.toml"), (), self.findings)
        if head is None:
            return None
        if head.id != self.folder.name:
            self._find("format-id-not-folder", "format.toml", "id", id=head.id, folder=self.folder.name)
        if head.valid_from and head.valid_to and head.valid_to < head.valid_from:
            self._find("format-dates-reversed", "format.toml", "valid_to", start=head.valid_from, end=head.valid_to)
        paths = sorted((self.folder / "bindings").glob("*.toml"))
        if not paths:
            self._find("format-without-binding", "bindings", "")
        templates = tuple(one for path in paths if (one := self._template(f"bindings/{path.name}")) is not None)
        return SheetFormat(
            id=head.id,
            version=head.version,
            zh=head.zh,
            en=head.en,
            standard=head.standard,
            receiver=head.receiver,
            sealing=head.sealing,
            type=head.type,
            templates=templates,
            facts=tuple(
                Fact(id=name, zh=fact.zh, en=fact.en, profile=fact.profile) for name, fact in (head.facts or {}).items()
            ),
            texts=self.texts,
            valid_from=head.valid_from,
            valid_to=head.valid_to,
            withdrawn=head.withdrawn,
            feedback=self._feedback(head),
            warnings=tuple(finding for finding in self.findings if finding.severity is Severity.WARNING),
        )

    def _feedback(self, head: _HeadText) -> SheetFeedback | None:
        """How the receiver answers; its file's name and that of what is taken back are held to the same as a template's."""
        if head.withdrawn is not None:
            self._file_name("format.toml", "withdrawn", head.withdrawn)
        told = head.feedback
        if told is None:
            return None
        if told.file.count("{file}") != 1 or _NO_NAME.search(told.file):
            self._find("sheet-file-name", "format.toml", "feedback.file", name=told.file)
        return SheetFeedback(**(told.model_dump() | {"accepted": tuple(told.accepted)}))

    def _file_name(self, file: str, key: str, name: str) -> None:
        for mark in _MARK.findall(name):
            if mark not in MOMENTS:
                self._find("sheet-file-mark", file, key, mark=mark, known="、".join(MOMENTS))
        if _NO_NAME.search(_MARK.sub("", name)):
            self._find("sheet-file-name", file, key, name=name)

    def _template(self, file: str) -> SheetTemplate | None:
        raw = self._toml(file)
        text = None if raw is None else read_shape(_TemplateText, raw, self._name(file), (), self.findings)
        if text is None:
            return None
        stem = Path(file).stem
        if stem != text.catalog and not stem.startswith(f"{text.catalog}."):
            self._find("binding-not-file", file, "catalog", catalog=text.catalog)
        catalog = self.library.catalogs.get(text.catalog)
        if catalog is None:
            known = "、".join(self.library.catalogs)
            self._find("binding-catalog-unknown", file, "catalog", catalog=text.catalog, known=known)
            return None
        self._file_name(file, "file", text.file)
        columns = tuple(self._columns(file, text, catalog))
        return SheetTemplate(
            id=stem,
            catalog=catalog.id,
            sheet=text.sheet,
            file=text.file,
            when=tuple(self._when(file, text, catalog)),
            columns=columns,
        )

    def _when(self, file: str, text: _TemplateText, catalog: Catalog) -> Iterator[Condition]:
        known = {field.name: field for field in catalog.fields}
        for name, values in (text.when or {}).items():
            field = known.get(name)
            if field is None or field.type is not FieldType.TEXT or field.part is not None:
                self._find("binding-field-unknown", file, f"when.{name}", field=name, close="-")
                continue
            codelist = self.library.codelists.get(field.codelist or "")
            for value in values:
                if codelist is not None and value not in codelist.values():
                    self._find("catalog-code-unknown", file, f"when.{name}", value=value, list=codelist.id)
            yield Condition(field=name, operator=Operator.IS, values=tuple(values))

    def _columns(self, file: str, text: _TemplateText, catalog: Catalog) -> Iterator[SheetColumn]:
        known = {field.name: field for field in catalog.fields}
        headings: set[str] = set()
        for number, bind in enumerate(text.bind):
            key = dotted("bind", number)
            if bind.to in headings:
                self._find("binding-path-twice", file, f"{key}.to", path=bind.to)
            headings.add(bind.to)
            if bind.field is not None and bind.field not in known:
                close = get_close_matches(bind.field, known, n=1)
                self._find(
                    "binding-field-unknown", file, f"{key}.field", field=bind.field, close=close[0] if close else "-"
                )
                continue
            field = known.get(bind.field or "")
            if field is not None and field.part is not None:
                self._find("sheet-part", file, f"{key}.field", field=field.name, part=field.part)
            if field is not None and bind.batch is not None:
                self._find("binding-batch-field", file, f"{key}.batch", batch=bind.batch)
            if field is not None and bind.empty is None:
                self._find("binding-empty-missing", file, f"{key}.empty", field=field.name)
            rules = self._rules(file, key, bind, field.type if field is not None else None)
            yield SheetColumn(
                heading=bind.to,
                field=bind.field,
                batch=bind.batch,
                rules=rules,
                when_empty=bind.empty or WhenEmpty.OMIT,
                max_length=bind.max_length,
                why=bind.why,
                profile=bind.profile,
            )

    def _rules(self, file: str, key: str, bind: _BindText, kind: FieldType | None) -> tuple[Rule, ...]:
        given = kind or (bind.batch.type if bind.batch is not None else None)
        if bind.rules is None and given is not None:
            return ()
        # A column without anything of its own stays empty: receivers' templates have columns that we know nothing for.
        if bind.rules is None:
            return ()
        read = read_rules(
            bind.rules,
            file=self._name(file),
            key=f"{key}.rules",
            start=given or FieldType.TEXT,
            columns=0 if given is None else 1,
            crosswalks=self.library.crosswalks,
        )
        self.findings.extend(read.findings)
        return read.rules

    def _toml(self, file: str) -> dict[str, object] | None:
        try:
            data = (self.folder / file).read_bytes()
        except OSError as error:
            self._find("format-file-unreadable", file, "", detail=error.strerror or type(error).__name__)
            return None
        self.texts[file] = data
        return read_toml(self._name(file), data, self.findings)

    def _name(self, file: str) -> str:
        return (self.folder / file).as_posix()

    def _find(self, code: str, file: str, key: str, **facts: object) -> None:
        self.findings.append(Finding(code=code, file=self._name(file), key=key, facts=facts))
