"""What the templates of a format in columns have in common: which records belong there, and each column's field, rules and bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, TypeVar

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Condition, FieldType, Operator
from gateway.catalog.reading import LOOSE, Shape, Words, dotted, read_shape, read_toml
from gateway.errors import Finding, Findings, Severity
from gateway.mapping.feedback_text import FeedbackText, files_findings, name_findings
from gateway.mapping.file_shape import FileFeedback
from gateway.mapping.format_model import BatchFact, WhenEmpty
from gateway.mapping.format_text import FieldsHead
from gateway.mapping.model import Rule
from gateway.mapping.rule_reader import read_rules
from gateway.mapping.sheet_model import SheetColumn

__all__ = ["BindText", "ColumnsReader", "document_of", "says_feedback"]

_T = TypeVar("_T")
_Shape = TypeVar("_Shape", bound=Shape)
_Head = TypeVar("_Head", bound=FieldsHead)


def document_of(folder: Path) -> str:
    """What the format in ``folder`` says of itself that it is (``record``, ``whole``, ``sheet``, ``json``, ``table``); "" where it cannot be
    read."""
    raw = _head_of(folder)
    return str(raw.get("document", "record")) if raw is not None else ""


def says_feedback(folder: Path) -> bool:
    """Whether the format in ``folder`` says how its receiver answers."""
    return "feedback" in (_head_of(folder) or {})


def _head_of(folder: Path) -> Mapping[str, object] | None:
    try:
        return read_toml("format.toml", (folder / "format.toml").read_bytes(), [])
    except OSError:
        return None


class BindText(Shape):
    """One ``[[bind]]`` of a sheet or table."""

    to: Words
    field: Words | None = None
    batch: Annotated[BatchFact, LOOSE] | None = None
    rules: list[object] | None = None
    empty: Annotated[WhenEmpty, LOOSE] | None = None
    max_length: int | None = None
    why: str = ""
    profile: bool = False


@dataclass(frozen=True, slots=True)
class ColumnsReader:
    """Reads in the format's ``folder``; ``texts`` gathers the bytes of what was read, ``findings`` what is wrong with it."""

    folder: Path
    library: Library
    findings: list[Finding]
    texts: dict[str, bytes] = field(default_factory=dict)

    def when(self, file: str, given: Mapping[str, Sequence[str]] | None, catalog: Catalog) -> Iterator[Condition]:
        """The conditions under which a record belongs into the template of ``file``."""
        known = {field.name: field for field in catalog.fields}
        for name, values in (given or {}).items():
            field = known.get(name)
            if field is None or field.type is not FieldType.TEXT or field.part is not None:
                self.find("binding-field-unknown", file, f"when.{name}", field=name, close="-")
                continue
            codelist = self.library.codelists.get(field.codelist or "")
            for value in values:
                if codelist is not None and value not in codelist.values():
                    self.find("catalog-code-unknown", file, f"when.{name}", value=value, list=codelist.id)
            yield Condition(field=name, operator=Operator.IS, values=tuple(values))

    def columns(self, file: str, binds: Sequence[BindText], catalog: Catalog) -> Iterator[SheetColumn]:
        """The template's columns in order."""
        known = {field.name: field for field in catalog.fields}
        headings: set[str] = set()
        for number, bind in enumerate(binds):
            key = dotted("bind", number)
            if bind.to in headings:
                self.find("binding-path-twice", file, f"{key}.to", path=bind.to)
            headings.add(bind.to)
            if bind.field is not None and bind.field not in known:
                close = get_close_matches(bind.field, known, n=1)
                self.find(
                    "binding-field-unknown", file, f"{key}.field", field=bind.field, close=close[0] if close else "-"
                )
                continue
            field = known.get(bind.field or "")
            if field is not None and field.part is not None:
                self.find("sheet-part", file, f"{key}.field", field=field.name, part=field.part)
            if field is not None and bind.batch is not None:
                self.find("binding-batch-field", file, f"{key}.batch", batch=bind.batch)
            if field is not None and bind.empty is None:
                self.find("binding-empty-missing", file, f"{key}.empty", field=field.name)
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

    def _rules(self, file: str, key: str, bind: BindText, kind: FieldType | None) -> tuple[Rule, ...]:
        given = kind or (bind.batch.type if bind.batch is not None else None)
        if bind.rules is None and given is not None:
            return ()
        # A column without anything of its own stays empty: receivers' templates have columns that we know nothing for.
        if bind.rules is None:
            return ()
        read = read_rules(
            bind.rules,
            file=self.name(file),
            key=f"{key}.rules",
            start=given or FieldType.TEXT,
            columns=0 if given is None else 1,
            crosswalks=self.library.crosswalks,
        )
        self.findings.extend(read.findings)
        return read.rules

    def sound(self, read: _T | None) -> _T:
        """What was ``read``. Raises Findings with everything found when something forbids its use."""
        if read is None or any(finding.severity is Severity.ERROR for finding in self.findings):
            raise Findings(self.findings)
        return read

    def warnings(self) -> tuple[Finding, ...]:
        """What was found that does not forbid the use."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.WARNING)

    def head(self, shape: type[_Head]) -> _Head | None:
        """What format.toml says of the format as a whole, judged; None with findings where it has not the ``shape``."""
        head = self.shaped("format.toml", shape)
        if head is None:
            return None
        if head.id != self.folder.name:
            self.find("format-id-not-folder", "format.toml", "id", id=head.id, folder=self.folder.name)
        if head.valid_from and head.valid_to and head.valid_to < head.valid_from:
            self.find("format-dates-reversed", "format.toml", "valid_to", start=head.valid_from, end=head.valid_to)
        return head

    def shaped(self, file: str, shape: type[_Shape]) -> _Shape | None:
        """What ``file`` says; None with findings where it cannot be read or has not the ``shape``."""
        data = self.read_bytes(file)
        raw = None if data is None else read_toml(self.name(file), data, self.findings)
        return None if raw is None else read_shape(shape, raw, self.name(file), (), self.findings)

    def feedback(self, withdrawn: str | None, told: FeedbackText | None) -> FileFeedback | None:
        """How the receiver answers; its file's name and that of what is taken back are held to the same as a template's."""
        for code, key, facts in files_findings(withdrawn, told):
            self.find(code, "format.toml", key, **facts)
        return None if told is None else told.feedback()

    def file_name(self, file: str, key: str, name: str) -> None:
        """Judge the name that a template gives its files."""
        for code, facts in name_findings(name):
            self.find(code, file, key, **facts)

    def bindings(self) -> list[str]:
        """The files of the templates."""
        paths = sorted((self.folder / "bindings").glob("*.toml"))
        if not paths:
            self.find("format-without-binding", "bindings", "")
        return [f"bindings/{path.name}" for path in paths]

    def catalog(self, file: str, name: str) -> Catalog | None:
        """The catalog that the template in ``file`` names, after which the file is called; None with a finding where there is none."""
        stem = Path(file).stem
        if stem != name and not stem.startswith(f"{name}."):
            self.find("binding-not-file", file, "catalog", catalog=name)
        catalog = self.library.catalogs.get(name)
        if catalog is None:
            known = "、".join(self.library.catalogs)
            self.find("binding-catalog-unknown", file, "catalog", catalog=name, known=known)
        return catalog

    def read_bytes(self, file: str) -> bytes | None:
        """The bytes of ``file``; None with a finding where it cannot be read."""
        try:
            self.texts[file] = (self.folder / file).read_bytes()
        except OSError as error:
            self.find("format-file-unreadable", file, "", detail=error.strerror or type(error).__name__)
            return None
        return self.texts[file]

    def name(self, file: str) -> str:
        """The path as the person knows it."""
        return (self.folder / file).as_posix()

    def find(self, code: str, file: str, key: str, **facts: object) -> None:
        """Take a mistake down."""
        self.findings.append(Finding(code=code, file=self.name(file), key=key, facts=facts))
