"""What became of the records between two real nodes: the checker over their files, and the contents themselves, row by row."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.faults.checker import Checkpoint, Finding, World, find
from tests.faults.world import read_world
from tests.nodes import Folder, Nodes

__all__ = ["Audit", "at_rest", "audit", "journal", "load", "open_read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What became of the records: none lost, none doubled, no finding, or the promise is broken."""

    findings: list[Finding]
    lost: int
    doubled: int

    def must_hold(self) -> None:
        """Raises AssertionError with everything that was found."""
        told = "\n".join(f"  {one.invariant} {one.text}" for one in self.findings[:20])
        broken = bool(self.findings) or self.lost > 0 or self.doubled > 0
        assert not broken, f"{self.lost} lost, {self.doubled} doubled\n{told}"


def journal(node: Folder) -> Path:
    """A node's database."""
    return node.path / "var" / "gateway.db"


def open_read(database: Path) -> sqlite3.Connection:
    """A journal, to be read while its node works on it."""
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)


def audit(nodes: Nodes, *others: Folder) -> Audit:
    """Everything that is broken between the source and the province. ``others`` are receivers of the same rows beside it.

    The nodes are stopped, or at rest.
    """
    findings, lost, doubled = find(load(nodes, *others))
    different = list(_differences(nodes, *others))
    return Audit(findings=[*findings, *different], lost=max(lost, len(different)), doubled=doubled)


def at_rest(nodes: Nodes, *others: Folder) -> bool:
    """Whether nothing is under way, and the receivers hold what the source holds now."""
    try:
        with closing(open_read(journal(nodes.bureau))) as conn:
            (under_way,) = conn.execute(
                "SELECT count(*) FROM batch WHERE state NOT IN ('reconciled', 'disputed', 'abandoned')"
            ).fetchone()
    except sqlite3.OperationalError:
        return False  # a node that has just begun has no journal yet, or no table in it
    return not under_way and next(_differences(nodes, *others), None) is None


def load(nodes: Nodes, *others: Folder) -> World:
    """The world of the nodes, with what they have published."""
    receivers = [nodes.province, *others]
    # A node that is at rest signs on: what it published is read before what it holds.
    published = [_published(node) for node in (nodes.bureau, *receivers)]
    world = read_world(
        journal(nodes.bureau),
        [journal(one) for one in receivers],
        nodes.business.file,
        keys="SELECT XK_WSH FROM permits",
    )
    for ledger, checkpoints in zip((world.ledger, *world.ledgers.values()), published, strict=True):
        ledger.checkpoints += checkpoints
    return world


def _published(node: Folder) -> list[Checkpoint]:
    """The checkpoint that auditors are shown."""
    file = node.path / "var" / "ledger" / "checkpoint"
    if not file.exists():
        return []
    _origin, size, root, *_ = file.read_text("utf-8").split("\n")
    return [Checkpoint(int(size), base64.b64decode(root))]


def _differences(nodes: Nodes, *others: Folder) -> Iterator[Finding]:
    """The source's rows against what the receivers hold of them, by number and content; word for word the same row twice is one."""
    with closing(open_read(nodes.business.file)) as source:
        wanted = dict(source.execute("SELECT XK_WSH, XK_NR FROM permits"))
    for receiver in (nodes.province, *others):
        with closing(open_read(journal(receiver))) as there:
            rows = there.execute("SELECT key, content FROM inbox_record WHERE op = 'upsert'").fetchall()
        held = {key: json.loads(content)["content"] for key, content in rows}
        for key in sorted(wanted.keys() | held.keys()):
            if wanted.get(key) != held.get(key):
                yield Finding(
                    "I1", f"{key}: in the source {wanted.get(key)!r}, at {receiver.path.name} {held.get(key)!r}"
                )
