"""What ``delivery`` may ask of any way to another node, whatever carries the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.errors import ExchangeError
from gateway.exchange.digests import RouteDigests
from gateway.exchange.outcome import Outcome, ReceiptAnswer
from gateway.exchange.shown import NOTHING, Shown

__all__ = ["PACKAGE_TYPE", "FormatOffer", "NodeInfo", "Outgoing", "Transport"]

PACKAGE_TYPE = "application/vnd.etsi.asic-e+zip"
"""The media type of packages and receipts (ETSI EN 319 162-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One sealed batch, ready to go. ``package`` are the exact bytes, the same at every attempt; ``shown`` goes beside them, and may differ."""

    batch_id: str
    package: bytes = field(repr=False)
    shown: Shown = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOffer:
    """A format that a node takes."""

    id: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """What a node says of itself at ``GET /exchange/v1/node``. ``package_bytes`` is the largest package it takes, None if unsaid;
    ``time`` is its clock as the answer's Date header tells it, to the second."""

    code: str
    name: str
    versions: tuple[int, ...]
    catalogs: tuple[str, ...] = ()
    formats: tuple[FormatOffer, ...] = ()
    package_bytes: int | None = None
    time: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """The answer's JSON object."""
        return {
            "code": self.code,
            "name": self.name,
            "versions": list(self.versions),
            "catalogs": list(self.catalogs),
            "formats": [{"id": offer.id, "version": offer.version} for offer in self.formats],
            "limits": {} if self.package_bytes is None else {"packageBytes": self.package_bytes},
        }

    @classmethod
    def from_json(cls, document: object) -> NodeInfo:
        """Read :meth:`to_json`'s shape; members of later versions are passed over. Raises ExchangeError ``node-answer-malformed``."""
        match document:
            case {"code": str(code), "name": str(name), "versions": [*versions], **rest}:
                limit = _table(rest.get("limits", {})).get("packageBytes")
                return cls(
                    code=code,
                    name=name,
                    versions=tuple(version for version in versions if type(version) is int),
                    catalogs=tuple(str(catalog) for catalog in _list(rest.get("catalogs", []))),
                    formats=tuple(
                        FormatOffer(id=str(offer.get("id", "")), version=str(offer.get("version", "")))
                        for offer in map(_table, _list(rest.get("formats", [])))
                    ),
                    package_bytes=limit if type(limit) is int else None,
                )
            case _:
                raise ExchangeError("node-answer-malformed")


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ExchangeError("node-answer-malformed")
    return value


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ExchangeError("node-answer-malformed")
    return value


class Transport(Protocol):
    """A way to one peer. No method raises for what the peer or the line does to a batch: that is an outcome."""

    async def send(self, outgoing: Outgoing) -> Outcome:
        """One attempt to hand over a package."""
        ...

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        """Ask for the receipt of a batch sent earlier."""
        ...

    async def node(self) -> NodeInfo:
        """Ask the peer who it is and what it takes. Raises ExchangeError when it does not say."""
        ...

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        """Ask what the peer holds of a route, ``sender/catalog/receiver``: all of it in buckets, or what is in the bucket ``prefix`` (whole
        bytes in lower-case hex). Raises ExchangeError when it does not say, PeerUnavailableError when it may say later.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; nothing may be asked afterwards."""
        ...
