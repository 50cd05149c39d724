"""A peer that is reached through its front-end database: settings and formats in, a transport out."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from gateway.clock import Clock
from gateway.config import PeerSettings, Settings
from gateway.delivery.packages import stored_package
from gateway.errors import ConfigError
from gateway.exchange.database import DatabaseTransport, FrontLimits
from gateway.exchange.front_engine import open_engine
from gateway.exchange.front_layout import CONTROL, FEEDBACK, Layout, TableNames
from gateway.exchange.recorder import Recorder
from gateway.exchange.secret import Secret
from gateway.mapping.table_model import TableFormat
from gateway.mappings import Mappings
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

    Raises ConfigError, Findings for an exchange whose format is not one of tables, ExchangeError.
    """
    peer: PeerSettings = settings.peers[name]
    database = peer.database
    if database is None:
        raise ConfigError("peer-without-url", peer=name)
    wanted = dict.fromkeys((one.format, one.catalog) for one in settings.exchanges.values() if one.peer == name)
    formats = {one: layouts_of(mappings.table_format(one)) for one in dict.fromkeys(fmt for fmt, _ in wanted)}
    url = Secret(settings.database_url(database.url))
    return DatabaseTransport(
        open_engine(url, peer=name, seconds=peer.timeout.total_seconds()),
        peer=name,
        layouts=[one for fmt, layouts in formats.items() for one in layouts if (fmt, one.catalog) in wanted],
        recorder=recorder,
        package_of=partial(stored_package, journal),
        clock=clock,
        zone=settings.node.time_zone,
        limits=FrontLimits(poll=database.poll.total_seconds()),
    )
