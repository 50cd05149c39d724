"""A peer that is reached through its front-end database: settings and formats in, a transport out."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from gateway.clock import Clock
from gateway.config import PeerSettings, Settings
from gateway.errors import ConfigError
from gateway.exchange.database import DatabaseTransport, FrontLimits
from gateway.exchange.front_engine import open_engine
from gateway.exchange.front_layout import CONTROL, FEEDBACK, Layout, TableNames
from gateway.exchange.recorder import Recorder
from gateway.exchange.secret import Secret
from gateway.mapping.table_model import TableFormat
from gateway.mappings import Mappings
from gateway.store import batches
from gateway.store.database import Database

__all__ = ["front_transport", "layouts_of"]


def layouts_of(fmt: TableFormat) -> list[Layout]:
    """The tables of a format."""
    control, feedback = asdict(fmt.control), None
    if fmt.feedback is not None:
        told = asdict(fmt.feedback)
        named = {what: told[what] for what in FEEDBACK}
        feedback = TableNames(table=fmt.feedback.table, schema=fmt.feedback.schema, named=named)
    return [
        Layout(
            format_id=fmt.id,
            format_version=fmt.version,
            catalog=template.catalog,
            rows=TableNames(
                table=template.table, schema=template.schema, named={what: control[what] for what in CONTROL}
            ),
            columns=tuple(column.heading for column in template.columns),
            feedback=feedback,
        )
        for template in fmt.templates
    ]


def front_transport(
    settings: Settings,
    name: str,
    clock: Clock,
    journal: Database | None,
    *,
    mappings: Mappings,
    recorder: Recorder,
) -> DatabaseTransport:
    """The way to the peer ``name`` through its database, with the tables of every exchange with it.

    Raises ConfigError ``front-without-table`` when an exchange with it has another kind of format, Findings, ExchangeError.
    """
    peer: PeerSettings = settings.peers[name]
    database = peer.database
    if database is None:
        raise ConfigError("peer-without-url", peer=name)
    wanted: dict[tuple[str, str], None] = {}
    for exchange_name, exchange in settings.exchanges.items():
        if exchange.peer == name:
            if not mappings.is_table_format(exchange.format):
                raise ConfigError("front-without-table", exchange=exchange_name, format=exchange.format, peer=name)
            wanted[exchange.format, exchange.catalog] = None
    formats = {one: layouts_of(mappings.table_format(one)) for one in dict.fromkeys(fmt for fmt, _ in wanted)}
    url = Secret(settings.database_url(database.url))
    return DatabaseTransport(
        open_engine(url, peer=name, seconds=peer.timeout.total_seconds()),
        peer=name,
        layouts=[one for fmt, layouts in formats.items() for one in layouts if (fmt, one.catalog) in wanted],
        recorder=recorder,
        package_of=partial(_package_of, journal),
        clock=clock,
        zone=settings.node.time_zone,
        limits=FrontLimits(poll=database.poll.total_seconds()),
    )


def _package_of(journal: Database | None, batch_id: str) -> bytes | None:
    """The sealed bytes of a batch of ours, None where they are not kept."""
    if journal is None:
        return None
    with journal.read() as conn:
        return batches.package_bytes(conn, batch_id) if batches.has_package(conn, batch_id) else None
