"""The container: what is written, and every way in which a ZIP can be wrong."""

from __future__ import annotations

import io
import shutil
import stat
import struct
import subprocess
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import PackageError
from gateway.package.container import BATCH, MANIFEST, MEDIA_TYPE, RECEIPT, SIGNATURE, open_package, pack
from gateway.package.limits import Limits
from tests.package.samples import refused
from tests.package.zips import Part, deflate, zipped

DOCUMENT = b"<Batch>" + b"<Record/>" * 50 + b"</Batch>"


def parts(document: bytes = DOCUMENT, name: str = BATCH) -> list[Part]:
    return [
        Part(name="mimetype", content=MEDIA_TYPE.encode(), method=0),
        Part(name=name, content=document),
        Part(name=MANIFEST, content=b"<manifest/>"),
        Part(name=SIGNATURE, content=b"\x30\x00"),
    ]


def test_what_is_packed_comes_out() -> None:
    for name in (BATCH, RECEIPT):
        opened = open_package(pack(name, DOCUMENT, b"<manifest/>", b"\x30\x00"))
        assert (opened.name, opened.document) == (name, DOCUMENT)
        assert (opened.manifest, opened.signature) == (b"<manifest/>", b"\x30\x00")


@given(document=st.binary(max_size=3000), signature=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_come_out_as_they_went_in_and_pack_the_same_twice(document: bytes, signature: bytes) -> None:
    document = document.replace(b"<!DOCTYPE", b"")
    data = pack(BATCH, document, b"m", signature)
    assert data == pack(BATCH, document, b"m", signature)
    opened = open_package(data)
    assert (opened.document, opened.signature) == (document, signature)


def test_other_programs_read_it_as_the_layout_says() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(BATCH, DOCUMENT, b"m", b"s"))) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["mimetype", BATCH, MANIFEST, SIGNATURE]
    assert entries[0].compress_type == zipfile.ZIP_STORED
    assert entries[0].extra == b""
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_the_media_type_can_be_read_at_its_fixed_place() -> None:
    # ETSI EN 319 162-1 A.1: a program finds the type at offset 38, after the name at offset 30.
    data = pack(BATCH, DOCUMENT, b"m", b"s")
    assert data[30:38] == b"mimetype"
    assert data[38 : 38 + len(MEDIA_TYPE)] == MEDIA_TYPE.encode()


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs Info-ZIP's unzip")
def test_unzip_gives_an_auditor_readable_files(tmp_path: Path) -> None:
    (tmp_path / "package.asice").write_bytes(pack(BATCH, DOCUMENT, b"m", b"s"))
    subprocess.run(["unzip", "-q", "package.asice"], cwd=tmp_path, check=True)
    assert (tmp_path / BATCH).read_bytes() == DOCUMENT
    assert stat.S_IMODE((tmp_path / SIGNATURE).stat().st_mode) & 0o400


def test_a_package_that_another_program_packed_opens() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part in parts():
            entry = zipfile.ZipInfo(part.name)
            entry.compress_type = part.method
            archive.writestr(entry, part.content)
    assert open_package(buffer.getvalue()).document == DOCUMENT


def test_a_document_that_packs_too_well_is_stored() -> None:
    document = b"x" * 1_000_000
    data = pack(BATCH, document, b"m", b"s")
    assert len(data) > len(document)
    assert open_package(data).document == document


def test_the_sender_too_has_a_limit() -> None:
    refused("package-too-large", lambda: pack(BATCH, DOCUMENT, b"m", b"s", limits=Limits(package_bytes=100)))


def changed(index: int, **fields: object) -> bytes:
    whole = parts()
    for name, value in fields.items():
        setattr(whole[index], name, value)
    return zipped(whole)


def reordered(*order: int) -> bytes:
    whole = parts()
    return zipped([whole[index] for index in order])


def added(name: str) -> bytes:
    return zipped([*parts(), Part(name=name, content=b"")])


def named(name: str) -> bytes:
    return changed(1, name=name)


def good() -> bytes:
    return zipped(parts())


def truncated_stream() -> bytes:
    return changed(1, data=deflate(DOCUMENT)[:-3])


def quoted_overlap() -> bytes:
    """Fifield's bomb: the first stream quotes the next local header in a stored block and then runs on into that entry's data."""
    whole = parts()
    kernel = deflate(b"a" * 100_000)
    crc = zlib.crc32(b"a" * 100_000)
    header = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0x21, crc, len(kernel), 100_000, len(MANIFEST), 0)
    header += MANIFEST.encode()
    quote = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF)
    content = header + b"a" * 100_000
    whole[1].content, whole[1].data = content, quote + header + kernel
    first = 30 + len("mimetype") + len(MEDIA_TYPE)
    inner = first + 30 + len(BATCH) + len(quote)
    # The directory lists the quoted header as an entry of its own; a second copy is never written.
    listed = Part(name=MANIFEST, content=b"a" * 100_000)
    listed.central = {"offset": inner, "compressed": len(kernel)}
    data = zipped([whole[0], whole[1], listed, whole[3]])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.getinfo(MANIFEST).header_offset == inner
    return data


