"""A time-stamp authority that stamps whatever a test says, at whatever time, right or wrong in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha1, sha256

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.package import signed_data as cms
from gateway.package.certificates import Certificate
from tests.package.forge import algorithm, attribute, reference, sign
from tests.package.samples import AUTHORITY, Identity, certified, p256, usage

TST_INFO = x509.ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
SIGNING_CERTIFICATE_V1 = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.12")
POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")
STAMPING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@asn1.sequence
class Imprint:
    algorithm: cms.AlgorithmIdentifier
    digest: bytes


@asn1.sequence
class Accuracy:
    seconds: int


@asn1.sequence
class TstInfo:
    """RFC 3161 §2.4.2, as far as most authorities fill it in."""

    version: int
    policy: x509.ObjectIdentifier
    imprint: Imprint
    serial: int
    time: asn1.GeneralizedTime
    accuracy: Accuracy | None
    ordering: bool | None
    nonce: int | None


@asn1.sequence
class OldReference:
    digest: bytes


@asn1.sequence
class OldSigningCertificate:
    certificates: list[OldReference]


def authority_certificate(name: str = "root") -> Identity:
    return certified(name, p256(), AUTHORITY, usage(key_cert_sign=True), start=_LONG_AGO)


def stamper(issuer: Identity, *extensions: tuple[x509.ExtensionType, bool], days: int = 36500) -> Identity:
    given = extensions or (STAMPING, usage(digital_signature=True))
    return certified("stamper", p256(), *given, issuer=issuer, start=_LONG_AGO, days=days)


@dataclass(slots=True)
class Authority:
    """Stamps with ``identity``; ``chain`` are certificates that go into the token beside its own."""

    root: Identity = field(default_factory=authority_certificate)
    identity: Identity | None = None
    chain: Sequence[Certificate] = ()
    serial: int = 0

    def token(
        self,
        content: bytes,
        at: datetime,
        *,
        old_reference: bool = False,
        info: Callable[[TstInfo], None] = lambda _: None,
        signer: Callable[[cms.SignerInfo], None] = lambda _: None,
        data: Callable[[cms.SignedData], None] = lambda _: None,
        signed: Callable[[list[cms.Attribute]], list[cms.Attribute]] = lambda attributes: attributes,
    ) -> bytes:
        """A TimeStampToken over SHA-256 of ``content``. What bends before the signature is signed over, what bends after it is not."""
        if self.identity is None:
            self.identity = stamper(self.root)
        identity, self.serial = self.identity, self.serial + 1
        whole = TstInfo(
            version=1,
            policy=POLICY,
            imprint=Imprint(algorithm=algorithm(cms.SHA256), digest=sha256(content).digest()),
            serial=self.serial,
            time=asn1.GeneralizedTime(at.replace(microsecond=0)),
            accuracy=Accuracy(seconds=1),
            ordering=None,
            nonce=4711,
        )
        info(whole)
        encoded = asn1.encode_der(whole)
        named = (
            attribute(SIGNING_CERTIFICATE_V1, OldSigningCertificate(certificates=[_old(identity.certificate)]))
            if old_reference
            else attribute(
                cms.ATTRIBUTE_SIGNING_CERTIFICATE,
                cms.SigningCertificate(certificates=[reference(identity.certificate)]),
            )
        )
        attributes = asn1.SetOf(
            signed(
                [
                    attribute(cms.ATTRIBUTE_CONTENT_TYPE, TST_INFO),
                    attribute(cms.ATTRIBUTE_MESSAGE_DIGEST, sha256(encoded).digest()),
                    named,
                ]
            )
        )
        made = cms.SignerInfo(
            version=1,
            signer=cms.IssuerAndSerial(issuer=identity.certificate.issuer, serial=identity.certificate.serial_number),
            digest_algorithm=algorithm(cms.SHA256),
            signed=attributes,
            signature_algorithm=algorithm(cms.ECDSA_WITH_SHA256),
            signature=sign(identity, asn1.encode_der(attributes)),
            unsigned=None,
        )
        signer(made)
        token = cms.SignedData(
            version=3,
            digest_algorithms=asn1.SetOf([algorithm(cms.SHA256)]),
            content=cms.EncapsulatedContent(type=TST_INFO, content=encoded),
            certificates=asn1.SetOf([identity.certificate, *self.chain]),
            revocations=None,
            signers=asn1.SetOf([made]),
        )
        data(token)
        return asn1.encode_der(cms.ContentInfo(type=cms.SIGNED_DATA, content=token))


def _old(certificate: Certificate) -> OldReference:
    return OldReference(digest=sha1(certificate.public_bytes(Encoding.DER)).digest())  # noqa: S324 — the attribute is defined so


@cache
def honest() -> Authority:
    return Authority()
