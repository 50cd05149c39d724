"""Identities, batches and receipts that hold, for tests to bend."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from lxml import etree

from gateway.errors import PackageError
from gateway.package.certificates import Certificate, PrivateKey, generate_identity
from gateway.package.cms import Signer
from gateway.package.forms import Node
from gateway.package.header import BatchDraft, FormatReference
from gateway.package.receipt import Figures, Outcome, Receipt, Result, verdict_of
from gateway.package.record import Operation, Reason, record_line

NOW = datetime(2026, 11, 22, 6, 2, 37, tzinfo=UTC)
FIRST, SECOND, THIRD = (f"0193{digit * 4}-{digit * 4}-7abc-8def-0123456789ab" for digit in "123")
SENDER = Node(code="11230000MB1234567X", name='黑龙江省"林草"局 & 公司')
RECEIVER = Node(code="11100000MB7654321Y", name="国家<中心>")
NOTE = (
    "11230000MB1234567X/ledger\n17\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— ledger Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
PERMIT = "urn:test:permit"


def body(text: str = "许可") -> str:
    return f'<Permit xmlns="{PERMIT}"><Name>{text}</Name></Permit>'


def draft(**changes: object) -> BatchDraft:
    whole = BatchDraft(
        batch_id=SECOND,
        sequence=2,
        previous_batch_id=FIRST,
        sender=SENDER,
        receiver=RECEIVER,
        catalog="administrative-license",
        format=FormatReference(id="credit-2018", version="1"),
        mapping_digest="0f" * 32,
        created_at=NOW,
        salt=bytes(range(32)),
        checkpoint=NOTE,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # a test names the fields that it bends


def lines() -> list[bytes]:
    return [
        record_line("黑交许可〔2026〕1号", 3, Operation.UPSERT, body()),
        record_line('a "quoted" <key> & more\n', 1, Operation.UPSERT, body("b")),
        record_line("黑交许可〔2026〕3号", 4, Operation.WITHDRAW, reason=Reason(code="revoked", text="依法<撤销>\n")),
        record_line("黑交许可〔2026〕4号", 2, Operation.STOP_SHARE, reason=Reason(code="credit-repaired")),
    ]


def receipt(**changes: object) -> Receipt:
    figures = Figures(total=4, created=1, withdrawn=2, rejected=1)
    whole = Receipt(
        batch_id=SECOND,
        route=draft().route,
        sequence=2,
        package_sha256="ab" * 32,
        receiver=RECEIVER,
        received_at=NOW + timedelta(seconds=5),
        verdict=verdict_of(figures),
        figures=figures,
        sender_checkpoint=NOTE,
        receiver_checkpoint="",
        outcomes=(
            Outcome(
                key='a "quoted" <key> & more\n',
                version=1,
                result=Result.REJECTED,
                code="identifier-invalid",
                field="XK_XDR_SHXYM",
                message="校验位不符:\n应为 X",
            ),
        ),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # a test names the fields that it bends


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A key and its certificate."""

    key: PrivateKey
    certificate: Certificate

    @property
    def signer(self) -> Signer:
        return Signer(key=self.key, certificate=self.certificate)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def _own(name: str) -> Identity:
    key_pem, certificate_pem = generate_identity(
        common_name=name, code="11230000MB1234567X", san_hosts=(), at=NOW, days=36500, serial=name.encode() * 20
    )
    key = load_pem_private_key(key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Identity(key=key, certificate=x509.load_pem_x509_certificate(certificate_pem))


@cache
def ecdsa() -> Identity:
    return _own("node")


@cache
def stranger() -> Identity:
    return _own("stranger")


@cache
def rsa_key(bits: int = 3072) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def rsa_identity() -> Identity:
    return certified("rsa node", rsa_key())


def certified(
    name: str,
    key: PrivateKey,
    *extensions: tuple[x509.ExtensionType, bool],
    issuer: Identity | None = None,
    start: datetime = NOW - timedelta(days=365),
    days: int = 36500,
) -> Identity:
    """``key`` under a certificate that ``issuer`` signed, or the key itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(name.encode()[:18], "big"))
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Identity(key=key, certificate=builder.sign(issuer.key if issuer else key, hashes.SHA256()))


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


AUTHORITY = (x509.BasicConstraints(ca=True, path_length=None), True)


def usage(**uses: bool) -> tuple[x509.ExtensionType, bool]:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: uses.get(name, False) for name in names}), True


def refused(code: str, act: Callable[[], object]) -> PackageError:
    """``act`` must raise this very code, and the code must have its sentence."""
    with pytest.raises(PackageError) as caught:
        act()
    assert caught.value.code == code, caught.value
    for language in ("zh-CN", "en"):
        said = caught.value.say(language) + caught.value.fix(language)
        assert not said.startswith(code), f"{code} has no sentence in {language}"
        assert "{" not in said, f"{code}: a placeholder of the sentence is not filled in {language}: {said}"
    return caught.value


_PERMIT_SCHEMA = f"""
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{PERMIT}" elementFormDefault="qualified">
  <xs:element name="Permit"><xs:complexType><xs:sequence>
    <xs:element name="Name" type="xs:string"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""


@cache
def schema(file: str) -> etree.XMLSchema:
    """``batch-1.xsd`` (with a format of one element) or ``receipt-1.xsd``."""
    text = (resources.files("gateway.package") / "schemas" / file).read_text("utf-8")
    if file.startswith("receipt"):
        return etree.XMLSchema(etree.fromstring(text.encode()))
    both = f"""
    <xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
      <xs:import namespace="urn:credit-exchange:batch:1" schemaLocation="batch.xsd"/>
      <xs:import namespace="{PERMIT}" schemaLocation="permit.xsd"/>
    </xs:schema>"""
    with TemporaryDirectory() as folder:
        for name, schema_text in (("batch", text), ("permit", _PERMIT_SCHEMA), ("both", both)):
            (Path(folder) / f"{name}.xsd").write_text(schema_text, "utf-8")
        return etree.XMLSchema(etree.parse(f"{folder}/both.xsd"))


def valid(name: str, xml: bytes) -> bool:
    return bool(schema(name).validate(etree.fromstring(xml)))


def with_line(xml: bytes, start: bytes, new: bytes) -> bytes:
    """``xml`` with the one line that starts with ``start`` replaced (or dropped, for ``b""``)."""
    found = [line for line in xml.split(b"\n") if line.startswith(start)]
    assert len(found) == 1, f"{len(found)} lines start with {start!r}"
    return xml.replace(found[0] + b"\n", new + b"\n" if new else b"", 1)


def records_of(xml: bytes) -> Sequence[bytes]:
    return [line for line in xml.split(b"\n") if line.startswith(b"<Record ")]


def hash_by_hand(salt: bytes, records: Sequence[bytes]) -> bytes:
    """protocol §2 and RFC 6962 §2.1 by their definitions, without the room's code."""

    def tree(hashes: Sequence[bytes]) -> bytes:
        if len(hashes) <= 1:
            return hashes[0] if hashes else hashlib.sha256(b"").digest()
        half = 1
        while half * 2 < len(hashes):
            half *= 2
        return hashlib.sha256(b"\x01" + tree(hashes[:half]) + tree(hashes[half:])).digest()

    blinds = [hmac.new(salt, bytes(7) + bytes([index]), hashlib.sha256).digest() for index in range(len(records))]
    return tree([hashlib.sha256(b"\x00" + b + record).digest() for b, record in zip(blinds, records, strict=True)])
