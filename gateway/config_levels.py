"""Settings of a node between others: batches that it takes or fetches, records that it passes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from gateway.config_values import Expression, Listen, Section
from gateway.errors import Finding

__all__ = ["PullSettings", "ReceiveSettings", "RecordsSourceSettings", "level_findings"]


class RecordsSourceSettings(Section):
    """``[sources.NAME]`` with ``kind = "records"``: what ``peers`` sent us of a catalog, to be passed on."""

    kind: Literal["records"]
    catalog: str
    peers: tuple[str, ...] = Field(min_length=1)


class PullSettings(Section):
    """``[pulls.NAME]``: a catalog that a peer shares with us, fetched by schedule; without one only by order."""

    peer: str
    catalog: str
    format: str = "credit-2018"
    schedule: Expression | None = None
    max_package: int = Field(default=64 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024)


class ReceiveSettings(Section):
    """``[receive]``: which peers may send us which catalogs, and in which format: ``format``, where ``formats`` names none for the catalog."""

    listen: Listen = "127.0.0.1:8443"
    allow: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    format: str = "credit-2018"
    formats: Mapping[str, str] = Field(default_factory=dict)
    max_package: int = Field(default=64 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024)
    tls: bool = True

    def format_of(self, catalog: str) -> str:
        """The id of the format in which batches of a catalog are taken."""
        return self.formats.get(catalog, self.format)


def level_findings(
    file: str,
    *,
    sources: Mapping[str, object],
    pulls: Mapping[str, PullSettings],
    sent_to: Mapping[str, tuple[str, str]],
    asked: Mapping[str, bool],
    fetching: Mapping[str, bool],
) -> list[Finding]:
    """Names that point nowhere, and ways that cannot be. ``sent_to``: (source, peer) by exchange; ``asked``: the peers, and whether they can be
    asked over HTTP; ``fetching``: the peers that fetch, and whether what they bring can come in."""
    findings: list[Finding] = []
    known = ", ".join(asked) or "-"

    def unknown(key: str, name: str) -> None:
        if name not in asked:
            findings.append(
                Finding(code="config-name-unknown", file=file, key=key, facts={"name": name, "known": known})
            )

    for name, source in sources.items():
        if isinstance(source, RecordsSourceSettings):
            for number, peer in enumerate(source.peers):
                unknown(f"sources.{name}.peers.{number}", peer)
    for name, (read, peer) in sent_to.items():
        source = sources.get(read)
        if isinstance(source, RecordsSourceSettings) and peer in source.peers:
            facts = {"peer": peer, "source": read}
            findings.append(Finding(code="config-records-back", file=file, key=f"exchanges.{name}.peer", facts=facts))
    for name, pull in pulls.items():
        unknown(f"pulls.{name}.peer", pull.peer)
        if asked.get(pull.peer) is False:
            findings.append(Finding(code="config-peer-without-url", file=file, key=f"peers.{pull.peer}.url"))
    findings += [
        Finding(code="config-fetching-not-heard", file=file, key=f"peers.{name}.delivery", facts={"peer": name})
        for name, heard in fetching.items()
        if not heard
    ]
    return findings
