"""Who vouches for a signer: a pinned certificate, or a pinned authority that issued the signer's directly."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.package.trust import vouched_by
from tests.package.samples import AUTHORITY, NOW, Identity, certified, ecdsa, p256, refused, stranger, usage

UNKNOWN_EXTENSION = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")


def authority(*extensions: tuple[x509.ExtensionType, bool], name: str = "authority", days: int = 36500) -> Identity:
    return certified(name, p256(), *(extensions or (AUTHORITY, usage(key_cert_sign=True))), days=days)


def test_a_pinned_certificate_vouches_for_itself() -> None:
    own = ecdsa().certificate
    assert vouched_by(own, [stranger().certificate, own], at=NOW) == own


def test_nothing_pinned_trusts_nobody() -> None:
    refused("signer-unknown", lambda: vouched_by(ecdsa().certificate, [], at=NOW))


def test_a_stranger_is_unknown() -> None:
    refused("signer-unknown", lambda: vouched_by(stranger().certificate, [ecdsa().certificate], at=NOW))


def test_the_same_key_under_another_certificate_is_unknown() -> None:
    again = certified("another name", ecdsa().key)
    refused("signer-unknown", lambda: vouched_by(again.certificate, [ecdsa().certificate], at=NOW))


def test_a_pinned_authority_vouches_for_what_it_issued() -> None:
    for pinned in (
        authority(),
        authority(AUTHORITY),
        authority((x509.BasicConstraints(ca=True, path_length=0), False)),
    ):
        leaf = certified("leaf", p256(), usage(digital_signature=True), issuer=pinned)
        assert vouched_by(leaf.certificate, [ecdsa().certificate, pinned.certificate], at=NOW) == pinned.certificate


def test_an_authority_of_the_same_name_with_another_key_does_not() -> None:
    real, fake = authority(), authority()
    leaf = certified("leaf", p256(), usage(digital_signature=True), issuer=fake)
    refused("signer-unknown", lambda: vouched_by(leaf.certificate, [real.certificate], at=NOW))


def test_a_pinned_leaf_is_no_authority() -> None:
    for pinned in (
        certified("plain", p256()),
        certified("not an authority", p256(), (x509.BasicConstraints(ca=False, path_length=None), True)),
        authority(AUTHORITY, usage(digital_signature=True)),
        authority(AUTHORITY, (UNKNOWN_EXTENSION, True)),
    ):
        leaf = certified("leaf", p256(), usage(digital_signature=True), issuer=pinned)
        refused("signer-unknown", partial(vouched_by, leaf.certificate, [pinned.certificate], at=NOW))


def test_an_authority_further_up_does_not_vouch() -> None:
    root = authority(name="root")
    middle = certified("middle", p256(), AUTHORITY, usage(key_cert_sign=True), issuer=root)
    leaf = certified("leaf", p256(), usage(digital_signature=True), issuer=middle)
    refused("signer-unknown", lambda: vouched_by(leaf.certificate, [root.certificate], at=NOW))
    assert vouched_by(leaf.certificate, [middle.certificate], at=NOW) == middle.certificate


def test_an_issued_authority_does_not_sign_documents() -> None:
    root = authority(name="root")
    middle = certified("middle", p256(), AUTHORITY, usage(key_cert_sign=True, digital_signature=True), issuer=root)
    refused("signer-unknown", lambda: vouched_by(middle.certificate, [root.certificate], at=NOW))


def test_time_is_checked_to_the_second() -> None:
    identity = certified("brief", p256(), start=NOW, days=1)
    for at in (NOW, NOW + timedelta(days=1)):
        assert vouched_by(identity.certificate, [identity.certificate], at=at)
    for at in (NOW - timedelta(seconds=1), NOW + timedelta(days=1, seconds=1)):
        refused("signer-certificate-time", partial(vouched_by, identity.certificate, [identity.certificate], at=at))


def test_an_expired_leaf_of_a_pinned_authority_is_late_not_unknown() -> None:
    pinned = authority()
    leaf = certified("leaf", p256(), usage(digital_signature=True), issuer=pinned, start=NOW, days=1)
    late = NOW + timedelta(days=2)
    refused("signer-certificate-time", lambda: vouched_by(leaf.certificate, [pinned.certificate], at=late))


def test_an_expired_authority_vouches_for_nobody() -> None:
    pinned = authority(days=300)
    leaf = certified("leaf", p256(), usage(digital_signature=True), issuer=pinned)
    refused("signer-unknown", lambda: vouched_by(leaf.certificate, [pinned.certificate], at=NOW))


def test_a_critical_extension_that_nobody_knows_is_not_passed_over() -> None:
    critical = certified("critical", p256(), (UNKNOWN_EXTENSION, True))
    refused("signer-certificate-unfit", lambda: vouched_by(critical.certificate, [critical.certificate], at=NOW))
    other = certified("other", p256(), (UNKNOWN_EXTENSION, False))
    assert vouched_by(other.certificate, [other.certificate], at=NOW) == other.certificate


def test_an_extension_that_cannot_be_read_is_unfit() -> None:
    broken = x509.UnrecognizedExtension(x509.KeyUsage.oid, b"\x05\x00")
    key = p256()
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(broken, critical=True)
        .sign(key, hashes.SHA256())
    )
    refused("signer-certificate-unfit", lambda: vouched_by(certificate, [certificate], at=NOW))
