"""Tile and bundle paths and bytes as C2SP tlog-tiles gives them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.tiles import TileId, decode_bundle, encode_bundle, new_tiles, split_tile


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, "000"),
        (7, "007"),
        (999, "999"),
        (1_000, "x001/000"),
        (1_234_067, "x001/x234/067"),  # the example of the specification
        (1_000_000, "x001/x000/000"),
        (999_999_999, "x999/x999/999"),
        (1_000_000_000, "x001/x000/x000/000"),
    ],
)
def test_paths(index: int, expected: str) -> None:
    assert TileId(level=0, index=index).path == f"tile/0/{expected}"
    assert TileId(level=0, index=index).bundle_path == f"tile/entries/{expected}"
    assert TileId(level=2, index=index, width=5).path == f"tile/2/{expected}.p/5"


@pytest.mark.parametrize(("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_tiles_that_do_not_exist(level: int, index: int, width: int) -> None:
    with pytest.raises(LedgerError, match="tile-id-invalid"):
        TileId(level=level, index=index, width=width)


def test_only_level_0_has_bundles() -> None:
    with pytest.raises(LedgerError, match="tile-id-invalid"):
        assert TileId(level=1, index=0).bundle_path


def described(old: int, new: int) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """(level, width) → the runs of indices."""
    found: dict[tuple[int, int], list[int]] = {}
    for tile in new_tiles(old, new):
        found.setdefault((tile.level, tile.width), []).append(tile.index)
    return {key: [(min(indices), max(indices))] for key, indices in found.items()}


def test_the_example_of_the_specification() -> None:
    assert described(0, 70_000) == {
        (0, 256): [(0, 272)],
        (0, 112): [(273, 273)],
        (1, 256): [(0, 0)],
        (1, 17): [(1, 1)],
        (2, 1): [(0, 0)],
    }
    assert described(0, 256) == {(0, 256): [(0, 0)], (1, 1): [(0, 0)]}


def test_nothing_new_gives_no_tile() -> None:
    assert list(new_tiles(0, 0)) == []
    assert list(new_tiles(300, 300)) == []
    with pytest.raises(LedgerError, match="proof-out-of-range"):
        list(new_tiles(2, 1))


@given(st.integers(0, 140_000), st.integers(0, 70_000))
@settings(max_examples=200)
def test_new_tiles_are_those_of_the_new_size_less_those_of_the_old(old: int, more: int) -> None:
    before, after = set(tiles_of(old)), set(tiles_of(old + more))
    listed = [(tile.level, tile.index, tile.width) for tile in new_tiles(old, old + more)]
    assert len(set(listed)) == len(listed)
    assert set(listed) == after - before
    levels = [level for level, _, _ in listed]
    assert levels == sorted(levels, reverse=True)


def tiles_of(size: int) -> list[tuple[int, int, int]]:
    """Every tile of a tree, from the definition: level l has floor(size / 256^l) hashes."""
    tiles = []
    for level in range(4):
        count = size // 256**level
        tiles += [(level, index, 256) for index in range(count // 256)]
        if count % 256:
            tiles.append((level, count // 256, count % 256))
    return tiles


def test_a_bundle_is_length_prefixed_entries() -> None:
    assert encode_bundle([b"ab", b"", b"c"]) == b"\x00\x02ab\x00\x00\x00\x01c"
    assert encode_bundle([b"x" * 65_535])[:2] == b"\xff\xff"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_bundles_round_trip(leaves: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(leaves), len(leaves)) == leaves


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=5), st.data())
@settings(max_examples=200)
def test_a_bundle_that_does_not_end_where_it_should_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    whole = encode_bundle(leaves)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for broken, width in [
        (cut, len(leaves)),
        (whole + b"\x00", len(leaves)),
        (whole, len(leaves) + 1),
        (whole, len(leaves) - 1),
    ]:
        with pytest.raises(LedgerError, match="bundle-malformed"):
            decode_bundle(broken, width)


def test_a_tile_of_another_length_is_refused() -> None:
    assert split_tile(b"a" * 32 + b"b" * 32, 2) == [b"a" * 32, b"b" * 32]
    for data, width in [(b"a" * 63, 2), (b"a" * 96, 2), (b"", 1)]:
        with pytest.raises(LedgerError, match="tile-malformed"):
            split_tile(data, width)
