"""The publication sites of this node, as the configuration says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.catalog.model import Catalog
from gateway.clock import Clock
from gateway.config import Settings
from gateway.config_values import site_folder
from gateway.errors import ConfigError
from gateway.exchange.port import NodeInfo
from gateway.exchange.recorder import Recorder
from gateway.site.folder import SiteFolder
from gateway.site.publisher import Publisher
from gateway.site.rendering import Pages
from gateway.site.shelf import Shelf
from gateway.site.transport import SiteTransport

__all__ = ["build_publisher", "build_site_transport", "is_site"]


def is_site(settings: Settings, name: str) -> bool:
    """Whether the peer ``name`` is a publication site of this node."""
    return site_folder(settings.peers[name].url) is not None


def build_publisher(
    settings: Settings, name: str, catalogs: Mapping[str, Catalog], *, read_only: bool = False
) -> Publisher:
    """What writes the site ``name``, or only looks at it. Raises ConfigError ``peer-without-url`` when it is none."""
    peer = settings.peers[name]
    folder = site_folder(peer.url)
    if folder is None:
        raise ConfigError("peer-without-url", peer=name)
    given = {exchange.catalog: None for exchange in settings.exchanges.values() if exchange.peer == name}
    pages = Pages(
        title=peer.site.title,
        owner=settings.node.name,
        contact=peer.site.contact,
        catalogs=catalogs,
        shown=tuple(catalog for catalog in given if catalog in catalogs),
    )
    return Publisher(
        shelf=Shelf(settings.data_dir / "sites" / f"{name}.db", read_only=read_only),
        folder=SiteFolder(settings.path(folder)),
        pages=pages,
    )


def build_site_transport(
    settings: Settings, name: str, *, catalogs: Mapping[str, Catalog], recorder: Callable[[], Recorder], clock: Clock
) -> SiteTransport:
    """The way to a publication site."""
    peer = settings.peers[name]
    publisher = build_publisher(settings, name, catalogs)
    node = NodeInfo(code=peer.code, name=peer.name, versions=(1,), catalogs=tuple(publisher.pages.shown))
    return SiteTransport(publisher, recorder=recorder, node=node, clock=clock, zone=settings.node.time_zone)
