"""Detached CMS signatures, CAdES-B-B (ETSI EN 319 122-1 §6), by one signer, with ECDSA P-256 or RSA-3072 and SHA-256."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import assert_never

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import PackageError
from gateway.package import signed_data as cms
from gateway.package.certificates import RSA_BITS, Certificate, PrivateKey, fingerprint, valid_at
from gateway.package.trust import vouched_by

__all__ = ["SignedBy", "Signer", "sign", "verify"]

_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_AHEAD = timedelta(minutes=5)  # how far a peer's clock may run before ours
_UTC_TIME_UNTIL = 2050  # RFC 5652 §11.3: UTCTime through 2049, GeneralizedTime after


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A private key and its certificate. Raises PackageError ``signer-key-mismatch`` or ``signature-algorithm``."""

    key: PrivateKey
    certificate: Certificate

    def __post_init__(self) -> None:
        if _public_key(self.certificate) != self.key.public_key():
            raise PackageError("signer-key-mismatch", key_id=fingerprint(self.certificate))

    @property
    def key_id(self) -> str:
        """The fingerprint of the certificate."""
        return fingerprint(self.certificate)

    @property
    def certificate_der(self) -> bytes:
        """The certificate as DER, what an auditor checks signatures with."""
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """Who signed. ``at`` is the signer's own claim; ``pinned`` is the trusted certificate that vouches for ``certificate``."""

    certificate: Certificate
    key_id: str
    at: datetime
    pinned: Certificate


def sign(content: bytes, signer: Signer, at: datetime) -> bytes:
    """The DER signature over ``content``, claimed to be made at ``at`` (cut to the second).

    Raises PackageError ``signer-certificate-time`` when the signer's certificate is not valid then: nobody would accept it.
    """
    moment = at.astimezone(UTC).replace(microsecond=0)
    certificate = signer.certificate
    if not valid_at(certificate, moment):
        raise PackageError(
            "signer-certificate-time",
            key_id=signer.key_id,
            at=moment.isoformat(),
            start=certificate.not_valid_before_utc.isoformat(),
            stop=certificate.not_valid_after_utc.isoformat(),
        )
    time = asn1.UTCTime(moment) if moment.year < _UTC_TIME_UNTIL else asn1.GeneralizedTime(moment)
    reference = cms.CertificateReference(
        algorithm=None, digest=sha256(certificate.public_bytes(Encoding.DER)).digest(), issuer_serial=None
    )
    signed = asn1.SetOf(
        [
            _attribute(cms.ATTRIBUTE_CONTENT_TYPE, cms.DATA),
            _attribute(cms.ATTRIBUTE_MESSAGE_DIGEST, sha256(content).digest()),
            _attribute(cms.ATTRIBUTE_SIGNING_TIME, time),
            _attribute(cms.ATTRIBUTE_SIGNING_CERTIFICATE, cms.SigningCertificate(certificates=[reference])),
        ]
    )
    signature, algorithm = _signature(signer.key, asn1.encode_der(signed))
    digest = cms.AlgorithmIdentifier(algorithm=cms.SHA256, parameters=None)
    info = cms.SignerInfo(
        version=1,
        signer=cms.IssuerAndSerial(issuer=certificate.issuer, serial=certificate.serial_number),
        digest_algorithm=digest,
        signed=signed,
        signature_algorithm=algorithm,
        signature=signature,
        unsigned=None,
    )
    data = cms.SignedData(
        version=1,
        digest_algorithms=asn1.SetOf([digest]),
        content=cms.EncapsulatedContent(type=cms.DATA, content=None),
        certificates=asn1.SetOf([certificate]),
        revocations=None,
        signers=asn1.SetOf([info]),
    )
    return asn1.encode_der(cms.ContentInfo(type=cms.SIGNED_DATA, content=data))


def _attribute(kind: x509.ObjectIdentifier, value: object) -> cms.Attribute:
    return cms.Attribute(type=kind, values=asn1.SetOf([cms.as_value(value)]))


