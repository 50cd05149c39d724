"""RFC 3161 time-stamp tokens, read and verified offline: CMS SignedData over TSTInfo, by an authority that somebody trusts.

Authorities are other people, so more is taken here than of a peer: RSA from 2,048 bits, ECDSA on the NIST curves, SHA-256 to SHA-512, a chain
of intermediates, unsigned attributes (which count for nothing). What must be there is as strict: one signer, his certificate inside and
named by the signature, fit for time-stamping and for nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1, sha256, sha384, sha512
from hmac import compare_digest
from typing import Annotated, Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import PackageError
from gateway.package import signed_data as cms
from gateway.package.certificates import Certificate, certificate_of
from gateway.package.trust import stamped_by

__all__ = ["MAX_TOKEN_BYTES", "Stamp", "verify_stamp"]

MAX_TOKEN_BYTES: Final = 48 * 1024
"""As much as an ``anchor`` entry can hold in base64."""

_TST_INFO: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
_SIGNING_CERTIFICATE_V1: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.12")
_MOST_CERTIFICATES: Final = 8
_YEARS: Final = (1990, 9000)
_LEAST_RSA_BITS: Final = 2048
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)

# Object identifiers of digests, by the digest; then of signature algorithms (RFC 5754, RFC 8017).
_DIGESTS: Final = {
    "2.16.840.1.101.3.4.2.1": (sha256, hashes.SHA256),
    "2.16.840.1.101.3.4.2.2": (sha384, hashes.SHA384),
    "2.16.840.1.101.3.4.2.3": (sha512, hashes.SHA512),
}
_RSA: Final = {
    "1.2.840.113549.1.1.11": hashes.SHA256,
    "1.2.840.113549.1.1.12": hashes.SHA384,
    "1.2.840.113549.1.1.13": hashes.SHA512,
}
_ECDSA: Final = {
    "1.2.840.10045.4.3.2": hashes.SHA256,
    "1.2.840.10045.4.3.3": hashes.SHA384,
    "1.2.840.10045.4.3.4": hashes.SHA512,
}


@asn1.sequence
class _TokenData:
    """SignedData as :mod:`gateway.package.signed_data` has it, but with certificates in any order.

    They are a SET OF, which DER sorts; authorities send them as they lie. Nothing signs their order, and with an implicit tag a SEQUENCE OF
    has the same bytes.
    """

    version: int
    digest_algorithms: asn1.SetOf[cms.AlgorithmIdentifier]
    content: cms.EncapsulatedContent
    certificates: Annotated[list[asn1.TLV] | None, asn1.Implicit(0)]
    revocations: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]
    signers: asn1.SetOf[cms.SignerInfo]


@asn1.sequence
class _Token:
    type: x509.ObjectIdentifier
    content: Annotated[_TokenData, asn1.Explicit(0)]


@asn1.sequence
class _Imprint:
    algorithm: cms.AlgorithmIdentifier
    digest: bytes


@asn1.sequence
class _Parts:
    """The parts of any SEQUENCE, under one more SEQUENCE: those at the end of TSTInfo are optional, and none of our business."""

    parts: list[asn1.TLV]


@asn1.sequence
class _OldReference:
    """ESSCertID (RFC 2634 §5.4.1): by SHA-1."""

    digest: bytes
    issuer_serial: cms.IssuerSerial | None


@asn1.sequence
class _OldSigningCertificate:
    certificates: list[_OldReference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a token says, once it is verified: the digest ``imprint`` (SHA-256) existed at ``at``, by the word of ``certificate``."""

    imprint: bytes
    at: datetime
    serial: int
    certificate: Certificate
    authority: Certificate


def verify_stamp(der: bytes, authorities: Sequence[Certificate]) -> Stamp:
    """Verify the TimeStampToken ``der`` (RFC 3161 §2.4.2) against the authorities that are trusted, roots or stamping certificates.

    Whether the imprint is the one expected is for the caller to compare. Raises PackageError: ``token-malformed``,
    ``token-unsupported`` (an algorithm that is not read here), ``token-signature``, ``token-signer`` (not fit for time-stamping) or
    ``token-authority-unknown``.
    """
    # 1. one DER structure within its budget: signed data over TSTInfo by one signer
    if len(der) > MAX_TOKEN_BYTES:
        raise PackageError("token-malformed", part="size")
    token = _decoded(_Token, der)
    data = token.content
    signers = data.signers.as_list()
    content = data.content.content
    if token.type != cms.SIGNED_DATA or data.content.type != _TST_INFO or content is None or len(signers) != 1:
        raise PackageError("token-malformed", part="SignedData")
    info = signers[0]
    # 2. his certificate is inside
    certificates = _certificates(data)
    signer = next((each for each in certificates if _is(each, info.signer)), None)
    if signer is None:
        raise PackageError("token-malformed", part="certificates")
    # 3. the signed attributes are for this content and this certificate
    signed, values = _attributes(info)
    if _decoded(x509.ObjectIdentifier, _value(values, cms.ATTRIBUTE_CONTENT_TYPE)) != _TST_INFO:
        raise PackageError("token-malformed", part="content-type")
    hashed, algorithm = _digest(info.digest_algorithm)
    if not compare_digest(_decoded(bytes, _value(values, cms.ATTRIBUTE_MESSAGE_DIGEST)), hashed(content).digest()):
        raise PackageError("token-signature")
    _names(values, signer)
    # 4. the signature
    _verify(signer, info, signed, algorithm)
    # 5. what was signed
    imprint, serial, at = _read(content)
    # 6. the signer stamps time and nothing else, and an authority that is trusted vouches for him at that time
    authority = stamped_by(signer, certificates, authorities, at=at)
    return Stamp(imprint=imprint, at=at, serial=serial, certificate=signer, authority=authority)


