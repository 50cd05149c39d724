"""The records that peers sent to this node, as a source: what one level holds is what it passes on to the next.

Read in the order in which it came, batch by batch; a position says how far on every route. Nothing is read twice and no batch is ever held
in memory whole. Reading takes no lock that a writer waits for: every helping is a transaction of its own.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import polars as pl

from gateway.catalog.model import Catalog
from gateway.errors import SourceError
from gateway.mapping.canonical import canonical_schema, decode
from gateway.sources.port import PROBLEMS, ROW, ROWS_PER_CHUNK, Chunk, Reading
from gateway.store.database import Database
from gateway.store.origins import Arrival, arrivals

__all__ = ["HeldChunk", "HeldRecords"]

_START = (0, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldChunk(Chunk):
    """A chunk of one ``route``. ``frame`` has the records that are shared, as canonical columns; ``arrivals`` has all of them, in order."""

    route: str
    arrivals: Sequence[Arrival]


class HeldRecords:
    """What the node holds of ``routes`` (``sender/catalog/receiver``, in the order in which they are read), all of ``catalog``."""

    def __init__(self, *, name: str, database: Database | None, catalog: Catalog, routes: Sequence[str]) -> None:
        self._name = name
        self._database = database
        self._catalog = catalog
        self._routes = tuple(routes)

    @property
    def name(self) -> str:
        """The source's name in the configuration."""
        return self._name

    def columns(self) -> tuple[str, ...]:
        """The catalog's fields."""
        return tuple(canonical_schema(self._catalog))

    def probe(self) -> None:
        """Nothing can be missing: what was never received is simply not there."""

    def read(self, position: str | None, *, size: int = ROWS_PER_CHUNK) -> Reading:
        """What came behind ``position``. A reading from the beginning meets everything that is held.

        Raises SourceError ``position-malformed``.
        """
        return Reading(complete=position is None, chunks=self._chunks(self._read(position), size))

    def held_chunks(self, position: str | None, *, size: int) -> Generator[HeldChunk, None, None]:
        """As the chunks of :meth:`read`, with all that is known of each record."""
        return self._held_chunks(self._read(position), size)

    def _chunks(self, places: dict[str, tuple[int, str]], size: int) -> Generator[Chunk, None, None]:
        yield from self._held_chunks(places, size)

    def _held_chunks(self, places: dict[str, tuple[int, str]], size: int) -> Generator[HeldChunk, None, None]:
        if self._database is None:
            return
        for route in self._routes:
            while True:
                with self._database.read() as conn:
                    found = arrivals(conn, route, after=places.get(route, _START), limit=size)
                if not found:
                    break
                places[route] = (found[-1].sequence, found[-1].key)
                yield self._chunk(route, found, json.dumps(places, ensure_ascii=False, sort_keys=True))

    def _chunk(self, route: str, found: Sequence[Arrival], position: str) -> HeldChunk:
        shared = [one for one in found if one.content is not None]
        keys = pl.Series(ROW, [one.key for one in shared], dtype=pl.String)
        frame = decode([one.content or "" for one in shared], self._catalog).with_columns(keys)
        return HeldChunk(
            frame=frame,
            problems=pl.DataFrame(schema=PROBLEMS),
            damaged=frame.clear(),
            position=position,
            route=route,
            arrivals=found,
        )

    def _read(self, position: str | None) -> dict[str, tuple[int, str]]:
        if position is None:
            return {}
        try:
            return {str(route): (int(sequence), str(key)) for route, (sequence, key) in json.loads(position).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise SourceError("position-malformed", source=self._name) from error
