"""A ZIP archive that a stranger made, read member by member: nothing is unpacked, nothing written, everything has a budget.

Written against the structures instead of with ``zipfile``, which is made to be lenient. Every byte of the file belongs to exactly one
structure, in one order, or the archive is refused: so no two programs read two different things out of it, and no member overlaps another.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway.errors import EvidenceError
from gateway.evidence import records as zip64

__all__ = ["Archive", "ArchiveLimits"]

_SLICE_IN: Final = 64 * 1024
_SLICE_OUT: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How much of an archive is taken; a name of 64 bytes costs about 250 bytes of memory."""

    members: int = 1_000_000
    name_bytes: int = 200
    ratio: int = 200  # inflated : compressed, of each member


class Archive:
    """The members of ``file``, which is seekable and whole. What the headers claim is believed of a member once it has come true.

    Raises EvidenceError ``archive-refused`` (with the reason) for a file that is not exactly one plain archive.
    """

    def __init__(self, file: BinaryIO, limits: ArchiveLimits | None = None) -> None:
        self._file = file
        self._limits = limits or ArchiveLimits()
        self._number: dict[str, int] = {}
        # By number: where the local header is, how long the data is packed and unpacked, its checksum, its method.
        self._offset, self._packed, self._size, self._checksum = array("Q"), array("L"), array("L"), array("L")
        self._method = array("B")
        self._asked = bytearray()
        # 1. the end records close the file and describe one plain disk
        count, start, stop = self._ends()
        # 2. the directory lists safe, distinct names of plain files that follow each other without a gap
        self._list(count, start, stop)

    def __contains__(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self._number

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the archive."""
        return iter(self._number)

    def __len__(self) -> int:
        """How many members there are."""
        return len(self._number)

    def read(self, name: str, budget: int) -> bytes | None:
        """The member's content, or None when there is no such member.

        Raises EvidenceError ``member-damaged`` (with the name) when it does not inflate to what its header says, ``member-too-large`` over
        ``budget`` bytes.
        """
        number = self._number.get(name)
        if number is None:
            return None
        self._asked[number] = 1
        size, packed = self._size[number], self._packed[number]
        if size > budget:
            raise EvidenceError("member-too-large", member=name, limit=budget)
        # Deflate adds a few bytes to what cannot be made smaller; more is somebody's trick.
        if size > self._limits.ratio * max(packed, 1) or packed > size + size // 1000 + 64:
            raise EvidenceError("member-damaged", member=name)
        self._seek(self._offset[number] + self._check_local(name, number))
        data = self._file.read(packed)
        if self._method[number] == zip64.DEFLATED:
            data = _inflated(name, data, size)
        if len(data) != size or zlib.crc32(data) != self._checksum[number]:
            raise EvidenceError("member-damaged", member=name)
        return data

    def unread(self) -> Iterator[str]:
        """The names of members that nobody has read yet."""
        return (name for name, number in self._number.items() if not self._asked[number])

    def _check_local(self, name: str, number: int) -> int:
        """The length of the local header, which repeats the directory."""
        self._seek(self._offset[number])
        head = self._file.read(zip64.LOCAL.size + len(name))
        expected = zip64.LOCAL.pack(
            zip64.LOCAL_MARK,
            zip64.VERSION,
            0,
            self._method[number],
            *zip64.WHEN,
            self._checksum[number],
            self._packed[number],
            self._size[number],
            len(name),
            0,
        )
        if head != expected + name.encode("ascii"):
            raise EvidenceError("archive-refused", reason=f"local header: {name}")
        return len(head)

    def _seek(self, place: int) -> None:
        self._file.seek(place)

    def _ends(self) -> tuple[int, int, int]:
        """Number of members, where the directory starts and where it stops."""
        end = self._file.seek(0, 2) - zip64.END.size
        if end < 0:
            raise EvidenceError("archive-refused", reason="not a ZIP archive")
        self._seek(end)
        mark, disk, first, here, count, length, start, comment = zip64.END.unpack(self._file.read(zip64.END.size))
        if mark != zip64.END_MARK or comment or disk or first or here != count:
            raise EvidenceError("archive-refused", reason="end of the archive")
        if count == zip64.MAX16 or zip64.MAX32 in (length, start):
            return self._ends64(end, (count, length, start))
        if start + length != end:
            raise EvidenceError("archive-refused", reason="bytes beside the directory")
        return count, start, end

    def _ends64(self, end: int, short: tuple[int, int, int]) -> tuple[int, int, int]:
        stop = end - zip64.LOCATOR64.size - zip64.END64.size
        if stop < 0:
            raise EvidenceError("archive-refused", reason="end of the archive")
        self._seek(stop)
        mark, size, made, needed, disk, first, here, count, length, start = zip64.END64.unpack(
            self._file.read(zip64.END64.size)
        )
        located = zip64.LOCATOR64.unpack(self._file.read(zip64.LOCATOR64.size))
        told = (min(count, zip64.MAX16), min(length, zip64.MAX32), min(start, zip64.MAX32))
        plain = (size, made, needed, disk, first) == (zip64.END64.size - 12, zip64.MADE_BY, zip64.VERSION64, 0, 0)
        if mark != zip64.END64_MARK or located != (zip64.LOCATOR64_MARK, 0, stop, 1) or not plain or here != count:
            raise EvidenceError("archive-refused", reason="end of the archive")
        if told != short or start + length != stop:
            raise EvidenceError("archive-refused", reason="bytes beside the directory")
        return count, start, stop

    def _list(self, count: int, start: int, stop: int) -> None:
        if count > self._limits.members:
            raise EvidenceError("archive-refused", reason=f"more than {self._limits.members} members")
        self._seek(start)
        place, next_offset = start, 0
        for number in range(count):
            head = self._file.read(zip64.CENTRAL.size)
            if len(head) != zip64.CENTRAL.size or place + zip64.CENTRAL.size > stop:
                raise EvidenceError("archive-refused", reason="directory")
            name, offset, length = self._member(number, head)
            place += length
            if offset != next_offset:
                raise EvidenceError("archive-refused", reason=f"gap or overlap: {name}")
            next_offset = offset + zip64.LOCAL.size + len(name) + self._packed[number]
        if place != stop or next_offset != start:
            raise EvidenceError("archive-refused", reason="bytes beside the directory")

    def _member(self, number: int, head: bytes) -> tuple[str, int, int]:
        """Take down one member: its name, its offset and how long its place in the directory is."""
        mark, made, needed, flags, method, *rest = zip64.CENTRAL.unpack(head)
        *when, checksum, packed, size, name_bytes, extra, comment, disk, internal, mode, offset = rest
        if mark != zip64.CENTRAL_MARK or not 0 < name_bytes <= self._limits.name_bytes:
            raise EvidenceError("archive-refused", reason="directory")
        raw = self._file.read(name_bytes)
        # Nothing that is not ASCII and safe is even shown.
        if zip64.SAFE_NAME.fullmatch(raw) is None:
            raise EvidenceError("archive-refused", reason="a member's name")
        name = raw.decode("ascii")
        if name in self._number:
            raise EvidenceError("archive-refused", reason=f"twice: {name}")
        fixed = (made, needed, flags, tuple(when), comment, disk, internal, mode)
        plain = (zip64.MADE_BY, zip64.VERSION, 0, zip64.WHEN, 0, 0, 0, zip64.FILE_MODE)
        if fixed != plain or method not in (zip64.STORED, zip64.DEFLATED) or zip64.MAX32 in (packed, size):
            raise EvidenceError("archive-refused", reason=f"not a plain member: {name}")
        if method == zip64.STORED and packed != size:
            raise EvidenceError("archive-refused", reason=f"not a plain member: {name}")
        if extra or offset == zip64.MAX32:
            offset = self._offset64(name, extra, offset)
        self._number[name] = number
        self._offset.append(offset)
        self._packed.append(packed)
        self._size.append(size)
        self._checksum.append(checksum)
        self._method.append(method)
        self._asked.append(0)
        return name, offset, zip64.CENTRAL.size + name_bytes + extra

    def _offset64(self, name: str, extra: int, offset: int) -> int:
        data = self._file.read(zip64.EXTRA64.size)
        if extra != zip64.EXTRA64.size or len(data) != extra or offset != zip64.MAX32:
            raise EvidenceError("archive-refused", reason=f"not a plain member: {name}")
        header, length, real = zip64.EXTRA64.unpack(data)
        if (header, length) != (1, 8) or real < zip64.MAX32:
            raise EvidenceError("archive-refused", reason=f"not a plain member: {name}")
        return int(real)


def _inflated(name: str, packed: bytes, size: int) -> bytes:
    """Never more than one byte over ``size`` is made, and every packed byte is used."""
    press = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    try:
        for at in range(0, len(packed), _SLICE_IN):
            pending: bytes = packed[at : at + _SLICE_IN]
            while len(out) <= size:
                room = min(_SLICE_OUT, size + 1 - len(out))
                piece = press.decompress(pending, room)
                out += piece
                pending = press.unconsumed_tail
                if not pending and len(piece) < room:
                    break
    except zlib.error as error:
        raise EvidenceError("member-damaged", member=name) from error
    if len(out) != size or not press.eof or press.unused_data:
        raise EvidenceError("member-damaged", member=name)
    return bytes(out)
