"""Whole packages: sealed, opened by us and by an auditor's tools, and changed at every single byte."""

from __future__ import annotations

import base64
import hashlib
import io
import shlex
import subprocess
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import PackageError
from gateway.package.batch import build_batch
from gateway.package.cms import sign
from gateway.package.container import BATCH, RECEIPT, SIGNATURE, open_package, pack
from gateway.package.limits import Limits
from gateway.package.manifest import build_manifest, check_manifest
from gateway.package.receipt import build_receipt
from gateway.package.sealing import seal, unseal
from tests.package.samples import NOW, Identity, draft, ecdsa, lines, receipt, refused, rsa_identity, stranger

DOCUMENT = b'<?xml version="1.0" encoding="UTF-8"?>\n<Batch/>\n'


def test_what_is_sealed_comes_out() -> None:
    for name in (BATCH, RECEIPT):
        data = seal(name, DOCUMENT, ecdsa().signer, NOW)
        unsealed = unseal(data, name, [ecdsa().certificate], now=NOW)
        assert (unsealed.name, unsealed.document) == (name, DOCUMENT)
        assert unsealed.signed_by.certificate == ecdsa().certificate
        assert unsealed.package_sha256 == hashlib.sha256(data).hexdigest()
        assert unsealed.manifest_sha256 == hashlib.sha256(build_manifest(name, DOCUMENT)).hexdigest()


def test_the_same_content_gives_the_same_bytes_up_to_the_signature() -> None:
    one, two = (seal(BATCH, DOCUMENT, ecdsa().signer, NOW) for _ in range(2))
    at = one.index(SIGNATURE.encode()) - 30
    assert one[:at] == two[:at]
    # PKCS #1 v1.5 signatures are deterministic, so with RSA every byte is the same.
    assert len({seal(BATCH, DOCUMENT, rsa_identity().signer, NOW) for _ in range(2)}) == 1


@pytest.mark.parametrize("who", [ecdsa, rsa_identity])
@pytest.mark.parametrize("name", [BATCH, RECEIPT])
def test_anyone_can_check_it_as_the_protocol_says(tmp_path: Path, who: Callable[[], Identity], name: str) -> None:
    document = build_batch(draft(), lines()).xml if name == BATCH else build_receipt(receipt())
    (tmp_path / "package").write_bytes(seal(name, document, who().signer, NOW))
    (tmp_path / "peer-ca.pem").write_bytes(who().certificate_pem)
    command = (
        "openssl cms -verify -binary -inform DER -in META-INF/signature.p7s -content META-INF/ASiCManifest.xml"
        " -CAfile peer-ca.pem -purpose any"
    )
    subprocess.run(["unzip", "-q", "package"], cwd=tmp_path, check=True)
    checked = subprocess.run(shlex.split(command), cwd=tmp_path, check=False, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    digest = subprocess.run(["sha256sum", name], cwd=tmp_path, check=True, capture_output=True).stdout.split()[0]
    manifest = etree.fromstring(checked.stdout)
    value = manifest.findtext(".//{http://www.w3.org/2000/09/xmldsig#}DigestValue")
    assert value is not None
    assert base64.b64decode(value).hex() == digest.decode()


def test_the_manifest_is_that_of_the_protocol() -> None:
    manifest = etree.fromstring(build_manifest(BATCH, DOCUMENT))
    asic, ds = "{http://uri.etsi.org/02918/v1.2.1#}", "{http://www.w3.org/2000/09/xmldsig#}"
    signature, data = list(manifest)
    assert (manifest.tag, signature.tag, data.tag) == (
        f"{asic}ASiCManifest",
        f"{asic}SigReference",
        f"{asic}DataObjectReference",
    )
    assert dict(signature.items()) == {"URI": "META-INF/signature.p7s", "MimeType": "application/pkcs7-signature"}
    assert dict(data.items()) == {"URI": "batch.xml", "MimeType": "application/xml"}
    method, value = list(data)
    assert (method.tag, value.tag) == (f"{ds}DigestMethod", f"{ds}DigestValue")
    assert dict(method.items()) == {"Algorithm": "http://www.w3.org/2001/04/xmlenc#sha256"}
    assert value.text == base64.b64encode(hashlib.sha256(DOCUMENT).digest()).decode()


def test_every_single_byte_counts() -> None:
    data = seal(BATCH, DOCUMENT, ecdsa().signer, NOW)
    trusted = [ecdsa().certificate]
    believed = []
    for at in range(len(data)):
        bent = bytearray(data)
        bent[at] ^= 0xFF
        try:
            unseal(bytes(bent), BATCH, trusted)
        except PackageError:
            continue
        believed.append(at)
    assert believed == []


@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=200, deadline=None)
def test_no_single_bit_changes_what_is_read(at: float, bit: int) -> None:
    # Deflate leaves up to seven bits after a stream undefined: those may differ, what is read may not.
    data = bytearray(seal(BATCH, DOCUMENT, rsa_identity().signer, NOW))
    data[int(at * len(data))] ^= 1 << bit
    try:
        unsealed = unseal(bytes(data), BATCH, [rsa_identity().certificate])
    except PackageError:
        return
    assert unsealed.document == DOCUMENT
    assert unsealed.signed_by.at == NOW


