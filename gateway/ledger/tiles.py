"""C2SP tlog-tiles: the paths and bytes of tiles and entry bundles. Tile height 8, SHA-256.

``tile/<level>/<index>`` holds 256 hashes, ``tile/entries/<index>`` 256 entries; at the right-hand edge of the tree both may be
partial, 1 to 255 wide, under ``<index>.p/<width>``. Indices are written in groups of three digits, all but the last after an ``x``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import LedgerError
from gateway.ledger.tree import HASH_BYTES

__all__ = [
    "CHECKPOINT_PATH",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "TileId",
    "decode_bundle",
    "encode_bundle",
    "new_tiles",
    "split_tile",
]

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
CHECKPOINT_PATH: Final = "checkpoint"
_MAX_LEVEL: Final = 63
_LENGTH_BYTES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TileId:
    """Which tile: its level from 0 to 63, its index in the level, its width from 1 to 256 (256 is a full tile)."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not (0 <= self.level <= _MAX_LEVEL and self.index >= 0 and 1 <= self.width <= TILE_WIDTH):
            raise LedgerError("tile-id-invalid", level=self.level, index=self.index, width=self.width)

    @property
    def full(self) -> bool:
        """Whether all 256 hashes are there."""
        return self.width == TILE_WIDTH

    @property
    def start(self) -> int:
        """The number of its first hash in its level (for a bundle, the index of its first entry)."""
        return self.index * TILE_WIDTH

    @property
    def path(self) -> str:
        """Where the tile is published, relative to the log's prefix."""
        return f"tile/{self.level}/{self._suffix()}"

    @property
    def bundle_path(self) -> str:
        """Where the entries under a tile of level 0 are published. Raises LedgerError ``tile-id-invalid`` on another level."""
        if self.level != 0:
            raise LedgerError("tile-id-invalid", level=self.level, index=self.index, width=self.width)
        return f"tile/entries/{self._suffix()}"

    def _suffix(self) -> str:
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        return "/".join(reversed(groups)) + ("" if self.full else f".p/{self.width}")


def new_tiles(old: int, new: int) -> Iterator[TileId]:
    """The tiles that a tree of ``new`` entries has and the same tree at ``old`` entries had not: top level first, full ones before
    the partial one of their level.
    """
    if not 0 <= old <= new:
        raise LedgerError("proof-out-of-range", first=old, second=new)
    top = max(new.bit_length() - 1, 0) // TILE_HEIGHT
    for level in reversed(range(top + 1)):
        had, has = old >> TILE_HEIGHT * level, new >> TILE_HEIGHT * level
        if had == has:
            continue
        for index in range(had // TILE_WIDTH, has // TILE_WIDTH):
            yield TileId(level=level, index=index)
        if has % TILE_WIDTH:
            yield TileId(level=level, index=has // TILE_WIDTH, width=has % TILE_WIDTH)


def split_tile(data: bytes, width: int) -> list[bytes]:
    """The hashes in a tile's bytes. Raises LedgerError ``tile-malformed`` unless there are exactly ``width``."""
    if len(data) != width * HASH_BYTES:
        raise LedgerError("tile-malformed", expected=width * HASH_BYTES, found=len(data))
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def encode_bundle(leaves: Sequence[bytes]) -> bytes:
    """Entries one after the other, each behind its length as a big-endian uint16."""
    return b"".join(len(leaf).to_bytes(_LENGTH_BYTES, "big") + leaf for leaf in leaves)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """The entries of a bundle. Raises LedgerError ``bundle-malformed`` unless it holds exactly ``width``, with nothing left over."""
    leaves: list[bytes] = []
    at = 0
    while at < len(data) and len(leaves) < width:
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        leaves.append(data[start:at])
    if at != len(data) or len(leaves) != width:
        raise LedgerError("bundle-malformed", expected=width, found=len(leaves))
    return leaves
