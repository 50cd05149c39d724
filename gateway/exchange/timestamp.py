"""Time-stamps from an authority outside (RFC 3161 over HTTP): ask for one, and believe it only after checking it.

A token proves that a document existed at the time in it, to whoever trusts the authority. What is checked here is what the offline
verifier checks again, years later, from the token alone; the nonce is the one thing that only the asker can check.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from typing import Final

from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from gateway.clock import Clock, instant
from gateway.errors import ExchangeError
from gateway.exchange.fetch import FetchLimits, check_address, post
from gateway.package.certificates import Certificate

__all__ = ["Authority", "Stamp"]

_QUERY: Final = "application/timestamp-query"
_REPLY: Final = "application/timestamp-reply"
_GRANTED: Final = 0
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A token that was checked: the DER TimeStampToken, and the time in it."""

    token: bytes = field(repr=False)
    at: datetime


class Authority:
    """A time-stamp authority called ``name``. ``roots`` are its certificates up to the root; ``policy`` the one policy (a dotted OID) that
    is accepted, any when None. ``tls`` is needed for an https address.

    Raises ExchangeError ``service-address``.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        roots: Sequence[Certificate],
        clock: Clock,
        policy: str | None = None,
        tls: ssl.SSLContext | None = None,
        limits: FetchLimits | None = None,
    ) -> None:
        check_address(url, tls)
        self.name = name
        self._url = url
        self._roots = list(roots)
        self._policy = policy
        self._clock = clock
        self._tls = tls
        self._limits = limits or FetchLimits()

    async def stamp(self, document: bytes) -> Stamp:
        """Have SHA-256 over ``document`` stamped.

        Raises ExchangeError: ``service-silent``, ``service-answer-too-large``, ``stamp-refused``, ``stamp-malformed``, ``stamp-nonce``,
        ``stamp-imprint``, ``stamp-policy``, ``stamp-untrusted``, ``stamp-time``.
        """
        # The nonce is drawn inside the library, from the operating system: it only has to be new.
        request = TimestampRequestBuilder(data=document, hash_algorithm=HashAlgorithm.SHA256).build()
        answer = await post(
            self._url,
            request.as_bytes(),
            headers={"Content-Type": _QUERY, "Accept": _REPLY},
            tls=self._tls,
            limits=self._limits,
        )
        if answer.status != HTTPStatus.OK:
            raise ExchangeError("stamp-refused", authority=self.name, status=answer.status)
        if answer.media_type != _REPLY:
            raise ExchangeError("stamp-malformed", authority=self.name)
        return self._checked(answer.body, request, document)

    def _checked(self, body: bytes, request: TimeStampRequest, document: bytes) -> Stamp:
        # 1. a response of the authority, granted
        try:
            response = decode_timestamp_response(body)
            status = response.status
            if status != _GRANTED:
                raise ExchangeError("stamp-refused", authority=self.name, status=status)
            info = response.tst_info
            nonce, imprint, policy, at = info.nonce, info.message_imprint, info.policy.dotted_string, info.gen_time
            algorithm, digest = imprint.hash_algorithm.dotted_string, imprint.message
            token = response.time_stamp_token()
        except (ValueError, TypeError) as error:
            raise ExchangeError("stamp-malformed", authority=self.name) from error
        # 2. the answer to this very question
        if nonce is None or nonce != request.nonce:
            raise ExchangeError("stamp-nonce", authority=self.name)
        # 3. over this very document
        if algorithm != _SHA256 or not compare_digest(digest, sha256(document).digest()):
            raise ExchangeError("stamp-imprint", authority=self.name)
        # 4. under the policy that was agreed on
        if self._policy is not None and policy != self._policy:
            raise ExchangeError("stamp-policy", authority=self.name, expected=self._policy, found=policy)
        # 5. signed by a certificate for time-stamping alone, vouched for by a root of ours, valid at the time in the token
        self._verify(response, document)
        # 6. at a time that can be: an authority whose clock is off brackets nothing, and neither does ours
        now = self._clock.now()
        if abs(at - now) > _SKEW:
            raise ExchangeError("stamp-time", authority=self.name, at=instant(at), now=instant(now))
        return Stamp(token=token, at=at)

    def _verify(self, response: TimeStampResponse, document: bytes) -> None:
        try:
            VerifierBuilder(roots=self._roots).build().verify_message(response, document)
        except (VerificationError, ValueError) as error:
            raise ExchangeError("stamp-untrusted", authority=self.name) from error
