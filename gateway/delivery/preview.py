"""What a run would do, found out without writing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from gateway.delivery.cases import first_reasons
from gateway.delivery.exchange import Exchange
from gateway.delivery.idset import IdSet
from gateway.delivery.whole import whole_records
from gateway.mapping.canonical import encode
from gateway.sources.port import Chunk
from gateway.store import records, runs
from gateway.store.database import Database

__all__ = ["Preview", "preview"]


@dataclass(slots=True, kw_only=True)
class Preview:
    """Figures in rows; ``quarantined_by`` counts rows under their first reason."""

    exchange: str
    rows: int = 0
    vanished: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    quarantined_by: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            "exchange": self.exchange,
            "rows": self.rows,
            "vanished": self.vanished,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "quarantined": self.quarantined_by.total(),
            "quarantined_by": dict(self.quarantined_by.most_common()),
        }


def preview(database: Database | None, exchange: Exchange, *, full: bool) -> Preview:
    """Read the source as the next run would, and compare it with what is held; ``database`` None compares with nothing.

    Raises SourceError, MappingError.
    """
    looking = _Looking(database, exchange)
    position = None
    if database is not None and not full:
        with database.read() as conn:
            position = runs.position(conn, exchange.name, exchange.source.name)
    reading = exchange.source.read(position)
    with closing(whole_records(reading.chunks, exchange.plan)) as chunks:
        for chunk in chunks:
            looking.chunk(chunk)
    if reading.complete:
        looking.vanished()
    return looking.found


class _Looking:
    """One reading of a source that writes nothing. It keeps the digest of every key, which a run leaves to the store."""

    def __init__(self, database: Database | None, exchange: Exchange) -> None:
        self._database = database
        self._exchange = exchange
        self._seen: dict[str, bytes] = {}
        self._present = IdSet()
        self.found = Preview(exchange=exchange.name)

    def chunk(self, chunk: Chunk) -> None:
        mapped = self._exchange.plan.map(chunk.frame)
        damaged = self._exchange.plan.map(chunk.damaged)
        _, digests = encode(mapped.records, self._exchange.catalog)
        keys = mapped.records["@key"].to_list()
        unsound = [
            key for frame in (mapped.bad, damaged.bad, damaged.records) for key in frame["@key"] if key is not None
        ]
        held = self._held([*keys, *unsound])
        self._present.update(known.id for known in held.values())
        for key, digest in zip(keys, digests, strict=True):
            self._count(held.get(key), key, digest)
        self.found.rows += mapped.records.height + mapped.bad.height + chunk.damaged.height
        self.found.quarantined_by.update(first_reasons(mapped.problems))
        self.found.quarantined_by.update(first_reasons(chunk.problems))

    def _count(self, known: records.Held | None, key: str, digest: bytes) -> None:
        earlier = self._seen.setdefault(key, digest)
        if earlier != digest:
            self.found.quarantined_by["key-duplicate"] += 1
        elif known is None:
            self.found.new += 1
        elif (known.digest, known.op) == (digest, "upsert") or known.stays_back:
            self.found.unchanged += 1
        else:
            self.found.changed += 1

    def vanished(self) -> None:
        """What is held and was not met."""
        if self._database is not None:
            with self._database.read() as conn:
                present = records.present(conn, self._exchange.catalog.id, self._exchange.source.name)
                self.found.vanished = sum(1 for number in present if number not in self._present)

    def _held(self, keys: Sequence[str]) -> Mapping[str, records.Held]:
        if self._database is None:
            return {}
        with self._database.read() as conn:
            return records.held(conn, self._exchange.catalog.id, self._exchange.source.name, keys)
