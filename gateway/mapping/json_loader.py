"""``mappings/formats/<id>/`` of a format of JSON, read strictly: format.toml, the JSON Schema, a binding for each kind of document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Condition, FieldType, Operator
from gateway.catalog.reading import LOOSE, Name, Shape, Words, dotted, read_shape, read_toml
from gateway.errors import Finding, Findings, MappingError, Severity
from gateway.mapping.feedback_text import FeedbackText, name_findings
from gateway.mapping.format_model import RECORDS, BatchFact, Fact, WhenEmpty
from gateway.mapping.format_text import FactText
from gateway.mapping.json_coverage import json_coverage
from gateway.mapping.json_model import JsonFormat, JsonKind, JsonLeaf, JsonTemplate, steps_of
from gateway.mapping.json_schema import JsonSchema, Place, load_json_schema
from gateway.mapping.model import Rule
from gateway.mapping.rule_reader import read_rules
from gateway.mapping.sheet_model import SheetColumn, SheetFeedback

__all__ = ["load_json_format"]


class _HeadText(Shape):
    id: Name
    version: Words
    zh: Words
    en: Words
    standard: Words
    receiver: Words
    sealing: Words
    document: Literal["json"]
    valid_from: date | None = None
    valid_to: date | None = None
    withdrawn: Words | None = None
    feedback: FeedbackText | None = None
    facts: dict[Name, FactText] | None = None


class _BindText(Shape):
    to: Words
    field: Words | None = None
    batch: Annotated[BatchFact, LOOSE] | None = None
    rules: list[object] | None = None
    empty: Annotated[WhenEmpty, LOOSE] | None = None
    kind: Annotated[JsonKind, LOOSE] | None = None
    why: str = ""
    profile: bool = False


class _TemplateText(Shape):
    catalog: Words
    json_schema: Words
    file: Words
    when: dict[Words, list[Words]] | None = None
    repeat: dict[Words, Words] | None = None
    bind: list[_BindText]


def load_json_format(folder: Path, library: Library) -> JsonFormat:
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

    def read(self) -> JsonFormat | None:
        raw = self._toml("format.toml")
        head = None if raw is None else read_shape(_HeadText, raw, self._name("format.toml"), (), self.findings)
        if head is None:
            return None
        if head.id != self.folder.name:
            self._find("format-id-not-folder", "format.toml", "id", id=head.id, folder=self.folder.name)
        if head.valid_from and head.valid_to and head.valid_to < head.valid_from:
            self._find("format-dates-reversed", "format.toml", "valid_to", start=head.valid_from, end=head.valid_to)
        for path in sorted(self.folder.rglob("*.json")):
            self._bytes(path.relative_to(self.folder).as_posix())
        paths = sorted((self.folder / "bindings").glob("*.toml"))
        if not paths:
            self._find("format-without-binding", "bindings", "")
        found = (self._template(f"bindings/{path.name}") for path in paths)
        return JsonFormat(
            id=head.id,
            version=head.version,
            zh=head.zh,
            en=head.en,
            standard=head.standard,
            receiver=head.receiver,
            sealing=head.sealing,
            templates=tuple(one for one in found if one is not None),
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

    def _schema(self, file: str, name: str) -> JsonSchema | None:
        """The schema that a binding names; several bindings may name one."""
        schemas = {path: data for path, data in self.texts.items() if path.endswith(".json")}
        if name not in schemas:
            known = "、".join(schemas) or "-"
            self._find("json-schema-missing", file, "json_schema", schema=name, known=known)
            return None
        try:
            return load_json_schema(name, schemas)
        except MappingError as error:
            self._find(error.code, str(error.facts["schema"]), "", **error.facts)
            return None

    def _template(self, file: str) -> JsonTemplate | None:
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
        schema = self._schema(file, text.json_schema)
        if schema is None:
            return None
        before = len(self.findings)
        reader = _BindingReader(self.findings, self._name(file), self.library, catalog, schema)
        repeat = reader.repeat(text.repeat or {})
        leaves = tuple(leaf for number, bind in enumerate(text.bind) if (leaf := reader.leaf(number, bind, repeat)))
        records = repeat.pop(RECORDS, None)
        template = JsonTemplate(
            id=stem,
            catalog=catalog.id,
            file=text.file,
            schema=schema,
            when=tuple(self._when(file, text, catalog)),
            leaves=leaves,
            records=records,
            repeat=repeat,
            most=None if records is None else schema.at(records, set(repeat.values())).most(),
            demanded=_demanded(leaves, schema, {*repeat.values(), *([] if records is None else [records])}),
        )
        if len(self.findings) == before:
            reader.refuse_strays(template)
        if not any(one.severity is Severity.ERROR for one in self.findings[before:]):
            self.findings.extend(json_coverage(template, schema, catalog, self.library, self._name(file)))
        return template

    def _feedback(self, head: _HeadText) -> SheetFeedback | None:
        """How the receiver answers, and what the list of what is taken back is called."""
        if head.withdrawn is not None:
            self._file_name("format.toml", "withdrawn", head.withdrawn)
        if head.feedback is None:
            return None
        if not head.feedback.well_named():
            self._find("sheet-file-name", "format.toml", "feedback.file", name=head.feedback.file)
        return head.feedback.feedback()

    def _file_name(self, file: str, key: str, written: str) -> None:
        for code, facts in name_findings(written):
            self._find(code, file, key, **facts)

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

    def _toml(self, file: str) -> dict[str, object] | None:
        data = self._bytes(file)
        return None if data is None else read_toml(self._name(file), data, self.findings)

    def _bytes(self, file: str) -> bytes | None:
        try:
            self.texts[file] = (self.folder / file).read_bytes()
        except OSError as error:
            self._find("format-file-unreadable", file, "", detail=error.strerror or type(error).__name__)
            return None
        return self.texts[file]

    def _name(self, file: str) -> str:
        return (self.folder / file).as_posix()

    def _find(self, code: str, file: str, key: str, **facts: object) -> None:
        self.findings.append(Finding(code=code, file=self._name(file), key=key, facts=facts))


@dataclass(frozen=True, slots=True)
class _BindingReader:
    """Reads the places of one binding."""

    findings: list[Finding]
    named: str
    library: Library
    catalog: Catalog
    schema: JsonSchema

    def repeat(self, text: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """The arrays of parts, and of the records."""
        known = [RECORDS, *(part.name for part in self.catalog.parts)]
        found: dict[str, tuple[str, ...]] = {}
        # The records first: what stands in them is seen through their array.
        for part in sorted(text, key=lambda name: name != RECORDS):
            key, path = f"repeat.{part}", steps_of(text[part])
            if part not in known:
                self._say("binding-part-unknown", key, part=part, known="、".join(known))
                continue
            place = self._walk(key, path, found)
            if place is None:
                continue
            if place.types() and "array" not in place.types():
                self._say("json-repeat-no-array", key, path=text[part], types=_said(place))
                continue
            found[part] = path
        return found

    def leaf(self, number: int, bind: _BindText, repeat: Mapping[str, tuple[str, ...]]) -> JsonLeaf | None:
        """One ``[[bind]]``, or None with findings."""
        key = dotted("bind", number)
        steps = steps_of(bind.to)
        fields = {field.name: field for field in self.catalog.fields}
        if bind.field is not None and bind.field not in fields:
            close = get_close_matches(bind.field, fields, n=1)
            self._say("binding-field-unknown", f"{key}.field", field=bind.field, close=close[0] if close else "-")
            return None
        field = fields.get(bind.field or "")
        if field is not None and bind.empty is None:
            self._say("binding-empty-missing", f"{key}.empty", field=field.name)
        if field is not None and bind.batch is not None:
            self._say("binding-batch-field", f"{key}.batch", batch=bind.batch)
        place = self._walk(f"{key}.to", steps, repeat)
        if place is None or any(steps == array for array in repeat.values()):
            if place is not None:
                self._say("json-path-repeated", f"{key}.to", path=bind.to)
            return None
        kind = bind.kind or _kind_of(place)
        separator = field.separator if field is not None else None
        if kind is None or (kind is JsonKind.LIST and separator is None):
            self._say("json-path-no-leaf", f"{key}.to", path=bind.to, types=_said(place))
            return None
        start = field.type if field is not None else bind.batch.type if bind.batch is not None else None
        column = SheetColumn(
            heading=bind.to,
            field=bind.field,
            batch=bind.batch,
            rules=self._rules(key, bind, start),
            when_empty=bind.empty or WhenEmpty.OMIT,
            why=bind.why,
            profile=bind.profile,
        )
        return JsonLeaf(
            steps=steps, kind=kind, column=column, nullable="null" in place.types(), separator=separator or ""
        )

    def refuse_strays(self, template: JsonTemplate) -> None:
        """A part's field stands where its part is repeated, a record's in the record; no place has two sources or is also an object."""
        seen: set[tuple[str, ...]] = set()
        for number, leaf in enumerate(template.leaves):
            key = f"{dotted('bind', number)}.to"
            written = leaf.column.heading
            if leaf.steps in seen or any(
                other.steps[: len(leaf.steps)] == leaf.steps for other in template.leaves if other is not leaf
            ):
                self._say("binding-path-twice", key, path=written)
            seen.add(leaf.steps)
            field = self.catalog.field(leaf.column.field) if leaf.column.field is not None else None
            if field is None:
                continue
            if not template.in_record(leaf.steps):
                self._say("binding-record-outside", key, field=field.name)
            elif field.part is not None and field.part not in self.catalog.chain(template.part_at(leaf.steps)):
                code = "binding-part-outside-rows" if field.part in template.repeat else "binding-part-unrepeated"
                self._say(code, key, field=field.name, part=field.part)
        for part, path in template.repeat.items():
            outer = self.catalog.part(part).within
            if not template.in_record(path) or (outer is not None and template.part_at(path[:-1]) != outer):
                self._say("binding-part-outside", f"repeat.{part}", part=part, outer=outer or RECORDS)

    def _walk(self, key: str, steps: tuple[str, ...], repeat: Mapping[str, tuple[str, ...]]) -> Place | None:
        """What the schema says at the end of ``steps``, or None with a finding that names the step it does not have."""
        arrays = set(repeat.values())
        here = self.schema.root.items() if () in arrays and steps else self.schema.root
        for length, step in enumerate(steps, start=1):
            if not step or "[" in step or "]" in step:
                self._say("json-path-malformed", key, step=step)
                return None
            if "array" in here.types() and "object" not in here.types():
                self._say("json-array-unrepeated", key, path="/".join(steps[: length - 1]) or ".")
                return None
            child = here.child(step)
            if child is None or (not child.sayings and here.names()):
                close = get_close_matches(step, here.names(), n=3) or list(here.names()[:5])
                facts = {"step": step, "parent": "/".join(steps[: length - 1]) or ".", "close": "、".join(close) or "-"}
                severity = Severity.ERROR if child is None else Severity.WARNING
                code = "json-path-unknown" if child is None else "json-path-unnamed"
                finding = Finding(code=code, file=self.named, key=key, severity=severity, facts=facts)
                self.findings.append(finding)
                if child is None:
                    return None
            here = child.items() if steps[:length] in arrays and length < len(steps) else child
        return here

    def _rules(self, key: str, bind: _BindText, start: FieldType | None) -> tuple[Rule, ...]:
        if bind.rules is None and start is not None:
            return ()
        read = read_rules(
            bind.rules or [],
            file=self.named,
            key=f"{key}.rules",
            start=start or FieldType.TEXT,
            columns=0 if start is None else 1,
            crosswalks=self.library.crosswalks,
        )
        self.findings.extend(read.findings)
        return read.rules

    def _say(self, code: str, key: str, **facts: object) -> None:
        self.findings.append(Finding(code=code, file=self.named, key=key, facts=facts))


def _demanded(
    leaves: Iterable[JsonLeaf], schema: JsonSchema, arrays: Set[tuple[str, ...]]
) -> frozenset[tuple[str, ...]]:
    """The objects above the leaves that the schema wants wherever their parent stands."""
    above = {leaf.steps[:length] for leaf in leaves for length in range(1, len(leaf.steps))}
    return frozenset(steps for steps in above if steps[-1] in schema.at(steps[:-1], arrays).required())


def _kind_of(place: Place) -> JsonKind | None:
    """As what a value is written: text where it may be one. None where there can be no value."""
    types = place.types() - {"null"}
    if not types or "string" in types:
        return JsonKind.STRING
    for named, kind in (("number", JsonKind.NUMBER), ("integer", JsonKind.NUMBER), ("boolean", JsonKind.BOOLEAN)):
        if named in types:
            return kind
    return JsonKind.LIST if "array" in types else None


def _said(place: Place) -> str:
    return "、".join(sorted(place.types())) or "-"
