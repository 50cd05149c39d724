"""However a source cuts its rows into chunks, every record is handed on whole, and no position runs ahead of its rows."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.delivery.whole import whole_records
from gateway.sources.port import Chunk, Damage
from tests.mapping.order_catalog import plan, rows


def chunks(
    frame: pl.DataFrame, cuts: Sequence[int], damaged: frozenset[int] = frozenset()
) -> Generator[Chunk, None, None]:
    edges = [0, *cuts, frame.height]
    for start, end in pairwise(edges):
        part = frame[start:end]
        damages = [
            Damage(place=place - start, code="column-unreadable", column="NOTE", value_class="class-empty")
            for place in sorted(damaged)
            if start <= place < end
        ]
        yield Chunk.of(part, damages, position=str(end))


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6), data=st.data())
def test_records_are_the_same_however_the_rows_are_cut(sizes: list[int], data: st.DataObject) -> None:
    told = [
        {"NO": f"N{number}", "LINE": str(line), "PRICE": "1"}
        for number, size in enumerate(sizes)
        for line in range(1, size + 1)
    ]
    frame = rows(*told)
    cuts = sorted(data.draw(st.sets(st.integers(1, frame.height)))) if frame.height > 1 else []
    found: list[tuple[str, int]] = []
    for chunk in whole_records(chunks(frame, cuts), plan()):
        mapped = plan().map(chunk.frame)
        assert mapped.problems.is_empty()
        found += zip(mapped.records["@key"], mapped.records["lines"].list.len(), strict=True)
        # A reading that goes on from here meets every row that was not handed on.
        handed_on = sum(lines for _, lines in found)
        assert chunk.position is None or int(chunk.position) <= handed_on
    assert found == [(f"N{number}", size) for number, size in enumerate(sizes)]


def test_the_last_position_is_reached() -> None:
    frame = rows({"NO": "1"}, {"NO": "2"}, {"NO": "2"}, {"NO": "3"})
    assert [chunk.position for chunk in whole_records(chunks(frame, [2]), plan())] == [None, "2", "4"]


def test_a_record_with_an_unreadable_row_goes_with_it() -> None:
    line = {"PRICE": "1"}
    frame = rows(
        {"NO": "1", "LINE": "1", **line},
        {"NO": "2", "LINE": "1", **line},
        {"NO": "2", "LINE": "2", **line},
        {"NO": "2", "LINE": "3", **line},
        {"NO": "3", "LINE": "1", **line},
    )
    given_on = list(whole_records(chunks(frame, [3], frozenset({2})), plan()))
    assert [key for chunk in given_on for key in chunk.frame["NO"]] == ["1", "3"]
    assert [key for chunk in given_on for key in chunk.damaged["NO"]] == ["2"]


def test_a_row_without_a_key_takes_no_other_with_it() -> None:
    frame = rows({"NO": None}, {"NO": None}, {"NO": "3"})  # type: ignore[dict-item]  # an empty cell
    given_on = list(whole_records(chunks(frame, [], frozenset({0})), plan()))
    assert [key for chunk in given_on for key in chunk.frame["NO"]] == [None, "3"]
