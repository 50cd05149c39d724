"""The gate that every outgoing document passes, whatever the checks said before: libxml2 validates it against its schemas.

libxml2 works outside the interpreter's lock. An ``XMLSchema`` of lxml keeps the errors of its last validation, so
every thread has its own. Nothing that libxml2 says about a document goes on in its own words, because it quotes
values.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any, Final

from lxml import etree

from gateway.catalog.model import Catalog, Deadline
from gateway.errors import MappingError
from gateway.mapping.explain import Explainer, Explanation
from gateway.mapping.format_model import Document, Format
from gateway.mapping.problems import problem_text
from gateway.mapping.safe_xml import parse_safely, parse_schema
from gateway.mapping.schema_files import readable
from gateway.texts import DEFAULT_LANGUAGE, say_text

__all__ = ["Gate", "GateError", "compile_schema", "refusal"]

_BATCH: Final = "urn:credit-exchange:batch:1"
_RECORDS: Final = f"{{{_BATCH}}}Body/{{{_BATCH}}}Record"
_REASON: Final = f"{{{_BATCH}}}Reason"
_NAMED: Final = re.compile(r"Element '(?:\{[^}]*\})?([^']*)'")
"""How every message of libxml2's schema validator begins."""
_COMPILATIONS: Final = 10
"""Beside a thread that does nothing but parse, one compilation in some thousands loses its loader."""
_INSIDE: Final = 4
"""Batch, Body, Record, and the element in it: so many steps lead to what stands in a record."""