def link() -> int:
    return (stat.S_IFLNK | 0o777) << 16


WRONG: list[tuple[str, str, Callable[[], bytes]]] = [
    ("nothing", "package-not-zip", lambda: b""),
    ("text", "package-not-zip", lambda: b"Not found" * 100),
    ("cut short", "package-not-zip", lambda: good()[:-30]),
    ("cut at the front", "package-overlap", lambda: good()[1:]),
    ("directory mark", "package-not-zip", lambda: good().replace(b"PK\1\2", b"PK\1\3")),
    ("a byte after", "package-trailing-data", lambda: good() + b"\0"),
    ("an archive after", "package-overlap", lambda: good() + good()),
    ("a comment", "package-trailing-data", lambda: zipped(parts(), comment=b"x" * 22)),
    ("a claimed comment", "package-trailing-data", lambda: zipped(parts(), end={"comment": 5})),
    ("a byte before", "package-overlap", lambda: b"\0" + good()),
    ("a program before", "package-overlap", lambda: zipped(parts(), before=b"#!/bin/sh\n")),
    ("a gap", "package-overlap", lambda: changed(2, gap=b"hidden")),
    ("a gap before the directory", "package-overlap", lambda: zipped(parts(), before_directory=b"hidden")),
    ("a gap after the directory", "package-overlap", lambda: zipped(parts(), before_end=b"hidden")),
    ("entries overlap", "package-overlap", lambda: changed(2, central={"offset": 0})),
    ("the quoted overlap bomb", "package-overlap", quoted_overlap),
    ("data runs into the directory", "package-overlap", lambda: changed(3, both={"compressed": 500})),
    ("zip64 count", "package-zip64", lambda: zipped(parts(), end={"count": 0xFFFF, "here": 0xFFFF})),
    ("zip64 directory", "package-zip64", lambda: zipped(parts(), end={"start": 0xFFFFFFFF})),
    ("zip64 locator", "package-zip64", lambda: zipped(parts(), before_end=b"PK\6\7" + b"\0" * 16)),
    ("zip64 size", "package-zip64", lambda: changed(1, both={"inflated": 0xFFFFFFFF})),
    ("zip64 offset", "package-zip64", lambda: changed(1, central={"offset": 0xFFFFFFFF})),
    ("zip64 version", "package-zip64", lambda: changed(1, both={"version": 45})),
    ("two disks", "package-header-contradicts", lambda: zipped(parts(), end={"disk": 1})),
    ("another disk", "package-header-contradicts", lambda: changed(1, central={"disk": 1})),
    ("fewer on this disk", "package-header-contradicts", lambda: zipped(parts(), end={"here": 3})),
    ("one too few", "package-entries", lambda: reordered(0, 1, 2)),
    ("one too many", "package-entries", lambda: added("extra.txt")),
    ("none", "package-entries", lambda: zipped([])),
    ("very many", "package-entries", lambda: zipped([Part(name=f"{n}", content=b"") for n in range(1000)])),
    ("listed fewer than there are", "package-overlap", lambda: zipped(parts(), end={"count": 3, "here": 3})),
    ("a name twice", "package-entry-duplicate", lambda: added(BATCH)),
    ("another name", "package-entry-unknown", lambda: named("Batch.xml")),
    ("both documents", "package-entry-unknown", lambda: changed(2, name=RECEIPT)),
    ("another order", "package-order", lambda: reordered(0, 2, 1, 3)),
    ("mimetype last", "package-order", lambda: reordered(1, 2, 3, 0)),
    ("a link", "package-entry-attributes", lambda: changed(1, central={"external": link()})),
    ("a folder's attribute", "package-entry-attributes", lambda: changed(1, central={"external": 0x10})),
    ("a program", "package-entry-attributes", lambda: changed(1, central={"external": 0o100755 << 16})),
    ("made by another system", "package-entry-attributes", lambda: changed(1, central={"made_by": 0x1314})),
    ("encrypted", "package-encrypted", lambda: changed(1, both={"flags": 1})),
    ("strongly encrypted", "package-encrypted", lambda: changed(1, both={"flags": 0x41})),
    ("masked headers", "package-encrypted", lambda: changed(1, both={"flags": 0x2000})),
    ("sizes after the data", "package-flags", lambda: changed(1, both={"flags": 8})),
    ("a patch", "package-flags", lambda: changed(1, both={"flags": 0x20})),
    ("bzip2", "package-method", lambda: changed(1, both={"method": 12})),
    ("another day", "package-time", lambda: changed(1, both={"date": 0x22})),
    ("another second", "package-time", lambda: changed(1, both={"time": 1})),
    ("extra in the directory", "package-extra", lambda: changed(1, central_extra=b"UT\1\0x")),
    ("extra in the local header", "package-extra", lambda: changed(0, local_extra=b"UT\1\0x")),
    ("a comment on an entry", "package-extra", lambda: changed(1, comment=b"x")),
    ("local name differs", "package-header-contradicts", lambda: changed(1, local_name="bitch.xml")),
    ("local size differs", "package-header-contradicts", lambda: changed(1, local={"inflated": 1})),
    ("local method differs", "package-header-contradicts", lambda: changed(1, local={"method": 0})),
    ("local flags differ", "package-header-contradicts", lambda: changed(1, local={"flags": 1})),
    ("no local header", "package-overlap", lambda: good().replace(b"PK\3\4", b"PK\3\5")),
    ("checksum", "package-damaged", lambda: changed(1, both={"crc": 1})),
    ("claims to be smaller", "package-damaged", lambda: changed(1, both={"inflated": 3})),
    ("claims to be larger", "package-damaged", lambda: changed(1, both={"inflated": 3000})),
    ("not deflate", "package-damaged", lambda: changed(1, data=b"\xff" * 40)),
    ("stream cut short", "package-damaged", truncated_stream),
    ("no stream at all", "package-damaged", lambda: changed(1, data=b"")),
    ("data after the stream", "package-damaged", lambda: changed(1, data=deflate(DOCUMENT) + b"hidden")),
    ("a second stream", "package-damaged", lambda: changed(1, data=deflate(DOCUMENT) * 2)),
    ("stored with another size", "package-damaged", lambda: changed(0, both={"inflated": 30})),
    ("mimetype packed", "package-mimetype", lambda: changed(0, method=8)),
    ("another type", "package-mimetype", lambda: changed(0, content=b"application/zip")),
    ("mimetype with newline", "package-entry-too-large", lambda: changed(0, content=MEDIA_TYPE.encode() + b"\n")),
    ("a document type", "doctype-forbidden", lambda: zipped(parts(b"<!DOCTYPE Batch><Batch/>"))),
    ("a document type late", "doctype-forbidden", lambda: changed(1, content=b"x" * 70000 + b"<!DOCTYPE a>", method=0)),
    ("a document type in the manifest", "doctype-forbidden", lambda: changed(2, content=b"<!DOCTYPE a><a/>")),
]


