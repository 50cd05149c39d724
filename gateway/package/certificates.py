"""Keys and certificates on disk, new identities, and how long a certificate still lives."""

from __future__ import annotations

import errno
import ipaddress
import os
import stat
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import Certificate
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import PackageError

__all__ = [
    "RSA_BITS",
    "Certificate",
    "PrivateKey",
    "certificate_of",
    "days_left",
    "der_of",
    "fingerprint",
    "generate_identity",
    "load_certificates",
    "load_private_key",
    "parse_certificates",
    "pem_of",
    "read_key_file",
    "store_private_key",
    "valid_at",
]

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
RSA_BITS = 3072
_KEY_MODE = 0o600
_FILE_BYTES = 1024 * 1024
# What the library will refuse in its next release (a serial number below one, say) is refused today: as what it is, not as a warning
# on somebody's terminal.
warnings.filterwarnings("error", category=CryptographyDeprecationWarning, module=r"gateway\.package\.")
_CLOCK_SKEW = timedelta(minutes=5)  # a peer's clock a little behind must not find a new certificate "not yet valid"


def load_private_key(path: Path) -> PrivateKey:
    """The private key in the PEM file ``path``: ECDSA P-256 or RSA-3072, unencrypted.

    Raises PackageError as :func:`read_key_file`, and ``key-unsupported``.
    """
    pem = read_key_file(path)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PackageError("key-unreadable", path=str(path), reason="PEM") from error
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            return key
        case rsa.RSAPrivateKey(key_size=bits) if bits == RSA_BITS:
            return key
        case _:
            raise PackageError("key-unsupported", path=str(path))


def read_key_file(path: Path) -> bytes:
    """What a private key's file holds, when it is ours alone.

    The file is opened first and judged by its descriptor, so that it cannot be exchanged in between. Raises PackageError
    ``key-unreadable``, ``key-is-link``, ``key-irregular``, ``key-owner`` or ``key-mode``.
    """
    try:
        # O_NONBLOCK: opening a FIFO must not hang; O_NOFOLLOW: a link could point anywhere tomorrow.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PackageError("key-is-link", path=str(path)) from error
        raise PackageError("key-unreadable", path=str(path), reason=error.strerror) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PackageError("key-irregular", path=str(path))
        if status.st_uid not in (os.geteuid(), 0):
            raise PackageError("key-owner", path=str(path))
        if stat.S_IMODE(status.st_mode) != _KEY_MODE:
            raise PackageError("key-mode", path=str(path), mode=f"{stat.S_IMODE(status.st_mode):04o}")
        return os.read(descriptor, _FILE_BYTES)
    finally:
        os.close(descriptor)


def store_private_key(path: Path, pem: bytes) -> None:
    """Write a new private key as :func:`load_private_key` wants it. Raises PackageError ``key-exists`` rather than overwrite."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _KEY_MODE)
    except FileExistsError as error:
        raise PackageError("key-exists", path=str(path)) from error
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _KEY_MODE)  # whatever the umask took away
        file.write(pem)
        file.flush()
        os.fsync(descriptor)


def load_certificates(path: Path) -> tuple[Certificate, ...]:
    """All certificates in the PEM file ``path``, at least one.

    Raises PackageError ``certificate-unreadable``.
    """
    try:
        with path.open("rb") as file:
            pem = file.read(_FILE_BYTES)
    except OSError as error:
        raise PackageError("certificate-unreadable", path=str(path), reason=error.strerror) from error
    return parse_certificates(pem, str(path))


def parse_certificates(pem: bytes, place: str) -> tuple[Certificate, ...]:
    """All certificates in ``pem``, at least one; ``place`` names it in errors. Raises PackageError ``certificate-unreadable``."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, x509.InvalidVersion, CryptographyDeprecationWarning) as error:
        raise PackageError("certificate-unreadable", path=place, reason="PEM") from error


def certificate_of(der: bytes, place: str) -> Certificate:
    """The certificate in ``der``; ``place`` names it in errors. Raises PackageError ``certificate-unreadable``."""
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion, CryptographyDeprecationWarning) as error:
        raise PackageError("certificate-unreadable", path=place, reason="DER") from error


def pem_of(certificate: Certificate) -> str:
    """The certificate as PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def generate_identity(
    *, common_name: str, code: str, san_hosts: Sequence[str], at: datetime, days: int, serial: bytes
) -> tuple[bytes, bytes]:
    """A new P-256 key and its self-signed certificate, both PEM: ``(key, certificate)``.

    ``code`` (the node's) goes into organizationIdentifier. With ``san_hosts`` (names or IP addresses) the certificate also serves
    TLS at both ends. ``serial`` are at least 16 random bytes; the first 20 count (RFC 5280 §4.1.2.2). Valid from ``at`` for ``days``.
    """
    if len(serial) < 16:
        raise ValueError("a serial number needs at least 16 random bytes")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, code),
        ]
    )
    start = at.astimezone(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(bytes([serial[0] & 0x3F | 0x40]) + serial[1:20], "big"))
        .not_valid_before(start - _CLOCK_SKEW)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_DIGITAL_SIGNATURE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if san_hosts:
        both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in san_hosts]), critical=False
        ).add_extension(both_ends, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM),
    )


_DIGITAL_SIGNATURE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def fingerprint(certificate: Certificate) -> str:
    """SHA-256 of the certificate's DER bytes, 64 hexadecimal digits: how keys are named in the ledger."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def der_of(certificate: Certificate) -> bytes:
    """The certificate's DER bytes: what an auditor checks with."""
    return certificate.public_bytes(Encoding.DER)


def valid_at(certificate: Certificate, at: datetime) -> bool:
    """Whether ``at`` lies within the certificate's validity, both ends included (RFC 5280 §4.1.2.5)."""
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def days_left(certificate: Certificate, at: datetime) -> int:
    """Whole days until the certificate expires, counted down; negative once it has expired."""
    return (certificate.not_valid_after_utc - at) // timedelta(days=1)
