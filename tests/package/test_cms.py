"""Signatures: ours against openssl both ways, and every way in which one can be wrong."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import PackageError
from gateway.package import signed_data as cms
from gateway.package.cms import Signer, sign, verify
from tests.package.forge import (
    SHA512,
    algorithm,
    attribute,
    attributes,
    forge,
    reference,
    setting,
    without,
)
from tests.package.forge import sign as raw_sign
from tests.package.samples import NOW, Identity, certified, ecdsa, p256, refused, rsa_identity, rsa_key, stranger, usage

ECDSA_WITH_SHA512 = x509.ObjectIdentifier("1.2.840.10045.4.3.4")
RSA_PSS = x509.ObjectIdentifier("1.2.840.113549.1.1.10")

CONTENT = b"<manifest/>\r\nnot canonical text\n"


def both() -> list[Identity]:
    return [ecdsa(), rsa_identity()]


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=False)


@pytest.mark.parametrize("who", [ecdsa, rsa_identity])
def test_we_verify_what_we_sign(who: Callable[[], Identity]) -> None:
    identity = who()
    signed = verify(sign(CONTENT, identity.signer, NOW), CONTENT, [stranger().certificate, identity.certificate])
    assert (signed.certificate, signed.pinned, signed.at) == (identity.certificate, identity.certificate, NOW)
    assert signed.key_id == identity.signer.key_id == identity.certificate.fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize("who", [ecdsa, rsa_identity])
def test_openssl_verifies_what_we_sign(tmp_path: Path, who: Callable[[], Identity]) -> None:
    identity = who()
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "p7s").write_bytes(sign(CONTENT, identity.signer, NOW))
    (tmp_path / "ca.pem").write_bytes(identity.certificate_pem)
    command = ["cms", "-verify", "-binary", "-inform", "DER", "-in", "p7s", "-content", "content", "-CAfile", "ca.pem"]
    plain = openssl(tmp_path, *command, "-purpose", "any")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout == CONTENT
    assert openssl(tmp_path, *command, "-purpose", "any", "-cades").returncode == 0, "signing-certificate-v2 holds too"
    (tmp_path / "content").write_bytes(CONTENT + b" ")
    assert openssl(tmp_path, *command, "-purpose", "any").returncode != 0, "the command does not verify at all"


@pytest.mark.parametrize("who", [ecdsa, rsa_identity])
@pytest.mark.parametrize("more", [[], ["-nosmimecap"], ["-md", "sha256"]])
def test_we_verify_what_openssl_signs(tmp_path: Path, who: Callable[[], Identity], more: list[str]) -> None:
    identity = who()
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "key").write_bytes(identity.key_pem)
    (tmp_path / "certificate").write_bytes(identity.certificate_pem)
    command = ["cms", "-sign", "-binary", "-cades", "-outform", "DER", "-in", "content", "-out", "p7s"]
    done = openssl(tmp_path, *command, "-signer", "certificate", "-inkey", "key", *more)
    assert done.returncode == 0, done.stderr
    der = (tmp_path / "p7s").read_bytes()
    assert verify(der, CONTENT, [identity.certificate]).certificate == identity.certificate
    refused("signature-message-digest", lambda: verify(der, CONTENT + b" ", [identity.certificate]))
    plain = openssl(
        tmp_path, *[word for word in command if word != "-cades"], "-signer", "certificate", "-inkey", "key"
    )
    assert plain.returncode == 0, plain.stderr
    refused(
        "signature-attribute-missing",
        lambda: verify((tmp_path / "p7s").read_bytes(), CONTENT, [identity.certificate]),
    )


def test_the_encoding_is_that_of_the_standards() -> None:
    # Read by eye of openssl asn1parse would do as well: the structures are decoded here without the room's own model.
    identity = ecdsa()
    der = sign(CONTENT, identity.signer, NOW)
    for oid in ("1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5", "1.2.840.113549.1.9.16.2.47"):
        assert der.count(asn1.encode_der(x509.ObjectIdentifier(oid))) == 1
    assert b"\x17\x0d261122060237Z" in der
    assert sha256(CONTENT).digest() in der
    assert identity.certificate.fingerprint(hashes.SHA256()) in der


def test_years_from_2050_on_are_generalized_time() -> None:
    identity = ecdsa()
    at = datetime(2050, 1, 1, tzinfo=UTC)
    der = sign(CONTENT, identity.signer, at)
    assert b"\x18\x0f20500101000000Z" in der
    assert verify(der, CONTENT, [identity.certificate]).at == at


def test_a_signing_time_is_cut_to_the_second_and_is_utc() -> None:
    identity = ecdsa()
    at = (NOW + timedelta(microseconds=999_999)).astimezone(datetime.now().astimezone().tzinfo)
    assert verify(sign(CONTENT, identity.signer, at), CONTENT, [identity.certificate]).at == NOW


def test_the_forger_without_a_bend_is_believed() -> None:
    for identity in both():
        assert verify(forge(CONTENT, identity), CONTENT, [identity.certificate]).at == NOW


def attrs() -> list[cms.Attribute]:
    return attributes(CONTENT, ecdsa().certificate)


def swapped(kind: x509.ObjectIdentifier, *values: object) -> bytes:
    return forge(CONTENT, ecdsa(), signed=[*without(kind, attrs()), attribute(kind, *values)])


def info(**changes: object) -> bytes:
    return forge(CONTENT, ecdsa(), info=setting(**changes))


def data(**changes: object) -> bytes:
    return forge(CONTENT, ecdsa(), data=setting(**changes))


def names(**changes: object) -> bytes:
    kind = cms.ATTRIBUTE_SIGNING_CERTIFICATE
    return swapped(kind, cms.SigningCertificate(certificates=[reference(ecdsa().certificate, **changes)]))


def two_signers() -> bytes:
    def double(whole: cms.SignedData) -> None:
        whole.signers = asn1.SetOf(whole.signers.as_list() * 2)

    return forge(CONTENT, ecdsa(), data=double)


def signed_by_another_key() -> bytes:
    return info(signature=raw_sign(stranger(), asn1.encode_der(asn1.SetOf(attrs()))))


def signature_without_attributes() -> bytes:
    """RFC 5652 allows it for data: the signature is over the content itself."""
    return info(signed=None, signature=raw_sign(ecdsa(), CONTENT))


def attributes_as_content() -> tuple[bytes, bytes]:
    """The old confusion: take the encoded signed attributes for content that was signed without attributes."""
    encoded = asn1.encode_der(asn1.SetOf(attrs()))
    return info(signed=None), encoded


def issuer_serial(serial: int) -> cms.IssuerSerial:
    return cms.IssuerSerial(issuer=[ecdsa().certificate.issuer], serial=serial)


def long_length() -> bytes:
    der = forge(CONTENT, ecdsa())
    assert der[:2] == b"\x30\x82"
    return b"\x30\x83\0" + der[2:]


def encapsulated(content: bytes) -> cms.EncapsulatedContent:
    return cms.EncapsulatedContent(type=cms.DATA, content=content)


def named(*, issuer: x509.Name | None = None, serial: int | None = None) -> cms.IssuerAndSerial:
    own = ecdsa().certificate
    return cms.IssuerAndSerial(issuer=own.issuer if issuer is None else issuer, serial=serial or own.serial_number)


def respelt() -> bytes:
    """The signer's issuer with a PrintableString in place of a UTF8String: the same name to a reader, but other bytes."""
    der, name = bytearray(forge(CONTENT, ecdsa())), ecdsa().certificate.issuer.public_bytes()
    at = der.rindex(name) + name.rindex(b"\x0c")
    der[at] = 0x13
    return bytes(der)


