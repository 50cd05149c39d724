"""Settings in, a wired gateway out: the one place where the rooms are put together."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path

from gateway.clock import Clock, Ids, instant
from gateway.config import ReceiveSettings, Settings
from gateway.delivery.core import Retry
from gateway.delivery.exchange import Exchange, Peer, route_of
from gateway.delivery.guard import Guard
from gateway.delivery.judge import Judge
from gateway.delivery.notary import Notary
from gateway.delivery.receive import Receiver, Sender
from gateway.delivery.reconcile import Reconciler
from gateway.delivery.recover import begin_ledger, close_interrupted
from gateway.delivery.run import Runner
from gateway.delivery.seal import Sealer
from gateway.delivery.send import Courier
from gateway.errors import ConfigError, StoreError
from gateway.exchange.callers import CallerDirectory
from gateway.exchange.listener import Listener
from gateway.exchange.receiver import ReceiverLimits, build_receiver
from gateway.exchange.secret import Secret
from gateway.exchange.service import ServiceLimits, ServiceTransport
from gateway.exchange.tls import client_context, server_context
from gateway.ledger.folder import TileFolder
from gateway.ledger.keys import load_key
from gateway.ledger.memory import FileHeadMemory
from gateway.ledger.note import NoteSigner
from gateway.ledger.publish import Publisher
from gateway.mapping.gate import Gate
from gateway.mappings import Mappings
from gateway.package.certificates import Certificate, fingerprint, load_certificates, load_private_key
from gateway.package.cms import Signer
from gateway.package.forms import Node
from gateway.package.limits import Limits
from gateway.source_settings import build_source
from gateway.sources.port import Source
from gateway.store.database import Database
from gateway.store.lock import hold

__all__ = ["Gateway", "ledger_origin", "open_gateway", "read_gateway"]


def ledger_origin(code: str) -> str:
    """The name of the ledger of the node ``code`` in its checkpoints (C2SP tlog-checkpoint)."""
    return f"credit-gateway/{code}"


class Gateway:
    """Everything a process needs to do this node's work. Parts are made when first asked for.

    Made by :func:`open_gateway`, which holds the state folder's lock as long as the gateway lives.
    """

    def __init__(self, settings: Settings, database: Database | None, clock: Clock, ids: Ids) -> None:
        self.settings = settings
        self.journal = database
        self.clock = clock
        self.ids = ids
        self.node = Node(code=settings.node.code, name=settings.node.name)

    @property
    def database(self) -> Database:
        """The journal. Raises StoreError ``journal-missing`` while nothing has ever been run here."""
        if self.journal is None:
            raise StoreError("journal-missing", folder=str(self.settings.data_dir))
        return self.journal

    @cached_property
    def mappings(self) -> Mappings:
        """The mappings folder."""
        return Mappings(self.settings.mappings_dir, self.settings.node.time_zone.key)

    @cached_property
    def signer(self) -> Signer:
        """What seals batches and receipts. Raises PackageError."""
        keys = self.settings.document.keys.signing
        key = load_private_key(self.settings.key_file(keys.private_key))
        return Signer(key=key, certificate=load_certificates(self.settings.path(keys.certificate))[0])

    @cached_property
    def note_signer(self) -> NoteSigner:
        """What signs checkpoints; its name is the log's origin."""
        key = load_key(self.settings.key_file(self.settings.document.keys.ledger.private_key))
        return NoteSigner(self.origin, key)

    @property
    def origin(self) -> str:
        """The name of this node's ledger in checkpoints."""
        return ledger_origin(self.node.code)

    @cached_property
    def notary(self) -> Notary:
        """What signs and publishes the ledger's head."""
        publisher = Publisher(
            origin=self.origin,
            signer=self.note_signer,
            memory=FileHeadMemory(self.settings.head_memory),
            folder=TileFolder(self.settings.publish_dir),
        )
        return Notary(database=self.database, publisher=publisher, clock=self.clock)

    @cached_property
    def runner(self) -> Runner:
        """What runs exchanges."""
        courier = Courier(
            database=self.database,
            clock=self.clock,
            ids=self.ids,
            owner=f"{socket.gethostname()}/{os.getpid()}",
            transfer_seconds=max((peer.timeout.total_seconds() for peer in self.settings.peers.values()), default=60.0),
        )
        return Runner(
            database=self.database,
            node=self.node,
            sealer=Sealer(database=self.database, node=self.node, signer=self.signer, clock=self.clock, ids=self.ids),
            courier=courier,
            reconciler=Reconciler(database=self.database, node=self.node, clock=self.clock),
            notary=self.notary,
            working_days=self.mappings.library.working_days,
            clock=self.clock,
            ids=self.ids,
        )

    def source(self, name: str) -> Source:
        """A source of the configuration. Raises ConfigError, Findings."""
        return build_source(self.settings, name, self.mappings, self.clock)

    @asynccontextmanager
    async def exchange(self, name: str) -> AsyncIterator[Exchange]:
        """An exchange, ready to run; its connections are closed at the end. Raises ConfigError, Findings and what its parts raise."""
        try:
            chosen = self.settings.exchanges[name]
        except KeyError:
            known = ", ".join(self.settings.exchanges) or "-"
            raise ConfigError("exchange-unknown", exchange=name, known=known) from None
        plan = self.mappings.record_plan(self.settings.sources[chosen.source].mapping)
        if plan.catalog.id != chosen.catalog:
            raise ConfigError("exchange-other-catalog", exchange=name, catalog=chosen.catalog, found=plan.catalog.id)
        fmt = self.mappings.format(chosen.format)
        document = self.mappings.document_plan(fmt, plan.catalog)
        peer = self.peer(chosen.peer)
        digest = hashlib.sha256(f"{plan.digest}\n{document.digest}\n".encode()).hexdigest()
        try:
            yield Exchange(
                name=name,
                catalog=plan.catalog,
                source=self.source(chosen.source),
                plan=plan,
                document=document,
                gate=Gate(fmt),
                format_id=fmt.id,
                format_version=fmt.version,
                peer=peer,
                route=route_of(self.node.code, plan.catalog.id, peer.node.code),
                batch_size=chosen.batch_size,
                mapping_digest=digest,
                guard=Guard(number=chosen.guard.number, share=chosen.guard.share),
            )
        finally:
            await peer.transport.close()

    def peer(self, name: str) -> Peer:
        """A peer that we send to. Raises PackageError, ExchangeError, ConfigError."""
        chosen = self.settings.peers[name]
        retry = chosen.retry
        return Peer(
            node=Node(code=chosen.code, name=chosen.name),
            trusted=self.certificates(chosen.certificates),
            transport=self.transport(name),
            retry=Retry(
                attempts=retry.attempts,
                first=retry.first,
                factor=retry.factor,
                max=retry.max,
                give_up_after=retry.give_up_after,
            ),
        )

    def transport(self, name: str) -> ServiceTransport:
        """The way to a peer over HTTP, known by our TLS certificate or by a token."""
        chosen, tls = self.settings.peers[name], None
        if chosen.url is None:
            raise ConfigError("peer-without-url", peer=name)
        if chosen.url.startswith("https:"):
            keys = self.settings.document.keys.tls
            tls = client_context(
                [self.settings.path(path) for path in chosen.tls_certificates],
                certificate=self.settings.path(keys.certificate),
                private_key=self.settings.key_file(keys.private_key),
            )
        token = None if chosen.token is None else Secret(self.settings.secret(chosen.token).reveal())
        limits = ServiceLimits(total=chosen.timeout.total_seconds())
        return ServiceTransport(
            chosen.url, peer=name, clock=self.clock, ids=self.ids, tls=tls, token=token, limits=limits
        )

    def certificates(self, paths: Iterable[Path]) -> tuple[Certificate, ...]:
        """Every certificate in these files. Raises PackageError."""
        return tuple(each for path in paths for each in load_certificates(self.settings.path(path)))

    def receiver(self) -> Receiver:
        """The receiving side. Raises ConfigError ``receive-missing`` where the configuration has none."""
        receive = self._receive()
        limits = Limits(package_bytes=receive.max_package)
        senders: dict[str, Sender] = {}
        for name, catalogs in receive.allow.items():
            peer = self.settings.peers[name]
            senders[peer.code] = Sender(
                node=Node(code=peer.code, name=peer.name),
                trusted=self.certificates(peer.certificates),
                judges={catalog: self._judge(catalog, receive.format) for catalog in catalogs},
            )
        return Receiver(
            database=self.database,
            node=self.node,
            signer=self.signer,
            senders=senders,
            notary=self.notary,
            clock=self.clock,
            limits=limits,
        )

    def listener(self) -> Listener:
        """The socket that peers send to. Raises as :meth:`receiver`, and ExchangeError for unusable TLS files."""
        receive = self._receive()
        application = build_receiver(
            self.receiver(),
            callers=self._callers(receive),
            clock=self.clock,
            limits=ReceiverLimits(package_bytes=receive.max_package),
        )
        host, _, port = receive.listen.rpartition(":")
        tls = None
        if receive.tls:
            keys = self.settings.document.keys.tls
            peers = [self.settings.peers[name] for name in receive.allow]
            tls = server_context(
                self.settings.path(keys.certificate),
                self.settings.key_file(keys.private_key),
                clients=[self.settings.path(path) for peer in peers for path in peer.tls_certificates],
                certificate_required=all(peer.token is None for peer in peers),
            )
        return Listener(application, host=host.strip("[]"), port=int(port), tls=tls)

    def _receive(self) -> ReceiveSettings:
        if self.settings.document.receive is None:
            raise ConfigError("receive-missing", file=str(self.settings.file))
        return self.settings.document.receive

    def _judge(self, catalog_id: str, format_id: str) -> Judge:
        catalog, fmt = self.mappings.catalog(catalog_id), self.mappings.format(format_id)
        return Judge(
            catalog=catalog,
            document=self.mappings.document_plan(fmt, catalog),
            plan=self.mappings.checking_plan(catalog_id),
            format_id=fmt.id,
            format_version=fmt.version,
            language=self.settings.node.language,
        )

    def _callers(self, receive: ReceiveSettings) -> CallerDirectory:
        certificates: dict[str, str] = {}
        tokens: dict[str, str] = {}
        for name in receive.allow:
            peer = self.settings.peers[name]
            certificates |= {fingerprint(each): peer.code for each in self.certificates(peer.tls_certificates)}
            if peer.token is not None:
                secret = self.settings.secret(peer.token).reveal()
                tokens[hashlib.sha256(secret.encode()).hexdigest()] = peer.code
        return CallerDirectory(certificates=certificates, tokens=tokens)


