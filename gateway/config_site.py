"""Publication sites in the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from pydantic import Field

from gateway.config_values import Section, site_folder
from gateway.errors import Finding

__all__ = ["SiteSettings", "site_findings"]


class SiteSettings(Section):
    """``[peers.NAME]`` ``site``: what the site is called, and where people turn to about it."""

    title: str = Field(default="双公示", min_length=1, max_length=100)
    contact: str = Field(default="", max_length=200)


class _Peer(Protocol):
    @property
    def url(self) -> str | None: ...
    @property
    def feedback(self) -> str: ...
    @property
    def clearance(self) -> str: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def site_findings(peers: Mapping[str, _Peer], file: str) -> Iterator[Finding]:
    """A site is for everybody, and signs nothing; its settings belong to no other peer."""
    for name, peer in peers.items():
        key = f"peers.{name}"
        if site_folder(peer.url) is None:
            if "site" in peer.model_fields_set:
                yield Finding(code="config-site-unused", file=file, key=f"{key}.site")
            continue
        if peer.clearance != "public":
            yield Finding(code="config-site-not-public", file=file, key=f"{key}.clearance")
        if peer.feedback != "taken-down":
            yield Finding(code="config-site-signs-nothing", file=file, key=f"{key}.feedback")