@given(cut=st.integers(1, 2000), more=st.binary(min_size=1, max_size=50))
@settings(max_examples=100, deadline=None)
def test_nothing_can_be_cut_off_or_added(cut: int, more: bytes) -> None:
    data = seal(BATCH, DOCUMENT, ecdsa().signer, NOW)
    for bent in (data[:-cut], data[cut:], data + more, more + data):
        with pytest.raises(PackageError):
            unseal(bent, BATCH, [ecdsa().certificate])


def test_a_stranger_is_refused() -> None:
    data = seal(BATCH, DOCUMENT, stranger().signer, NOW)
    refused("signer-unknown", lambda: unseal(data, BATCH, [ecdsa().certificate]))
    refused("signer-unknown", lambda: unseal(data, BATCH, []))


def test_a_batch_is_no_receipt() -> None:
    data = seal(BATCH, DOCUMENT, ecdsa().signer, NOW)
    refused("package-document", lambda: unseal(data, RECEIPT, [ecdsa().certificate]))


def repacked(document: bytes = DOCUMENT, manifest: bytes | None = None, signature: bytes | None = None) -> bytes:
    opened = open_package(seal(BATCH, DOCUMENT, ecdsa().signer, NOW))
    return pack(BATCH, document, manifest or opened.manifest, signature or opened.signature)


def test_the_parts_of_two_packages_do_not_go_together() -> None:
    trusted = [ecdsa().certificate]
    other = open_package(seal(BATCH, b"<Other/>", ecdsa().signer, NOW))
    assert unseal(repacked(), BATCH, trusted).document == DOCUMENT
    refused("manifest-digest", lambda: unseal(repacked(document=b"<Other/>"), BATCH, trusted))
    refused("manifest-digest", lambda: unseal(repacked(manifest=other.manifest), BATCH, trusted))
    both = repacked(document=b"<Other/>", manifest=other.manifest)
    refused("signature-message-digest", lambda: unseal(both, BATCH, trusted))
    refused("signature-message-digest", lambda: unseal(repacked(signature=other.signature), BATCH, trusted))


def test_a_document_under_the_other_name_is_refused() -> None:
    as_receipt = build_manifest(RECEIPT, DOCUMENT)
    data = pack(BATCH, DOCUMENT, as_receipt, sign(as_receipt, ecdsa().signer, NOW))
    refused("manifest-reference", lambda: unseal(data, BATCH, [ecdsa().certificate]))


def test_a_wrapped_signature_is_refused() -> None:
    """A second signature file, or the true document kept beside a false one, has no place in the container."""
    data = seal(BATCH, DOCUMENT, ecdsa().signer, NOW)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(one.filename, archive.read(one)) for one in archive.infolist()]
    for extra in (("META-INF/signature2.p7s", entries[3][1]), ("META-INF/ASiCManifest2.xml", entries[2][1])):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in [*entries, extra]:
                archive.writestr(zipfile.ZipInfo(name), content)
        refused("package-entries", partial(unseal, buffer.getvalue(), BATCH, [ecdsa().certificate]))


def test_nothing_is_sealed_that_a_receiver_would_refuse() -> None:
    limits = Limits(document_bytes=len(DOCUMENT) - 1)
    refused("package-entry-too-large", lambda: seal(BATCH, DOCUMENT, ecdsa().signer, NOW, limits=limits))
    repetitive = b"<a>" + b"x" * 3_000_000 + b"</a>"
    data = seal(BATCH, repetitive, ecdsa().signer, NOW)
    assert unseal(data, BATCH, [ecdsa().certificate]).document == repetitive