def _decoded(structure: Any, der: bytes) -> Any:
    try:
        return cms.decode(structure, der)
    except PackageError as error:
        raise PackageError("token-malformed", part=structure.__name__.lstrip("_")) from error


def _certificates(data: _TokenData) -> list[Certificate]:
    inside = data.certificates or []
    if len(inside) > _MOST_CERTIFICATES:
        raise PackageError("token-malformed", part="certificates")
    try:
        return [certificate_of(asn1.encode_der(each), "token") for each in inside]
    except (PackageError, TypeError, ValueError) as error:
        raise PackageError("token-malformed", part="certificates") from error


def _is(certificate: Certificate, named: cms.IssuerAndSerial) -> bool:
    try:
        same = certificate.issuer.public_bytes() == named.issuer.public_bytes()
    except (ValueError, TypeError):
        return False
    return same and certificate.serial_number == named.serial


def _attributes(info: cms.SignerInfo) -> tuple[bytes, dict[x509.ObjectIdentifier, bytes]]:
    if info.signed is None:
        raise PackageError("token-malformed", part="signedAttrs")
    values: dict[x509.ObjectIdentifier, bytes] = {}
    for attribute in info.signed.as_list():
        each = attribute.values.as_list()
        if attribute.type in values or not each:
            raise PackageError("token-malformed", part=attribute.type.dotted_string)
        values[attribute.type] = asn1.encode_der(each[0])
    return asn1.encode_der(info.signed), values


def _value(values: dict[x509.ObjectIdentifier, bytes], kind: x509.ObjectIdentifier) -> bytes:
    if kind not in values:
        raise PackageError("token-malformed", part=kind.dotted_string)
    return values[kind]


def _digest(algorithm: cms.AlgorithmIdentifier) -> tuple[Any, type[hashes.HashAlgorithm]]:
    try:
        return _DIGESTS[algorithm.algorithm.dotted_string]
    except KeyError as error:
        raise PackageError("token-unsupported", algorithm=algorithm.algorithm.dotted_string) from error


def _names(values: dict[x509.ObjectIdentifier, bytes], certificate: Certificate) -> None:
    """The first reference names the signer's certificate (RFC 5035 §5.4); by SHA-1 in the older attribute, which RFC 3161 asks for."""
    der = certificate.public_bytes(Encoding.DER)
    if cms.ATTRIBUTE_SIGNING_CERTIFICATE in values:
        reference = _first(_decoded(cms.SigningCertificate, values[cms.ATTRIBUTE_SIGNING_CERTIFICATE]).certificates)
        hashed = sha256 if reference.algorithm is None else _digest(reference.algorithm)[0]
    else:
        reference = _first(_decoded(_OldSigningCertificate, _value(values, _SIGNING_CERTIFICATE_V1)).certificates)
        hashed = sha1  # the attribute is defined so; the signature itself is not by SHA-1
    if not compare_digest(reference.digest, hashed(der).digest()):
        raise PackageError("token-signature")


def _first(references: list[Any]) -> Any:
    if not references:
        raise PackageError("token-malformed", part="signing-certificate")
    return references[0]


def _verify(certificate: Certificate, info: cms.SignerInfo, signed: bytes, digest: type[hashes.HashAlgorithm]) -> None:
    oid = info.signature_algorithm.algorithm
    unsupported = PackageError("token-unsupported", algorithm=oid.dotted_string)
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise unsupported from error
    try:
        match key:
            case rsa.RSAPublicKey(key_size=bits) if bits >= _LEAST_RSA_BITS:
                chosen = digest if oid == cms.RSA_ENCRYPTION else _RSA.get(oid.dotted_string)
                if chosen is None:
                    raise unsupported
                key.verify(info.signature, signed, padding.PKCS1v15(), chosen())
            case ec.EllipticCurvePublicKey(curve=curve) if isinstance(curve, _CURVES):
                chosen = _ECDSA.get(oid.dotted_string)
                if chosen is None:
                    raise unsupported
                key.verify(info.signature, signed, ec.ECDSA(chosen()))
            case _:
                raise unsupported
    except InvalidSignature as error:
        raise PackageError("token-signature") from error


def _read(content: bytes) -> tuple[bytes, int, datetime]:
    """Imprint, serial number and time out of TSTInfo (RFC 3161 §2.4.2): version, policy, messageImprint, serialNumber, genTime, …"""
    parts = _decoded(_Parts, _wrapped(content)).parts
    if len(parts) < 5:
        raise PackageError("token-malformed", part="TSTInfo")
    version, _policy, imprint_part, serial, time = (asn1.encode_der(part) for part in parts[:5])
    imprint = _decoded(_Imprint, imprint_part)
    if _decoded(int, version) != 1:
        raise PackageError("token-malformed", part="TSTInfo")
    if imprint.algorithm.algorithm != cms.SHA256 or len(imprint.digest) != sha256().digest_size:
        raise PackageError("token-unsupported", algorithm=imprint.algorithm.algorithm.dotted_string)
    at: datetime = _decoded(asn1.GeneralizedTime, time).as_datetime()
    if not _YEARS[0] <= at.year <= _YEARS[1]:  # where a few minutes more or less still make a date
        raise PackageError("token-malformed", part="genTime")
    return imprint.digest, _decoded(int, serial), at


def _wrapped(content: bytes) -> bytes:
    size = len(content)
    length = (
        bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big") if size > 0xFF else b"\x81" + bytes([size])
    )
    return b"\x30" + length + content
