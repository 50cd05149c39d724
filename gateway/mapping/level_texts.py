"""What a record says at each place of a document, as texts under names; and the elements made of such texts again.

A name is the place as people write it; in the rows of a part the numbers of the rows stand behind it (``Section/Amount #2``, in a part
within a part ``#2.1``). What is told of the batch is not among them: it is the batch's, and said when a document is made.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from gateway.mapping.level import Level, Written, laid_below

__all__ = ["all_placed", "element_texts", "elements_of"]

_NUMBERS: Final = re.compile(r"[1-9][0-9]{0,6}(\.[1-9][0-9]{0,6})*")
_MARK: Final = " #"  # neither sign can stand in a path
_Places = tuple[int, ...]
_Found = Mapping[str, Mapping[_Places, str]]


def element_texts(level: Level, written: Written) -> list[dict[str, str]]:
    """The texts of each row of ``written``, which is what ``level`` wrote."""
    texts: list[dict[str, str]] = [{} for _ in range(len(written.texts))]
    _gather(level, written, [(number, ()) for number in range(len(texts))], texts)
    return texts


def all_placed(level: Level, texts: Mapping[str, str]) -> bool:
    """Whether every one of ``texts`` has a place in ``level``."""
    depths = dict(_depths(level, 0))
    for name in texts:
        target, mark, numbers = name.partition(_MARK)
        if depths.get(target) != (numbers.count(".") + 1 if mark else 0) or (mark and not _NUMBERS.fullmatch(numbers)):
            return False
    return True


def _depths(level: Level, depth: int) -> Iterator[tuple[str, int]]:
    for leaf in level.leaves:
        if leaf.slot.leaf.batch is None:
            yield leaf.target, depth
    for inner in level.inner:
        yield from _depths(inner, depth + 1)


def elements_of(
    level: Level, texts: Sequence[Mapping[str, str]], batch: Mapping[str, object], *, declared: bool
) -> pl.Series:
    """The inverse: the element of each record. ``batch`` are the columns of the batch's facts. Rows of which nothing is said are none."""
    return _elements(level, [_found(one) for one in texts], [(n, ()) for n in range(len(texts))], batch, declared)


def _gather(level: Level, written: Written, rows: Sequence[tuple[int, _Places]], into: list[dict[str, str]]) -> None:
    """Take down what stands in ``rows`` of a level: each is of a record, and has its numbers within it."""
    for leaf in level.leaves:
        if leaf.slot.leaf.batch is None:
            for (record, places), text in zip(rows, written.leaves[leaf.column], strict=True):
                if text is not None:
                    into[record][_name(leaf.target, places)] = text
    for inner, (parents, below) in zip(level.inner, written.below, strict=True):
        counted: Counter[int] = Counter()
        numbered: list[tuple[int, _Places]] = []
        for parent in parents:
            counted[parent] += 1
            record, places = rows[parent]
            numbered.append((record, (*places, counted[parent])))
        _gather(inner, below, numbered, into)


def _elements(
    level: Level,
    found: Sequence[_Found],
    rows: Sequence[tuple[int, _Places]],
    batch: Mapping[str, object],
    declared: bool = False,
) -> pl.Series:
    frame = pl.DataFrame([pl.Series("@row", [None] * len(rows), dtype=pl.String)])
    frame = frame.with_columns(
        pl.Series(leaf.column, [found[record].get(leaf.target, {}).get(places) for record, places in rows], pl.String)
        for leaf in level.leaves
    )
    told = frame.with_columns(pl.lit(value).alias(name) for name, value in batch.items())
    frame = told.with_columns(leaf.written.value.alias(leaf.column) for leaf in level.leaves if leaf.slot.leaf.batch)
    for inner in level.inner:
        targets = [leaf.target for one in inner.all() for leaf in one.leaves]
        below: list[tuple[int, _Places]] = []
        parents: list[int] = []
        for number, (record, places) in enumerate(rows):
            for place in _rows_in(found[record], targets, places):
                below.append((record, (*places, place)))
                parents.append(number)
        elements = _elements(inner, found, below, batch)
        columns = laid_below(inner.part or "", pl.Series(parents, dtype=pl.UInt32), elements, len(rows))
        frame = pl.concat([frame, columns], how="horizontal")
    return level.elements(frame, declared=declared)


def _rows_in(found: _Found, targets: Iterable[str], places: _Places) -> list[int]:
    """The numbers of the rows, in the row ``places``, in which anything stands."""
    depth = len(places)
    return sorted({at[depth] for target in targets for at in found.get(target, ()) if at[:depth] == places})


def _name(target: str, places: _Places) -> str:
    return f"{target}{_MARK}{'.'.join(map(str, places))}" if places else target


def _found(texts: Mapping[str, str]) -> _Found:
    """The texts by place and row."""
    found: dict[str, dict[_Places, str]] = defaultdict(dict)
    for name, text in texts.items():
        target, _, numbers = name.partition(_MARK)
        places = tuple(int(number) for number in numbers.split(".")) if numbers else ()
        found[target][places] = text
    return found