GOOD = build_manifest(BATCH, DOCUMENT)
DATA = b'<asic:DataObjectReference URI="batch.xml" MimeType="application/xml">'
WRONG: list[tuple[str, str, bytes]] = [
    (
        "two documents",
        "document-structure",
        GOOD.replace(b"</asic:ASiC", DATA + b"</asic:DataObjectReference></asic:ASiC"),
    ),
    (
        "two signatures",
        "document-structure",
        GOOD.replace(b"<asic:Data", b'<asic:SigReference URI="a" MimeType="b"/><asic:Data'),
    ),
    ("no signature", "document-structure", b"\n".join(line for line in GOOD.split(b"\n") if b"SigRef" not in line)),
    ("an extension", "document-structure", GOOD.replace(b"</asic:ASiC", b"<asic:ASiCManifestExtensions/></asic:ASiC")),
    ("another root", "document-structure", GOOD.replace(b"ASiCManifest", b"ASiCManifesto")),
    ("text", "document-structure", GOOD.replace(b"</asic:ASiC", b"and more</asic:ASiC")),
    ("text in an empty element", "document-structure", GOOD.replace(b'sha256"/>', b'sha256">x</ds:DigestMethod>')),
    ("an attribute", "document-structure", GOOD.replace(b"<ds:DigestMethod", b'<ds:DigestMethod Id="a"')),
    ("an attribute on the value", "document-structure", GOOD.replace(b"<ds:DigestValue", b'<ds:DigestValue Id="a"')),
    ("the root as child", "document-structure", GOOD.replace(b"ds:DigestValue", b"asic:DigestValue")),
    ("another namespace", "document-namespace", GOOD.replace(b"02918/v1.2.1", b"02918/v1.1.1")),
    ("another document", "manifest-reference", GOOD.replace(b'"batch.xml"', b'"other.xml"')),
    ("another type", "manifest-reference", GOOD.replace(b"application/xml", b"text/plain")),
    ("another signature", "manifest-reference", GOOD.replace(b"signature.p7s", b"signature1.p7s")),
    ("sha-1", "manifest-reference", GOOD.replace(b"2001/04/xmlenc#sha256", b"2000/09/xmldsig#sha1")),
    ("another digest", "manifest-digest", build_manifest(BATCH, b"other")),
    ("no base64", "manifest-digest", GOOD.replace(b"<ds:DigestValue>", b"<ds:DigestValue>*")),
    ("no ascii", "manifest-digest", GOOD.replace(b"<ds:DigestValue>", "<ds:DigestValue>摘".encode())),
    (
        "no digest",
        "manifest-digest",
        build_manifest(BATCH, DOCUMENT).split(b"<ds:DigestValue>")[0]
        + b"<ds:DigestValue></ds:DigestValue></asic:DataObjectReference></asic:ASiCManifest>",
    ),
    ("document type", "doctype-forbidden", GOOD.replace(b"<asic:ASiCM", b"<!DOCTYPE a><asic:ASiCM", 1)),
    ("comment", "document-markup", GOOD.replace(b"<asic:Data", b"<!-- --><asic:Data")),
    ("instruction", "document-markup", GOOD.replace(b"<asic:Data", b"<?a b?><asic:Data")),
    ("cdata", "document-markup", GOOD.replace(b"<ds:DigestValue>", b"<ds:DigestValue><![CDATA[x]]>")),
    ("latin-1", "document-declaration", GOOD.replace(b"UTF-8", b"ISO-8859-1")),
    ("utf-16", "document-declaration", GOOD.decode().encode("utf-16")),
    ("byte order mark", "document-declaration", b"\xef\xbb\xbf" + GOOD),
    ("not closed", "document-not-xml", GOOD[:-5]),
    ("empty", "document-declaration", b""),
    ("undeclared prefix", "document-not-xml", GOOD.replace(b"xmlns:ds", b"xmlns:dt")),
    ("many elements", "document-too-complex", GOOD.replace(b"</asic:ASiC", b"<asic:a/>" * 9 + b"</asic:ASiC")),
    ("deep", "document-too-complex", GOOD.replace(b"</ds:DigestValue>", b"<a><b/></a></ds:DigestValue>")),
]


@pytest.mark.parametrize(("code", "manifest"), [pytest.param(code, bent, id=name) for name, code, bent in WRONG])
def test_a_wrong_manifest_is_refused(code: str, manifest: bytes) -> None:
    check_manifest(GOOD, BATCH, DOCUMENT)
    refused(code, lambda: check_manifest(manifest, BATCH, DOCUMENT))


def test_blanks_between_elements_do_not_matter() -> None:
    check_manifest(GOOD.replace(b"\n", b"\n    ").replace(b"<ds:DigestValue>", b"<ds:DigestValue>\n"), BATCH, DOCUMENT)
    check_manifest(b"".join(GOOD.split(b"\n")), BATCH, DOCUMENT)
