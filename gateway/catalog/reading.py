"""Strict reading of the texts that people edit: TOML and CSV from bytes, every mistake a finding with its place.

Pure: bytes come in, findings are appended to the caller's list, so that one reading names all mistakes of all files.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gateway.errors import Finding

__all__ = ["LOOSE", "Name", "Row", "Shape", "Words", "dotted", "listed", "read_rows", "read_shape", "read_toml"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
Words = Annotated[str, StringConstraints(min_length=1)]
LOOSE = Field(strict=False)  # TOML has no enumerations: a choice arrives as text

_HEADING = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_LINE = re.compile(r"at line (\d+)")
_DATE = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})", re.ASCII)

# How a value of each type is written in TOML: an example needs no translation.
_EXAMPLES: Mapping[str, str] = {
    "string_type": '"…"',
    "int_type": "1",
    "bool_type": "true",
    "list_type": '["…"]',
    "tuple_type": '["…"]',
    "dict_type": "{ … }",
    "model_type": "{ … }",
    "model_attributes_type": "{ … }",
    "date_type": "2026-04-01",
}


class Shape(BaseModel):
    """Base of the TOML shapes: no unknown key, no conversion between types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


ShapeT = TypeVar("ShapeT", bound=Shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a CSV: its number as a spreadsheet shows it (the heading is row 1), its cells by heading."""

    file: str
    number: int
    cells: Mapping[str, str]

    @property
    def key(self) -> str:
        """The row's place as a finding names it."""
        return f"row {self.number}"

    def finding(self, code: str, **facts: object) -> Finding:
        """A finding about this row."""
        return Finding(code=code, file=self.file, key=self.key, facts=facts)

    def date(self, column: str, findings: list[Finding]) -> date | None:
        """The date in ``column``: ``yyyy-MM-dd``, or ``yyyy/M/d`` as spreadsheets rewrite it.

        None when the cell is empty or, with a finding, wrong.
        """
        text = self.cells[column]
        if text == "":
            return None
        match = _DATE.fullmatch(text)
        try:
            if match is None:
                raise ValueError(text)
            return date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError:
            findings.append(self.finding("catalog-date-invalid", column=column, value=text))
            return None


def dotted(*parts: object) -> str:
    """A place in a TOML text: ``fields.decided_on.required_when[1]``. List items count from 1, as people do."""
    text = ""
    for part in parts:
        if part == "[key]":  # pydantic's way of saying that the name itself is wrong
            continue
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def listed(known: Iterable[str]) -> str:
    """Names as a person reads them in a sentence."""
    return ", ".join(known)


def read_toml(file: str, data: bytes, findings: list[Finding]) -> dict[str, object] | None:
    """The table in a TOML text, or None with a finding."""
    text = _decode(file, data, findings)
    if text is None:
        return None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        twice = list(_repeated_headings(text)) if "twice" in str(error) else []
        if twice:
            findings.extend(
                Finding(code="catalog-table-twice", file=file, key=heading, facts={"first": first, "second": second})
                for heading, first, second in twice
            )
        else:
            match = _LINE.search(str(error))
            line = int(match[1]) if match else text.count("\n") + 1  # otherwise it says "at end of document"
            facts = {"line": line, "detail": str(error)}
            findings.append(Finding(code="catalog-toml-invalid", file=file, key=f"line {line}", facts=facts))
        return None


def read_shape(
    shape: type[ShapeT], raw: object, file: str, place: Sequence[object], findings: list[Finding]
) -> ShapeT | None:
    """``raw``, which stands at ``place`` in the text, as a ``shape``; None with a finding for each thing wrong in it."""
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            location = detail["loc"]
            code, facts = _diagnosis(detail["type"], detail.get("ctx", {}))
            if code == "catalog-key-unknown":
                known = [field.alias or name for name, field in _shape_at(shape, location).model_fields.items()]
                close = get_close_matches(str(location[-1]), known, n=1)
                facts = {"known": listed(known), "close": close[0] if close else "-"}
            findings.append(Finding(code=code, file=file, key=dotted(*place, *location), facts=facts))
        return None


def read_rows(file: str, data: bytes, columns: Sequence[str], findings: list[Finding]) -> list[Row]:
    """The rows of a CSV whose heading must be exactly ``columns``; rows with findings are left out."""
    text = _decode(file, data, findings)
    if text is None:
        return []
    rows: list[Row] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if number == 1:
                if cells != list(columns):
                    facts = {"expected": ",".join(columns), "got": ",".join(cells)}
                    findings.append(Finding(code="catalog-csv-heading", file=file, key="row 1", facts=facts))
                    return []
            elif any(cells):
                row = _row(file, number, cells, columns, findings)
                if row is not None:
                    rows.append(row)
    except csv.Error as error:
        facts = {"detail": str(error)}
        findings.append(Finding(code="catalog-csv-invalid", file=file, key=f"row {number + 1}", facts=facts))
    if number == 0:
        facts = {"expected": ",".join(columns), "got": ""}
        findings.append(Finding(code="catalog-csv-heading", file=file, key="row 1", facts=facts))
    return rows


def _row(file: str, number: int, cells: Sequence[str], columns: Sequence[str], findings: list[Finding]) -> Row | None:
    """One row, or None with findings."""
    key = f"row {number}"
    if len(cells) != len(columns):
        facts = {"expected": len(columns), "got": len(cells)}
        findings.append(Finding(code="catalog-csv-width", file=file, key=key, facts=facts))
        return None
    row = Row(file=file, number=number, cells=dict(zip(columns, cells, strict=True)))
    untidy = [column for column, cell in row.cells.items() if cell != cell.strip()]
    findings.extend(row.finding("catalog-csv-blank", column=column) for column in untidy)
    return None if untidy else row


def _decode(file: str, data: bytes, findings: list[Finding]) -> str | None:
    """UTF-8 text, a byte order mark tolerated because editors on Windows write one."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        findings.append(Finding(code="catalog-encoding", file=file, key=f"line {line}", facts={"line": line}))
        return None


def _repeated_headings(text: str) -> Iterator[tuple[str, int, int]]:
    """Headings written twice, with the lines of both; tomllib names neither place in words."""
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _HEADING.match(line)
        if match is None:
            continue
        heading = match[1].strip()
        if heading in seen:
            yield heading, seen[heading], number
        seen.setdefault(heading, number)


def _shape_at(shape: type[Shape], location: Sequence[int | str]) -> type[Shape]:
    """The shape in which the last part of ``location`` is an unknown key."""
    here = shape
    for part in location[:-1]:
        for name, field in here.model_fields.items():
            if part in (name, field.alias):
                inner = [item for item in _types_in(field.annotation) if issubclass(item, Shape)]
                here = inner[0] if inner else here
    return here


def _types_in(annotation: object) -> Iterator[type]:
    """Every class named in a type annotation."""
    if isinstance(annotation, type) and not getattr(annotation, "__args__", ()):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _types_in(argument)


def _diagnosis(kind: str, context: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Our code and facts for one of pydantic's error types."""
    match kind:
        case "missing":
            return "catalog-key-missing", {}
        case "extra_forbidden":
            return "catalog-key-unknown", {}
        case "enum" | "literal_error":
            allowed = str(context["expected"]).replace(" or ", ", ").replace("'", "")
            return "catalog-choice-unknown", {"allowed": allowed}
        case "string_too_short" | "too_short":
            return "catalog-value-empty", {}
        case "string_pattern_mismatch":
            return "catalog-name-invalid", {}
        case "greater_than_equal":
            return "catalog-number-too-small", {"least": context["ge"]}
        case "less_than_equal":
            return "catalog-number-too-large", {"most": context["le"]}
        case _:
            return "catalog-type-wrong", {"expected": _EXAMPLES.get(kind, kind)}
