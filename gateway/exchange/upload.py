"""A request body that knows whether one of its bytes has left: the line between *try later* and *unknown*."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import ClientConnectionResetError
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from gateway.exchange.port import PACKAGE_TYPE

__all__ = ["Upload"]

_PIECE: Final = (
    64 * 1024
)  # bytes; the writer waits for the line after each piece, so a stalled peer costs no second copy


class Upload(Payload):
    """The package as an aiohttp payload.

    ``on_leaving`` is called once, when the connection is open and the first byte is about to be handed to it. From then on bytes count
    as gone: nobody can tell afterwards how far those in the connection's buffer came. Until then no byte can have reached the peer.
    """

    def __init__(self, package: bytes, *, on_leaving: Callable[[], None]) -> None:
        super().__init__(package, content_type=PACKAGE_TYPE)
        self._package = package
        self._size = len(package)
        self._on_leaving = on_leaving

    @property
    def consumed(self) -> bool:
        """Always true: aiohttp silently sends a replayable PUT body a second time when a connection breaks."""
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Not text. Raises TypeError."""
        raise TypeError("a package is bytes")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the whole package."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the package piece by piece; ``content_length`` is its own size and changes nothing."""
        if writer.transport is None or writer.transport.is_closing():
            raise ClientConnectionResetError("the connection closed before the body began")
        # No other task runs between the check above and the first hand-over below, so the connection cannot close unseen.
        self._on_leaving()
        view = memoryview(self._package)
        for start in range(0, len(view), _PIECE):
            await writer.write(view[start : start + _PIECE])
