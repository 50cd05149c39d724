"""``selection.json``: what a bundle holds, why and by whose order it was made, and what was left out of it as digests alone.

The whole ledger is always in a bundle. A selection says of which batches the packages and receipts are there too; because every entry is
there, anybody can tell which those must be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.clock import instant, parse_instant
from gateway.errors import EvidenceError
from gateway.ledger.entry import Entry

__all__ = ["BATCH_KINDS", "FORMAT", "Manifest", "Selection", "manifest_bytes", "parse_manifest"]

FORMAT: Final = "credit-gateway/evidence/1"
BATCH_KINDS: Final = frozenset({"batch.reconciled", "batch.disputed", "batch.abandoned", "batch.received"})
_MOST_BATCHES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries' batches: those with one of ``batches`` as id, of ``route``, claimed at or after ``start`` and before ``stop``.

    A condition that is not given takes everything; all that are given must hold.
    """

    batches: tuple[str, ...] = ()
    route: str | None = None
    start: datetime | None = None
    stop: datetime | None = None

    def takes(self, entry: Entry) -> bool:
        """Whether the batch that ``entry`` tells of is selected by it; never for an entry that tells of none."""
        return (
            entry.kind in BATCH_KINDS
            and (not self.batches or entry.text("batch_id") in self.batches)
            and (self.route is None or entry.text("route") == self.route)
            and (self.start is None or entry.at >= self.start)
            and (self.stop is None or entry.at < self.stop)
        )

    def __str__(self) -> str:
        """As the ledger's entry of an export says it."""
        parts = [f"batch={each}" for each in self.batches]
        if self.route is not None:
            parts.append(f"route={self.route}")
        parts += [f"{name}={instant(at)}" for name, at in (("from", self.start), ("to", self.stop)) if at is not None]
        return " ".join(parts) or "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The whole statement. ``size`` and ``root`` are those of the newest checkpoint, ``entry`` the index of the export's own entry in the
    ledger (-1: it was not entered, ``not_entered`` says why). ``files`` are digests of what no other digest covers.
    """

    origin: str
    node_code: str
    node_name: str
    size: int
    root: str
    selection: Selection
    made_at: datetime
    software: str
    person: str
    reason: str
    entry: int
    not_entered: str
    files: Mapping[str, str]


def manifest_bytes(manifest: Manifest) -> bytes:
    """The file, for a person to read as well."""
    chosen = manifest.selection
    told = {
        "format": FORMAT,
        "origin": manifest.origin,
        "node": {"code": manifest.node_code, "name": manifest.node_name},
        "size": manifest.size,
        "root": manifest.root,
        "selection": {
            "batches": list(chosen.batches),
            "route": chosen.route or "",
            "from": instant(chosen.start) if chosen.start else "",
            "to": instant(chosen.stop) if chosen.stop else "",
        },
        "made_at": instant(manifest.made_at),
        "software": manifest.software,
        "person": manifest.person,
        "reason": manifest.reason,
        "entry": manifest.entry,
        "not_entered": manifest.not_entered,
        "files": dict(sorted(manifest.files.items())),
    }
    return (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def parse_manifest(data: bytes) -> Manifest:
    """What :func:`manifest_bytes` wrote; anything else is refused. Raises EvidenceError ``bundle-manifest``."""
    try:
        told = json.loads(data.decode("utf-8"))
        chosen, node = told["selection"], told["node"]
        found = Manifest(
            origin=_text(told["origin"]),
            node_code=_text(node["code"]),
            node_name=_text(node["name"]),
            size=_count(told["size"]),
            root=_text(told["root"]),
            selection=Selection(
                batches=tuple(_text(each) for each in chosen["batches"][: _MOST_BATCHES + 1]),
                route=_text(chosen["route"]) or None,
                start=_instant(chosen["from"]),
                stop=_instant(chosen["to"]),
            ),
            made_at=parse_instant(told["made_at"]),
            software=_text(told["software"]),
            person=_text(told["person"]),
            reason=_text(told["reason"]),
            entry=_count(told["entry"]),
            not_entered=_text(told["not_entered"]),
            files={_text(name): _text(digest) for name, digest in told["files"].items()},
        )
        same = told["format"] == FORMAT and manifest_bytes(found) == data
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EvidenceError("bundle-manifest") from error
    if not same or len(found.selection.batches) > _MOST_BATCHES:
        raise EvidenceError("bundle-manifest")
    return found


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("text")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not -1 <= value < 2**53:
        raise ValueError("count")
    return value


def _instant(value: Any) -> datetime | None:
    return parse_instant(_text(value)) if value else None
