"""``bindings/<catalog>.toml`` read strictly: every path found in the schema, every rule one that a receiver can undo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, FieldType
from gateway.catalog.reading import dotted, read_shape, read_toml
from gateway.errors import Finding
from gateway.mapping.coverage import coverage
from gateway.mapping.format_model import Binding, BoundLeaf, WhenEmpty
from gateway.mapping.format_text import BindingText, BindText
from gateway.mapping.model import Rule
from gateway.mapping.rule_reader import read_rules
from gateway.mapping.schema import Element, Schema, local_name
from gateway.mapping.way_back import OneWayError, reading_rules

__all__ = ["read_binding"]


def read_binding(
    file: str,
    data: bytes,
    schema: Schema,
    prefixes: Mapping[str, str],
    library: Library,
    findings: list[Finding],
) -> Binding | None:
    """The binding in the bytes of ``file``; mistakes are appended to ``findings``, also how it covers the schema."""
    raw = read_toml(file, data, findings)
    text = None if raw is None else read_shape(BindingText, raw, file, (), findings)
    if text is None:
        return None
    if PurePosixPath(file).stem != text.catalog:
        findings.append(Finding(code="binding-not-file", file=file, key="catalog", facts={"catalog": text.catalog}))
    catalog, root = library.catalogs.get(text.catalog), _chosen(schema.roots.values(), text.root, prefixes)
    if catalog is None:
        facts = {"catalog": text.catalog, "known": "、".join(library.catalogs)}
        findings.append(Finding(code="binding-catalog-unknown", file=file, key="catalog", facts=facts))
    if root is None:
        facts = {"root": text.root, "known": "、".join(local_name(name) for name in schema.roots)}
        findings.append(Finding(code="binding-root-unknown", file=file, key="root", facts=facts))
    if catalog is None or root is None:
        return None
    before = len(findings)
    reader = _Reader(file=file, root=root, catalog=catalog, prefixes=prefixes, library=library, findings=findings)
    leaves = tuple(leaf for number, bind in enumerate(text.bind) if (leaf := reader.leaf(number, bind)) is not None)
    reader.refuse_twice(leaves)
    binding = Binding(catalog=catalog.id, root=root.name, leaves=leaves)
    if len(findings) == before:
        findings += coverage(binding, root, catalog, library, file)
    return binding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads the leaves of one binding."""

    file: str
    root: Element
    catalog: Catalog
    prefixes: Mapping[str, str]
    library: Library
    findings: list[Finding]

    def leaf(self, number: int, bind: BindText) -> BoundLeaf | None:
        """One ``[[bind]]``, or None with findings."""
        steps = self._steps(number, bind.to)
        fields = {field.name: field for field in self.catalog.fields}
        if bind.field is not None and bind.field not in fields:
            close = get_close_matches(bind.field, fields, n=1)
            self._find("binding-field-unknown", number, "field", field=bind.field, close=close[0] if close else "-")
            return None
        rules = self._rules(number, bind)
        if bind.field is not None and bind.empty is None:
            self._find("binding-empty-missing", number, "empty", field=bind.field)
        if steps is None or rules is None:
            return None
        return BoundLeaf(
            target=bind.to,
            steps=steps,
            field=bind.field,
            rules=rules,
            when_empty=WhenEmpty(bind.empty or WhenEmpty.OMIT),
            why=bind.why,
            profile=bind.profile,
        )

    def refuse_twice(self, leaves: tuple[BoundLeaf, ...]) -> None:
        """Two values for one place are one too many."""
        seen: set[tuple[str, ...]] = set()
        for number, leaf in enumerate(leaves):
            if leaf.steps in seen:
                self._find("binding-path-twice", number, "to", path=leaf.target)
            seen.add(leaf.steps)

    def _rules(self, number: int, bind: BindText) -> tuple[Rule, ...] | None:
        field = next((item for item in self.catalog.fields if item.name == bind.field), None)
        if bind.rules is None and field is not None:
            return ()
        read = read_rules(
            bind.rules or [],
            file=self.file,
            key=dotted("bind", number, "rules"),
            start=field.type if field is not None else FieldType.TEXT,
            columns=0 if field is None else 1,
            crosswalks=self.library.crosswalks,
        )
        self.findings.extend(read.findings)
        if read.findings:
            return None
        try:
            if field is not None:
                reading_rules(read.rules, field, self.library.crosswalks)
        except OneWayError as error:
            self._find("binding-rule-one-way", number, f"rules[{error.number}]", rule=error.rule.name)
            return None
        return read.rules

    def _steps(self, number: int, path: str) -> tuple[str, ...] | None:
        """The path in full names, or None with a finding that names the step the schema does not have."""
        here = self.root
        steps: list[str] = []
        parts = path.split("/")
        for place, part in enumerate(parts):
            if part.startswith("@") and place == len(parts) - 1:
                names = [attribute.name for attribute in here.attributes]
                wanted = _full_names(part[1:], self.prefixes, attribute=True)
                found = next((name for name in names if name in wanted), None)
                if found is None:
                    self._unknown(number, part, here, ["@" + local_name(name) for name in names])
                    return None
                return (*steps, f"@{found}")
            child = _chosen(here.children(), part, self.prefixes)
            if child is None:
                self._unknown(number, part, here, [local_name(element.name) for element in here.children()])
                return None
            here = child
            steps.append(child.name)
        if here.type is None or here.abstract:
            self._find("binding-path-not-leaf", number, "to", path=path)
            return None
        return tuple(steps)

    def _unknown(self, number: int, step: str, parent: Element, known: list[str]) -> None:
        close = get_close_matches(step, known, n=3) or known[:5]
        facts = {"step": step, "parent": local_name(parent.name), "close": "、".join(close) or "-"}
        self._find("binding-path-unknown", number, "to", **facts)

    def _find(self, code: str, number: int, key: str, **facts: object) -> None:
        place = f"{dotted('bind', number)}.{key}"
        self.findings.append(Finding(code=code, file=self.file, key=place, facts=facts))


def _chosen(elements: Iterable[Element], written: str, prefixes: Mapping[str, str]) -> Element | None:
    wanted = _full_names(written, prefixes, attribute=False)
    return next((element for element in elements if element.name in wanted), None)


def _full_names(written: str, prefixes: Mapping[str, str], *, attribute: bool) -> tuple[str, ...]:
    """What a written name may stand for. Without a prefix: the main namespace or, in schemas with unqualified names, none."""
    prefix, colon, local = written.rpartition(":")
    if colon:
        return (f"{{{prefixes[prefix]}}}{local}",) if prefix in prefixes else ()
    return (local,) if attribute else (f"{{{prefixes['']}}}{local}", local)
