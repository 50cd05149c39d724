"""Publication sites looked at and written anew by order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from gateway.app import Gateway
from gateway.delivery.exchange import Progress
from gateway.errors import ConfigError
from gateway.publishing import build_publisher, is_site
from gateway.site.check import check_site

__all__ = ["ORDERS", "check_sites"]

Json = dict[str, Any]


def _names(gateway: Gateway, wanted: str | None) -> list[str]:
    known = [name for name in gateway.settings.peers if is_site(gateway.settings, name)]
    if (wanted is not None and wanted not in known) or not known:
        raise ConfigError("site-unknown", site=wanted or "-", known=", ".join(known) or "-")
    return known if wanted is None else [wanted]


def _today(gateway: Gateway) -> str:
    return gateway.clock.now().astimezone(gateway.settings.node.time_zone).date().isoformat()


def check_sites(gateway: Gateway, wanted: str | None = None) -> list[Json]:
    """What each site's files are found to be; :class:`gateway.site.check.Checked` as JSON, with ``site`` and ``sound``.

    Raises ConfigError ``site-unknown``, ``site-empty``.
    """
    found: list[Json] = []
    for name in _names(gateway, wanted):
        publisher = build_publisher(gateway.settings, name, gateway.mappings.library.catalogs, read_only=True)
        if not publisher.shelf.path.is_file():
            raise ConfigError("site-empty", site=name)
        checked = check_site(publisher.shelf, publisher.folder, _today(gateway))
        found.append({"site": name, "sound": checked.sound, **asdict(checked)})
    return found


async def build(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """Write every file of the sites that is not as it should be. ``args``: ``site``, or none for all. Raises as :func:`check_sites`."""
    done: list[Json] = []
    for name in _names(gateway, args.get("site")):
        publisher = build_publisher(gateway.settings, name, gateway.mappings.library.catalogs)

        def write(publisher: Any = publisher) -> tuple[int, int]:
            with publisher.shelf.open() as conn:
                made = publisher.rebuild(conn, _today(gateway))
            return len(made.written), len(made.removed)

        written, removed = await asyncio.to_thread(write)
        tell("sealed", written)
        done.append({"site": name, "written": written, "removed": removed})
    return {"sites": done}


ORDERS: Mapping[str, Callable[[Gateway, Mapping[str, Any], Progress], Awaitable[Json]]] = {"site-build": build}
