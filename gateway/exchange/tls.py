"""TLS for both sides: TLS 1.2 or later, certificates pinned per peer, no system roots (RFC 9325).

Peers are pinned by their own certificate or by their organisation's CA. A self-signed certificate is its own trust anchor; a
certificate that some CA issued can be pinned without trusting that CA (``X509_V_FLAG_PARTIAL_CHAIN``).
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import ExchangeError

__all__ = ["client_context", "is_loopback", "server_context"]


def server_context(
    certificate: Path, private_key: Path, *, clients: Sequence[Path], certificate_required: bool
) -> ssl.SSLContext:
    """The listener's context. ``clients`` are the PEM files of all peers' certificates.

    With ``certificate_required`` a caller without a known certificate does not get past the handshake; without it (some peers use
    tokens) a caller may show none, but one it shows must be known. Who the caller *is* follows from the certificate's fingerprint,
    see :mod:`gateway.exchange.callers`. Sessions are not resumed: every connection shows its certificate.
    Raises ExchangeError ``tls-file-unusable`` or ``tls-nobody-trusted``.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, clients)
    context.verify_mode = ssl.CERT_REQUIRED if certificate_required else ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if certificate_required and not clients:
        raise ExchangeError("tls-nobody-trusted")
    _identify(context, certificate, private_key)
    return context


def client_context(
    servers: Sequence[Path], *, certificate: Path | None = None, private_key: Path | None = None
) -> ssl.SSLContext:
    """The sender's context for *one* peer. ``servers`` are the PEM files of that peer's certificates: old and new while it changes.

    The peer's name must stand in its certificate (subjectAltName), pinned or not. With ``certificate`` we show our own.
    Raises ExchangeError ``tls-file-unusable`` or ``tls-nobody-trusted``.
    """
    if not servers:
        raise ExchangeError("tls-nobody-trusted")
    context = _context(ssl.PROTOCOL_TLS_CLIENT, servers)
    if certificate is not None and private_key is not None:
        _identify(context, certificate, private_key)
    return context


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, without asking any name server. Only whole addresses count: ``127.1`` does not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _context(purpose: int, trusted: Sequence[Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for file in trusted:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as error:
            raise ExchangeError("tls-file-unusable", file=str(file)) from error
    return context


def _identify(context: ssl.SSLContext, certificate: Path, private_key: Path) -> None:
    try:
        context.load_cert_chain(certificate, private_key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        raise ExchangeError("tls-file-unusable", file=f"{certificate}, {private_key}") from error


def _no_password() -> str:
    """Called for an encrypted key alone: a daemon has nobody to ask, and OpenSSL would ask the terminal."""
    return ""