@pytest.mark.parametrize(("code", "make"), [pytest.param(code, make, id=name) for name, code, make in WRONG])
def test_a_wrong_container_is_refused(code: str, make: Callable[[], bytes]) -> None:
    assert open_package(good()).document == DOCUMENT
    refused(code, lambda: open_package(make()))


@pytest.mark.parametrize(
    "name",
    [
        "../batch.xml",
        "META-INF/../batch.xml",
        "/batch.xml",
        "\\batch.xml",
        "a\\b",
        "C:batch.xml",
        "META-INF//x",
        "./batch.xml",
        "folder/",
        "",
        "batch.xml\0.txt",
        "批次.xml",
    ],
)
def test_an_unsafe_name_is_refused(name: str) -> None:
    refused("package-entry-name", lambda: open_package(named(name)))


def test_budgets_hold() -> None:
    data = good()
    size = len(DOCUMENT)
    assert open_package(data, limits=Limits(package_bytes=len(data), document_bytes=size)).document == DOCUMENT
    refused("package-too-large", lambda: open_package(data, limits=Limits(package_bytes=len(data) - 1)))
    refused("package-entry-too-large", lambda: open_package(data, limits=Limits(document_bytes=size - 1)))
    refused("package-entry-too-large", lambda: open_package(data, limits=Limits(manifest_bytes=3)))
    refused("package-entry-too-large", lambda: open_package(data, limits=Limits(signature_bytes=1)))
    receipt = zipped(parts(name=RECEIPT))
    refused("package-entry-too-large", lambda: open_package(receipt, limits=Limits(receipt_bytes=size - 1)))
    refused("package-entry-too-large", lambda: open_package(changed(1, method=0), limits=Limits(document_bytes=9)))


def test_the_ratio_is_bounded() -> None:
    bomb = changed(1, content=b"\0" * 1_000_000)
    refused("package-ratio", lambda: open_package(bomb))
    assert open_package(bomb, limits=Limits(ratio=2000)).document == b"\0" * 1_000_000


def test_a_bomb_is_never_inflated() -> None:
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(press.compress(b"\0" * 1_000_000) for _ in range(300)) + press.flush()
    liar = zipped([parts()[0], Part(name=BATCH, content=b"", data=data, both={"inflated": 100}), *parts()[2:]])
    refused("package-ratio", lambda: open_package(liar))
    limits = Limits(ratio=2000, document_bytes=1_000_000)
    tracemalloc.start()
    try:
        refused("package-entry-too-large", lambda: open_package(liar, limits=limits))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000, "300 MB must not be held to find that 1 MB is the limit"


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_no_change_of_the_file_raises_anything_else(data: st.DataObject) -> None:
    raw = bytearray(good())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 40))
    with suppress(PackageError):
        assert open_package(bytes(raw[: len(raw) - cut])).name == BATCH
