"""One catalog from its TOML text: shapes first, then all that must agree with something else, every finding at once.

The text has the catalog's own keys, one table ``[fields.<name>]`` a field in the order of the exchange, one table
``[rules.<id>]`` a rule, one table ``[parts.<name>]`` for whatever a record holds several times. Conditions read
``required_when = [{ subject_kind.is = ["自然人"] }]``: alternatives in a list, in each the fields that must all satisfy their test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from gateway.catalog.catalog_shape import FieldText, HeadText, PartText, RuleText, WhenText
from gateway.catalog.codelists import CodeList
from gateway.catalog.model import (
    Catalog,
    Condition,
    CrossRule,
    Deadline,
    Field,
    FieldType,
    Operator,
    Part,
)
from gateway.catalog.reading import dotted, listed, read_shape, read_toml
from gateway.errors import Finding

__all__ = ["SUBJECT_KINDS", "parse_catalog"]

SUBJECT_KINDS = "subject-kinds"
"""The code list that a catalog's ``subject_kinds`` are words of."""

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_TEXT_ONLY = ("max_length", "codelist", "open_prefix", "separator", "identifier", "placeholder")
_DECIMAL_ONLY = ("precision", "scale")
_NEEDS = (
    ("open_prefix", "codelist"),
    ("separator", "codelist"),
    ("identifier_when", "identifier"),
    ("placeholder_when", "placeholder"),
)


def parse_catalog(file: str, data: bytes, codelists: Mapping[str, CodeList], findings: list[Finding]) -> Catalog | None:
    """The catalog in the bytes of a TOML text, or None; every mistake is appended to ``findings``."""
    raw = read_toml(file, data, findings)
    if raw is None:
        return None
    return _CatalogReader(file, raw, codelists, findings).read()


