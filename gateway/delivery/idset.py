"""A set of small positive whole numbers in one bit each: a million record ids in 125 kB, where a Python set needs 60 MB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["IdSet"]


class IdSet:
    """A growing set of non-negative integers, dense from zero (the store's record ids)."""

    __slots__ = ("_bits", "_count")

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        self._count = 0
        self.update(ids)

    def add(self, number: int) -> bool:
        """Put ``number`` in; False when it was in already."""
        byte, bit = number >> 3, 1 << (number & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 4096 - len(self._bits)))
        if self._bits[byte] & bit:
            return False
        self._bits[byte] |= bit
        self._count += 1
        return True

    def update(self, ids: Iterable[int]) -> None:
        """Put all of ``ids`` in."""
        for number in ids:
            self.add(number)

    def __contains__(self, number: int) -> bool:
        byte = number >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (number & 7)))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for index, byte in enumerate(self._bits):
            if byte:
                yield from (index * 8 + bit for bit in range(8) if byte & (1 << bit))
