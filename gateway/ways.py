"""The ways to peers as the configuration says: over HTTP, or by files in a place with two folders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from zoneinfo import ZoneInfo

from gateway.clock import Clock, Ids
from gateway.config import Settings
from gateway.config_values import file_place
from gateway.delivery.carry import BatchCarrier, FormatCarrier
from gateway.delivery.carry_json import JsonCarrier
from gateway.delivery.carry_sheets import SheetCarrier
from gateway.delivery.carry_xml import XmlCarrier
from gateway.delivery.exchange import Route, receiver_of
from gateway.delivery.packages import stored_package
from gateway.errors import ConfigError
from gateway.exchange.by_files import Folders
from gateway.exchange.folder import FolderTransport
from gateway.exchange.folder_place import FolderPlace
from gateway.exchange.foreign import ForeignTransport
from gateway.exchange.place import Place
from gateway.exchange.port import NodeInfo
from gateway.exchange.recorder import Recorder
from gateway.exchange.secret import Secret
from gateway.exchange.service import ServiceLimits, ServiceTransport
from gateway.exchange.sftp_place import SftpAddress, SftpPlace
from gateway.exchange.tls import client_context
from gateway.mappings import Mappings
from gateway.store import batches
from gateway.store.database import Database
from gateway.store.states import State

__all__ = [
    "build_folders",
    "build_place",
    "build_service_transport",
    "folders_of",
    "is_by_files",
]


def is_by_files(settings: Settings, name: str) -> bool:
    """Whether files are left for the peer ``name``, and by it."""
    return file_place(settings.peers[name].url) is not None


def build_place(settings: Settings, name: str) -> Place:
    """The place of a peer by files. Raises ExchangeError, PackageError for a key file that cannot be used, ConfigError."""
    peer = settings.peers[name]
    place = file_place(peer.url)
    if place is None or (place.scheme == "sftp" and peer.sftp is None):
        raise ConfigError("peer-without-url", peer=name)
    if peer.sftp is None:
        return FolderPlace(settings.path(place.path), peer=name)
    address = SftpAddress(
        host=place.host,
        port=place.port,
        user=place.user,
        root=place.path,
        host_keys=peer.sftp.host_keys,
        private_key=settings.key_file(peer.sftp.private_key),
    )
    return SftpPlace(address, peer=name, connect=min(15.0, peer.timeout.total_seconds()))


def folders_of(settings: Settings, name: str) -> Folders:
    """What we call its folders."""
    peer = settings.peers[name]
    return Folders(
        outgoing=peer.folders.outgoing,
        incoming=peer.folders.incoming,
        taken_away=peer.folders.taken_away,
        total=peer.timeout.total_seconds(),
    )


def build_folders(
    settings: Settings,
    name: str,
    clock: Clock,
    journal: Database | None,
    *,
    mappings: Mappings,
    recorder: Callable[[], Recorder],
) -> FolderTransport | ForeignTransport:
    """The way to a peer by files: our own packages, or the receiver's files where its feedback is taken down. Raises as :func:`build_place`."""
    peer = settings.peers[name]
    place, node = build_place(settings, name), NodeInfo(code=peer.code, name=peer.name, versions=(1,))
    package_of = partial(stored_package, journal)
    if peer.feedback == "signed":
        folders = folders_of(settings, name)
        return FolderTransport(place, peer=name, node=node, clock=clock, package_of=package_of, folders=folders)
    return ForeignTransport(
        place,
        peer=name,
        node=node,
        clock=clock,
        carrier=FormatCarrier(partial(_carrier, mappings, settings.node.time_zone)),
        recorder=recorder(),
        package_of=package_of,
        waiting=partial(_unanswered, journal, peer.code),
        folders=folders_of(settings, name),
    )


def _carrier(mappings: Mappings, zone: ZoneInfo, format_id: str) -> BatchCarrier:
    """The carrier for the format's kind."""
    match mappings.document_of(format_id):
        case "json":
            return JsonCarrier(
                mappings.json_format, lambda name, catalog: mappings.json_plans(name, mappings.catalog(catalog)), zone
            )
        case "whole":
            return XmlCarrier(
                mappings.format, lambda name, catalog: mappings.whole_plan(name, mappings.catalog(catalog)), zone
            )
        case _:
            return SheetCarrier(mappings.sheet_format, zone)


def _unanswered(journal: Database | None, code: str) -> list[str]:
    """The batches for the peer with this code that wait for its answer."""
    if journal is None:
        return []
    with journal.read() as conn:
        waiting = batches.open_batches(conn)
    return [one.id for one in waiting if one.state is State.UNKNOWN and receiver_of(Route(one.route)) == code]


def build_service_transport(settings: Settings, name: str, *, clock: Clock, ids: Ids) -> ServiceTransport:
    """The way to a peer over HTTP. Raises ConfigError, ExchangeError for an address or files that cannot be used."""
    peer, tls = settings.peers[name], None
    if peer.url is None:
        raise ConfigError("peer-without-url", peer=name)
    if peer.url.startswith("https:"):
        keys = settings.document.keys.tls
        tls = client_context(
            [settings.path(path) for path in peer.tls_certificates],
            certificate=settings.path(keys.certificate),
            private_key=settings.key_file(keys.private_key),
        )
    token = None if peer.token is None else Secret(settings.secret(peer.token).reveal())
    limits = ServiceLimits(total=peer.timeout.total_seconds())
    return ServiceTransport(peer.url, peer=name, clock=clock, ids=ids, tls=tls, token=token, limits=limits)
