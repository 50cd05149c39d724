"""Packages made by other hands: the standard library's ZIP and XML writers, and openssl for the signature.

What the protocol leaves open (quotes of the declaration, white space around the end, who made the ZIP) must not matter.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from gateway.package.batch import build_batch, parse_batch
from gateway.package.certificates import load_certificates
from gateway.package.container import BATCH
from gateway.package.receipt import build_receipt, parse_receipt
from gateway.package.sealing import unseal
from tests.package.samples import draft, lines, receipt

XML = build_batch(draft(), lines()).xml
DECLARED = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.mark.parametrize(
    "other",
    [
        XML.replace(DECLARED, b"<?xml version='1.0' encoding='utf-8'?>\n"),
        XML.replace(DECLARED, b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'),
        XML.replace(DECLARED, b""),
        XML[:-1],
        XML.replace(b"</Body>\n</Batch>", b"</Body></Batch>"),
        XML + b"\n",
    ],
)
def test_what_the_protocol_leaves_open_does_not_matter(other: bytes) -> None:
    assert other != XML
    assert parse_batch(other) == parse_batch(XML)


def test_a_receipt_may_be_declared_in_other_quotes() -> None:
    xml = build_receipt(receipt())
    assert parse_receipt(xml.replace(DECLARED, b"<?xml version='1.0' encoding='utf-8'?>\n")) == parse_receipt(xml)


def test_a_package_of_other_tools_is_opened(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    manifest, signature = tmp_path / "manifest.xml", tmp_path / "signature.p7s"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    subprocess.run(
        [*new, "-subj", "/CN=other", "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    digest = base64.b64encode(hashlib.sha256(XML).digest()).decode()
    manifest.write_text(
        f"""<?xml version='1.0' encoding='UTF-8'?>
<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
  <asic:SigReference URI="META-INF/signature.p7s" MimeType="application/pkcs7-signature"/>
  <asic:DataObjectReference URI="batch.xml" MimeType="application/xml">
    <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>
    <ds:DigestValue>{digest}</ds:DigestValue>
  </asic:DataObjectReference>
</asic:ASiCManifest>
""",
        "utf-8",
    )
    sign = ["openssl", "cms", "-sign", "-cades", "-binary", "-md", "sha256", "-outform", "DER", "-in", str(manifest)]
    signed = [*sign, "-signer", str(certificate), "-inkey", str(key), "-out", str(signature)]
    subprocess.run(signed, check=True, capture_output=True)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
        media_type = zipfile.ZipInfo("mimetype")
        file.writestr(media_type, "application/vnd.etsi.asic-e+zip", zipfile.ZIP_STORED)
        for name, data in (
            ("batch.xml", XML),
            ("META-INF/ASiCManifest.xml", manifest.read_bytes()),
            ("META-INF/signature.p7s", signature.read_bytes()),
        ):
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    opened = unseal(written.getvalue(), BATCH, load_certificates(certificate))
    assert parse_batch(opened.document) == parse_batch(XML)