class _CatalogReader:
    """One reading of one text: gathers findings while the parts are built."""

    def __init__(
        self, file: str, raw: Mapping[str, object], codelists: Mapping[str, CodeList], findings: list[Finding]
    ) -> None:
        self._file = file
        self._raw = raw
        self._codelists = codelists
        self._findings = findings
        self._texts: dict[str, FieldText] = {}
        self._names: frozenset[str] = frozenset()
        self._parts: dict[str, Part] = {}

    def read(self) -> Catalog | None:
        """The catalog, or None when anything is wrong."""
        before = len(self._findings)
        head = read_shape(HeadText, self._raw, self._file, (), self._findings)
        raw_fields, raw_rules, raw_parts = self._table("fields"), self._table("rules"), self._table("parts")
        self._names = frozenset(raw_fields)
        for name, raw in raw_fields.items():
            if _FIELD_NAME.fullmatch(name) is None:
                self._find("catalog-field-name", "fields", name)
            text = read_shape(FieldText, raw, self._file, ("fields", name), self._findings)
            if text is not None:
                self._texts[name] = text
        for name, raw in raw_parts.items():
            self._part(name, raw)
        fields = tuple(self._field(name, text) for name, text in self._texts.items())
        rules = tuple(rule for rule_id, raw in raw_rules.items() if (rule := self._rule(rule_id, raw)) is not None)
        if head is not None:
            self._check_head(head)
        if head is None or len(self._findings) > before:
            return None
        return Catalog(
            id=head.id,
            version=head.version,
            zh=head.zh,
            en=head.en,
            standard=head.standard,
            subject_kinds=head.subject_kinds,
            key=head.key,
            unit=head.unit,
            deadline=Deadline(
                field=head.deadline.field, working_days=head.deadline.working_days, profile=head.deadline.profile
            ),
            fields=fields,
            rules=rules,
            parts=tuple(self._parts.values()),
            category=head.category,
        )

    def _table(self, key: str) -> Mapping[str, object]:
        """A table of tables, empty when it is something else (the shape of the head has said so)."""
        table = self._raw.get(key)
        return {str(name): value for name, value in table.items()} if isinstance(table, dict) else {}

    def _find(self, code: str, *place: object, **facts: object) -> None:
        self._findings.append(Finding(code=code, file=self._file, key=dotted(*place), facts=facts))

    # -- head ----------------------------------------------------------------------------------------

    def _check_head(self, head: HeadText) -> None:
        if head.id != PurePath(self._file).stem:
            self._find("catalog-id-not-file", "id", id=head.id, stem=PurePath(self._file).stem)
        kinds = self._codelists.get(SUBJECT_KINDS)
        if kinds is None:
            self._find("catalog-codelist-unknown", "subject_kinds", id=SUBJECT_KINDS, known=listed(self._codelists))
        else:
            for place, kind in enumerate(head.subject_kinds):
                if kind not in kinds.values():
                    self._find("catalog-code-unknown", "subject_kinds", place, value=kind, list=SUBJECT_KINDS)
        for place, name in enumerate(head.key):
            if name in head.key[:place]:
                self._find("catalog-field-repeated", "key", place, field=name)
            self._check_needed(name, None, "key", place)
        self._check_needed(head.unit, FieldType.TEXT, "unit")
        self._check_needed(head.deadline.field, FieldType.DATE, "deadline", "field")

    def _check_needed(self, name: str, kind: FieldType | None, *place: object) -> None:
        """A field that the whole catalog rests on exists, is of the right type and always filled."""
        if not self._known(name, *place):
            return
        text = self._texts.get(name)
        if text is None:
            return
        if kind is not None and text.type is not kind:
            self._find("catalog-field-type", *place, field=name, expected=kind, got=text.type)
        if not text.required:
            self._find("catalog-field-not-required", *place, field=name)
        if text.part is not None and place[0] != "parts":
            self._find("catalog-field-in-part", *place, field=name, part=text.part)

    def _known(self, name: str, *place: object) -> bool:
        if name in self._names:
            return True
        self._find("catalog-field-unknown", *place, field=name)
        return False

    # -- parts ---------------------------------------------------------------------------------------

    def _part(self, name: str, raw: object) -> None:
        """One part; those it stands within were read before it, so that no two can stand within each other."""
        text = read_shape(PartText, raw, self._file, ("parts", name), self._findings)
        if text is None:
            return
        if _FIELD_NAME.fullmatch(name) is None or name in self._names:
            self._find("catalog-part-name", "parts", name)
        if text.within is not None and text.within not in self._parts:
            self._find("catalog-part-unknown", "parts", name, "within", part=text.within, known=listed(self._parts))
            return
        self._parts[name] = Part(name=name, zh=text.zh, en=text.en, key=text.key, within=text.within)
        for place, field in enumerate(text.key):
            self._check_needed(field, None, "parts", name, "key", place)
            if field in self._texts and self._texts[field].part != name:
                self._find("catalog-part-key", "parts", name, "key", place, field=field, part=name)

    def _chain(self, part: str | None) -> tuple[str, ...]:
        """The parts that lead to ``part``, itself included."""
        known = self._parts.get(part or "")
        return () if known is None else (*self._chain(known.within), known.name)

    # -- fields --------------------------------------------------------------------------------------

    def _field(self, name: str, text: FieldText) -> Field:
        self._check_type(name, text)
        self._check_codes(name, text)
        if text.part is not None and text.part not in self._parts:
            self._find("catalog-part-unknown", "fields", name, "part", part=text.part, known=listed(self._parts))
        for key, needed in _NEEDS:
            if getattr(text, key) and not getattr(text, needed):
                self._find("catalog-key-needs", "fields", name, key, needed=needed)
        if text.required and text.required_when:
            self._find("catalog-required-twice", "fields", name, "required_when")
        if text.required and text.empty_when:
            self._find("catalog-required-and-empty", "fields", name, "empty_when")
        return Field(
            name=name,
            zh=text.zh,
            en=text.en,
            type=text.type,
            part=text.part,
            max_length=text.max_length,
            precision=text.precision,
            scale=text.scale,
            required=text.required,
            required_when=self._alternatives(text.required_when, "fields", name, "required_when"),
            empty_when=self._alternatives(text.empty_when, "fields", name, "empty_when"),
            codelist=text.codelist,
            open_prefix=text.open_prefix,
            separator=text.separator,
            identifier=text.identifier,
            identifier_when=tuple(self._conditions(text.identifier_when, "fields", name, "identifier_when")),
            placeholder=text.placeholder,
            placeholder_when=tuple(self._conditions(text.placeholder_when, "fields", name, "placeholder_when")),
            personal=text.personal,
            disclosure=text.disclosure,
            profile=text.profile,
            note=text.note,
        )

    def _check_type(self, name: str, text: FieldText) -> None:
        wrong = {"text": _DECIMAL_ONLY, "decimal": _TEXT_ONLY}.get(text.type, (*_TEXT_ONLY, *_DECIMAL_ONLY))
        for key in wrong:
            if getattr(text, key) is not None:
                self._find("catalog-key-not-for-type", "fields", name, key, type=text.type)
        if text.type is FieldType.DECIMAL:
            missing = [key for key in _DECIMAL_ONLY if getattr(text, key) is None]
            for key in missing:
                self._find("catalog-key-missing", "fields", name, key)
            if text.precision is not None and text.scale is not None and text.scale > text.precision:
                self._find("catalog-scale-too-large", "fields", name, "scale", most=text.precision)

    def _check_codes(self, name: str, text: FieldText) -> None:
        """The code list exists and each of its codes could stand in the field."""
        if text.codelist is None:
            return
        codelist = self._codelists.get(text.codelist)
        if codelist is None:
            known = listed(self._codelists)
            self._find("catalog-codelist-unknown", "fields", name, "codelist", id=text.codelist, known=known)
            return
        for code in codelist.values():
            if text.max_length is not None and len(code) > text.max_length:
                self._find("catalog-code-too-long", "fields", name, "max_length", value=code, list=text.codelist)
            if text.separator is not None and text.separator in code:
                self._find("catalog-code-separator", "fields", name, "separator", value=code, list=text.codelist)

    # -- conditions ----------------------------------------------------------------------------------

    def _alternatives(self, whens: Sequence[WhenText], *place: object) -> tuple[tuple[Condition, ...], ...]:
        return tuple(tuple(self._conditions(when, *place, number)) for number, when in enumerate(whens))

    def _conditions(self, when: WhenText, *place: object) -> Iterator[Condition]:
        for name, test in when.items():
            chosen = [operator for operator in Operator if getattr(test, _attribute(operator))]
            if len(chosen) != 1:
                self._find("catalog-condition-tests", *place, name, count=len(chosen))
                continue
            operator = chosen[0]
            values: tuple[str, ...] = ()
            if operator in (Operator.IS, Operator.HAS):
                values = getattr(test, _attribute(operator))
            if self._known(name, *place, name) and name in self._texts:
                self._check_reach(name, str(place[1]), *place, name)
                self._check_test(self._texts[name], operator, values, *place, name, operator)
            yield Condition(field=name, operator=operator, values=values)

    def _check_reach(self, name: str, asking: str, *place: object) -> None:
        """A condition looks at what stands in the same row or around it, never into another part."""
        own = self._texts[asking].part if asking in self._texts else None
        if self._texts[name].part not in {None, *self._chain(own)}:
            self._find("catalog-condition-part", *place, field=name, part=self._texts[name].part)

    def _check_test(self, text: FieldText, operator: Operator, values: tuple[str, ...], *place: object) -> None:
        """The test suits its field, and its words can occur there."""
        if not values:
            return
        if text.type is not FieldType.TEXT:
            self._find("catalog-condition-type", *place, type=text.type)
            return
        if operator is Operator.IS and text.separator is not None:
            self._find("catalog-condition-multiple", *place)
            return
        codelist = self._codelists.get(text.codelist or "")
        if codelist is None:
            return
        for number, value in enumerate(values):
            known = codelist.values()
            found = value in known if operator is Operator.IS else any(code.startswith(value) for code in known)
            if text.open_prefix is not None:
                found = found or value.startswith(text.open_prefix)
            if not found:
                self._find("catalog-code-unknown", *place, number, value=value, list=codelist.id)

    # -- rules ---------------------------------------------------------------------------------------

    def _rule(self, rule_id: str, raw: object) -> CrossRule | None:
        text = read_shape(RuleText, raw, self._file, ("rules", rule_id), self._findings)
        if text is None:
            return None
        for number, name in enumerate(text.fields):
            place = ("rules", rule_id, "fields", number)
            if name in text.fields[:number]:
                self._find("catalog-field-repeated", *place, field=name)
            if self._known(name, *place) and name in self._texts:
                expected = FieldType.TEXT if text.kind == "differs" else FieldType.DATE
                if self._texts[name].type is not expected:
                    got = self._texts[name].type
                    self._find("catalog-field-type", *place, field=name, expected=expected, got=got)
        deepest = max(
            (self._texts[name].part for name in text.fields if name in self._texts), key=self._depth, default=None
        )
        for number, name in enumerate(text.fields):
            if name in self._texts and self._texts[name].part not in {None, *self._chain(deepest)}:
                place = ("rules", rule_id, "fields", number)
                self._find("catalog-condition-part", *place, field=name, part=self._texts[name].part)
        if text.kind != "order" and len(text.fields) != 2:
            self._find("catalog-rule-fields", "rules", rule_id, "fields", kind=text.kind, got=len(text.fields))
        if text.limit is not None and text.kind != "publicity":
            self._find("catalog-key-not-for-rule", "rules", rule_id, "limit", kind=text.kind)
        parameters: dict[str, object] = {} if text.limit is None else {"limit": text.limit}
        return CrossRule(id=rule_id, kind=text.kind, fields=text.fields, weight=text.weight, parameters=parameters)

    def _depth(self, part: str | None) -> int:
        return len(self._chain(part))


def _attribute(operator: Operator) -> str:
    """The attribute of a test; ``is`` is a word of Python's own."""
    return "is_" if operator is Operator.IS else operator.value