def lacking(kind: x509.ObjectIdentifier) -> bytes:
    return forge(CONTENT, ecdsa(), signed=without(kind, attrs()))


def names_of(*references: cms.CertificateReference) -> bytes:
    return swapped(cms.ATTRIBUTE_SIGNING_CERTIFICATE, cms.SigningCertificate(certificates=list(references)))


def changed_time() -> list[cms.Attribute]:
    kind = cms.ATTRIBUTE_SIGNING_TIME
    return [*without(kind, attrs()), attribute(kind, asn1.UTCTime(NOW + timedelta(days=1)))]


def rsa_info(named_algorithm: cms.AlgorithmIdentifier) -> bytes:
    return forge(CONTENT, rsa_identity(), info=setting(signature_algorithm=named_algorithm))


WRONG: list[tuple[str, str, Callable[[], bytes]]] = [
    ("empty", "signature-malformed", lambda: b""),
    ("text", "signature-malformed", lambda: b"-----BEGIN CMS-----"),
    ("base64", "signature-malformed", lambda: base64.b64encode(forge(CONTENT, ecdsa()))),
    ("a byte after", "signature-malformed", lambda: forge(CONTENT, ecdsa()) + b"\0"),
    ("cut short", "signature-malformed", lambda: forge(CONTENT, ecdsa())[:-1]),
    ("twice", "signature-malformed", lambda: forge(CONTENT, ecdsa()) * 2),
    ("indefinite length", "signature-malformed", lambda: b"\x30\x80" + forge(CONTENT, ecdsa())[4:] + b"\0\0"),
    ("a long length", "signature-malformed", long_length),
    ("another content type outside", "signature-type", lambda: forge(CONTENT, ecdsa(), outer=cms.DATA)),
    ("another version", "signature-type", lambda: data(version=3)),
    ("another inner type", "signature-type", lambda: data(content=cms.EncapsulatedContent(type=SHA512, content=None))),
    ("signer by key id", "signature-type", lambda: info(version=3)),
    ("attached", "signature-not-detached", lambda: data(content=encapsulated(CONTENT))),
    ("attached but empty", "signature-not-detached", lambda: data(content=encapsulated(b""))),
    ("revocations", "signature-surplus", lambda: data(revocations=asn1.SetOf([cms.as_value(1)]))),
    ("unsigned attributes", "signature-surplus", lambda: info(unsigned=asn1.SetOf([attribute(SHA512, b"")]))),
    ("no signer", "signature-signers", lambda: data(signers=asn1.SetOf([]))),
    ("two signers", "signature-signers", two_signers),
    ("no certificates", "signature-certificates", lambda: data(certificates=None)),
    ("empty certificates", "signature-certificates", lambda: data(certificates=asn1.SetOf([]))),
    ("a certificate twice", "signature-certificates", lambda: data(certificates=asn1.SetOf([ecdsa().certificate] * 2))),
    (
        "another certificate",
        "signature-certificate-other",
        lambda: data(certificates=asn1.SetOf([stranger().certificate])),
    ),
    ("another serial", "signature-certificate-other", lambda: info(signer=named(serial=5))),
    ("the issuer in another spelling", "signature-certificate-other", respelt),
    ("another issuer", "signature-certificate-other", lambda: info(signer=named(issuer=x509.Name([])))),
    (
        "sha-512 in the list",
        "signature-digest-algorithm",
        lambda: data(digest_algorithms=asn1.SetOf([algorithm(SHA512)])),
    ),
    ("no digest listed", "signature-digest-algorithm", lambda: data(digest_algorithms=asn1.SetOf([]))),
    ("sha-512 in the signer", "signature-digest-algorithm", lambda: info(digest_algorithm=algorithm(SHA512))),
    ("sha-512 of the certificate", "signature-digest-algorithm", lambda: names(algorithm=algorithm(SHA512))),
    ("no signed attributes", "signature-attribute-missing", signature_without_attributes),
    ("content-type missing", "signature-attribute-missing", lambda: lacking(cms.ATTRIBUTE_CONTENT_TYPE)),
    ("message-digest missing", "signature-attribute-missing", lambda: lacking(cms.ATTRIBUTE_MESSAGE_DIGEST)),
    ("signing-time missing", "signature-attribute-missing", lambda: lacking(cms.ATTRIBUTE_SIGNING_TIME)),
    ("certificate missing", "signature-attribute-missing", lambda: lacking(cms.ATTRIBUTE_SIGNING_CERTIFICATE)),
    ("no attribute at all", "signature-attribute-missing", lambda: forge(CONTENT, ecdsa(), signed=[])),
    (
        "an attribute twice",
        "signature-attribute-repeated",
        lambda: forge(CONTENT, ecdsa(), signed=[*attrs(), attrs()[2]]),
    ),
    ("two digests", "signature-attribute-repeated", lambda: swapped(cms.ATTRIBUTE_MESSAGE_DIGEST, b"a", b"b")),
    ("an attribute without value", "signature-attribute-repeated", lambda: swapped(cms.ATTRIBUTE_SIGNING_TIME)),
    ("content-type differs", "signature-content-type", lambda: swapped(cms.ATTRIBUTE_CONTENT_TYPE, cms.SIGNED_DATA)),
    ("content-type is no oid", "signature-malformed", lambda: swapped(cms.ATTRIBUTE_CONTENT_TYPE, 1)),
    ("digest of something else", "signature-message-digest", lambda: swapped(cms.ATTRIBUTE_MESSAGE_DIGEST, b"0" * 32)),
    ("digest cut short", "signature-message-digest", lambda: swapped(cms.ATTRIBUTE_MESSAGE_DIGEST, b"")),
    ("time is no time", "signature-malformed", lambda: swapped(cms.ATTRIBUTE_SIGNING_TIME, b"yesterday")),
    ("names another certificate", "signature-certificate-other", lambda: names(digest=b"0" * 32)),
    ("names another serial", "signature-certificate-other", lambda: names(issuer_serial=issuer_serial(5))),
    ("names none", "signature-certificate-other", names_of),
    (
        "names two",
        "signature-certificate-other",
        lambda: names_of(reference(ecdsa().certificate), reference(ecdsa().certificate)),
    ),
    ("signed by another key", "signature-invalid", signed_by_another_key),
    ("signed nothing", "signature-invalid", lambda: info(signature=b"")),
    ("attributes changed later", "signature-invalid", lambda: info(signed=asn1.SetOf(changed_time()))),
    ("attribute added later", "signature-invalid", lambda: info(signed=asn1.SetOf([*attrs(), attribute(SHA512, 1)]))),
    (
        "rsa by name, ecdsa by key",
        "signature-algorithm",
        lambda: info(signature_algorithm=algorithm(cms.RSA_WITH_SHA256, null=True)),
    ),
    ("ecdsa with sha-512", "signature-algorithm", lambda: info(signature_algorithm=algorithm(ECDSA_WITH_SHA512))),
    (
        "ecdsa with parameters",
        "signature-algorithm",
        lambda: info(signature_algorithm=algorithm(cms.ECDSA_WITH_SHA256, null=True)),
    ),
    ("no algorithm", "signature-algorithm", lambda: info(signature_algorithm=algorithm(cms.DATA))),
    ("ecdsa by name, rsa by key", "signature-algorithm", lambda: rsa_info(algorithm(cms.ECDSA_WITH_SHA256))),
    ("rsa without parameters", "signature-algorithm", lambda: rsa_info(algorithm(cms.RSA_WITH_SHA256))),
    ("rsa-pss by name", "signature-algorithm", lambda: rsa_info(algorithm(RSA_PSS, null=True))),
]


