"""One small question over HTTP to a service outside: a deadline over everything, a budget for the answer, no redirect, no proxy, no cookie."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from gateway import __version__
from gateway.errors import ExchangeError
from gateway.exchange.tls import is_loopback

__all__ = ["FetchLimits", "Fetched", "check_address", "post"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """Seconds for the whole question, and bytes of the answer."""

    seconds: float = 30.0
    bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer that came whole. ``media_type`` is without parameters, lower case."""

    status: int
    media_type: str
    body: bytes = field(repr=False)


def check_address(url: str, tls: ssl.SSLContext | None) -> None:
    """Raises ExchangeError ``service-address`` unless ``url`` is https with a context of its own, or http on this machine's loopback."""
    parts = urlsplit(url)
    secure = parts.scheme == "https" and tls is not None
    local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not (secure or local) or not parts.hostname or parts.username or parts.fragment:
        raise ExchangeError("service-address", url=url)


async def post(
    url: str, body: bytes, *, headers: Mapping[str, str], tls: ssl.SSLContext | None, limits: FetchLimits
) -> Fetched:
    """POST ``body``. Raises ExchangeError ``service-silent`` (nobody there, too late, cut) or ``service-answer-too-large``."""
    try:
        async with (
            asyncio.timeout(limits.seconds),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls or True, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as session,
            session.post(
                url,
                data=body,
                headers={"Accept-Encoding": "identity", "User-Agent": f"credit-gateway/{__version__}", **headers},
                allow_redirects=False,
            ) as response,
        ):
            found = bytearray()
            async for piece in response.content.iter_any():
                found += piece
                if len(found) > limits.bytes:
                    raise ExchangeError("service-answer-too-large", url=url, limit=limits.bytes)
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Fetched(status=response.status, media_type=kind, body=bytes(found))
    except TimeoutError as error:
        raise ExchangeError("service-silent", url=url, why="timeout") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ExchangeError("service-silent", url=url, why=type(error).__name__) from error
