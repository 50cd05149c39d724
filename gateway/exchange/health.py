"""``/healthz`` and ``/readyz`` of a node that receives nothing: two plain answers on an address of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

__all__ = ["build_health"]


def build_health(ready: Callable[[], Awaitable[bool]]) -> web.Application:
    """The application, to be served by :class:`gateway.exchange.listener.Listener`. ``ready`` answers ``/readyz``: 200 or 503."""

    async def health(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def readiness(_request: web.Request) -> web.StreamResponse:
        if await ready():
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "unavailable"}, status=503)

    application = web.Application()
    application.router.add_get("/healthz", health)
    application.router.add_get("/readyz", readiness)
    return application
