"""Time-stamp tokens: ours against ``openssl ts`` both ways, and every way in which one can be wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import PackageError
from gateway.package import signed_data as cms
from gateway.package.stamp import MAX_TOKEN_BYTES, verify_stamp
from tests.package.forge import SHA512, algorithm, attribute, reference, setting, without
from tests.package.samples import AUTHORITY, NOW, certified, p256, refused, rsa_key, usage
from tests.package.stamping import STAMPING, Authority, Imprint, TstInfo, authority_certificate, honest, stamper

NOTE = "log\n17\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— log c2lnbmF0dXJl\n".encode()
DIGITAL = usage(digital_signature=True)


def roots(authority: Authority) -> list[x509.Certificate]:
    return [authority.root.certificate]


def test_what_an_honest_token_says() -> None:
    authority = honest()
    stamp = verify_stamp(authority.token(NOTE, NOW), roots(authority))
    assert (stamp.imprint, stamp.at) == (sha256(NOTE).digest(), NOW)
    assert stamp.authority == authority.root.certificate
    assert authority.identity is not None
    assert verify_stamp(authority.token(NOTE, NOW), [authority.identity.certificate]).imprint == stamp.imprint


def test_the_older_reference_by_sha1_is_read() -> None:
    authority = honest()
    assert verify_stamp(authority.token(NOTE, NOW, old_reference=True), roots(authority)).at == NOW


def test_a_chain_through_an_intermediate() -> None:
    root = authority_certificate()
    middle = certified("middle", p256(), AUTHORITY, usage(key_cert_sign=True), issuer=root)
    authority = Authority(root=root, identity=stamper(middle), chain=[middle.certificate])
    assert verify_stamp(authority.token(NOTE, NOW), [root.certificate]).authority == root.certificate
    authority.chain = ()
    refused("token-authority-unknown", lambda: verify_stamp(authority.token(NOTE, NOW), [root.certificate]))


def openssl(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=False)


CONFIG = """
[tsa]
default_tsa = here
[here]
serial = serial
signer_cert = tsa.crt
signer_key = tsa.key
certs = root.crt
default_policy = 1.3.6.1.4.1.55555.1
digests = sha256
accuracy = secs:1, millisecs:500
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_alg = {alg}
signer_digest = {digest}
"""


@pytest.mark.parametrize("key", [p256, rsa_key])
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("alg", ["sha1", "sha256", "sha512"])
def test_we_read_what_openssl_stamps(tmp_path: Path, key: Callable[[], object], digest: str, alg: str) -> None:
    root = authority_certificate()
    identity = certified("tsa", key(), STAMPING, DIGITAL, issuer=root)  # type: ignore[arg-type]  # either kind of key
    (tmp_path / "root.crt").write_bytes(root.certificate_pem)
    (tmp_path / "tsa.crt").write_bytes(identity.certificate_pem)
    (tmp_path / "tsa.key").write_bytes(identity.key_pem)
    (tmp_path / "tsa.cnf").write_text(CONFIG.format(alg=alg, digest=digest))
    (tmp_path / "serial").write_text("01")
    (tmp_path / "note").write_bytes(NOTE)
    for words in (
        ("ts", "-query", "-data", "note", "-sha256", "-cert", "-out", "query"),
        ("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-token_out", "-out", "token"),
    ):
        done = openssl(tmp_path, *words)
        assert done.returncode == 0, done.stderr
    stamp = verify_stamp((tmp_path / "token").read_bytes(), [root.certificate])
    assert stamp.imprint == sha256(NOTE).digest()
    assert stamp.at.microsecond % 1000 == 0


def test_openssl_reads_what_the_tests_stamp(tmp_path: Path) -> None:
    """So that what is refused below is refused for the one thing that is bent."""
    authority = honest()
    (tmp_path / "root.crt").write_bytes(authority.root.certificate_pem)
    (tmp_path / "token").write_bytes(authority.token(NOTE, NOW))
    (tmp_path / "note").write_bytes(NOTE)
    words = ("ts", "-verify", "-token_in", "-in", "token", "-CAfile", "root.crt", "-data")
    assert openssl(tmp_path, *words, "note").returncode == 0
    assert openssl(tmp_path, *words, "root.crt").returncode != 0


def by(*extensions: tuple[x509.ExtensionType, bool], **more: int) -> Authority:
    root = authority_certificate()
    return Authority(root=root, identity=stamper(root, *extensions, **more))


@pytest.mark.parametrize(
    "authority",
    [
        by(DIGITAL),
        by((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), False), DIGITAL),
        by(
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH]), True), DIGITAL
        ),
        by((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), True), DIGITAL),
        by(STAMPING, usage(key_encipherment=True)),
        by(STAMPING, DIGITAL, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)),
        by(STAMPING, DIGITAL, days=1),
    ],
)
def test_a_certificate_that_is_not_for_time_stamping_is_refused(authority: Authority) -> None:
    refused("token-signer", lambda: verify_stamp(authority.token(NOTE, NOW), roots(authority)))


def test_an_authority_that_nobody_trusts_is_refused() -> None:
    authority = honest()
    token = authority.token(NOTE, NOW)
    refused("token-authority-unknown", lambda: verify_stamp(token, []))
    refused("token-authority-unknown", lambda: verify_stamp(token, [authority_certificate().certificate]))
    leaf = certified("root", p256(), usage(key_cert_sign=True))  # the same name, and no authority
    refused("token-authority-unknown", lambda: verify_stamp(token, [leaf.certificate]))


def other_imprint(info: TstInfo) -> None:
    info.imprint = Imprint(algorithm=algorithm(SHA512), digest=bytes(64))


def twice(attributes: list[cms.Attribute]) -> list[cms.Attribute]:
    return [*attributes, attributes[0]]


@pytest.mark.parametrize(
    ("code", "bends"),
    [
        ("token-malformed", {"info": setting(version=2)}),
        ("token-unsupported", {"info": other_imprint}),
        ("token-malformed", {"data": setting(signers=asn1.SetOf([]))}),
        ("token-malformed", {"data": setting(certificates=None)}),
        ("token-malformed", {"data": setting(content=cms.EncapsulatedContent(type=cms.DATA, content=b""))}),
        ("token-malformed", {"signer": setting(signed=None)}),
        ("token-unsupported", {"signer": setting(digest_algorithm=algorithm(x509.ObjectIdentifier("1.3.14.3.2.26")))}),
        ("token-unsupported", {"signer": setting(signature_algorithm=algorithm(cms.RSA_WITH_SHA256, null=True))}),
        ("token-signature", {"signer": setting(signature=bytes(70))}),
        ("token-signature", {"signer": setting(digest_algorithm=algorithm(SHA512))}),
        ("token-malformed", {"signed": lambda whole: without(cms.ATTRIBUTE_CONTENT_TYPE, whole)}),
        ("token-malformed", {"signed": lambda whole: without(cms.ATTRIBUTE_MESSAGE_DIGEST, whole)}),
        ("token-malformed", {"signed": lambda whole: without(cms.ATTRIBUTE_SIGNING_CERTIFICATE, whole)}),
        ("token-malformed", {"signed": twice}),
    ],
)
def test_what_is_wrong_in_one_place(code: str, bends: dict[str, Callable[..., object]]) -> None:
    authority = honest()
    refused(code, lambda: verify_stamp(authority.token(NOTE, NOW, **bends), roots(authority)))  # type: ignore[arg-type]


def test_a_token_that_names_another_certificate_is_refused() -> None:
    """Another certificate of the same key could have another validity."""
    authority = honest()
    other = reference(authority_certificate().certificate)
    named = attribute(cms.ATTRIBUTE_SIGNING_CERTIFICATE, cms.SigningCertificate(certificates=[other]))
    token = authority.token(NOTE, NOW, signed=lambda whole: [*without(cms.ATTRIBUTE_SIGNING_CERTIFICATE, whole), named])
    refused("token-signature", lambda: verify_stamp(token, roots(authority)))


def test_a_time_outside_the_certificates_validity_is_refused() -> None:
    authority = by(STAMPING, DIGITAL, days=20_000)
    late = NOW + timedelta(days=20_000)
    refused("token-signer", lambda: verify_stamp(authority.token(NOTE, late), roots(authority)))


def test_an_authority_whose_own_time_was_over_vouches_for_nothing() -> None:
    root = certified("root", p256(), AUTHORITY, usage(key_cert_sign=True), days=30)
    authority = Authority(root=root, identity=stamper(root))
    refused("token-authority-unknown", lambda: verify_stamp(authority.token(NOTE, NOW), [root.certificate]))


@pytest.mark.parametrize("year", [1, 1989, 9001, 9999])
def test_a_time_of_no_sense_is_refused(year: int) -> None:
    authority = honest()
    refused("token-malformed", lambda: verify_stamp(authority.token(NOTE, NOW.replace(year=year)), roots(authority)))


def test_too_large_a_token_is_not_even_looked_at() -> None:
    refused("token-malformed", lambda: verify_stamp(bytes(MAX_TOKEN_BYTES + 1), []))


WHOLE = honest().token(NOTE, NOW)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@example(172, 128)  # a certificate's serial number below zero: once a warning of the library, not an answer of ours
def test_no_flipped_byte_passes_as_another_time_or_imprint(at: int, change: int) -> None:
    bent = bytearray(WHOLE)
    bent[at] ^= change
    try:
        stamp = verify_stamp(bytes(bent), roots(honest()))
    except PackageError:
        return
    # What is outside the signature (a certificate's own signature, say) may change; what was signed may not.
    assert (stamp.imprint, stamp.at) == (sha256(NOTE).digest(), NOW)