@pytest.mark.parametrize(("code", "make"), [pytest.param(code, make, id=name) for name, code, make in WRONG])
def test_a_wrong_signature_is_refused(code: str, make: Callable[[], bytes]) -> None:
    trusted = [identity.certificate for identity in both()]
    refused(code, lambda: verify(make(), CONTENT, trusted))


def test_signed_attributes_are_not_taken_for_content() -> None:
    der, encoded = attributes_as_content()
    refused("signature-attribute-missing", lambda: verify(der, encoded, [ecdsa().certificate]))


def test_harmless_variants_are_taken() -> None:
    identity = rsa_identity()
    encryption = forge(CONTENT, identity, info=setting(signature_algorithm=algorithm(cms.RSA_ENCRYPTION, null=True)))
    with_null = algorithm(cms.SHA256, null=True)
    null_digest = forge(CONTENT, identity, info=setting(digest_algorithm=with_null))
    for der in (encryption, null_digest):
        assert verify(der, CONTENT, [identity.certificate])
    own = ecdsa().certificate
    for der in (names(algorithm=with_null), names(issuer_serial=issuer_serial(own.serial_number))):
        assert verify(der, CONTENT, [own])


def test_pss_padding_under_the_name_of_pkcs1_is_refused() -> None:
    identity = rsa_identity()
    over = asn1.encode_der(asn1.SetOf(attributes(CONTENT, identity.certificate)))
    pss = rsa_key().sign(over, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    der = forge(CONTENT, identity, info=setting(signature=pss))
    refused("signature-invalid", lambda: verify(der, CONTENT, [identity.certificate]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: certified("p384", ec.generate_private_key(ec.SECP384R1())),
        lambda: certified("k256", ec.generate_private_key(ec.SECP256K1())),
        lambda: certified("rsa 2048", rsa_key(2048)),
    ],
    ids=["P-384", "secp256k1", "RSA-2048"],
)
def test_other_keys_are_refused_even_when_pinned(make: Callable[[], Identity]) -> None:
    identity = make()
    refused("signature-key", lambda: verify(forge(CONTENT, identity), CONTENT, [identity.certificate]))
    refused("signature-key", lambda: identity.signer)


def test_a_key_that_nobody_knows_is_refused() -> None:
    # prime192v2 in place of P-256: a curve that the library has no name for
    curve = asn1.encode_der(x509.ObjectIdentifier("1.2.840.10045.3.1.7"))
    der = ecdsa().certificate.public_bytes(Encoding.DER).replace(curve, curve[:-1] + b"\x02")
    odd = Identity(key=ecdsa().key, certificate=x509.load_der_x509_certificate(der))
    refused("signature-key", lambda: verify(forge(CONTENT, odd), CONTENT, [odd.certificate]))


def test_odd_certificates_are_malformed_and_raise_nothing_else() -> None:
    der, own = forge(CONTENT, ecdsa()), ecdsa().certificate
    version = b"\xa0\x03\x02\x01"
    assert der.count(version + b"\x02") == 1
    refused("signature-malformed", lambda: verify(der.replace(version + b"\x02", version + b"\x07"), CONTENT, [own]))
    name = own.issuer.public_bytes()
    bits = name.replace(b"\x0c", b"\x03")
    refused("signature-malformed", lambda: verify(der.replace(name, bits), CONTENT, [own]))


def test_a_signer_needs_its_own_certificate() -> None:
    refused("signer-key-mismatch", lambda: Signer(key=ecdsa().key, certificate=stranger().certificate))


def test_nobody_signs_with_a_certificate_out_of_its_time() -> None:
    identity = certified("brief", p256(), start=NOW, days=1)
    sign(CONTENT, identity.signer, NOW + timedelta(days=1))
    refused("signer-certificate-time", lambda: sign(CONTENT, identity.signer, NOW + timedelta(days=1, seconds=1)))
    refused("signer-certificate-time", lambda: sign(CONTENT, identity.signer, NOW - timedelta(seconds=1)))


def test_a_signature_from_the_future_is_refused_where_a_clock_is_at_hand() -> None:
    identity = ecdsa()
    der = sign(CONTENT, identity.signer, NOW)
    for now in (NOW, NOW - timedelta(minutes=5), NOW + timedelta(days=3650), None):
        assert verify(der, CONTENT, [identity.certificate], now=now)
    early = NOW - timedelta(minutes=5, seconds=1)
    refused("signing-time-ahead", lambda: verify(der, CONTENT, [identity.certificate], now=early))


def test_a_certificate_not_for_signing_is_refused() -> None:
    identity = certified("encryption only", p256(), usage(key_encipherment=True))
    refused("signer-certificate-unfit", lambda: verify(forge(CONTENT, identity), CONTENT, [identity.certificate]))
    for allowed in ({"digital_signature": True}, {"content_commitment": True}):
        fit = certified("signs", p256(), usage(**allowed))
        assert verify(forge(CONTENT, fit), CONTENT, [fit.certificate])


@given(at=st.integers(0, 2000), bits=st.integers(1, 255))
@example(at=73, bits=128)  # a serial number below zero
@settings(max_examples=200, deadline=None)
def test_a_signature_changed_anywhere_is_refused_and_raises_nothing_else(at: int, bits: int) -> None:
    identity = ecdsa()
    raw = bytearray(forge(CONTENT, identity))
    raw[at % len(raw)] ^= bits
    with pytest.raises(PackageError):
        verify(bytes(raw), CONTENT, [identity.certificate])