def _signature(key: PrivateKey, signed: bytes) -> tuple[bytes, cms.AlgorithmIdentifier]:
    match key:
        case ec.EllipticCurvePrivateKey():
            algorithm = cms.AlgorithmIdentifier(algorithm=cms.ECDSA_WITH_SHA256, parameters=None)
            return key.sign(signed, ec.ECDSA(hashes.SHA256())), algorithm
        case rsa.RSAPrivateKey():
            algorithm = cms.AlgorithmIdentifier(algorithm=cms.RSA_WITH_SHA256, parameters=asn1.Null())
            return key.sign(signed, padding.PKCS1v15(), hashes.SHA256()), algorithm
        case _:
            assert_never(key)


def verify(der: bytes, content: bytes, trusted: Sequence[Certificate], *, now: datetime | None = None) -> SignedBy:
    """Verify the detached signature ``der`` over ``content`` by a signer whom one of ``trusted`` vouches for.

    Absence fails: every step needs its part to be there. With ``now``, a signing-time more than five minutes ahead is refused.
    Raises PackageError with a ``signature-…``, ``signer-…`` or ``signing-…`` code. Follows RFC 5652 §5.4 and §5.6.
    """
    # 1. one DER structure: signed data, detached, without anything that the signature would not cover
    data = _detached(cms.decode(cms.ContentInfo, der))
    # 2. one signer, whose certificate is the one inside
    info, certificate = _one_signer(data)
    # 3. SHA-256, wherever a digest is named
    digests = data.digest_algorithms.as_list()
    if len(digests) != 1 or not all(_is_sha256(each) for each in (*digests, info.digest_algorithm)):
        raise PackageError("signature-digest-algorithm")
    # 4. the signed attributes: each once, with one value
    signed, values = _signed_attributes(info)
    # 5. content-type is data
    if cms.decode(x509.ObjectIdentifier, _value(values, cms.ATTRIBUTE_CONTENT_TYPE, "content-type")) != cms.DATA:
        raise PackageError("signature-content-type")
    # 6. message-digest is the content's
    digest = cms.decode(bytes, _value(values, cms.ATTRIBUTE_MESSAGE_DIGEST, "message-digest"))
    if not compare_digest(digest, sha256(content).digest()):
        raise PackageError("signature-message-digest")
    # 7. signing-time is there
    at = _time(_value(values, cms.ATTRIBUTE_SIGNING_TIME, "signing-time"))
    # 8. signing-certificate-v2 names this very certificate, so that no other one for the same key can take its place
    _names(_value(values, cms.ATTRIBUTE_SIGNING_CERTIFICATE, "signing-certificate-v2"), certificate)
    # 9. the signature, with the one algorithm that the key is for
    _verify_signature(certificate, info, signed)
    # 10. the signer is the peer, and was in time
    pinned = vouched_by(certificate, trusted, at=at)
    if now is not None and at > now + _AHEAD:
        raise PackageError("signing-time-ahead", at=at.isoformat(), now=now.isoformat())
    return SignedBy(certificate=certificate, key_id=fingerprint(certificate), at=at, pinned=pinned)


def _detached(info: cms.ContentInfo) -> cms.SignedData:
    data = info.content
    if info.type != cms.SIGNED_DATA or data.version != 1 or data.content.type != cms.DATA:
        raise PackageError("signature-type")
    if data.content.content is not None:
        raise PackageError("signature-not-detached")
    if data.revocations is not None:
        raise PackageError("signature-surplus", what="crls")
    return data


