"""A socket that serves the receiver: started once, drained, stopped."""

from __future__ import annotations

import logging
import ssl

import structlog
from aiohttp import web

from gateway.errors import ExchangeError
from gateway.exchange.tls import is_loopback

__all__ = ["Listener"]

_log = structlog.get_logger()

_IDLE = 75.0
"""Seconds that a connection may stay without a whole request head. It also ends callers that send a head byte by byte."""
_LINGER = 3.0
"""Seconds during which the rest of a refused upload is read away: closing at once would reset the line and take our answer along."""


class _ServerLog(logging.Logger):
    """aiohttp's own remarks: it quotes the unreadable request, which may be anything. We note that there was one."""

    def exception(self, msg: object, *args: object, exc_info: object = True, **_: object) -> None:
        _log.warning("exchange.request-unreadable", error=type(exc_info).__name__)


class Listener:
    """Serves ``application`` on ``host``:``port``; port 0 takes a free one, see :attr:`port`.

    Without ``tls`` only this machine's loopback is served (a proxy that ends TLS there must use tokens: no header is believed).
    ``drain`` is how many seconds :meth:`stop` gives requests in work before it cancels them. Raises ExchangeError ``listener-needs-tls``.
    """

    def __init__(
        self,
        application: web.Application,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        drain: float = 30.0,
    ) -> None:
        if tls is None and not is_loopback(host):
            raise ExchangeError("listener-needs-tls", host=host)
        self._host = host
        self._port = port
        self._tls = tls
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=_ServerLog("gateway.exchange.listener"),
            shutdown_timeout=drain,
            keepalive_timeout=_IDLE,
            lingering_time=_LINGER,
            auto_decompress=False,
        )

    @property
    def port(self) -> int:
        """The port that is listened on; as configured until :meth:`start`."""
        return self._port

    @property
    def url(self) -> str:
        """The address for a sender on the same host."""
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises ExchangeError ``listener-address-unusable``."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ExchangeError(
                "listener-address-unusable", host=self._host, port=self._port, reason=type(error).__name__
            ) from error
        self._port = site.port
        _log.info("exchange.listening", host=self._host, port=self._port, tls=self._tls is not None)

    async def stop(self) -> None:
        """Take no more connections, let requests in work finish, close. Does nothing when not started."""
        await self._runner.cleanup()
        _log.info("exchange.stopped", host=self._host, port=self._port)
