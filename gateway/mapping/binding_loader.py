"""``bindings/<catalog>.toml`` read strictly: every path found in the schema, every rule one that a receiver can undo."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, FieldType
from gateway.catalog.reading import dotted, read_shape, read_toml
from gateway.errors import Finding
from gateway.mapping.coverage import coverage
from gateway.mapping.feedback_text import name_findings
from gateway.mapping.file_shape import MARKS
from gateway.mapping.format_model import RECORDS, Binding, BoundLeaf, Document, WhenEmpty, name_of, place_of
from gateway.mapping.format_text import BindingText, BindText
from gateway.mapping.model import Rule
from gateway.mapping.rule_reader import read_rules
from gateway.mapping.schema import Element, Group, Schema, local_name, most_of, namespace_of, repeats_whole
from gateway.mapping.way_back import OneWayError, reading_rules

__all__ = ["FormatForm", "read_binding"]

_STEP: Final = re.compile(r"([^\[\]]+)(?:\[([1-9][0-9]{0,2})\])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatForm:
    """What a binding is held against: the format's schema, the prefixes of its paths, and what a document is."""

    schema: Schema
    prefixes: Mapping[str, str]
    document: Document
    files: bool = False
    """Whether its documents go by files."""


def read_binding(file: str, data: bytes, form: FormatForm, library: Library, findings: list[Finding]) -> Binding | None:
    """The binding in the bytes of ``file``; mistakes are appended to ``findings``, also how it covers the schema."""
    raw = read_toml(file, data, findings)
    text = None if raw is None else read_shape(BindingText, raw, file, (), findings)
    if text is None:
        return None
    if PurePosixPath(file).stem != text.catalog:
        findings.append(Finding(code="binding-not-file", file=file, key="catalog", facts={"catalog": text.catalog}))
    catalog, root = library.catalogs.get(text.catalog), _chosen(form.schema.roots.values(), text.root, form.prefixes)
    if catalog is None:
        facts = {"catalog": text.catalog, "known": "、".join(library.catalogs)}
        findings.append(Finding(code="binding-catalog-unknown", file=file, key="catalog", facts=facts))
    if root is None:
        facts = {"root": text.root, "known": "、".join(local_name(name) for name in form.schema.roots)}
        findings.append(Finding(code="binding-root-unknown", file=file, key="root", facts=facts))
    elif root.abstract:
        stand_ins = "、".join(local_name(name) for name in form.schema.stand_ins(root.name))
        facts = {"root": text.root, "known": stand_ins or "—"}
        findings.append(Finding(code="binding-root-abstract", file=file, key="root", facts=facts))
    if catalog is None or root is None:
        return None
    before = len(findings)
    reader = _Reader(file=file, root=root, catalog=catalog, form=form, library=library, findings=findings)
    leaves = tuple(leaf for number, bind in enumerate(text.bind) if (leaf := reader.leaf(number, bind)) is not None)
    reader.refuse_twice(leaves)
    binding = Binding(
        catalog=catalog.id,
        root=root.name,
        leaves=leaves,
        repeat=reader.repeat(text.repeat or {}),
        file=text.file,
    )
    reader.judge_file(text.file)
    if len(findings) == before:
        reader.refuse_strays(binding)
    if len(findings) == before:
        found = coverage(binding, root, catalog, library, file, partial(_shown, form.prefixes))
        # Whole documents are for receivers that know nothing of our catalogs.
        whole = form.document is Document.WHOLE
        findings += (finding for finding in found if not (whole and finding.code == "coverage-field-unsent"))
    return binding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads the leaves of one binding."""

    file: str
    root: Element
    catalog: Catalog
    form: FormatForm
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
        if bind.batch is not None and (bind.field is not None or self.form.document is Document.RECORD):
            code = "binding-batch-record" if bind.field is None else "binding-batch-field"
            self._find(code, number, "batch", batch=bind.batch)
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
            batch=bind.batch,
        )

    def judge_file(self, file: str | None) -> None:
        """The name of a document's files: where there are any, and only there."""
        if file is not None and self.form.document is Document.RECORD:
            self._say("format-no-files", "file", what="file")
        elif file is None and self.form.files:
            self._say("xml-file-missing", "file", known="、".join(MARKS))
        for code, facts in name_findings(file) if file is not None else ():
            self._say(code, "file", **facts)

    def repeat(self, text: Mapping[str, str]) -> Mapping[tuple[str, ...], str]:
        """Where the rows of each part stand."""
        known = [part.name for part in self.catalog.parts]
        known += [RECORDS] if self.form.document is Document.WHOLE else []
        found: dict[tuple[str, ...], str] = {}
        for part, path in text.items():
            key = f"repeat.{part}"
            if part not in known:
                self._say("binding-part-unknown", key, part=part, known="、".join(known) or "-")
                continue
            way = self._way(key, path)
            if way is None:
                continue
            steps, most = way
            if most == 1:
                group = self._repeated_group(steps)
                if group is None:
                    self._say("binding-repeat-once", key, path=path)
                elif not repeats_whole(group):
                    self._say("binding-group-repeated", key, step=path, members=_told(group))
                else:
                    # The whole group stands once for each row.
                    members = [(*steps[:-1], element.name) for element in group.elements()]
                    if any(member in found for member in members):
                        self._say("binding-path-twice", key, path=path)
                    found |= dict.fromkeys(members, part)
                    continue
            elif steps in found:
                self._say("binding-path-twice", key, path=path)
            found[steps] = part
        places = {part: steps for steps, part in reversed(found.items())}
        for part, steps in places.items():
            outer = self._outer(part)
            if (
                outer is not None
                and outer in places
                and not any(steps[: len(around)] == around for around, other in found.items() if other == outer)
            ):
                self._say("binding-part-outside", f"repeat.{part}", part=part, outer=outer)
        return found

    def _outer(self, part: str) -> str | None:
        """The part within which ``part`` stands in the document."""
        if part == RECORDS:
            return None
        return self.catalog.part(part).within or (RECORDS if self.form.document is Document.WHOLE else None)

    def refuse_strays(self, binding: Binding) -> None:
        """A part's field stands where its part is repeated, and what stands once in a record is no fact of a batch."""
        whole = RECORDS in binding.repeat.values()
        for number, leaf in enumerate(binding.leaves):
            here = binding.part_at(leaf.steps)
            if leaf.field is None:
                continue
            part = self.catalog.field(leaf.field).part
            reached = {RECORDS, *self.catalog.chain(here)} if here not in {None, RECORDS} else {here}
            if part is not None and part not in reached:
                code = "binding-part-outside-rows" if part in binding.repeat.values() else "binding-part-unrepeated"
                self._find(code, number, "to", field=leaf.field, part=part)
            elif whole and here is None:
                self._find("binding-record-outside", number, "to", field=leaf.field)

    def refuse_twice(self, leaves: tuple[BoundLeaf, ...]) -> None:
        """Two values for one place are one too many."""
        seen: set[tuple[str, ...]] = set()
        for number, leaf in enumerate(leaves):
            if leaf.steps in seen:
                self._find("binding-path-twice", number, "to", path=leaf.target)
            seen.add(leaf.steps)
        for number, leaf in enumerate(leaves):
            for length, step in enumerate(leaf.steps, start=1):
                before = (*leaf.steps[: length - 1], f"{name_of(step)}[{place_of(step) - 1}]".removesuffix("[1]"))
                if place_of(step) > 1 and not any(steps[:length] == before for steps in seen):
                    self._find("binding-place-alone", number, "to", path=leaf.target, place=place_of(step) - 1)

    def _rules(self, number: int, bind: BindText) -> tuple[Rule, ...] | None:
        field = next((item for item in self.catalog.fields if item.name == bind.field), None)
        if bind.rules is None and (field is not None or bind.batch is not None):
            return ()
        start = field.type if field is not None else bind.batch.type if bind.batch is not None else FieldType.TEXT
        read = read_rules(
            bind.rules or [],
            file=self.file,
            key=dotted("bind", number, "rules"),
            start=start,
            columns=0 if field is None and bind.batch is None else 1,
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
        key = f"{dotted('bind', number)}.to"
        above, _, last = path.rpartition("/")
        way = self._way(key, above if last.startswith("@") else path)
        if way is None:
            return None
        here, steps = self._element(way[0]), way[0]
        if last.startswith("@"):
            names = [attribute.name for attribute in here.attributes]
            wanted = _full_names(last[1:], self.form.prefixes, attribute=True)
            found = next((name for name in names if name in wanted), None)
            if found is None:
                self._unknown(key, last, here, ["@" + _shown(self.form.prefixes, name) for name in names])
                return None
            return (*steps, f"@{found}")
        if here.type is None or here.abstract:
            self._say("binding-path-not-leaf", key, path=path)
            return None
        return steps

    def _way(self, key: str, path: str) -> tuple[tuple[str, ...], int | None] | None:
        """The steps of ``path``, which leads to an element, and how often that may stand in its parent; or None with a finding."""
        here = self.root
        steps: list[str] = []
        most: int | None = 1
        for part in path.split("/") if path else ():
            read = _STEP.fullmatch(part)
            child = None if read is None else _chosen(here.children(), read[1], self.form.prefixes)
            if read is None or child is None:
                self._unknown(key, part, here, [_shown(self.form.prefixes, child.name) for child in here.children()])
                return None
            most = _most(here, child)
            place = int(read[2] or 1)
            if most is not None and place > most:
                group = _group_around(here, child)
                if group is None or group.max_occurs == 1:
                    self._say("binding-place-too-many", key, step=part, most=most)
                else:
                    self._say("binding-group-repeated", key, step=part, members=_told(group))
                return None
            here = child
            steps.append(child.name if place == 1 else f"{child.name}[{place}]")
        return tuple(steps), most

    def _repeated_group(self, steps: Sequence[str]) -> Group | None:
        """The group in which the element at ``steps`` stands, when it is the group that may be repeated."""
        parent = self._element(steps[:-1])
        group = _group_around(parent, self._element(steps)) if steps else None
        while group is not None and group.max_occurs == 1:
            group = _group_around(parent, group)
        return group

    def _element(self, steps: Iterable[str]) -> Element:
        """The element at the end of steps that the schema has."""
        here = self.root
        for step in steps:
            here = next(child for child in here.children() if child.name == name_of(step))
        return here

    def _unknown(self, key: str, step: str, parent: Element, known: list[str]) -> None:
        types = parent.derived if "(" in step else ()
        close = get_close_matches(step, known, n=3) or known[:5] or list(types)
        self._say("binding-path-unknown", key, step=step, parent=local_name(parent.name), close="、".join(close) or "-")

    def _find(self, code: str, number: int, key: str, **facts: object) -> None:
        self._say(code, f"{dotted('bind', number)}.{key}", **facts)

    def _say(self, code: str, key: str, **facts: object) -> None:
        self.findings.append(Finding(code=code, file=self.file, key=key, facts=facts))


def _most(parent: Element, child: Element) -> int | None:
    """How many elements like ``child`` may stand in ``parent``."""
    group = _group_around(parent, child)
    return child.max_occurs if group is None else most_of(child, group)


def _group_around(parent: Element, child: Element | Group) -> Group | None:
    """The group of ``parent`` in which ``child`` stands directly."""
    waiting = [] if parent.content is None else [parent.content]
    while waiting:
        group = waiting.pop()
        if any(member is child for member in group.members):
            return group
        waiting += [member for member in group.members if isinstance(member, Group)]
    return None


def _told(group: Group) -> str:
    return "、".join(local_name(element.name) for element in group.elements())


def _chosen(elements: Iterable[Element], written: str, prefixes: Mapping[str, str]) -> Element | None:
    wanted = _full_names(written, prefixes, attribute=False)
    return next((element for element in elements if element.name in wanted), None)


def _shown(prefixes: Mapping[str, str], name: str) -> str:
    """A name as a path has it; one of a namespace that has no prefix yet with that namespace in braces."""
    namespace = namespace_of(name)
    if namespace in {"", prefixes[""]}:
        return local_name(name)
    prefix = next((prefix for prefix, known in prefixes.items() if known == namespace and prefix), None)
    return name if prefix is None else f"{prefix}:{local_name(name)}"


def _full_names(written: str, prefixes: Mapping[str, str], *, attribute: bool) -> tuple[str, ...]:
    """What a written name may stand for. Without a prefix: the main namespace or, in schemas with unqualified names, none."""
    prefix, colon, local = written.rpartition(":")
    if colon:
        return (f"{{{prefixes[prefix]}}}{local}",) if prefix in prefixes else ()
    main = f"{{{prefixes['']}}}{local}" if prefixes[""] else local
    return (local,) if attribute else (main, local)
