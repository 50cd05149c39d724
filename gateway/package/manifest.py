"""``META-INF/ASiCManifest.xml``: what the signature covers (ETSI EN 319 162-1 annex A.4, one signature and one document)."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import compare_digest

from gateway.errors import PackageError
from gateway.package.container import SIGNATURE
from gateway.package.elements import DECLARATION, read_elements

__all__ = ["build_manifest", "check_manifest"]

_ASIC = "http://uri.etsi.org/02918/v1.2.1#"
_DS = "http://www.w3.org/2000/09/xmldsig#"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_DOCUMENT_TYPE = "application/xml"
_SIGNATURE_TYPE = "application/pkcs7-signature"
_NAME = "ASiCManifest.xml"


def build_manifest(name: str, document: bytes) -> bytes:
    """The manifest of ``document``, which the container calls ``name``."""
    digest = b64encode(sha256(document).digest()).decode("ascii")
    lines = (
        f'<asic:ASiCManifest xmlns:asic="{_ASIC}" xmlns:ds="{_DS}">',
        f'<asic:SigReference URI="{SIGNATURE}" MimeType="{_SIGNATURE_TYPE}"/>',
        f'<asic:DataObjectReference URI="{name}" MimeType="{_DOCUMENT_TYPE}">',
        f'<ds:DigestMethod Algorithm="{_SHA256}"/>',
        f"<ds:DigestValue>{digest}</ds:DigestValue>",
        "</asic:DataObjectReference>",
        "</asic:ASiCManifest>",
        "",
    )
    return DECLARATION + "\n".join(lines).encode("ascii")


def check_manifest(manifest: bytes, name: str, document: bytes) -> None:
    """Hold ``manifest`` against the document that it must cover.

    Raises PackageError: ``document-structure`` (or another ``document-…`` code) when it is not one signature over one document,
    ``manifest-reference`` when it speaks of another document, type or algorithm, ``manifest-digest`` when the digest differs.
    """
    root = read_elements(manifest, document=_NAME, namespace=_ASIC, elements=8, prefixes=True)
    # 1. one signature reference and one data object, nothing else
    root.called("ASiCManifest")
    parts = root.only(("SigReference", "DataObjectReference"))
    signature, data = parts["SigReference"], parts["DataObjectReference"]
    digest = data.only((f"{_DS} DigestMethod", f"{_DS} DigestValue"), attributes=("URI", "MimeType"))
    method, value = digest[f"{_DS} DigestMethod"], digest[f"{_DS} DigestValue"]
    # 2. they speak of this container's signature and document, by SHA-256
    said = {
        "signature": signature.facts("URI", "MimeType"),
        "method": method.facts("Algorithm"),
        "data": data.attributes,
    }
    meant = {
        "signature": {"URI": SIGNATURE, "MimeType": _SIGNATURE_TYPE},
        "method": {"Algorithm": _SHA256},
        "data": {"URI": name, "MimeType": _DOCUMENT_TYPE},
    }
    if said != meant:
        raise PackageError("manifest-reference", entry=name)
    # 3. the digest is the document's
    try:
        claimed = b64decode(value.value().strip(" \n\t"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PackageError("manifest-digest", entry=name) from error
    if not compare_digest(claimed, sha256(document).digest()):
        raise PackageError("manifest-digest", entry=name)
