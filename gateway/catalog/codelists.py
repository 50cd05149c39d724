"""Code lists with validity dates, and crosswalks from other people's codes to ours.

``codelists/<id>.csv`` has the columns ``code,zh,en,valid_from,valid_to,note``: ``code`` is what a record carries (a word
where the exchange carries words), both dates are inclusive and may be empty. ``codelists/crosswalks/<id>.csv`` has
``from,to,note``. UTF-8; a byte order mark is tolerated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from types import MappingProxyType

from gateway.catalog.model import Field
from gateway.catalog.reading import read_rows
from gateway.errors import Finding

__all__ = ["CODELIST_COLUMNS", "CROSSWALK_COLUMNS", "Code", "CodeList", "may_hold", "parse_codelist", "parse_crosswalk"]

CODELIST_COLUMNS = ("code", "zh", "en", "valid_from", "valid_to", "note")
CROSSWALK_COLUMNS = ("from", "to", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code in one period of validity, first and last day included; None is open."""

    code: str
    zh: str
    en: str
    valid_from: date | None = None
    valid_to: date | None = None
    note: str = ""

    def in_force(self, on: date) -> bool:
        """Whether the code may be used for something decided ``on`` that day."""
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_to is None or on <= self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """A code list; a code may stand in it several times with periods that do not overlap."""

    id: str
    entries: tuple[Code, ...]

    def values(self) -> tuple[str, ...]:
        """Every code once, whatever its dates, in the order of the file."""
        return tuple(dict.fromkeys(entry.code for entry in self.entries))

    def in_force(self, code: str, on: date) -> bool:
        """Whether ``code`` is in the list and may be used on that day."""
        return any(entry.code == code and entry.in_force(on) for entry in self.entries)


def parse_codelist(list_id: str, file: str, data: bytes, findings: list[Finding]) -> CodeList:
    """The code list in the bytes of a CSV; mistakes are appended to ``findings`` and their rows left out."""
    entries: list[Code] = []
    periods: dict[str, list[tuple[date, date, int]]] = {}
    before = len(findings)
    for row in read_rows(file, data, CODELIST_COLUMNS, findings):
        empty = [column for column in ("code", "zh", "en") if row.cells[column] == ""]
        findings.extend(row.finding("catalog-cell-empty", column=column) for column in empty)
        start, end = row.date("valid_from", findings), row.date("valid_to", findings)
        if start is not None and end is not None and end < start:
            findings.append(row.finding("codelist-dates-reversed", start=start, end=end))
        code = row.cells["code"]
        if code:
            periods.setdefault(code, []).append((start or date.min, end or date.max, row.number))
        entries.append(
            Code(
                code=code,
                zh=row.cells["zh"],
                en=row.cells["en"],
                valid_from=start,
                valid_to=end,
                note=row.cells["note"],
            )
        )
    if not entries and len(findings) == before:
        findings.append(Finding(code="codelist-without-codes", file=file, key="row 2"))
    for code, spans in periods.items():
        for (start, end, first), (other_start, other_end, second) in combinations(spans, 2):
            if start <= other_end and other_start <= end:
                facts = {"value": code, "first": first, "second": second}
                findings.append(Finding(code="codelist-overlap", file=file, key=f"row {second}", facts=facts))
    return CodeList(id=list_id, entries=tuple(entries))


def may_hold(field: Field, codelist: CodeList, text: str) -> bool:
    """Whether ``text`` could stand in ``field``: codes of its list, whatever their dates, or open values it allows."""
    known = codelist.values()
    parts = text.split(field.separator) if field.separator is not None else [text]
    return all(part in known or _open(field, part) for part in parts)


def _open(field: Field, text: str) -> bool:
    """Whether ``text`` is an open value: the field's prefix and something behind it."""
    return field.open_prefix is not None and text.startswith(field.open_prefix) and text != field.open_prefix


def parse_crosswalk(
    file: str, data: bytes, findings: list[Finding], *, allowed: Callable[[str], bool]
) -> Mapping[str, str]:
    """``from`` → ``to`` of a crosswalk CSV; mistakes, and targets that are not ``allowed``, go to ``findings``."""
    pairs: dict[str, str] = {}
    rows: dict[str, int] = {}
    for row in read_rows(file, data, CROSSWALK_COLUMNS, findings):
        empty = [column for column in ("from", "to") if row.cells[column] == ""]
        findings.extend(row.finding("catalog-cell-empty", column=column) for column in empty)
        source, target = row.cells["from"], row.cells["to"]
        if target and not allowed(target):
            findings.append(row.finding("crosswalk-target-unknown", source=source, target=target))
        if source in rows:
            findings.append(row.finding("crosswalk-twice", value=source, first=rows[source]))
        rows.setdefault(source, row.number)
        pairs.setdefault(source, target)
    return MappingProxyType(pairs)
