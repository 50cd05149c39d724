"""Who is calling: a certificate's fingerprint or a bearer token, each pinned to one node. No header of a proxy is believed."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.errors import ExchangeError

__all__ = ["CallerDirectory"]

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerDirectory:
    """``certificates``: SHA-256 of the DER certificate → node code; ``tokens``: SHA-256 of the token's text → node code. Lower-case hex.

    Two entries may lead to one node: an old and a new certificate while it changes. Raises ExchangeError for a digest of another shape.
    """

    certificates: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for digest, node in (*self.certificates.items(), *self.tokens.items()):
            if not _DIGEST.fullmatch(digest):
                raise ExchangeError("caller-digest-malformed", node=node)

    def identify(self, certificate: bytes | None, authorization: str | None) -> str | None:
        """The code of the calling node, or None when it is not known. ``certificate`` is DER from the TLS handshake, ``authorization``
        the header of that name. A caller that shows both must be the same node by both.
        """
        claims: list[str | None] = []
        if certificate is not None:
            claims.append(_look_up(self.certificates.items(), certificate))
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            known = scheme.lower() == "bearer"
            claims.append(
                _look_up(self.tokens.items(), token.strip().encode("utf-8", "surrogateescape")) if known else None
            )
        if not claims or any(claim != claims[0] for claim in claims):
            return None
        return claims[0]


def _look_up(entries: Iterable[tuple[str, str]], shown: bytes) -> str | None:
    """The node whose digest matches. Every entry is compared, each in constant time, so timing tells nothing about tokens."""
    digest = hashlib.sha256(shown).hexdigest()
    found: str | None = None
    for known, node in entries:
        if hmac.compare_digest(known, digest):
            found = node
    return found
