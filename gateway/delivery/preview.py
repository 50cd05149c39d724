"""What a run would do, found out without writing anything."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

from gateway.delivery.cases import first_reasons
from gateway.delivery.exchange import Exchange
from gateway.mapping.canonical import encode
from gateway.store import records, runs
from gateway.store.database import Database

__all__ = ["Preview", "preview"]


@dataclass(slots=True, kw_only=True)
class Preview:
    """Figures in rows; ``quarantined_by`` counts rows under their first reason."""

    exchange: str
    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    quarantined_by: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            "exchange": self.exchange,
            "rows": self.rows,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "quarantined": self.quarantined_by.total(),
            "quarantined_by": dict(self.quarantined_by.most_common()),
        }


def preview(database: Database | None, exchange: Exchange, *, full: bool) -> Preview:
    """Read the source as the next run would, and compare it with what is held; ``database`` None compares with nothing.

    What vanished is not told: that needs the identities of everything held, which only a run keeps. Raises SourceError, MappingError.
    """
    position = None
    if database is not None and not full:
        with database.read() as conn:
            position = runs.position(conn, exchange.name, exchange.source.name)
    found = Preview(exchange=exchange.name)
    with closing(exchange.source.read(position).chunks) as chunks:
        for chunk in chunks:
            mapped = exchange.plan.map(chunk.frame)
            _, digests = encode(mapped.records, exchange.catalog)
            keys = mapped.records["@key"].to_list()
            held: dict[str, records.Held] = {}
            if database is not None:
                with database.read() as conn:
                    held = records.held(conn, exchange.catalog.id, exchange.source.name, keys)
            for key, digest in zip(keys, digests, strict=True):
                known = held.get(key)
                if known is None:
                    found.new += 1
                elif (known.digest, known.op) == (digest, "upsert"):
                    found.unchanged += 1
                else:
                    found.changed += 1
            found.rows += chunk.frame.height + chunk.damaged.height
            found.quarantined_by.update(first_reasons(mapped.problems))
            found.quarantined_by.update(first_reasons(chunk.problems))
    return found
