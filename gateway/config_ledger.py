"""``[ledger]``: where it is remembered and published, who vouches for it from outside, and how long payloads are kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from pydantic import Field

from gateway.config_values import Duration, PeerUrl, Section, ServiceUrl, WitnessKey
from gateway.errors import Finding

__all__ = ["AuthoritySettings", "LedgerSettings", "WitnessSettings", "ledger_files", "ledger_findings"]

_SHORTEST_RETENTION: Final = timedelta(days=183)
_OID: Final = r"^[0-2](\.(0|[1-9][0-9]*))+$"
_NAME: Final = r"^[a-z0-9][a-z0-9-]*$"


class AuthoritySettings(Section):
    """``[[ledger.authorities]]``: a time-stamp authority (RFC 3161). ``certificates`` are its own up to the root."""

    name: str = Field(pattern=_NAME)
    url: ServiceUrl
    certificates: tuple[Path, ...] = Field(min_length=1)
    policy: str | None = Field(default=None, pattern=_OID)
    tls_certificates: tuple[Path, ...] = ()


class WitnessSettings(Section):
    """``[[ledger.witnesses]]``: a witness (C2SP tlog-witness); ``url`` is its submission prefix."""

    name: str = Field(pattern=_NAME)
    url: PeerUrl
    verifier_key: WitnessKey
    tls_certificates: tuple[Path, ...] = ()


class LedgerSettings(Section):
    """``[ledger]``."""

    head_memory: Path | None = None
    publish_dir: Path | None = None
    authorities: tuple[AuthoritySettings, ...] = ()
    anchor_every: Duration = timedelta(hours=1)
    stop_without_anchor_after: Duration = timedelta(hours=4)
    witnesses: tuple[WitnessSettings, ...] = ()
    retention: Duration = timedelta(days=1460)


def ledger_findings(ledger: LedgerSettings, file: str) -> list[Finding]:
    """What is wrong with the section as a whole."""
    found: list[Finding] = []
    if ledger.retention < _SHORTEST_RETENTION:
        facts = {"days": _SHORTEST_RETENTION.days}
        found.append(Finding(code="config-retention-short", file=file, key="ledger.retention", facts=facts))
    if ledger.stop_without_anchor_after <= ledger.anchor_every:
        key = "ledger.stop_without_anchor_after"
        found.append(Finding(code="config-anchor-limit-short", file=file, key=key))
    names: set[tuple[type, str]] = set()
    for place, service in _services(ledger):
        if (type(service), service.name) in names:
            twice = {"name": service.name}
            found.append(Finding(code="config-name-twice", file=file, key=f"{place}.name", facts=twice))
        names.add((type(service), service.name))
        if service.url.startswith("https:") and not service.tls_certificates:
            found.append(Finding(code="config-tls-missing", file=file, key=f"{place}.tls_certificates"))
    return found


def ledger_files(ledger: LedgerSettings) -> list[tuple[str, str]]:
    """The files that the section names, each with its key."""
    named: list[tuple[str, str]] = []
    for place, service in _services(ledger):
        named += [(f"{place}.tls_certificates", str(path)) for path in service.tls_certificates]
        if isinstance(service, AuthoritySettings):
            named += [(f"{place}.certificates", str(path)) for path in service.certificates]
    return named


def _services(ledger: LedgerSettings) -> Iterator[tuple[str, AuthoritySettings | WitnessSettings]]:
    for number, authority in enumerate(ledger.authorities):
        yield f"ledger.authorities.{number}", authority
    for number, witness in enumerate(ledger.witnesses):
        yield f"ledger.witnesses.{number}", witness
