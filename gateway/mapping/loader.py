"""Source mappings from ``mappings/sources/<id>.toml``, read strictly: every mistake in the text is named at once, with its place.

The text has ``id``, ``version``, ``zh``, ``en``, ``catalog``, perhaps ``headings`` (a known template's headings in order), and one table
``[fields.<catalog field>]`` a field: ``column`` or ``columns`` (or neither, for a constant), ``rules`` in order, ``empty`` (what an empty
value means: ``reject``, ``leave`` or ``value:…``), perhaps ``why``. Columns without a table are never read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from gateway.catalog.codelists import may_hold
from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Field, FieldType
from gateway.catalog.reading import Name, Shape, Words, read_shape, read_toml
from gateway.errors import Finding, Findings
from gateway.mapping.headings import heading_key
from gateway.mapping.model import Empty, EmptyPolicy, FieldMapping, Rule, SourceMapping
from gateway.mapping.rule_reader import read_rules

__all__ = ["load_source_mapping", "load_source_mappings"]

_VALUE = "value:"


class _FieldText(Shape):
    """A table ``[fields.<name>]``."""

    column: Words | None = None
    columns: list[Words] | None = None
    rules: list[object] | None = None
    empty: Words
    why: str = ""


class _HeadText(Shape):
    """The mapping's own keys; fields are read one by one, so that a mistake in one hides none in another."""

    id: Name
    version: Words
    zh: Words
    en: Words
    catalog: Words
    headings: list[Words] | None = None
    fields: dict[str, object]


def load_source_mapping(path: Path, library: Library) -> SourceMapping:
    """The source mapping in ``path``. Raises :class:`gateway.errors.Findings` with every mistake found."""
    findings: list[Finding] = []
    mapping = _load(path, library, findings)
    if mapping is None:
        raise Findings(findings)
    return mapping


def load_source_mappings(folder: Path, library: Library) -> Mapping[str, SourceMapping]:
    """Every source mapping of the mappings folder by id, in order of id. Raises Findings with the mistakes of all of them."""
    findings: list[Finding] = []
    loaded = [_load(path, library, findings) for path in sorted((folder / "sources").glob("*.toml"))]
    if findings:
        raise Findings(findings)
    return MappingProxyType({mapping.id: mapping for mapping in loaded if mapping is not None})


def _load(path: Path, library: Library, findings: list[Finding]) -> SourceMapping | None:
    """The mapping in ``path``, or None with findings appended."""
    file = path.as_posix()
    try:
        data = path.read_bytes()
    except OSError as error:
        findings.append(_finding("mapping-file-unreadable", file, "", detail=error.strerror or type(error).__name__))
        return None
    raw = read_toml(file, data, findings)
    return None if raw is None else _MappingReader(file, data, raw, library, findings).read()


