"""Writes the ZIP archive of a bundle: member after member in one pass, in constant memory, the same bytes for the same content."""

from __future__ import annotations

import tempfile
import zlib
from hashlib import sha256
from typing import BinaryIO, Final, Self

from gateway.errors import DeliveryError
from gateway.evidence import records as zip64

__all__ = ["ArchiveWriter"]

_RATIO: Final = 100  # readers refuse more than twice this


class ArchiveWriter:
    """Appends members to ``file``, which is empty; the end of the block ends the archive. Meanwhile the directory waits in a temporary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._directory = tempfile.SpooledTemporaryFile(max_size=1024 * 1024)  # noqa: SIM115 — closed at the end of the block
        self._whole = sha256()
        self._place = 0
        self._count = 0

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the archive; one that failed stays without an end, and so is none."""
        try:
            if kind is None:
                self._finish()
        finally:
            self._directory.close()

    @property
    def sha256(self) -> str:
        """Over everything written so far, in hex."""
        return self._whole.hexdigest()

    def add(self, name: str, content: bytes, *, packed: bool = True) -> None:
        """One more member. ``packed`` tries to make it smaller: not worth it for what is random or packed already.

        Raises DeliveryError ``export-member`` for a name or size that no reader takes.
        """
        path = name.encode("ascii")
        if zip64.SAFE_NAME.fullmatch(path) is None or len(content) >= zip64.MAX32:
            raise DeliveryError("export-member", member=name)
        method, data = _squeezed(content) if packed else (zip64.STORED, content)
        shared = (zip64.VERSION, 0, method, *zip64.WHEN, zlib.crc32(content), len(data), len(content), len(path))
        extra = b"" if self._place < zip64.MAX32 else zip64.EXTRA64.pack(1, 8, self._place)
        self._directory.write(
            zip64.CENTRAL.pack(
                zip64.CENTRAL_MARK,
                zip64.MADE_BY,
                *shared,
                len(extra),
                0,
                0,
                0,
                zip64.FILE_MODE,
                min(self._place, zip64.MAX32),
            )
            + path
            + extra
        )
        self._write(zip64.LOCAL.pack(zip64.LOCAL_MARK, *shared, 0) + path)
        self._write(data)
        self._count += 1

    def _finish(self) -> None:
        """Write the directory and the end records; 64-bit ones only where they are needed."""
        start, count = self._place, self._count
        self._directory.seek(0)
        while piece := self._directory.read(1024 * 1024):
            self._write(piece)
        length = self._place - start
        if count >= zip64.MAX16 or max(start, length) >= zip64.MAX32:
            place = self._place
            self._write(
                zip64.END64.pack(
                    zip64.END64_MARK,
                    zip64.END64.size - 12,
                    zip64.MADE_BY,
                    zip64.VERSION64,
                    0,
                    0,
                    count,
                    count,
                    length,
                    start,
                )
                + zip64.LOCATOR64.pack(zip64.LOCATOR64_MARK, 0, place, 1)
            )
        short = (min(count, zip64.MAX16), min(count, zip64.MAX16), min(length, zip64.MAX32), min(start, zip64.MAX32))
        self._write(zip64.END.pack(zip64.END_MARK, 0, 0, *short, 0))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._whole.update(data)
        self._place += len(data)


def _squeezed(content: bytes) -> tuple[int, bytes]:
    press = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = press.compress(content) + press.flush()
    worth = len(data) < len(content) and len(content) <= _RATIO * len(data)
    return (zip64.DEFLATED, data) if worth else (zip64.STORED, content)
