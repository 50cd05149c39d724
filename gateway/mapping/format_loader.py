"""``mappings/formats/<id>/`` read strictly: format.toml, its schemas, and a binding for each catalog.

Everything wrong in the folder comes back at once; what does not forbid the use of the format is kept as its warnings.
Someone else's schema becomes a format by being put into such a folder: no program changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.catalog.loader import Library
from gateway.catalog.reading import read_shape, read_toml
from gateway.errors import Finding, Findings, MappingError, Severity
from gateway.mapping.binding_loader import FormatForm, read_binding
from gateway.mapping.feedback_text import files_findings
from gateway.mapping.format_model import Binding, Document, Format
from gateway.mapping.format_text import FormatText, facts_of
from gateway.mapping.gate import compile_schema
from gateway.mapping.safe_xml import parse_safely
from gateway.mapping.schema import Schema, load_schema
from gateway.mapping.schema_text import schema_text

__all__ = ["load_format"]

_HEAD: Final = "format.toml"
_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.\-]{0,63}")
"""What a batch can say of its format in ``Format/@id`` and ``Format/@version``."""


_OF_SCHEMAS: Final = {"document-doctype": "schema-doctype", "document-encoding": "schema-encoding"}
_TYPED: Final = re.compile(r"([\w.-]+)\(([\w.-]+)\)(?=[/\[\"'])")


def load_format(folder: Path, library: Library) -> Format:
    """Read the format in ``folder`` for the catalogs of ``library``.

    Raises Findings with every error found. A schema is read with all that it includes from the same folder, and from
    nowhere else.
    """
    return _FolderReader(folder, library).read()


class _FolderReader:
    """One reading of the folder: gathers the texts and the findings."""

    def __init__(self, folder: Path, library: Library) -> None:
        self._folder = folder
        self._library = library
        self._findings: list[Finding] = []
        self._texts: dict[str, bytes] = {}

    def read(self) -> Format:
        """The format. Raises Findings."""
        head = self._head()
        schema = self._schema(head) if head is not None else None
        if head is None or schema is None:
            raise Findings(self._findings)
        prefixes = {"": schema.namespace, **(head.prefixes or {})}
        bindings = self._bindings(head, schema, prefixes)
        warnings = tuple(finding for finding in self._findings if finding.severity is Severity.WARNING)
        if len(warnings) < len(self._findings):
            raise Findings(self._findings)
        return Format(
            id=head.id,
            version=head.version,
            zh=head.zh,
            en=head.en,
            standard=head.standard,
            schema_file=head.xsd,
            schema=schema,
            prefixes=prefixes,
            facts=facts_of(head.facts),
            bindings=bindings,
            texts=self._texts,
            document=head.document,
            valid_from=head.valid_from,
            valid_to=head.valid_to,
            warnings=warnings,
            receiver=head.receiver or "",
            sealing=head.sealing or "",
            withdrawn=head.withdrawn,
            feedback=None if head.feedback is None else head.feedback.feedback(),
        )

    def _head(self) -> FormatText | None:
        data = self._bytes(_HEAD)
        raw = None if data is None else read_toml(self._name(_HEAD), data, self._findings)
        head = None if raw is None else read_shape(FormatText, raw, self._name(_HEAD), (), self._findings)
        if head is None:
            return None
        if head.id != self._folder.name:
            self._find("format-id-not-folder", _HEAD, "id", id=head.id, folder=self._folder.name)
        for key, name in (("id", head.id), ("version", head.version)):
            if _NAME.fullmatch(name) is None:
                self._find("format-name-invalid", _HEAD, key, name=name)
        for prefix in head.prefixes or {}:
            if prefix.startswith("xml"):
                self._find("format-prefix-reserved", _HEAD, f"prefixes.{prefix}", prefix=prefix)
        if head.valid_from and head.valid_to and head.valid_to < head.valid_from:
            self._find("format-dates-reversed", _HEAD, "valid_to", start=head.valid_from, end=head.valid_to)
        self._files(head)
        return head

    def _files(self, head: FormatText) -> None:
        """What format.toml says of files: for whole documents alone, and of them all that it takes."""
        told = ("receiver", "sealing", "withdrawn", "feedback")
        for key in told:
            given = getattr(head, key) is not None
            if given and head.document is Document.RECORD:
                self._find("format-no-files", _HEAD, key, what=key)
            elif not given and key in {"receiver", "sealing"} and head.feedback is not None:
                self._find("xml-head-missing", _HEAD, key, what=key)
        for code, key, facts in files_findings(head.withdrawn, head.feedback):
            self._find(code, _HEAD, key, **facts)

    def _schema(self, head: FormatText) -> Schema | None:
        main = head.xsd
        before = len(self._findings)
        for path in sorted(self._folder.rglob("*.xsd")):
            self._read_schema(path.relative_to(self._folder).as_posix())
        if main not in self._texts:
            self._find("format-schema-missing", _HEAD, "xsd", schema=main)
        if len(self._findings) > before:
            return None
        try:
            schema = load_schema(self._folder, main, self._typed())
            # Two processors read the schema, each for its own work: what one of them does not take is no use.
            compile_schema(main, {name: data for name, data in self._texts.items() if name.endswith(".xsd")})
        except MappingError as error:
            self._find(error.code, main, "", **error.facts)
            return None
        if not schema.namespace and head.document is Document.RECORD:
            self._find("format-namespace-missing", main, "targetNamespace")
            return None
        return schema

    def _typed(self) -> frozenset[tuple[str, str]]:
        """The elements that bindings want as a derived type: ``Shape(Circle)`` in a path. Mistakes are told when they are read."""
        found: set[tuple[str, str]] = set()
        for path in sorted((self._folder / "bindings").glob("*.toml")):
            with suppress(OSError, UnicodeDecodeError):
                found |= set(_TYPED.findall(path.read_text("utf-8")))
        return frozenset(found)

    def _read_schema(self, name: str) -> None:
        data = self._bytes(name)
        try:
            if data is not None:
                parse_safely(schema_text(data))
        except MappingError as error:
            code = _OF_SCHEMAS.get(error.code, error.code)
            self._find(code, name, "", **error.facts)

    def _bindings(self, head: FormatText, schema: Schema, prefixes: Mapping[str, str]) -> Mapping[str, Binding]:
        bindings: dict[str, Binding] = {}
        paths = sorted((self._folder / "bindings").glob("*.toml"))
        for path in paths:
            name = f"bindings/{path.name}"
            data = self._bytes(name)
            if data is not None:
                form = FormatForm(
                    schema=schema, prefixes=prefixes, document=head.document, files=head.feedback is not None
                )
                binding = read_binding(self._name(name), data, form, self._library, self._findings)
                if binding is not None:
                    bindings[binding.catalog] = binding
        if not paths:
            self._find("format-without-binding", "bindings", "")
        return bindings

    def _bytes(self, name: str) -> bytes | None:
        """The bytes of a file, or None with a finding."""
        try:
            self._texts[name] = (self._folder / name).read_bytes()
        except OSError as error:
            detail = error.strerror or type(error).__name__
            self._find("format-file-unreadable", name, "", detail=detail)
            return None
        return self._texts[name]

    def _name(self, name: str) -> str:
        """The path as the person knows it."""
        return (self._folder / name).as_posix()

    def _find(self, code: str, file: str, key: str, **facts: object) -> None:
        self._findings.append(Finding(code=code, file=self._name(file), key=key, facts=facts))
