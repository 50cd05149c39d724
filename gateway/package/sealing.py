"""Seal a document into a package, and take one out of a package that a peer sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from gateway.errors import PackageError
from gateway.package.certificates import Certificate
from gateway.package.cms import SignedBy, Signer, sign, verify
from gateway.package.container import BATCH, FEEDBACK, RECEIPT, open_package, pack
from gateway.package.limits import Limits
from gateway.package.manifest import build_manifest, check_manifest

__all__ = ["Unsealed", "seal", "unseal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """A document whose container, digest and signature hold. The digests are 64 hexadecimal digits each."""

    name: str
    document: bytes
    signed_by: SignedBy
    manifest_sha256: str
    package_sha256: str


def seal(name: str, document: bytes, signer: Signer, at: datetime, *, limits: Limits | None = None) -> bytes:
    """The package's bytes for ``document``, called ``name`` (``batch.xml``, ``receipt.xml`` or ``feedback.xml``) inside.

    Seal once and keep the bytes: an ECDSA signature differs each time. Raises PackageError ``package-entry-too-large`` or
    ``package-too-large`` for what a receiver would refuse, ``signer-certificate-time`` for a certificate out of its time.
    """
    limits = limits or Limits()
    budget = {BATCH: limits.document_bytes, RECEIPT: limits.receipt_bytes, FEEDBACK: limits.receipt_bytes}[name]
    if len(document) > budget:
        raise PackageError("package-entry-too-large", entry=name, limit=budget)
    manifest = build_manifest(name, document)
    return pack(name, document, manifest, sign(manifest, signer, at), limits=limits)


def unseal(
    data: bytes,
    name: str,
    trusted: Sequence[Certificate],
    *,
    limits: Limits | None = None,
    now: datetime | None = None,
) -> Unsealed:
    """The document called ``name`` in the package ``data``, sealed by a signer whom one of ``trusted`` vouches for.

    ``now``, where the reader has a clock to trust, refuses signatures from the future. Raises PackageError; see
    :func:`gateway.package.container.open_package`, :func:`gateway.package.manifest.check_manifest` and :func:`gateway.package.cms.verify`.
    """
    # 1. the container
    opened = open_package(data, limits=limits)
    if opened.name != name:
        raise PackageError("package-document", expected=name, found=opened.name)
    # 2. the manifest covers this document
    check_manifest(opened.manifest, opened.name, opened.document)
    # 3. the signature covers this manifest, and is the peer's
    signed_by = verify(opened.signature, opened.manifest, trusted, now=now)
    return Unsealed(
        name=opened.name,
        document=opened.document,
        signed_by=signed_by,
        manifest_sha256=sha256(opened.manifest).hexdigest(),
        package_sha256=sha256(data).hexdigest(),
    )
