"""Which ways to a peer go together, and which formats go which way: told from the settings and the first lines of each format alone.

A format's folder is read strictly elsewhere; here only what it says of itself that it is, so that what cannot be sent never starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from gateway.config_values import file_place, site_folder
from gateway.errors import Finding
from gateway.mapping.columns_loader import document_of, says_feedback

__all__ = ["exchange_way_findings", "peer_way_findings"]

_CARRIED: Final = frozenset({"sheet", "json", "whole"})
"""What travels as a receiver's own files and in no other way."""


class _Peer(Protocol):
    @property
    def url(self) -> str | None: ...
    @property
    def database(self) -> object | None: ...
    @property
    def feedback(self) -> str: ...
    @property
    def delivery(self) -> str: ...


class _Exchange(Protocol):
    @property
    def format(self) -> str: ...
    @property
    def peer(self) -> str: ...


def peer_way_findings(peers: Mapping[str, _Peer], file: str) -> Iterator[Finding]:
    """Peers that are reached in two ways, or in one that does not go with how they answer or fetch."""
    for name, peer in peers.items():
        if peer.database is not None and peer.url is not None:
            yield Finding(code="config-peer-two-ways", file=file, key=f"peers.{name}.database")
        if peer.database is not None and peer.feedback == "signed":
            yield Finding(code="config-database-signed", file=file, key=f"peers.{name}.feedback")
        elsewhere = file_place(peer.url) is not None or site_folder(peer.url) is not None
        if peer.feedback != "signed" and not elsewhere and peer.database is None:
            yield Finding(code="config-service-unsigned", file=file, key=f"peers.{name}.feedback", facts={"peer": name})
        if peer.delivery == "pull" and (elsewhere or peer.database is not None):
            yield Finding(code="config-pull-elsewhere", file=file, key=f"peers.{name}.delivery", facts={"peer": name})


def exchange_way_findings(
    exchanges: Mapping[str, _Exchange], peers: Mapping[str, _Peer], mappings: Path, file: str
) -> Iterator[Finding]:
    """Exchanges whose format cannot go the way to their peer. What is not there at all is told elsewhere."""
    for name, exchange in exchanges.items():
        peer, folder = peers.get(exchange.peer), mappings / "formats" / exchange.format
        document = document_of(folder)
        if peer is None or not document:
            continue
        facts = {"exchange": name, "format": exchange.format, "peer": exchange.peer}
        way = _Way(document=document, peer=peer)
        code = way.problem()
        if code is None and way.files and not says_feedback(folder):
            code = "sheets-feedback-unsaid"
        if code is not None:
            yield Finding(code=code, file=file, key=f"exchanges.{name}.format", facts=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """A format's kind of document on its way to a peer."""

    document: str
    peer: _Peer

    @property
    def files(self) -> bool:
        """Whether the receiver's own files are left for it."""
        return file_place(self.peer.url) is not None and self.peer.feedback == "taken-down"

    def problem(self) -> str | None:
        """The code of what does not go together."""
        table = self.document == "table"
        if self.peer.database is not None:
            return None if table else "front-without-table"
        if table:
            return "config-table-without-database"
        if self.files:
            return None if self.document in _CARRIED else "check-format-no-files"
        return "config-format-not-in-packages" if self.document in _CARRIED else None
