"""The container: a ZIP in the ASiC-E layout (ETSI EN 319 162-1), written and read byte by byte.

Four entries in a fixed order at a fixed time, so the same content gives the same bytes. The reader is written against the
structures of APPNOTE.TXT 6.3 instead of ``zipfile``, because that one is made to be lenient: it takes data before and after the
archive, entries that overlap, and central and local headers that contradict each other, and another program would then read
another document out of the same signed package. Here every byte of the file belongs to exactly one structure, or it is refused.
Nothing is ever written to a file system.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import PackageError
from gateway.package.limits import Limits

__all__ = ["BATCH", "FEEDBACK", "MANIFEST", "MEDIA_TYPE", "RECEIPT", "SIGNATURE", "Opened", "open_package", "pack"]

MEDIA_TYPE = "application/vnd.etsi.asic-e+zip"
BATCH = "batch.xml"
RECEIPT = "receipt.xml"
FEEDBACK = "feedback.xml"
MANIFEST = "META-INF/ASiCManifest.xml"
SIGNATURE = "META-INF/signature.p7s"
_MIMETYPE = "mimetype"

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_ZIP64_LOCATOR_MARK, _ZIP64_LOCATOR_BYTES = b"PK\x06\x07", 20

_STORED, _DEFLATED = 0, 8
_TIME, _DATE = 0, (1 << 5) | 1  # 1980-01-01 00:00:00
_VERSION_NEEDED = 20
_FAT, _UNIX = 0, 3
_NEWEST_VERSION = 63
_DOS_ARCHIVE = 0x20
_FILE_MODE = (stat.S_IFREG | 0o644) << 16  # without it unzip gives an auditor files of mode 000
_ENCRYPTED_FLAGS = 0x2041  # bits 0, 6 and 13
_HARMLESS_FLAGS = 0x0806  # bits 1 and 2: how hard deflate tried; bit 11: names are UTF-8
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_ENTRIES_READ = 16  # more entries than this are not even listed
_SLICE_IN, _SLICE_OUT = 16 * 1024, 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a package holds; nothing about it is verified yet but the container itself."""

    name: str
    document: bytes
    manifest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: str
    shared: tuple[int, ...]  # version needed, flags, method, time, date, CRC, two sizes: the local header repeats them
    extra_bytes: int
    offset: int

    @property
    def method(self) -> int:
        return self.shared[2]

    @property
    def checksum(self) -> int:
        return self.shared[5]

    @property
    def compressed_bytes(self) -> int:
        return self.shared[6]

    @property
    def inflated_bytes(self) -> int:
        return self.shared[7]


def pack(name: str, document: bytes, manifest: bytes, signature: bytes, *, limits: Limits | None = None) -> bytes:
    """The container's bytes for a document called ``name`` (``batch.xml``, ``receipt.xml`` or ``feedback.xml``).

    An entry that would inflate past the allowed ratio is stored instead, so that no receiver refuses what we sealed.
    Raises PackageError ``package-too-large`` where the result is over its budget.
    """
    limits = limits or Limits()
    contents = (
        (_MIMETYPE, MEDIA_TYPE.encode("ascii")),
        (name, document),
        (MANIFEST, manifest),
        (SIGNATURE, signature),
    )
    body, directory = bytearray(), bytearray()
    for entry, content in contents:
        method, data = (_STORED, content) if entry == _MIMETYPE else _squeeze(content, limits.ratio)
        path = entry.encode("ascii")
        checksum = zlib.crc32(content)
        shared = (_VERSION_NEEDED, 0, method, _TIME, _DATE, checksum, len(data), len(content), len(path), 0)
        directory += _CENTRAL.pack(
            _CENTRAL_MARK, (_UNIX << 8) | _VERSION_NEEDED, *shared, 0, 0, 0, _FILE_MODE, len(body)
        )
        directory += path
        body += _LOCAL.pack(_LOCAL_MARK, *shared) + path + data
    end = _END.pack(_END_MARK, 0, 0, len(contents), len(contents), len(directory), len(body), 0)
    if len(body) + len(directory) + len(end) > limits.package_bytes:
        raise PackageError("package-too-large", limit=limits.package_bytes)
    return bytes(body + directory + end)


def _squeeze(content: bytes, ratio: int) -> tuple[int, bytes]:
    press = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = press.compress(content) + press.flush()
    return (_DEFLATED, data) if len(content) <= ratio * len(data) else (_STORED, content)


