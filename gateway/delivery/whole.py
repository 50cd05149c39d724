"""Chunks of a reading in which no record is cut in two: the rows of the last record wait for what the next chunk brings.

Rows of one record stand together in their source (``order by`` in a query). A position is handed on only when every row before it was.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import polars as pl

from gateway.mapping.headings import find_columns
from gateway.mapping.intake import take_in
from gateway.mapping.plan import RecordPlan
from gateway.sources.port import Chunk

__all__ = ["whole_records"]


def whole_records(chunks: Generator[Chunk, None, None], plan: RecordPlan) -> Generator[Chunk, None, None]:
    """``chunks`` as they are, or, where several rows make up a record, cut between records.

    A record of which a row cannot be read goes with that row: its other rows are not handed on, since without the one it would be
    another record. Raises MappingError as ``plan.map``.
    """
    if not plan.catalog.parts:
        yield from chunks
        return
    held: Chunk | None = None
    before: str | None = None
    spoilt: set[tuple[str | None, ...]] = set()
    with closing(chunks):
        for chunk in chunks:
            if held is not None and (held.template != chunk.template or held.frame.columns != chunk.frame.columns):
                yield replace(held, position=before)
                held = None
            spoilt.update(key for key in _keys(chunk.damaged, plan) if any(cell is not None for cell in key))
            given, held = _cut(chunk if held is None else _together(held, chunk), plan, spoilt)
            if not given.frame.is_empty() or not given.damaged.is_empty():
                # What is held back lies in this chunk: the next reading may begin where this chunk did.
                yield replace(given, position=before)
            before = chunk.position
        if held is not None:
            yield replace(held, position=before)


def _together(held: Chunk, chunk: Chunk) -> Chunk:
    return replace(chunk, frame=pl.concat([held.frame, chunk.frame], how="diagonal_relaxed"))


def _cut(chunk: Chunk, plan: RecordPlan, spoilt: set[tuple[str | None, ...]]) -> tuple[Chunk, Chunk]:
    """The chunk up to its last record, and the rows of that record."""
    keys = _keys(chunk.frame, plan)
    kept = [place for place, key in enumerate(keys) if key not in spoilt]
    start = len(kept)
    while start and keys[kept[start - 1]] == keys[kept[-1]]:
        start -= 1
    tail = Chunk(
        frame=chunk.frame[kept[start:]],
        problems=chunk.problems.clear(),
        damaged=chunk.damaged.clear(),
        template=chunk.template,
    )
    return replace(chunk, frame=chunk.frame[kept[:start]]), tail


def _keys(frame: pl.DataFrame, plan: RecordPlan) -> list[tuple[str | None, ...]]:
    """What each row says in the columns of the key; a row that says nothing there belongs to none."""
    if plan.mapping is None or frame.is_empty():
        return []
    found = find_columns(plan.key_columns(), frame.columns, plan.mapping.id)
    texts = [take_in(frame[name], "UTC").text.to_list() for name in found.values()]
    return list(zip(*texts, strict=True))