@contextmanager
def open_gateway(settings: Settings, *, what: str, clock: Clock, ids: Ids) -> Iterator[Gateway]:
    """A gateway that may write: the state folder is locked, the journal migrated, the ledger held against its memory.

    ``what`` says in the lock who we are. Raises StoreError ``state-held`` while another process works on the state, LedgerError when the
    ledger was rolled back or forked, and what the parts raise.
    """
    with ExitStack() as stack:
        stack.enter_context(hold(settings.data_dir, what=what, at=instant(clock.now())))
        database = Database.open(settings.store_url, upgrading=True)
        stack.callback(database.close)
        database.migrate()
        gateway = Gateway(settings, database, clock, ids)
        gateway.notary.start()
        begin_ledger(
            database,
            node=gateway.node,
            origin=gateway.origin,
            key=gateway.note_signer.verifier,
            signer=gateway.signer,
            clock=clock,
        )
        close_interrupted(database, clock)
        # What a crash left unsigned is signed now; nothing happens when there is none.
        gateway.notary.publish(final=True)
        yield gateway
        gateway.notary.publish(final=True)


@contextmanager
def read_gateway(settings: Settings, *, clock: Clock, ids: Ids) -> Iterator[Gateway]:
    """A gateway that only looks, beside whatever process is at work; there need not be a journal yet.

    Raises StoreError when there is a journal that cannot be read.
    """
    try:
        database = Database.open(settings.store_url, read_only=True)
    except StoreError as error:
        if error.code not in {"store-missing", "schema-missing"}:
            raise
        database = None
    try:
        yield Gateway(settings, database, clock, ids)
    finally:
        if database is not None:
            database.close()