def open_package(data: bytes, *, limits: Limits | None = None) -> Opened:
    """Take a package apart.

    Every entry is inflated in slices against its budget, and the file must be exactly the four entries in their order, with
    neither a gap nor an overlap nor a byte beside them. Raises PackageError with a ``package-…`` code that names what is wrong.
    """
    limits = limits or Limits()
    if len(data) > limits.package_bytes:
        raise PackageError("package-too-large", limit=limits.package_bytes)
    # 1. the end record closes the file and describes one plain disk
    count, directory = _end_of(data)
    # 2. the central directory lists safe, distinct names: exactly ours, in our order
    entries = _listed(data, directory, count)
    name = _arranged([entry.name for entry in entries])
    # 3. every entry is plain: not encrypted, not a link, nothing hidden beside it, at the fixed time
    for entry in entries:
        _plain(entry)
    # 4. the entries follow each other without a gap, and each local header repeats the directory
    starts = _laid_out(data, entries, directory)
    # 5. inflate, each entry within its own budget
    budgets = (
        len(MEDIA_TYPE),
        limits.document_bytes if name == BATCH else limits.receipt_bytes,
        limits.manifest_bytes,
        limits.signature_bytes,
    )
    contents = [
        _inflate(data, entry, start, budget=budget, ratio=limits.ratio)
        for entry, start, budget in zip(entries, starts, budgets, strict=True)
    ]
    # 6. the media type says what this is, and is readable without inflating
    if entries[0].method != _STORED or contents[0] != MEDIA_TYPE.encode("ascii"):
        raise PackageError("package-mimetype", expected=MEDIA_TYPE)
    # 7. no document type anywhere: nothing here needs one, and they are how XML readers are attacked
    for entry, content in zip(entries[1:3], contents[1:3], strict=True):
        if b"<!DOCTYPE" in content:
            raise PackageError("doctype-forbidden", document=entry.name)
    return Opened(name=name, document=contents[1], manifest=contents[2], signature=contents[3])


def _end_of(data: bytes) -> tuple[int, int]:
    """Number of entries, and where the central directory starts."""
    end = len(data) - _END.size
    if end < 0 or _END_MARK not in data:
        raise PackageError("package-not-zip")
    if data[end : end + 4] != _END_MARK:
        raise PackageError("package-trailing-data")
    _, disk, first_disk, here, count, length, start, comment = _END.unpack_from(data, end)
    if _MAX16 in (here, count) or _MAX32 in (length, start):
        raise PackageError("package-zip64")
    locator = end - _ZIP64_LOCATOR_BYTES
    if locator >= 0 and data[locator : locator + 4] == _ZIP64_LOCATOR_MARK:
        raise PackageError("package-zip64")
    if comment:
        raise PackageError("package-trailing-data")
    if disk or first_disk or here != count:
        raise PackageError("package-header-contradicts", entry="(end of central directory)")
    if start + length != end:
        raise PackageError("package-overlap", entry="(central directory)")
    return count, start


def _listed(data: bytes, directory: int, count: int) -> list[_Entry]:
    if count > _ENTRIES_READ:
        raise PackageError("package-entries", expected=4, found=count)
    entries: list[_Entry] = []
    place, end = directory, len(data) - _END.size
    for _ in range(count):
        if place + _CENTRAL.size > end or data[place : place + 4] != _CENTRAL_MARK:
            raise PackageError("package-not-zip")
        _, made_by, *shared, path_bytes, extra, comment, disk, internal, attributes, offset = _CENTRAL.unpack_from(
            data, place
        )
        path_at = place + _CENTRAL.size
        name = data[path_at : path_at + path_bytes].decode("ascii", "backslashreplace")
        place = path_at + path_bytes + extra + comment
        _safe_name(name)
        _plain_file(name, attributes, made_by)
        if disk or internal > 1:
            raise PackageError("package-header-contradicts", entry=name)
        entries.append(_Entry(name=name, shared=tuple(shared), extra_bytes=extra + comment, offset=offset))
    if place != end:
        raise PackageError("package-overlap", entry="(central directory)")
    return entries


def _safe_name(name: str) -> None:
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or ":" in name or not all(parts) or not {".", ".."}.isdisjoint(parts):
        raise PackageError("package-entry-name", entry=name)


def _plain_file(name: str, attributes: int, made_by: int) -> None:
    """Refuse what an auditor's unzip would make into a link, a device or a program."""
    system, mode, dos = made_by >> 8, attributes >> 16, attributes & 0xFFFF
    plain = stat.S_IFMT(mode) in (0, stat.S_IFREG) and not stat.S_IMODE(mode) & 0o7111 and dos in (0, _DOS_ARCHIVE)
    if not plain or system not in (_FAT, _UNIX) or made_by & 0xFF > _NEWEST_VERSION:
        raise PackageError("package-entry-attributes", entry=name)


