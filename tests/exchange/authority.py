"""A time-stamp authority on loopback: `openssl ts` behind a small HTTP server, and every way in which an authority can be wrong."""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.exchange.listener import Listener

POLICY, OTHER_POLICY = "1.2.3.4.1", "1.2.3.4.2"
_CONFIG = f"""[tsa]
default_tsa = authority
[authority]
serial = serial
signer_digest = sha256
default_policy = {POLICY}
other_policies = {OTHER_POLICY}
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""
_GRANTED = bytes.fromhex("3003020100")  # PKIStatusInfo
_REJECTED = bytes.fromhex("30053003020102")  # a whole response: rejection

Reply = Callable[[bytes], bytes]


class Certifier:
    """A certification authority of the test's own."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self.certificate = (
            self._builder(self._name, self._key, now - timedelta(days=900), now + timedelta(days=900))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, stop: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(stop)
        )

    def issue(self, path: Path, *, days: tuple[int, int] = (-1, 400), usage: bool = True) -> None:
        """``path``.crt and ``path``.key of a time-stamper; valid between these days from now; ``usage`` made for time-stamping."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.name)])
        builder = self._builder(subject, key, now + timedelta(days=days[0]), now + timedelta(days=days[1]))
        if usage:
            stamping = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(stamping, critical=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        path.with_suffix(".crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        path.with_suffix(".key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class LocalAuthority:
    """The authority in ``folder``. ``reply`` makes the answer to a query; a test puts another one in its place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "tsa.cnf").write_text(_CONFIG)
        (folder / "serial").write_text("01")
        self.root = Certifier("root")
        self.root.issue(folder / "good")
        self.root.issue(folder / "expired", days=(-300, -5))
        self.root.issue(folder / "early", days=(5, 300))
        self.root.issue(folder / "unfit", usage=False)
        Certifier("stranger").issue(folder / "stranger")
        self.reply: Reply = self.honest
        self.status = 200
        self.media_type = "application/timestamp-reply"
        self.queries: list[bytes] = []
        self.asked = asyncio.Event()
        self.gate: asyncio.Event | None = None  # while it is set and not open, nothing is answered
        self.url = ""

    def honest(self, query: bytes) -> bytes:
        """As it should be."""
        return self.signed_by("good", query)

    def signed_by(self, who: str, query: bytes) -> bytes:
        """The answer, signed by one of the certificates of the folder."""
        (self._folder / "query").write_bytes(query)
        self._openssl(
            *("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"),
            *("-signer", f"{who}.crt", "-inkey", f"{who}.key"),
        )
        return (self._folder / "reply").read_bytes()

    def other_nonce(self, query: bytes) -> bytes:
        """An answer to somebody else's question about the same document."""
        self._openssl("ts", "-query", "-digest", _digest_in(query).hex(), "-sha256", "-cert", "-out", "other")
        return self.honest((self._folder / "other").read_bytes())

    def other_document(self, query: bytes) -> bytes:
        """An answer to this question about another document."""
        other = hashlib.sha256(b"another document").digest()
        return self.honest(query.replace(_digest_in(query), other))

    def rejected(self, _query: bytes) -> bytes:
        """A refusal in the protocol's own words."""
        return _REJECTED

    def forged(self, who: str, query: bytes, change: Callable[[bytes], bytes] = lambda info: info) -> bytes:
        """The answer with another TSTInfo, signed by whomever: what `openssl ts` itself would not sign."""
        self.honest(query)
        self._openssl("ts", "-reply", "-in", "reply", "-token_out", "-out", "token")
        verify = ("cms", "-verify", "-noverify", "-binary", "-inform", "DER")
        self._openssl(*verify, "-in", "token", "-out", "info")
        (self._folder / "info").write_bytes(change((self._folder / "info").read_bytes()))
        sign = ("cms", "-sign", "-binary", "-nodetach", "-cades", "-md", "sha256", "-outform", "DER")
        self._openssl(
            *(*sign, "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-in", "info", "-out", "token"),
            *("-signer", f"{who}.crt", "-inkey", f"{who}.key"),
        )
        body = _GRANTED + (self._folder / "token").read_bytes()
        return b"\x30\x82" + len(body).to_bytes(2, "big") + body

    def at(self, moment: datetime) -> Reply:
        """Answers with this time in them."""
        written = moment.strftime("%Y%m%d%H%M%S").encode()
        return lambda query: self.forged("good", query, lambda info: re.sub(rb"(?<=\x18\x0f)\d{14}", written, info))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[LocalAuthority]:
        """The authority answers at ``url``."""
        application = web.Application()
        application.router.add_post("/stamp", self._answer)
        listener = Listener(application, host="127.0.0.1", port=0, tls=None)
        await listener.start()
        self.url = f"{listener.url}/stamp"
        try:
            yield self
        finally:
            await listener.stop()

    async def _answer(self, request: web.Request) -> web.Response:
        query = await request.read()
        self.queries.append(query)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        body = await asyncio.to_thread(self.reply, query)
        return web.Response(status=self.status, body=body, content_type=self.media_type)

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self._folder, check=True, capture_output=True)


def _digest_in(query: bytes) -> bytes:
    """The imprint: the one octet string of 32 bytes in a query."""
    return query[query.index(b"\x04\x20") + 2 :][:32]
