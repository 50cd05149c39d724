"""``mappings/formats/<id>/`` of a format of JSON, read strictly: format.toml, the JSON Schema, a binding for each kind of document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, FieldType
from gateway.catalog.reading import LOOSE, Shape, Words, dotted
from gateway.errors import Finding, MappingError, Severity
from gateway.mapping.columns_loader import ColumnsReader
from gateway.mapping.feedback_text import FeedbackText
from gateway.mapping.format_model import RECORDS, BatchFact, WhenEmpty
from gateway.mapping.format_text import FieldsHead
from gateway.mapping.json_coverage import json_coverage
from gateway.mapping.json_model import JsonFormat, JsonKind, JsonLeaf, JsonTemplate, steps_of
from gateway.mapping.json_schema import JsonSchema, Place, load_json_schema
from gateway.mapping.model import Rule
from gateway.mapping.rule_reader import read_rules
from gateway.mapping.sheet_model import SheetColumn

__all__ = ["load_json_format"]


class _HeadText(FieldsHead):
    document: Literal["json"]
    withdrawn: Words | None = None
    feedback: FeedbackText | None = None


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
    parts = ColumnsReader(folder, library, [])
    return parts.sound(_Reader(parts).read())


@dataclass(frozen=True, slots=True)
class _Reader:
    parts: ColumnsReader

    def read(self) -> JsonFormat | None:
        parts = self.parts
        head = parts.head(_HeadText)
        if head is None:
            return None
        for path in sorted(parts.folder.rglob("*.json")):
            parts.read_bytes(path.relative_to(parts.folder).as_posix())
        return JsonFormat(
            **head.values(),
            templates=tuple(one for file in parts.bindings() if (one := self._template(file)) is not None),
            texts=parts.texts,
            withdrawn=head.withdrawn,
            feedback=parts.feedback(head.withdrawn, head.feedback),
            warnings=parts.warnings(),
        )

    def _schema(self, file: str, name: str) -> JsonSchema | None:
        """The schema that a binding names; several bindings may name one."""
        schemas = {path: data for path, data in self.parts.texts.items() if path.endswith(".json")}
        if name not in schemas:
            known = "、".join(schemas) or "-"
            self.parts.find("json-schema-missing", file, "json_schema", schema=name, known=known)
            return None
        try:
            return load_json_schema(name, schemas)
        except MappingError as error:
            self.parts.find(error.code, str(error.facts["schema"]), "", **error.facts)
            return None

    def _template(self, file: str) -> JsonTemplate | None:
        parts = self.parts
        text = parts.shaped(file, _TemplateText)
        catalog = None if text is None else parts.catalog(file, text.catalog)
        if text is None or catalog is None:
            return None
        parts.file_name(file, "file", text.file)
        schema = self._schema(file, text.json_schema)
        if schema is None:
            return None
        before = len(parts.findings)
        reader = _BindingReader(parts.findings, parts.name(file), parts.library, catalog, schema)
        repeat = reader.repeat(text.repeat or {})
        leaves = tuple(leaf for number, bind in enumerate(text.bind) if (leaf := reader.leaf(number, bind, repeat)))
        records = repeat.pop(RECORDS, None)
        template = JsonTemplate(
            id=Path(file).stem,
            catalog=catalog.id,
            file=text.file,
            schema=schema,
            when=tuple(parts.when(file, text.when, catalog)),
            leaves=leaves,
            records=records,
            repeat=repeat,
            most=None if records is None else schema.at(records, set(repeat.values())).most(),
            demanded=_demanded(leaves, schema, {*repeat.values(), *([] if records is None else [records])}),
        )
        if len(parts.findings) == before:
            reader.refuse_strays(template)
        if not any(one.severity is Severity.ERROR for one in parts.findings[before:]):
            parts.findings.extend(json_coverage(template, schema, catalog, parts.library, parts.name(file)))
        return template


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
