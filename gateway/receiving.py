"""The receiving side of a node, wired: what peers may send, how it is judged, and where it is listened for."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping

from gateway.app import Gateway
from gateway.config import ReceiveSettings
from gateway.delivery.exchange import Peer
from gateway.delivery.feedback import FeedbackDesk
from gateway.delivery.judge import Judge
from gateway.delivery.receive import Receiver, Sender
from gateway.delivery.rounds import Rounds
from gateway.delivery.sharing import SharingDesk
from gateway.errors import ConfigError
from gateway.exchange.callers import CallerDirectory
from gateway.exchange.file_intake import FileIntake
from gateway.exchange.health import build_health
from gateway.exchange.listener import Listener
from gateway.exchange.receiver import ReceiverLimits, build_receiver
from gateway.exchange.tls import server_context
from gateway.package.certificates import fingerprint
from gateway.package.forms import Node
from gateway.package.limits import Limits
from gateway.ways import build_place, folders_of, is_by_files

__all__ = [
    "Ready",
    "listens",
    "open_listener",
    "open_listeners",
    "open_pull_receiver",
    "open_receiver",
    "open_rounds",
]

Ready = Callable[[], Awaitable[bool]]
"""Answers ``/readyz``."""


def open_receiver(gateway: Gateway) -> Receiver:
    """What takes peers' batches. Raises ConfigError ``receive-missing`` where the configuration has none."""
    receive = _settings(gateway)
    allowed = {name: {one: receive.format_of(one) for one in catalogs} for name, catalogs in receive.allow.items()}
    return _receiver(gateway, allowed, receive.max_package)


def open_pull_receiver(gateway: Gateway) -> Receiver:
    """What takes the batches that are fetched: only of the peers and catalogs that ``[pulls]`` names."""
    pulls = gateway.settings.document.pulls.values()
    wanted: dict[str, dict[str, str]] = {}
    for pull in pulls:
        wanted.setdefault(pull.peer, {})[pull.catalog] = pull.format
    return _receiver(gateway, wanted, max((pull.max_package for pull in pulls), default=1))


def _receiver(gateway: Gateway, allowed: Mapping[str, Mapping[str, str]], max_package: int) -> Receiver:
    """``allowed``: format by catalog by the peer's name."""
    limits = Limits(package_bytes=max_package)
    senders: dict[str, Sender] = {}
    for name, catalogs in allowed.items():
        peer = gateway.settings.peers[name]
        senders[peer.code] = Sender(
            node=Node(code=peer.code, name=peer.name),
            trusted=gateway.certificates(peer.certificates),
            judges={catalog: _judge(gateway, catalog, format_id) for catalog, format_id in catalogs.items()},
        )
    return Receiver(
        database=gateway.database,
        node=gateway.node,
        signer=gateway.signer,
        senders=senders,
        notary=gateway.notary,
        holds=gateway.holds,
        ledgers=gateway.ledgers,
        ledger_key=gateway.note_signer.verifier,
        clock=gateway.clock,
        limits=limits,
    )


def open_listener(gateway: Gateway, ready: Ready | None = None) -> Listener:
    """The socket that peers send to. Raises as :func:`open_receiver`, and ExchangeError for unusable TLS files."""
    receive, settings = _settings(gateway), gateway.settings
    application = build_receiver(
        open_receiver(gateway),
        callers=_callers(gateway, _known(gateway, receive)),
        clock=gateway.clock,
        limits=ReceiverLimits(package_bytes=receive.max_package),
        ready=ready,
        sharing=_sharing(gateway),
    )
    host, port = _split(receive.listen)
    tls = None
    if receive.tls:
        keys = settings.document.keys.tls
        peers = [settings.peers[name] for name in _known(gateway, receive)]
        tls = server_context(
            settings.path(keys.certificate),
            settings.key_file(keys.private_key),
            clients=[settings.path(path) for peer in peers for path in peer.tls_certificates],
            certificate_required=all(peer.token is None for peer in peers),
        )
    return Listener(application, host=host, port=port, tls=tls)


