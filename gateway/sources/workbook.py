"""A workbook before it is opened: is it what it claims, does it fit the budget, and where are cells that hold an error?

An ``.xlsx`` is a ZIP archive of XML (ECMA-376). The library that reads cells inflates it without a limit, lays a sheet out as one
rectangle however far apart its cells are, and reads an error as an empty cell. So all members are inflated once here, under a budget, and
the sheets' cells walked. An ``.xls`` (MS-XLS, at most 65,536 × 256 cells) is held by its size alone; its errors read as empty cells.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.parsers import expat

from gateway.errors import SourceError
from gateway.sources.cells import Extent, glance, parser, walk

__all__ = ["Errors", "Limits", "examine"]

PIECE = 1 << 20
ZIP_START = b"PK\x03\x04"
OLE_START = bytes.fromhex("D0CF11E0A1B11AE1")
SYMLINK, FILE_TYPE = 0o120000, 0o170000
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """In bytes, but for ``members``, ``ratio`` (inflated to packed, of a member above one MiB), ``columns`` and ``cells`` (the sheet's
    rectangle)."""

    file: int = 64 << 20
    member: int = 256 << 20
    total: int = 512 << 20
    members: int = 2_000
    ratio: int = 200
    columns: int = 1_000
    cells: int = 8_000_000


Errors = Mapping[str, frozenset[tuple[int, int]]]


def examine(file: Path, limits: Limits) -> Errors:
    """The cells of an ``.xlsx`` that hold an error, as (row, column) from 0, by the name of their sheet; nothing for an ``.xls``.

    Raises SourceError ``source-file-empty``, ``workbook-too-large``, ``workbook-unreadable``; OSError.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
    if not size:
        raise SourceError("source-file-empty", file=file.name)
    _keep(size, limits.file, "file bytes", file)
    if start == OLE_START:
        return {}
    if not start.startswith(ZIP_START):
        raise SourceError("workbook-unreadable", file=file.name)
    try:
        with zipfile.ZipFile(file) as archive:
            return _Archive(file, archive, limits).errors()
    except (*BROKEN, expat.ExpatError, KeyError, ValueError) as error:
        raise SourceError("workbook-unreadable", file=file.name) from error


def _keep(value: int, limit: int, what: str, file: Path) -> None:
    if value > limit:
        raise SourceError("workbook-too-large", file=file.name, what=f"{what} {value}", limit=limit)


class _Archive:
    """The members of one workbook, each inflated once."""

    def __init__(self, file: Path, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._file = file
        self._archive = archive
        self._limits = limits
        self._total = 0

    def errors(self) -> Errors:
        """1. names and places of members; 2. sizes while inflating; 3. the cells of every sheet."""
        members = self._archive.infolist()
        _keep(len(members), self._limits.members, "members", self._file)
        self._check_members(members)
        names = _sheet_names(self._text)
        errors: dict[str, frozenset[tuple[int, int]]] = {}
        for member in members:
            pieces = self._budgeted(member)
            seen = glance(pieces) if member.filename in names else None
            for _ in pieces:
                pass  # the rest of a member that is no sheet, or that a glance does not understand: under the budget like all
            if member.filename in names:
                if seen is None or not self._fits(seen):
                    seen = walk(self._pieces(member))
                _keep(seen.columns, self._limits.columns, "columns", self._file)
                _keep(seen.rows * seen.columns, self._limits.cells, "cells", self._file)
                errors[names[member.filename]] = seen.errors
        return errors

    def _fits(self, seen: Extent) -> bool:
        return seen.columns <= self._limits.columns and seen.rows * seen.columns <= self._limits.cells

    def _budgeted(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        inflated = 0
        for piece in self._pieces(member):
            inflated += len(piece)
            self._total += len(piece)
            _keep(inflated, self._limits.member, f"{member.filename} bytes", self._file)
            _keep(self._total, self._limits.total, "inflated bytes", self._file)
            if inflated > PIECE:
                ratio = inflated // max(member.compress_size, 1)
                _keep(ratio, self._limits.ratio, f"{member.filename} ratio", self._file)
            yield piece

    def _check_members(self, members: list[zipfile.ZipInfo]) -> None:
        """No name twice, none that leaves the archive, no link, no secret, no two members over the same bytes (a quoted-overlap bomb)."""
        seen: set[str] = set()
        end = 0
        for member in sorted(members, key=lambda one: one.header_offset):
            name = member.filename
            kind = member.external_attr >> 16 & FILE_TYPE
            if (
                name.casefold() in seen
                or PurePosixPath(name).is_absolute()
                or ".." in PurePosixPath(name).parts
                or "\\" in name
                or ":" in name
                or kind == SYMLINK
                or member.flag_bits & 0x1
                or member.header_offset < end
            ):
                raise SourceError("workbook-unreadable", file=self._file.name)
            seen.add(name.casefold())
            end = member.header_offset + member.compress_size

    def _pieces(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        with self._archive.open(member) as opened:  # checks the declared size and CRC at its end
            while piece := opened.read(PIECE):
                yield piece

    def _text(self, name: str) -> bytes:
        member = self._archive.getinfo(name)
        _keep(member.file_size, self._limits.member, f"{name} bytes", self._file)
        return b"".join(self._pieces(member))


def _sheet_names(text: Callable[[str], bytes]) -> Mapping[str, str]:
    """Member → sheet name: the package names its workbook, the workbook its sheets, its relationships their members."""
    root = _relationships(text("_rels/.rels"), "")
    book = next(target for kind, target in root.values() if kind == "officeDocument")
    folder, _, name = book.rpartition("/")
    parts = _relationships(text(f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels"), folder)
    found: dict[str, str] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "sheet":
            relation = next(value for key, value in attributes.items() if key.rpartition(":")[2] == "id" and ":" in key)
            found[parts[relation][1]] = attributes["name"]

    parser(start).Parse(text(book), True)
    return found


def _relationships(xml: bytes, folder: str) -> Mapping[str, tuple[str, str]]:
    """Id → (the last word of its type, the member it leads to)."""
    found: dict[str, tuple[str, str]] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "Relationship":
            target = attributes["Target"]
            place = target.lstrip("/") if target.startswith("/") or not folder else f"{folder}/{target}"
            found[attributes["Id"]] = (attributes["Type"].rpartition("/")[2], place)

    parser(start).Parse(xml, True)
    return found