def _arranged(names: Sequence[str]) -> str:
    """The document's name, once the list of entries is exactly what it must be."""
    if len(set(names)) != len(names):
        raise PackageError("package-entry-duplicate", entry=next(n for n in names if names.count(n) > 1))
    if len(names) != 4:
        raise PackageError("package-entries", expected=4, found=len(names))
    for document in (BATCH, RECEIPT, FEEDBACK):
        expected = [_MIMETYPE, document, MANIFEST, SIGNATURE]
        if names == expected:
            return document
        if set(names) == set(expected):
            raise PackageError("package-order", expected=", ".join(expected))
    raise PackageError("package-entry-unknown", entries=", ".join(names))


def _plain(entry: _Entry) -> None:
    version, flags, method, time, date, _, *sizes = entry.shared
    if flags & _ENCRYPTED_FLAGS:
        raise PackageError("package-encrypted", entry=entry.name)
    if flags & ~_HARMLESS_FLAGS:
        raise PackageError("package-flags", entry=entry.name, flags=f"{flags:#06x}")
    if method not in (_STORED, _DEFLATED):
        raise PackageError("package-method", entry=entry.name, method=method)
    if version > _VERSION_NEEDED or _MAX32 in (*sizes, entry.offset):
        raise PackageError("package-zip64")
    if (time, date) != (_TIME, _DATE):
        raise PackageError("package-time", entry=entry.name)
    if entry.extra_bytes:
        raise PackageError("package-extra", entry=entry.name)


def _laid_out(data: bytes, entries: Sequence[_Entry], directory: int) -> list[int]:
    """Where each entry's data starts. Contiguity is what makes overlapping entries (CVE-2024-0450) impossible."""
    starts: list[int] = []
    place = 0
    for entry in entries:
        if entry.offset != place:
            raise PackageError("package-overlap", entry=entry.name)
        path = entry.name.encode("ascii")
        data_at = place + _LOCAL.size + len(path)
        if data_at > directory or data[place : place + 4] != _LOCAL_MARK:
            raise PackageError("package-overlap", entry=entry.name)
        _, *shared, path_bytes, extra = _LOCAL.unpack_from(data, place)
        if extra:
            raise PackageError("package-extra", entry=entry.name)
        if tuple(shared) != entry.shared or path_bytes != len(path) or data[data_at - len(path) : data_at] != path:
            raise PackageError("package-header-contradicts", entry=entry.name)
        starts.append(data_at)
        place = data_at + entry.compressed_bytes
    if place != directory:
        raise PackageError("package-overlap", entry="(central directory)")
    return starts


def _inflate(data: bytes, entry: _Entry, start: int, *, budget: int, ratio: int) -> bytes:
    """The entry's content. What the headers claim about sizes is believed only once it has come true."""
    stop = start + entry.compressed_bytes
    if entry.method == _STORED:
        if entry.compressed_bytes > budget:
            raise PackageError("package-entry-too-large", entry=entry.name, limit=budget)
        content = data[start:stop]
    else:
        content = _inflated(memoryview(data)[start:stop], entry, budget=budget, ratio=ratio)
    if len(content) != entry.inflated_bytes or zlib.crc32(content) != entry.checksum:
        raise PackageError("package-damaged", entry=entry.name)
    return content


def _inflated(compressed: memoryview, entry: _Entry, *, budget: int, ratio: int) -> bytes:
    press = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    size = 0
    for at in range(0, len(compressed), _SLICE_IN):
        pending: bytes | memoryview = compressed[at : at + _SLICE_IN]
        while True:
            try:
                piece = press.decompress(pending, _SLICE_OUT)
            except zlib.error as error:
                raise PackageError("package-damaged", entry=entry.name) from error
            size += len(piece)
            if size > budget:
                raise PackageError("package-entry-too-large", entry=entry.name, limit=budget)
            if size > ratio * len(compressed):
                raise PackageError("package-ratio", entry=entry.name, limit=ratio)
            pieces.append(piece)
            pending = press.unconsumed_tail
            if len(piece) < _SLICE_OUT:
                break
        if press.unused_data:
            raise PackageError("package-damaged", entry=entry.name)
    if not press.eof:
        raise PackageError("package-damaged", entry=entry.name)
    return b"".join(pieces)