def open_rounds(gateway: Gateway, ways: Mapping[str, Peer]) -> dict[str, Rounds]:
    """The rounds to every peer by files, by its name; ``ways`` are the peers that are sent to, by code.

    Raises as :func:`open_receiver`, and ExchangeError, PackageError for a place that cannot be used as configured.
    """
    settings, receive = gateway.settings, gateway.settings.document.receive
    receiver: Receiver | None = None
    found: dict[str, Rounds] = {}
    for name, peer in settings.peers.items():
        if not is_by_files(settings, name):
            continue
        intake = None
        if receive is not None and name in receive.allow:
            receiver = receiver or open_receiver(gateway)
            intake = FileIntake(
                build_place(settings, name),
                receiver,
                peer=name,
                caller=peer.code,
                clock=gateway.clock,
                package_bytes=receive.max_package,
                folders=folders_of(settings, name),
            )
        found[name] = Rounds(
            name=name,
            courier=gateway.courier,
            intake=intake,
            arrivals=gateway.folders(name),
            way=ways.get(peer.code),
        )
    return found


def listens(gateway: Gateway) -> bool:
    """Whether any peer may send to us, or fetch from us, over HTTP."""
    receive = gateway.settings.document.receive
    if receive is None:
        return False
    return not receive.allow or bool(_known(gateway, receive))


def open_listeners(gateway: Gateway, ready: Ready) -> list[Listener]:
    """What a node at work listens on: first for peers where something is received, then for whoever asks after its health."""
    found = [open_listener(gateway, ready)] if listens(gateway) else []
    health = gateway.settings.document.daemon.health
    if health is not None:
        host, port = _split(health)
        found.append(Listener(build_health(ready), host=host, port=port))
    return found


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _settings(gateway: Gateway) -> ReceiveSettings:
    if gateway.settings.document.receive is None:
        raise ConfigError("receive-missing", file=str(gateway.settings.file))
    return gateway.settings.document.receive


def _judge(gateway: Gateway, catalog_id: str, format_id: str) -> Judge:
    mappings = gateway.mappings
    catalog, fmt = mappings.catalog(catalog_id), mappings.format(format_id)
    return Judge(
        catalog=catalog,
        document=mappings.document_plan(format_id, catalog),
        plan=mappings.checking_plan(catalog_id),
        format_id=fmt.id,
        format_version=fmt.version,
        language=gateway.settings.node.language,
    )


def _known(gateway: Gateway, receive: ReceiveSettings) -> list[str]:
    """The peers that may call: those that may send, and those that fetch."""
    fetching = [name for name, peer in gateway.settings.peers.items() if peer.delivery == "pull"]
    sending = [name for name in receive.allow if not is_by_files(gateway.settings, name)]
    return list(dict.fromkeys([*sending, *fetching]))


def _sharing(gateway: Gateway) -> SharingDesk:
    peers = gateway.settings.peers
    return SharingDesk(
        database=gateway.database,
        node=gateway.node,
        desk=FeedbackDesk(database=gateway.database, node=gateway.node, signer=gateway.signer, clock=gateway.clock),
        fetching={peer.code: gateway.new_peer(name) for name, peer in peers.items() if peer.delivery == "pull"},
        courier=gateway.courier,
        dispatcher=gateway.dispatcher,
        ledgers=gateway.ledgers,
        ledger_key=gateway.note_signer.verifier,
    )


def _callers(gateway: Gateway, names: Iterable[str]) -> CallerDirectory:
    certificates: dict[str, str] = {}
    tokens: dict[str, str] = {}
    for name in names:
        peer = gateway.settings.peers[name]
        certificates |= {fingerprint(each): peer.code for each in gateway.certificates(peer.tls_certificates)}
        if peer.token is not None:
            secret = gateway.settings.secret(peer.token).reveal()
            tokens[hashlib.sha256(secret.encode()).hexdigest()] = peer.code
    return CallerDirectory(certificates=certificates, tokens=tokens)
