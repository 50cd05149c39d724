"""The archive of a bundle: what we write, others read; what is not exactly one plain archive is refused."""

from __future__ import annotations

import io
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.archive import ArchiveWriter
from gateway.errors import DeliveryError, EvidenceError
from gateway.evidence import records as zip64
from gateway.evidence.archive import Archive, ArchiveLimits

MEMBERS = {
    "README.txt": b"read me\n" * 50,
    "tile/0/000": bytes(range(256)) * 32,
    "sent/a-b/package.asice": b"PK\x03\x04",
}


def written(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with ArchiveWriter(whole) as writer:
        for name, content in members.items():
            writer.add(name, content)
    return whole.getvalue()


def read(data: bytes, limits: ArchiveLimits | None = None) -> dict[str, bytes]:
    archive = Archive(io.BytesIO(data), limits)
    return {name: archive.read(name, 1_000_000) or b"" for name in archive}


def refused(data: bytes, code: str = "archive-refused", limits: ArchiveLimits | None = None) -> None:
    with pytest.raises(EvidenceError) as caught:
        read(data, limits)
    assert caught.value.code == code, caught.value


def test_what_is_written_is_read() -> None:
    data = written(MEMBERS)
    assert read(data) == MEMBERS
    assert data == written(MEMBERS), "the same content gives the same bytes"
    archive = Archive(io.BytesIO(data))
    assert (len(archive), "README.txt" in archive, archive.read("nothing", 10)) == (3, True, None)
    archive.read("README.txt", 1_000)
    assert list(archive.unread()) == ["tile/0/000", "sent/a-b/package.asice"]


def test_other_programs_read_it(tmp_path: Path) -> None:
    data = written(MEMBERS)
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        assert other.testzip() is None
        assert {name: other.read(name) for name in other.namelist()} == MEMBERS
    (tmp_path / "a.zip").write_bytes(data)
    subprocess.run(["unzip", "-q", "a.zip"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "tile" / "0" / "000").read_bytes() == MEMBERS["tile/0/000"]


def test_more_members_than_16_bits_count(tmp_path: Path) -> None:
    members = {f"a/{number}": b"x" for number in range(70_000)}
    data = written(members)
    assert len(Archive(io.BytesIO(data))) == 70_000
    (tmp_path / "a.zip").write_bytes(data)
    subprocess.run(["unzip", "-tqq", "a.zip"], cwd=tmp_path, check=True, capture_output=True)
    refused(data, limits=ArchiveLimits(members=69_999))


class Sparse(io.RawIOBase):
    """A file that keeps nothing that is long: the tests write nothing long but zeros."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, bytes]] = []
        self._place = self._end = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset if whence == 0 else self._end + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def write(self, data: bytes) -> int:  # type: ignore[override]  # only bytes come
        if len(data) < 1_000_000:
            self._pieces.append((self._place, data))
        self._place += len(data)
        self._end = max(self._end, self._place)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        stop = self._end if size < 0 else min(self._place + size, self._end)
        out = bytearray(stop - self._place)
        for start, data in self._pieces:
            low, high = max(start, self._place), min(start + len(data), stop)
            if low < high:
                out[low - self._place : high - self._place] = data[low - start : high - start]
        self._place = stop
        return bytes(out)


@pytest.mark.slow
def test_offsets_beyond_32_bits() -> None:
    sparse, zeros = Sparse(), bytes(512 * 1024 * 1024)
    with ArchiveWriter(sparse) as writer:  # type: ignore[arg-type]  # it is all of a BinaryIO that is asked for
        for number in range(9):
            writer.add(f"big/{number}", zeros, packed=False)
        writer.add("last", b"the last one")
    archive = Archive(sparse)  # type: ignore[arg-type]
    assert sparse.tell() > zip64.MAX32
    assert archive.read("last", 100) == b"the last one"


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../up", "a/../b", "a\\b", "C:a", "a//b", "a/", "ü", "-o", ".a", "a\n", "a b"]
)
def test_names_that_a_file_system_could_misread(name: str) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as other:
        other.writestr(name or "x", b"")
    refused(whole.getvalue())
    with pytest.raises((DeliveryError, UnicodeEncodeError)):
        written({name: b""})


def places(data: bytes) -> tuple[int, int]:
    """Where the directory and the end record start."""
    end = len(data) - zip64.END.size
    return struct.unpack_from("<I", data, end + 16)[0], end


def patched(data: bytes, at: int, form: str, value: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(form, out, at, value)
    return bytes(out)


CENTRAL_FIELDS = {
    "made by": (4, "<H", 20),
    "version needed": (6, "<H", 45),
    "encrypted": (8, "<H", 1),
    "data descriptor": (8, "<H", 8),
    "method": (10, "<H", 9),
    "time": (12, "<H", 1),
    "checksum": (16, "<I", 0),
    "packed size": (20, "<I", 3),
    "size": (24, "<I", 3),
    "name length": (28, "<H", 9),
    "extra": (30, "<H", 4),
    "comment": (32, "<H", 4),
    "disk": (34, "<H", 1),
    "a link": (38, "<I", 0o120777 << 16),
    "a program": (38, "<I", 0o100755 << 16),
    "offset": (42, "<I", 5),
    "offset in 64 bits that are not there": (42, "<I", zip64.MAX32),
}


@pytest.mark.parametrize("what", CENTRAL_FIELDS)
def test_a_directory_that_says_something_else(what: str) -> None:
    data = written(MEMBERS)
    at, form, value = CENTRAL_FIELDS[what]
    refused(patched(data, places(data)[0] + at, form, value))


@pytest.mark.parametrize("at", range(0, 30, 2))
def test_a_local_header_that_says_something_else(at: int) -> None:
    data = written(MEMBERS)
    refused(patched(data, at, "<H", struct.unpack_from("<H", data, at)[0] ^ 1))


@pytest.mark.parametrize(
    "bend",
    [
        lambda data: b"",
        lambda data: b"PK",
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\0" + data,
        lambda data: data + data,
        lambda data: patched(data, len(data) - 2, "<H", 1),
        lambda data: patched(data, len(data) - 12, "<H", 2),
        lambda data: patched(data, len(data) - 18, "<H", 1),
        lambda data: patched(data, len(data) - 6, "<I", places(data)[0] - 1),
        lambda data: patched(data, len(data) - 6, "<I", zip64.MAX32),
    ],
)
def test_an_end_that_says_something_else(bend: Callable[[bytes], bytes]) -> None:
    refused(bend(written(MEMBERS)))


def test_the_same_name_twice() -> None:
    whole = io.BytesIO()
    with ArchiveWriter(whole) as writer:
        writer.add("a", b"one")
        writer.add("a", b"two")
    refused(whole.getvalue())


def test_bytes_between_members() -> None:
    data = written(MEMBERS)
    start, end = places(data)
    gap = data[:start] + b"hidden" + data[start:]
    refused(patched(gap, end + 6 + 16, "<I", start + 6))


def single(method: int, packed: bytes, size: int, checksum: int) -> bytes:
    """An archive of one member whose headers agree with each other, whatever is behind them."""
    shared = (zip64.VERSION, 0, method, *zip64.WHEN, checksum, len(packed), size, 1)
    local = zip64.LOCAL.pack(zip64.LOCAL_MARK, *shared, 0) + b"a"
    central = zip64.CENTRAL.pack(zip64.CENTRAL_MARK, zip64.MADE_BY, *shared, 0, 0, 0, 0, zip64.FILE_MODE, 0) + b"a"
    start = len(local) + len(packed)
    return local + packed + central + zip64.END.pack(zip64.END_MARK, 0, 0, 1, 1, len(central), start, 0)


def deflated(content: bytes) -> bytes:
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    return press.compress(content) + press.flush()


CONTENT = bytes(range(200)) * 20


def test_one_made_by_hand_is_read() -> None:
    packed = deflated(CONTENT)
    assert read(single(8, packed, len(CONTENT), zlib.crc32(CONTENT))) == {"a": CONTENT}


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (deflated(CONTENT), len(CONTENT) - 1),
        (deflated(CONTENT), len(CONTENT) + 1),
        (deflated(CONTENT)[:-3], len(CONTENT)),
        (deflated(CONTENT) + b"more", len(CONTENT)),
        (b"\xff" * 50, len(CONTENT)),
        (deflated(CONTENT) + bytes(len(CONTENT)), len(CONTENT)),
    ],
)
def test_data_that_is_not_what_the_headers_say(packed: bytes, size: int) -> None:
    refused(single(8, packed, size, zlib.crc32(CONTENT)), "member-damaged")


def test_a_wrong_checksum() -> None:
    refused(single(8, deflated(CONTENT), len(CONTENT), 1), "member-damaged")


def test_a_bomb_is_not_inflated() -> None:
    bomb = bytes(900_000)
    refused(single(8, deflated(bomb), len(bomb), zlib.crc32(bomb)), "member-damaged")


def test_a_member_over_its_budget_is_not_even_looked_at() -> None:
    big = bytes(range(256)) * 5_000
    refused(written({"a": big}), "member-too-large")


@given(
    st.dictionaries(st.from_regex(r"\A[a-z][a-z0-9]{0,5}(/[a-z0-9]{1,5}){0,2}\Z"), st.binary(max_size=600), max_size=6)
)
def test_any_members_come_back(members: dict[str, bytes]) -> None:
    assert read(written(members)) == members


@given(st.data())
def test_no_damage_gives_other_content(data: st.DataObject) -> None:
    whole = written(MEMBERS)
    at, change = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    bent = whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :]
    with pytest.raises(EvidenceError):
        read(bent)
