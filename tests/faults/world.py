"""What two real nodes and a source hold, read from their SQLite files with the standard library alone: the checker's :class:`World`.

The nodes need not run (one that does is at rest), and nothing here comes from the gateway: packages and receipts are unzipped
and read as any auditor would.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.checker import Checkpoint, Entry, Ledger, Line, Received, Sent, World

__all__ = ["read_world"]

_BATCH = "{urn:credit-exchange:batch:1}"
_RECEIPT = "{urn:credit-exchange:receipt:1}"


def read_world(sender: Path, receivers: Sequence[Path], source: Path, *, keys: str) -> World:
    """The world of ``sender`` and its ``receivers`` (their ``gateway.db``) and of the ``source``, whose rows' keys the query ``keys`` lists.

    A row of the source that is in quarantine counts with the version that was good last, or not at all. That a row changed since it was
    read cannot be seen from here: let the last run end before.
    """
    world = World()
    with _reading(source) as conn:
        present = {str(key) for (key,) in conn.execute(keys)}
    with _reading(sender) as conn:
        world.ledger = _ledger(conn)
        query = (
            "SELECT id, route, sequence, state, package_sha256, void_of, sha256 FROM batch "
            "LEFT JOIN receipt ON batch_id = id ORDER BY created_at, id"
        )
        for *facts, receipt in conn.execute(query):
            world.sent.append(Sent._make((*facts, receipt or "")))
        for (route,) in conn.execute("SELECT DISTINCT route FROM batch"):
            world.wanted[route] = _wanted(conn, route, present)
        shown = [
            (route.rpartition("/")[2], _text(data, "receipt.xml", f"{_RECEIPT}ReceiverCheckpoint"))
            for route, data in conn.execute("SELECT route, data FROM receipt JOIN batch ON id = batch_id")
        ]
    for receiver in receivers:
        with _reading(receiver) as conn:
            world.received += _received(conn)
            for route, key, version, op in conn.execute("SELECT route, key, version, op FROM inbox_record"):
                world.held.setdefault(route, {})[key] = (version, op)
            ledger = _ledger(conn)
            code = json.loads(ledger.entries[0].leaf)["node"]
            notes = [note for owner, note in shown if owner == code]
            ledger.checkpoints += [_checkpoint(note) for note in notes if note]
            world.ledgers[code] = ledger
            told = conn.execute("SELECT checkpoint FROM inbox_batch").fetchall()
            world.ledger.checkpoints += [_checkpoint(note) for (note,) in told if note]
    return world


@contextmanager
def _reading(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as conn:
        conn.execute("BEGIN")  # one state of it, although its node may be at work
        yield conn


def _wanted(conn: sqlite3.Connection, route: str, present: set[str]) -> dict[str, tuple[int, str]]:
    records = {
        key: (version, op)
        for key, version, op in conn.execute(
            "SELECT key, version, op FROM record WHERE catalog = ?", (route.split("/")[1],)
        )
    }
    bad = {key for (key,) in conn.execute("SELECT key FROM quarantine WHERE closed_at IS NULL AND stage <> 'receiver'")}
    wanted = {}
    for key in present | records.keys():
        version, op = records.get(key, (0, ""))
        if key in bad and key not in records:
            continue
        there = key in present
        as_it_is = (op == "upsert") == there or key in bad
        wanted[key] = (version, op) if as_it_is else (version + 1, "upsert" if there else "withdraw")
    return wanted


def _received(conn: sqlite3.Connection) -> Iterator[Received]:
    query = "SELECT id, route, sequence, package_sha256, receipt_sha256, counts, package, receipt FROM inbox_batch ORDER BY rowid"
    for batch_id, route, sequence, digest, receipt_digest, counts, package, receipt in conn.execute(query):
        rejected = {
            (outcome.get("key"), outcome.get("version"))
            for outcome in _document(receipt, "receipt.xml").iter(f"{_RECEIPT}Outcome")
            if outcome.get("result") == "rejected"
        }
        lines = tuple(
            Line(
                record.get("key", ""),
                int(record.get("version", "0")),
                record.get("op", ""),
                (record.get("key"), record.get("version")) in rejected,
            )
            for record in _document(package, "batch.xml").iter(f"{_BATCH}Record")
        )
        yield Received(batch_id, route, sequence, digest, (receipt_digest,), json.loads(counts), lines)


def _ledger(conn: sqlite3.Connection) -> Ledger:
    entries = []
    for (leaf,) in conn.execute("SELECT leaf FROM entry ORDER BY idx"):
        said = json.loads(leaf)
        place = (said["route"], said["route_seq"], said["previous"], said["batch_id"]) if "route" in said else ()
        digests = (said.get("package_sha256", ""), said.get("receipt_sha256", "")) if place else ()
        entries.append(Entry(bytes(leaf), said["kind"], *place, *digests))
    signed = conn.execute("SELECT size, root FROM checkpoint ORDER BY size")
    return Ledger(entries, [Checkpoint(size, bytes(root)) for size, root in signed])


def _checkpoint(note: str) -> Checkpoint:
    """C2SP tlog-checkpoint: origin, size, root in base64, a line each."""
    _, size, root, *_ = note.split("\n")
    return Checkpoint(int(size), base64.b64decode(root))


def _document(package: bytes, name: str) -> ElementTree.Element:
    with zipfile.ZipFile(BytesIO(package)) as container:
        return ElementTree.fromstring(container.read(name))


def _text(package: bytes, name: str, tag: str) -> str:
    return _document(package, name).findtext(tag) or ""
