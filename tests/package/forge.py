"""Signatures that are wrong in one place and right everywhere else: the forger has the key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.package import signed_data as cms
from gateway.package.certificates import Certificate
from tests.package.samples import NOW, Identity

SHA512 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.3")


def algorithm(oid: x509.ObjectIdentifier, *, null: bool = False) -> cms.AlgorithmIdentifier:
    return cms.AlgorithmIdentifier(algorithm=oid, parameters=asn1.Null() if null else None)


def attribute(kind: x509.ObjectIdentifier, *values: object) -> cms.Attribute:
    return cms.Attribute(type=kind, values=asn1.SetOf([cms.as_value(value) for value in values]))


def reference(certificate: Certificate, **changes: object) -> cms.CertificateReference:
    made = cms.CertificateReference(
        algorithm=None, digest=sha256(certificate.public_bytes(Encoding.DER)).digest(), issuer_serial=None
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def attributes(content: bytes, certificate: Certificate) -> list[cms.Attribute]:
    return [
        attribute(cms.ATTRIBUTE_CONTENT_TYPE, cms.DATA),
        attribute(cms.ATTRIBUTE_MESSAGE_DIGEST, sha256(content).digest()),
        attribute(cms.ATTRIBUTE_SIGNING_TIME, asn1.UTCTime(NOW)),
        attribute(cms.ATTRIBUTE_SIGNING_CERTIFICATE, cms.SigningCertificate(certificates=[reference(certificate)])),
    ]


def without(kind: x509.ObjectIdentifier, whole: Sequence[cms.Attribute]) -> list[cms.Attribute]:
    return [each for each in whole if each.type != kind]


def sign(identity: Identity, data: bytes) -> bytes:
    if isinstance(identity.key, rsa.RSAPrivateKey):
        return identity.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return identity.key.sign(data, ec.ECDSA(hashes.SHA256()))


def forge(
    content: bytes,
    identity: Identity,
    *,
    signed: Sequence[cms.Attribute] | None = None,
    info: Callable[[cms.SignerInfo], None] = lambda _: None,
    data: Callable[[cms.SignedData], None] = lambda _: None,
    outer: x509.ObjectIdentifier = cms.SIGNED_DATA,
) -> bytes:
    """A signature over ``content``: ``signed`` replaces the signed attributes (and is signed), ``info`` and ``data`` bend what is done."""
    attrs = asn1.SetOf(list(attributes(content, identity.certificate) if signed is None else signed))
    is_rsa = isinstance(identity.key, rsa.RSAPrivateKey)
    signer = cms.SignerInfo(
        version=1,
        signer=cms.IssuerAndSerial(issuer=identity.certificate.issuer, serial=identity.certificate.serial_number),
        digest_algorithm=algorithm(cms.SHA256),
        signed=attrs,
        signature_algorithm=algorithm(cms.RSA_WITH_SHA256 if is_rsa else cms.ECDSA_WITH_SHA256, null=is_rsa),
        signature=sign(identity, asn1.encode_der(attrs)),
        unsigned=None,
    )
    info(signer)
    whole = cms.SignedData(
        version=1,
        digest_algorithms=asn1.SetOf([algorithm(cms.SHA256)]),
        content=cms.EncapsulatedContent(type=cms.DATA, content=None),
        certificates=asn1.SetOf([identity.certificate]),
        revocations=None,
        signers=asn1.SetOf([signer]),
    )
    data(whole)
    return asn1.encode_der(cms.ContentInfo(type=outer, content=whole))


def setting(**changes: object) -> Callable[[object], None]:
    """A bend that sets attributes."""

    def bend(value: object) -> None:
        for name, new in changes.items():
            setattr(value, name, new)

    return bend
