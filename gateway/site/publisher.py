"""A batch put on show: what it brings and takes back, the pages that change by it, and what was done, for the receipt."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from gateway.catalog.model import Catalog
from gateway.errors import PackageError
from gateway.package.batch import ParsedBatch
from gateway.package.elements import read_elements
from gateway.package.record import BatchRecord, Operation
from gateway.site.folder import SiteFolder
from gateway.site.rendering import Pages, detail_path
from gateway.site.shelf import Decision, Shelf, decision_id

__all__ = ["NAMESPACE", "Done", "Publisher"]

NAMESPACE: Final = "urn:credit-exchange:publication:1"
_NEWEST: Final = 20
_MOST_FIELDS: Final = 200


@dataclass(slots=True, kw_only=True)
class Done:
    """``refused`` are keys of records whose body is not one of ours; paths are those of files written and removed."""

    refused: set[str] = field(default_factory=set)
    written: list[tuple[str, int, bytes]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def feedback(self) -> bytes:
        """What was done, as the bytes that a receipt is taken down from."""
        written = {path: digest.hex() for path, _, digest in self.written}
        return json.dumps(
            {"written": written, "removed": sorted(self.removed), "refused": len(self.refused)}, sort_keys=True
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Writes one site."""

    shelf: Shelf
    folder: SiteFolder
    pages: Pages

    def publish(self, conn: sqlite3.Connection, batch: ParsedBatch, today: str) -> Done:
        """Put ``batch`` on show inside the shelf's transaction. What is taken back goes first: were the rest cut off, it would be gone.

        Run again after a crash it writes the same files. Raises ExchangeError ``site-unwritable``.
        """
        done = Done()
        catalog = self.pages.catalogs[batch.header.catalog]
        rows, before = self._rows(conn, batch.records, catalog, done)
        Shelf.put(conn, rows)
        self._remove([detail_path(row.id) for row in rows if row.fields is None], done)
        self._write(
            conn, ((detail_path(row.id), self.pages.detail(row)) for row in rows if row.fields is not None), done
        )
        months = {(row.catalog, row.month) for row in rows if row.month} | before
        self.arrange(conn, months, today, done)
        Shelf.note_pages(conn, done.written, done.removed)
        if done.written or done.removed:
            self.folder.settle()
        return done

    def rebuild(self, conn: sqlite3.Connection, today: str) -> Done:
        """Write whatever is not as it should be: pages of an older program, files that were lost."""
        done = Done()
        months = {(catalog, month) for catalog, month, _ in Shelf.months(conn)}
        for catalog, month in sorted(months):
            shown = Shelf.month(conn, catalog, month)
            self._write(conn, ((detail_path(row.id), self.pages.detail(row)) for row in shown), done, look=True)
        self.arrange(conn, months, today, done, look=True)
        Shelf.note_pages(conn, done.written, done.removed)
        self.folder.settle()
        return done

    def arrange(
        self, conn: sqlite3.Connection, months: Iterable[tuple[str, str]], today: str, done: Done, *, look: bool = False
    ) -> None:
        """Write the lists and indexes of these months, and the pages that lead to them."""
        for catalog, month in sorted(months):
            shown = Shelf.month(conn, catalog, month)
            made = [*self.pages.lists(catalog, month, shown), *self.pages.shards(catalog, month, shown)]
            known = [*Shelf.pages(conn, f"c/{catalog}/{month}/"), *Shelf.pages(conn, f"search/{catalog}-{month}-")]
            self._write(conn, made, done, look=look)
            self._remove(set(known) - {path for path, _ in made}, done)
        every = Shelf.months(conn)
        fronts = list(self.pages.fronts(every, Shelf.newest(conn, _NEWEST), today))
        self._write(conn, fronts, done, look=look)
        homes = {path for path in Shelf.pages(conn, "c/") if path.count("/") == 2 and path.endswith("/index.html")}
        self._remove(homes - {path for path, _ in fronts}, done)

    def _rows(
        self, conn: sqlite3.Connection, records: Sequence[BatchRecord], catalog: Catalog, done: Done
    ) -> tuple[list[Decision], set[tuple[str, str]]]:
        """The decisions as they are to be kept, and the months that they leave."""
        known = Shelf.versions(conn, [decision_id(catalog.id, record.key) for record in records])
        rows: list[Decision] = []
        before: set[tuple[str, str]] = set()
        for record in records:
            name = decision_id(catalog.id, record.key)
            held = known.get(name)
            if held is not None and held[0] >= record.version:
                continue  # overtaken by what is held: the protocol's rule for versions
            if record.op is Operation.UPSERT:
                fields = _fields(record, catalog)
                if fields is None:
                    done.refused.add(record.key)
                    continue
                day = fields.get(catalog.deadline.field, "")
                rule = next((rule for rule in catalog.rules if rule.kind == "publicity"), None)
                until = None if rule is None else fields.get(rule.fields[1])
                rows.append(Decision(name, catalog.id, record.key, record.version, day[:7], day, until, fields))
            else:
                rows.append(Decision(name, catalog.id, record.key, record.version, "", "", None, None))
            if held is not None and held[3]:
                before.add((held[1], held[2]))
        return rows, before

    def _write(
        self, conn: sqlite3.Connection, made: Iterable[tuple[str, bytes]], done: Done, *, look: bool = False
    ) -> None:
        """Write those that differ from what was written; with ``look`` from what is there."""
        for path, data in made:
            digest = sha256(data).digest()
            if look:
                there = self.folder.read(path)
                same = there is not None and sha256(there).digest() == digest
            else:
                same = Shelf.page(conn, path) == digest
            if not same:
                self.folder.write(path, data)
                done.written.append((path, len(data), digest))

    def _remove(self, paths: Iterable[str], done: Done) -> None:
        for path in paths:
            self.folder.remove(path)
            done.removed.append(path)


def _fields(record: BatchRecord, catalog: Catalog) -> dict[str, str] | None:
    """The texts of a body by field; None when it is no body of ours, or has no day to be listed under."""
    try:
        root = read_elements(record.body or b"", document="Decision", namespace=NAMESPACE, elements=_MOST_FIELDS)
    except PackageError:
        return None
    known = {field.name for field in catalog.fields}
    found = dict(_texts(root.children))
    if not set(found) <= known or len(found.get(catalog.deadline.field, "")) != len("2026-01-01"):
        return None
    return found


def _texts(children: Iterable[object]) -> Iterator[tuple[str, str]]:
    for child in children:
        yield str(getattr(child, "name", "")), str(getattr(child, "text", ""))