_NO_LABELS: Final = Catalog(
    id="",
    version="",
    zh="",
    en="",
    standard="",
    subject_kinds=(),
    key=(),
    unit="",
    deadline=Deadline(field="", working_days=0),
    fields=(),
)
"""The gate knows a format and no catalog: places are named as the format names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateError:
    """One thing wrong in a document. ``record`` counts the records from 0; None means the envelope.

    ``code``, ``target`` (the place in the record, or the envelope's element), ``expected`` and ``value_class`` are
    those of a record's problem; no value is shown.
    """

    record: int | None
    line: int
    code: str
    target: str
    expected: str = ""
    value_class: str = ""

    def say(self, language: str = DEFAULT_LANGUAGE) -> str:
        """The error as a sentence."""
        if self.record is None:
            return say_text(self.code, language, {"line": self.line})
        problem = {
            "field": self.target,
            "source": self.target,
            "code": self.code,
            "value_class": self.value_class,
            "expected": self.expected,
        }
        return problem_text(problem, _NO_LABELS, language)


def refusal(format_id: str, why: GateError | Explanation, *, line: int = 1) -> MappingError:
    """``gate-refused`` for a document that fails as a whole: what libxml2 names and its rule, not its words, which may quote values."""
    return MappingError("gate-refused", format=format_id, line=line, code=why.code, place=why.target, rule=why.expected)


def compile_schema(file: str, texts: Mapping[str, bytes]) -> etree.XMLSchema:
    """libxml2's schema from ``file`` of ``texts``; what it includes and imports comes from ``texts`` too.

    libxml2 has one loader of files for the whole process. lxml sets its own while it parses or compiles, and puts back
    the one that it found: a parse in another thread that began before a compilation and ends within it takes the
    loader away from it. What is imported after that is not found, which libxml2 calls a warning: the schema would lack
    it, and refuse right documents as long as it lives. Such a schema is compiled again.

    Raises MappingError ``schema-unusable``, and what :func:`readable` raises.
    """
    texts = readable(texts)
    for _ in range(_COMPILATIONS):
        try:
            schema = etree.XMLSchema(parse_schema(file, texts))
        except etree.XMLSchemaParseError as error:
            if not _lost_loader(error.error_log):
                raise MappingError("schema-unusable", schema=file, detail=str(error)[:300]) from error
        else:
            if not _lost_loader(schema.error_log):
                return schema
    raise MappingError("schema-unusable", schema=file, detail=f"libxml2: loader lost {_COMPILATIONS} times")


def _lost_loader(log: Any) -> bool:
    """Whether libxml2 itself went for a file: the resolver of :func:`parse_schema` answers for every one."""
    return any(entry.domain_name == "IO" for entry in log)


class Gate:
    """The schemas of one format, alone (for single records) and together with the envelope (for batches)."""

    def __init__(self, fmt: Format) -> None:
        self._fmt = fmt
        self._explainer = Explainer(fmt)
        self._local = threading.local()
        self._envelope = (resources.files("gateway.package") / "schemas" / "batch-1.xsd").read_bytes()
        # Both are compiled now, so that a schema that libxml2 refuses is known at the start.
        self._record_schema()
        if fmt.document is Document.RECORD:
            self._batch_schema()

    def accepts(self, record: etree._Element) -> bool:
        """Whether one record's element is valid by itself."""
        return bool(self._record_schema().validate(record))

    def explain(self, record: etree._Element) -> tuple[Explanation, ...]:
        """What is wrong with one record's element; never empty."""
        return self._explainer.explain(record)

    def check(self, document: bytes) -> tuple[GateError, ...]:
        """Everything wrong in a whole batch document, in its order; empty when it may go out.

        Raises MappingError when it is no well-formed XML, has a DOCTYPE or is not UTF-8.
        """
        root = parse_safely(document)
        schema = self._batch_schema()
        if schema.validate(root):
            return ()
        found = [error for entry in _entries(schema) if (error := _envelope_error(entry)) is not None]
        for index, record in enumerate(root.iterfind(_RECORDS)):
            for body in record:
                if body.tag != _REASON and not self.accepts(body):
                    found += self._record_errors(index, body)
        if not found:
            # Every record is right by itself and they do not go together (an xs:ID used twice): nothing passes on a guess.
            found = [_error(entry, _steps(entry)) for entry in _entries(schema)]
        return tuple(sorted(found, key=lambda error: error.line))

    def _record_errors(self, index: int, record: etree._Element) -> list[GateError]:
        return [
            GateError(
                record=index,
                line=_line(record),
                code=explanation.code,
                target=explanation.target,
                expected=explanation.expected,
                value_class=explanation.value_class,
            )
            for explanation in self.explain(record)
        ]

    def _record_schema(self) -> etree.XMLSchema:
        schema = getattr(self._local, "record", None)
        if schema is None:
            schema = self._local.record = compile_schema(self._fmt.schema_file, self._fmt.schemas())
        return schema

    def _batch_schema(self) -> etree.XMLSchema:
        schema = getattr(self._local, "batch", None)
        if schema is None:
            format_file = f"format/{self._fmt.schema_file}"
            both = (
                '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
                f'<xs:import namespace="{_BATCH}" schemaLocation="batch.xsd"/>'
                f'<xs:import namespace="{escape(self._fmt.schema.namespace)}" schemaLocation="{format_file}"/>'
                "</xs:schema>"
            )
            texts = {f"format/{path}": data for path, data in self._fmt.schemas().items()}
            texts |= {"both.xsd": both.encode(), "batch.xsd": self._envelope}
            schema = self._local.batch = compile_schema("both.xsd", texts)
        return schema


def _envelope_error(entry: Any) -> GateError | None:
    """libxml2's entry about the envelope; None for one about a record's element, which is explained apart."""
    steps = _steps(entry)
    reason = len(steps) == _INSIDE and _named(entry) == "Reason"
    return _error(entry, steps) if reason or len(steps) < _INSIDE else None


def _error(entry: Any, steps: list[str]) -> GateError:
    """libxml2's entry without its words, which may quote a value."""
    rule = entry.type_name.removeprefix("SCHEMAV_")
    if len(steps) < _INSIDE:
        return GateError(record=None, line=entry.line, code="envelope-invalid", target=_named(entry), expected=rule)
    number = re.search(r"\[(\d+)\]$", steps[_INSIDE - 2])
    position = int(number[1]) - 1 if number is not None else 0
    return GateError(record=position, line=entry.line, code="schema-violation", target=_named(entry), expected=rule)


def _steps(entry: Any) -> list[str]:
    """The elements that lead to the place that libxml2 speaks of."""
    return [step for step in (entry.path or "").split("/") if step and not step.startswith("@")]


def _named(entry: Any) -> str:
    named = _NAMED.match(entry.message)
    return named[1] if named is not None else ""


def _entries(schema: etree.XMLSchema) -> list[Any]:
    """The errors of the schema's last validation; lxml does not cap them, and lines beyond 65,535 are told right."""
    log: Any = schema.error_log
    return list(log)


def _line(record: etree._Element) -> int:
    line: Any = record.sourceline
    return line or 0
