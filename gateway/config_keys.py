"""The certificates and keys that a configuration names: where, and whose."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from gateway.config import Settings
from gateway.delivery.expiry import Named
from gateway.delivery.keyring import UsedKey, certificate_key, ledger_key
from gateway.package.certificates import Certificate, load_certificates

__all__ = ["certificates_named", "keys_trusted", "read_certificates"]


def read_certificates(settings: Settings, paths: Iterable[Path]) -> tuple[Certificate, ...]:
    """Every certificate in these files. Raises PackageError."""
    return tuple(each for path in paths for each in load_certificates(settings.path(path)))


def certificates_named(settings: Settings) -> list[Named]:
    """Every certificate of the configuration, and where it is named. Raises PackageError."""
    keys = settings.document.keys
    named = [("keys.signing.certificate", keys.signing.certificate), ("keys.tls.certificate", keys.tls.certificate)]
    for name, peer in settings.peers.items():
        named += [(f"peers.{name}.certificates", path) for path in peer.certificates]
        named += [(f"peers.{name}.tls_certificates", path) for path in peer.tls_certificates]
    for authority in settings.document.ledger.authorities:
        named += [(f"ledger.authorities.{authority.name}", path) for path in authority.certificates]
    return [Named(place=place, certificate=one) for place, path in named for one in read_certificates(settings, [path])]


def keys_trusted(settings: Settings, now: datetime) -> list[UsedKey]:
    """Everybody else's keys that our ledger has to tell of. Raises PackageError."""
    ledger = settings.document.ledger
    found: list[UsedKey] = []
    for peer in settings.peers.values():
        found += [certificate_key("package", peer.code, one) for one in read_certificates(settings, peer.certificates)]
        found += [ledger_key("ledger", peer.code, key, now) for key in peer.ledger_keys]
    for authority in ledger.authorities:
        roots = read_certificates(settings, authority.certificates)
        found += [certificate_key("anchor", authority.name, one) for one in roots]
    found += [ledger_key("witness", witness.name, witness.verifier_key, now) for witness in ledger.witnesses]
    return found
