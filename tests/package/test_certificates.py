"""Keys and certificates on disk, and identities that a node makes for itself."""

from __future__ import annotations

import os
import ssl
import stat
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.package.certificates import (
    days_left,
    fingerprint,
    generate_identity,
    load_certificates,
    load_private_key,
    store_private_key,
    valid_at,
)
from tests.package.samples import NOW, certified, ecdsa, p256, refused, rsa_identity, rsa_key, stranger


def written(path: Path, pem: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(pem)
    path.chmod(mode)
    return path


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_key_is_read_back(tmp_path: Path) -> None:
    for name, identity in (("ecdsa", ecdsa()), ("rsa", rsa_identity())):
        key = load_private_key(written(tmp_path / name, identity.key_pem))
        assert key.public_key() == identity.certificate.public_key()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o700, 0o400, 0o4600, 0o666])
def test_any_other_mode_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "key", ecdsa().key_pem, mode)
    assert f"{mode:04o}" in refused("key-mode", lambda: load_private_key(path)).say("en")


def test_a_link_is_refused_wherever_it_points(tmp_path: Path) -> None:
    real = written(tmp_path / "real", ecdsa().key_pem)
    (tmp_path / "link").symlink_to(real)
    refused("key-is-link", lambda: load_private_key(tmp_path / "link"))
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    refused("key-is-link", lambda: load_private_key(tmp_path / "nowhere"))


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    refused("key-irregular", lambda: load_private_key(tmp_path / "pipe"))
    (tmp_path / "folder").mkdir(mode=0o700)
    refused("key-irregular", lambda: load_private_key(tmp_path / "folder"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_owner_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "key", ecdsa().key_pem)
    os.chown(path, 12345, -1)
    refused("key-owner", lambda: load_private_key(path))


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    refused("key-unreadable", lambda: load_private_key(tmp_path / "missing"))
    refused("key-unreadable", lambda: load_private_key(written(tmp_path / "text", b"not a key")))
    encrypted = p256().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    refused("key-unreadable", lambda: load_private_key(written(tmp_path / "encrypted", encrypted)))
    refused("key-unreadable", lambda: load_private_key(written(tmp_path / "certificate", ecdsa().certificate_pem)))


def test_other_kinds_of_keys_are_refused(tmp_path: Path) -> None:
    small = rsa_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    others = [pem_of(ec.generate_private_key(ec.SECP384R1())), pem_of(ed25519.Ed25519PrivateKey.generate()), small]
    for number, pem in enumerate(others):
        path = written(tmp_path / str(number), pem)
        refused("key-unsupported", partial(load_private_key, path))


def test_a_stored_key_is_private_whatever_the_umask_and_never_overwritten(tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        store_private_key(tmp_path / "key", ecdsa().key_pem)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert load_private_key(tmp_path / "key").public_key() == ecdsa().certificate.public_key()
    refused("key-exists", lambda: store_private_key(tmp_path / "key", stranger().key_pem))
    assert (tmp_path / "key").read_bytes() == ecdsa().key_pem


def test_all_certificates_of_a_file_are_read(tmp_path: Path) -> None:
    both = [ecdsa().certificate, rsa_identity().certificate]
    path = written(tmp_path / "peer.crt", b"".join(one.public_bytes(Encoding.PEM) for one in both), 0o644)
    assert list(load_certificates(path)) == both


def test_a_certificate_file_without_certificates_is_refused(tmp_path: Path) -> None:
    refused("certificate-unreadable", lambda: load_certificates(tmp_path / "missing"))
    refused("certificate-unreadable", lambda: load_certificates(tmp_path))
    for content in (b"", b"text", ecdsa().key_pem, ecdsa().certificate_pem[:200]):
        path = written(tmp_path / "bad", content)
        refused("certificate-unreadable", partial(load_certificates, path))


def identity(*hosts: str) -> tuple[bytes, x509.Certificate]:
    key, certificate = generate_identity(
        common_name="黑龙江省交通运输厅",
        code="11230000MB1234567X",
        san_hosts=hosts,
        at=NOW + timedelta(microseconds=5),
        days=730,
        serial=bytes([255] * 32),
    )
    return key, x509.load_pem_x509_certificate(certificate)


def test_a_signing_identity() -> None:
    _, certificate = identity()
    subject = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert subject == {
        NameOID.COMMON_NAME: "黑龙江省交通运输厅",
        NameOID.ORGANIZATION_IDENTIFIER: "11230000MB1234567X",
    }
    assert certificate.issuer == certificate.subject
    certificate.verify_directly_issued_by(certificate)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    uses = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (uses.digital_signature, uses.key_cert_sign, uses.key_agreement) == (True, False, False)
    assert not [one for one in certificate.extensions if isinstance(one.value, x509.SubjectAlternativeName)]
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert 0 < certificate.serial_number < 2**159, "RFC 5280: positive, at most 20 octets"
    assert certificate.not_valid_after_utc == NOW + timedelta(days=730)


def test_a_tls_identity_names_its_hosts() -> None:
    _, certificate = identity("gateway.example.cn", "10.1.2.3", "::1")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gateway.example.cn"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("10.1.2.3"), ip_address("::1")]
    ends = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(ends) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_two_ends_shake_hands_with_it(tmp_path: Path) -> None:
    key, certificate = generate_identity(
        common_name="node", code="A", san_hosts=["node.test"], at=NOW, days=36500, serial=bytes(range(20))
    )
    written(tmp_path / "key", key)
    written(tmp_path / "certificate", certificate)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "certificate"))
    client = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(tmp_path / "certificate"))
    server.verify_mode = ssl.CERT_REQUIRED
    for context in (server, client):
        context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(up, down, server_side=True), client.wrap_bio(down, up, server_hostname="node.test")]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        assert end.getpeercert(binary_form=True) == x509.load_pem_x509_certificate(certificate).public_bytes(
            Encoding.DER
        )


def test_a_serial_number_is_not_guessable() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        generate_identity(common_name="a", code="A", san_hosts=(), at=NOW, days=1, serial=b"short")


def test_days_left_are_whole_days_counted_down() -> None:
    certificate = certified("month", p256(), start=NOW, days=30).certificate
    expected = {0: 30, 1: 29, 86399: 29, 86400: 29, 86401: 28, 30 * 86400: 0, 30 * 86400 + 1: -1, 32 * 86400: -2}
    for seconds, left in expected.items():
        assert days_left(certificate, NOW + timedelta(seconds=seconds)) == left, seconds
    assert valid_at(certificate, NOW + timedelta(days=30))
    assert not valid_at(certificate, NOW + timedelta(days=30, seconds=1))


def test_a_fingerprint_is_what_openssl_prints() -> None:
    certificate = ecdsa().certificate
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_bytes(Encoding.DER))
    assert fingerprint(certificate) == digest.finalize().hex()
