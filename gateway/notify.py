"""What the service manager is told: that the node is ready, that it is stopping, that it is alive (sd_notify(3)).

Silent where nobody asked to be told (``$NOTIFY_SOCKET`` unset), and where telling fails: what is only told must not stop what is done.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

__all__ = ["notify"]

_PATIENCE = 1.0  # seconds; the manager reads at once unless it is in trouble itself


def notify(state: str) -> None:
    """Tell ``state``: ``READY=1``, ``STOPPING=1``, ``WATCHDOG=1`` or others of sd_notify(3), one a line."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = (
        f"\0{place[1:]}" if place.startswith("@") else place
    )  # unix(7): an abstract socket's name begins with a NUL
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(_PATIENCE)
        manager.sendto(state.encode(), address)