def _one_signer(data: cms.SignedData) -> tuple[cms.SignerInfo, Certificate]:
    signers = data.signers.as_list()
    if len(signers) != 1:
        raise PackageError("signature-signers", found=len(signers))
    info = signers[0]
    if info.version != 1:
        raise PackageError("signature-type")
    if info.unsigned is not None:
        raise PackageError("signature-surplus", what="unsignedAttrs")
    certificates = data.certificates.as_list() if data.certificates is not None else []
    if len(certificates) != 1:
        raise PackageError("signature-certificates", found=len(certificates))
    certificate = certificates[0]
    try:
        # By their bytes: nothing signs this name, so no second spelling of it may pass.
        same = info.signer.issuer.public_bytes() == certificate.issuer.public_bytes()
        if not same or info.signer.serial != certificate.serial_number:
            raise PackageError("signature-certificate-other")
    except (ValueError, TypeError) as error:
        raise PackageError("signature-malformed", structure="Certificate") from error
    return info, certificate


def _is_sha256(algorithm: cms.AlgorithmIdentifier) -> bool:
    return algorithm.algorithm == cms.SHA256  # parameters absent or NULL (RFC 5754 §2): the model takes nothing else


def _signed_attributes(info: cms.SignerInfo) -> tuple[bytes, dict[x509.ObjectIdentifier, bytes]]:
    """The bytes that the signature is over (RFC 5652 §5.4: with the tag of SET OF), and each attribute's one value in DER."""
    if info.signed is None:
        raise PackageError("signature-attribute-missing", attribute="signedAttrs")
    values: dict[x509.ObjectIdentifier, bytes] = {}
    for attribute in info.signed.as_list():
        each = attribute.values.as_list()
        if attribute.type in values or len(each) != 1:
            raise PackageError("signature-attribute-repeated", attribute=attribute.type.dotted_string)
        values[attribute.type] = asn1.encode_der(each[0])
    return asn1.encode_der(info.signed), values


def _value(values: dict[x509.ObjectIdentifier, bytes], kind: x509.ObjectIdentifier, name: str) -> bytes:
    if kind not in values:
        raise PackageError("signature-attribute-missing", attribute=name)
    return values[kind]


def _time(der: bytes) -> datetime:
    if der[:1] == b"\x17":
        return cms.decode(asn1.UTCTime, der).as_datetime()
    return cms.decode(asn1.GeneralizedTime, der).as_datetime()


def _names(der: bytes, certificate: Certificate) -> None:
    references = cms.decode(cms.SigningCertificate, der).certificates
    if len(references) != 1:
        raise PackageError("signature-certificate-other")
    reference = references[0]
    if reference.algorithm is not None and not _is_sha256(reference.algorithm):
        raise PackageError("signature-digest-algorithm")
    again = reference.issuer_serial
    same = again is None or (again.issuer, again.serial) == ([certificate.issuer], certificate.serial_number)
    if not same or not compare_digest(reference.digest, sha256(certificate.public_bytes(Encoding.DER)).digest()):
        raise PackageError("signature-certificate-other")


def _verify_signature(certificate: Certificate, info: cms.SignerInfo, signed: bytes) -> None:
    key = _public_key(certificate)
    algorithm, parameters = info.signature_algorithm.algorithm, info.signature_algorithm.parameters
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                if algorithm != cms.ECDSA_WITH_SHA256 or parameters is not None:
                    raise PackageError("signature-algorithm", algorithm=algorithm.dotted_string)
                key.verify(info.signature, signed, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey():
                if algorithm not in (cms.RSA_WITH_SHA256, cms.RSA_ENCRYPTION) or parameters is None:
                    raise PackageError("signature-algorithm", algorithm=algorithm.dotted_string)
                key.verify(info.signature, signed, padding.PKCS1v15(), hashes.SHA256())
            case _:
                assert_never(key)
    except InvalidSignature as error:
        raise PackageError("signature-invalid") from error


def _public_key(certificate: Certificate) -> _PublicKey:
    """The certificate's key, if it is of a suite that we take."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PackageError("signature-key", key_id=fingerprint(certificate)) from error
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return key
        case rsa.RSAPublicKey(key_size=bits) if bits == RSA_BITS:
            return key
        case _:
            raise PackageError("signature-key", key_id=fingerprint(certificate))