class _MappingReader:
    """One reading of one text: gathers findings while the parts are built."""

    def __init__(
        self, file: str, data: bytes, raw: Mapping[str, object], library: Library, findings: list[Finding]
    ) -> None:
        self._file = file
        self._data = data
        self._raw = raw
        self._library = library
        self._findings = findings

    def read(self) -> SourceMapping | None:
        """The mapping, or None when anything is wrong."""
        before = len(self._findings)
        head = read_shape(_HeadText, self._raw, self._file, (), self._findings)
        if head is not None:
            self._check_head(head)
        catalog = self._library.catalogs.get(str(self._raw.get("catalog")))
        tables = self._raw.get("fields")
        if catalog is None or not isinstance(tables, dict):
            return None
        read = [self._field(name, table, catalog) for name, table in tables.items()]
        self._check_bound(tables, catalog)
        if head is None or len(self._findings) > before:
            return None
        return SourceMapping(
            id=head.id,
            version=head.version,
            zh=head.zh,
            en=head.en,
            catalog=head.catalog,
            fields=tuple(item for item in read if item is not None),
            headings=tuple(head.headings or ()),
            digest=hashlib.sha256(self._data).hexdigest(),
        )

    def _find(self, code: str, key: str, **facts: object) -> None:
        self._findings.append(_finding(code, self._file, key, **facts))

    def _check_head(self, head: _HeadText) -> None:
        if head.id != Path(self._file).stem:
            self._find("mapping-id-not-file", "id", id=head.id, stem=Path(self._file).stem)
        if head.catalog not in self._library.catalogs:
            known = "、".join(self._library.catalogs)
            self._find("mapping-catalog-unknown", "catalog", catalog=head.catalog, known=known)
        seen: dict[str, int] = {}
        for number, heading in enumerate(head.headings or (), start=1):
            first = seen.setdefault(heading_key(heading), number)
            if first != number:
                self._find("mapping-heading-twice", f"headings[{number}]", heading=heading, first=first)

    def _check_bound(self, tables: Mapping[str, object], catalog: Catalog) -> None:
        """Every field that a record cannot be without comes from somewhere."""
        needed = {*catalog.key, catalog.unit, catalog.deadline.field}
        needed |= {field.name for field in catalog.fields if field.required}
        for field in catalog.fields:
            if field.name in needed and field.name not in tables:
                self._find("mapping-field-unbound", f"fields.{field.name}", field=field.name, zh=field.zh, en=field.en)

    def _field(self, name: str, raw: object, catalog: Catalog) -> FieldMapping | None:
        key = f"fields.{name}"
        known = {field.name: field for field in catalog.fields}
        if name not in known:
            close = get_close_matches(name, known, n=1)
            self._find("mapping-field-unknown", key, field=name, catalog=catalog.id, close=close[0] if close else "-")
            return None
        text = read_shape(_FieldText, raw, self._file, ("fields", name), self._findings)
        if text is None:
            return None
        columns = self._columns(key, text)
        read = read_rules(
            text.rules or [],
            file=self._file,
            key=f"{key}.rules",
            start=FieldType.TEXT,
            columns=len(columns),
            crosswalks=self._library.crosswalks,
        )
        self._findings.extend(read.findings)
        field = known[name]
        if not read.findings and read.type is not field.type:
            self._find("mapping-result-type", f"{key}.rules", expected=field.type, got=read.type)
        empty = self._empty(key, text.empty, field)
        if not read.findings:
            self._check_codes(key, field, read.rules, empty)
        return FieldMapping(field=name, columns=columns, rules=read.rules, empty=empty, why=text.why)

    def _columns(self, key: str, text: _FieldText) -> tuple[str, ...]:
        if text.column is not None and text.columns is not None:
            self._find("mapping-columns-either", key)
        columns = (text.column,) if text.column is not None else tuple(text.columns or ())
        if text.columns is not None and (len(columns) < 2 or len(set(columns)) < len(columns)):
            self._find("mapping-columns-few", f"{key}.columns")
        headings = self._raw.get("headings")
        if isinstance(headings, list):
            for column in columns:
                if column not in headings:
                    close = get_close_matches(column, [str(heading) for heading in headings], n=1)
                    facts = {"column": column, "close": close[0] if close else "-"}
                    self._find("mapping-column-not-in-headings", key, **facts)
        return columns

    def _empty(self, key: str, said: str, field: Field) -> Empty:
        if said in (EmptyPolicy.REJECT, EmptyPolicy.LEAVE):
            return Empty(policy=EmptyPolicy(said))
        value = said.removeprefix(_VALUE)
        if not said.startswith(_VALUE) or value.strip() == "":
            self._find("mapping-empty-wrong", f"{key}.empty", value=said)
        elif not _is_canonical(value, field):
            self._find("mapping-empty-type", f"{key}.empty", value=value, type=field.type)
        return Empty(policy=EmptyPolicy.VALUE, value=value)

    def _check_codes(self, key: str, field: Field, rules: tuple[Rule, ...], empty: Empty) -> None:
        """What the mapping itself writes into a coded field can stand there."""
        codelist = self._library.codelists.get(field.codelist or "")
        if codelist is None:
            return
        written = set(_written(rules[-1:], self._library))
        if empty.value is not None:
            written.add(empty.value)
        for value in sorted(written):
            if not may_hold(field, codelist, value):
                self._find("mapping-code-outside", key, value=value, codelist=codelist.id)


def _written(rules: tuple[Rule, ...], library: Library) -> Iterator[str]:
    """The values that the last rule of a chain puts in by itself."""
    for rule in rules:
        match rule.name:
            case "constant" | "filled-as":
                yield str(rule.parameters["value"])
            case "lookup":
                table = rule.parameters.get("table")
                if isinstance(table, dict):
                    yield from table.values()
                else:
                    yield from library.crosswalks[str(rule.parameters["crosswalk"])].values()
                unmapped = str(rule.parameters["unmapped"])
                if unmapped.startswith(_VALUE):
                    yield unmapped.removeprefix(_VALUE)


def _is_canonical(value: str, field: Field) -> bool:
    """Whether ``value`` is the canonical text of some value of the field."""
    match field.type:
        case FieldType.TEXT:
            return field.max_length is None or len(value) <= field.max_length
        case FieldType.DATE:
            try:
                return date.fromisoformat(value).isoformat() == value
            except ValueError:
                return False
        case FieldType.DECIMAL:
            scale, precision = field.scale or 0, field.precision or 38
            found = re.fullmatch(r"(0|[1-9]\d*)(?:\.(\d*[1-9]))?", value, re.ASCII)
            return found is not None and len(found[1]) <= precision - scale and len(found[2] or "") <= scale
        case FieldType.INTEGER:
            return re.fullmatch(r"0|-?[1-9]\d{0,17}", value, re.ASCII) is not None


def _finding(code: str, file: str, key: str, **facts: object) -> Finding:
    return Finding(code=code, file=file, key=key, facts=facts)
