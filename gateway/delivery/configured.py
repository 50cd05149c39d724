"""``config.changed``: what a node was told to do is part of what it did."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from gateway import __version__
from gateway.clock import Clock
from gateway.ledger.append import append
from gateway.ledger.entry import decode
from gateway.package.forms import Node
from gateway.store import configured
from gateway.store.database import Connection
from gateway.store.entries import TransactionLog

__all__ = ["digest_of", "enter_configuration"]

_LONGEST: Final = 4_000
_log = structlog.get_logger()


def digest_of(values: Mapping[str, bytes]) -> str:
    """SHA-256 (hex) over everything: a line ``key SHA-256`` for each key, sorted. ``values`` are digests by key."""
    lines = "".join(f"{key} {values[key].hex()}\n" for key in sorted(values))
    return hashlib.sha256(lines.encode()).hexdigest()


def enter_configuration(conn: Connection, *, node: Node, values: Mapping[str, bytes], clock: Clock) -> None:
    """Enter that configuration or mappings are not what they were at the last start, and which keys differ; nothing when they are the same.

    ``values`` are SHA-256 digests by key of the configuration (``exchanges.permits.batch_size``) or file (``mappings/catalogs/x.toml``).
    """
    before = configured.read_all(conn)
    if before == values:
        return
    log = TransactionLog(conn)
    last = list(log.of_kinds(["config.changed"]))
    fields = {
        "node": node.code,
        "software": __version__,
        "config_sha256": digest_of(values),
        "before_sha256": decode(last[-1].leaf).text("config_sha256") if last else "",
        "person": "",
        "summary": _summary(before, values) if last else "",
    }
    append(log, "config.changed", fields, at=clock.now())
    configured.write_all(conn, values)
    _log.info("config.changed", config_sha256=fields["config_sha256"], summary=fields["summary"])


def _summary(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> str:
    """One line a key: ``+`` new, ``-`` gone, ``~`` changed; cut where it grows too long."""
    marks: Iterable[str] = (
        f"{'+' if key not in before else '-' if key not in now else '~'} {key}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    )
    lines = list(marks)
    kept: list[str] = []
    for line in lines:
        if sum(len(one) + 1 for one in kept) + len(line) > _LONGEST:
            return "\n".join([*kept, f"… {len(lines) - len(kept)}"])
        kept.append(line)
    return "\n".join(kept)
