"""CMS SignedData as ASN.1 (RFC 5652 §5), with signing-certificate-v2 (RFC 5035 §3): the structures, and nothing that judges them.

Only what a detached CAdES-B-B signature by one signer may hold is modelled; fields that must be absent are modelled too, so that
the verifier can say *what* is too much. Field names follow the RFCs, as sentences in lower case.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.utils import CryptographyDeprecationWarning

from gateway.errors import PackageError

__all__ = [
    "ATTRIBUTE_CONTENT_TYPE",
    "ATTRIBUTE_MESSAGE_DIGEST",
    "ATTRIBUTE_SIGNING_CERTIFICATE",
    "ATTRIBUTE_SIGNING_TIME",
    "DATA",
    "ECDSA_WITH_SHA256",
    "RSA_ENCRYPTION",
    "RSA_WITH_SHA256",
    "SHA256",
    "SIGNED_DATA",
    "AlgorithmIdentifier",
    "Attribute",
    "CertificateReference",
    "ContentInfo",
    "DirectoryName",
    "EncapsulatedContent",
    "IssuerAndSerial",
    "IssuerSerial",
    "SignedData",
    "SignerInfo",
    "SigningCertificate",
    "as_value",
    "decode",
]

DATA: Final = x509.ObjectIdentifier("1.2.840.113549.1.7.1")
SIGNED_DATA: Final = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
SHA256: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
ECDSA_WITH_SHA256: Final = x509.ObjectIdentifier("1.2.840.10045.4.3.2")
RSA_ENCRYPTION: Final = x509.ObjectIdentifier("1.2.840.113549.1.1.1")
RSA_WITH_SHA256: Final = x509.ObjectIdentifier("1.2.840.113549.1.1.11")
ATTRIBUTE_CONTENT_TYPE: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
ATTRIBUTE_MESSAGE_DIGEST: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
ATTRIBUTE_SIGNING_TIME: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.5")
ATTRIBUTE_SIGNING_CERTIFICATE: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.47")

DirectoryName = Annotated[x509.Name, asn1.Explicit(4)]
"""The one form of GeneralName that an issuer has here."""


@asn1.sequence
class AlgorithmIdentifier:
    """An algorithm; the parameters of those we take are NULL or absent."""

    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class Attribute:
    """One attribute and its values, undecoded."""

    type: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class IssuerAndSerial:
    """Names the signer's certificate."""

    issuer: x509.Name
    serial: int


@asn1.sequence
class SignerInfo:
    """One signature. ``signed`` are the signed attributes: the signature is over their SET OF encoding."""

    version: int
    signer: IssuerAndSerial
    digest_algorithm: AlgorithmIdentifier
    signed: Annotated[asn1.SetOf[Attribute] | None, asn1.Implicit(0)]
    signature_algorithm: AlgorithmIdentifier
    signature: bytes
    unsigned: Annotated[asn1.SetOf[Attribute] | None, asn1.Implicit(1)]


@asn1.sequence
class EncapsulatedContent:
    """What is signed; ``content`` is absent in a detached signature."""

    type: x509.ObjectIdentifier
    content: Annotated[bytes | None, asn1.Explicit(0)]


@asn1.sequence
class SignedData:
    """RFC 5652 §5.1."""

    version: int
    digest_algorithms: asn1.SetOf[AlgorithmIdentifier]
    content: EncapsulatedContent
    certificates: Annotated[asn1.SetOf[x509.Certificate] | None, asn1.Implicit(0)]
    revocations: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(1)]
    signers: asn1.SetOf[SignerInfo]


@asn1.sequence
class ContentInfo:
    """The outermost structure."""

    type: x509.ObjectIdentifier
    content: Annotated[SignedData, asn1.Explicit(0)]


@asn1.sequence
class IssuerSerial:
    """Names a certificate a second time, inside signing-certificate-v2."""

    issuer: list[DirectoryName]
    serial: int


@asn1.sequence
class CertificateReference:
    """ESSCertIDv2; an absent algorithm means SHA-256."""

    algorithm: AlgorithmIdentifier | None
    digest: bytes
    issuer_serial: IssuerSerial | None


@asn1.sequence
class SigningCertificate:
    """SigningCertificateV2 without policies."""

    certificates: list[CertificateReference]


_T = TypeVar("_T")


def decode(structure: type[_T], der: bytes) -> _T:
    """``der`` as ``structure``. Raises PackageError ``signature-malformed`` for anything but its one DER encoding."""
    try:
        return asn1.decode_der(structure, der)
    except (
        ValueError,
        TypeError,
        x509.InvalidVersion,
        CryptographyDeprecationWarning,
    ) as error:  # the last three: odd names, versions and serial numbers of certificates
        raise PackageError("signature-malformed", structure=structure.__name__) from error


def as_value(value: object) -> asn1.TLV:
    """An attribute's value, encoded."""
    return asn1.decode_der(asn1.TLV, asn1.encode_der(value))
