"""Settings in, a wired gateway out: the one place where the rooms are put together."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property, partial
from pathlib import Path

from gateway.catalog.model import Disclosure
from gateway.clock import Clock, Ids
from gateway.config import RecordsSourceSettings, Settings
from gateway.config_keys import read_certificates
from gateway.config_ledger import AuthoritySettings
from gateway.delivery.anchor import Anchors
from gateway.delivery.core import Retry
from gateway.delivery.decisions import Decisions
from gateway.delivery.dispatch import Dispatcher
from gateway.delivery.exchange import Exchange, Peer, Route, receiver_of, route_of
from gateway.delivery.guard import Guard
from gateway.delivery.held_records import HeldRecords
from gateway.delivery.holds import Holds
from gateway.delivery.keyring import (
    read_history,
)
from gateway.delivery.ledgers import PeerLedgers
from gateway.delivery.notary import Notary
from gateway.delivery.plan import Plan, Planner
from gateway.delivery.reconcile import Reconciler
from gateway.delivery.run import Runner
from gateway.delivery.seal import Sealer
from gateway.delivery.send import Courier
from gateway.delivery.showing import ShowingTransport
from gateway.delivery.terms import Terms
from gateway.delivery.witness import Witnesses
from gateway.errors import ConfigError, StoreError
from gateway.exchange.database import DatabaseTransport
from gateway.exchange.folder import FolderTransport
from gateway.exchange.foreign import ForeignTransport
from gateway.exchange.port import Transport
from gateway.exchange.recorder import Recorder
from gateway.exchange.timestamp import Authority
from gateway.exchange.tls import client_context
from gateway.exchange.waiting import WaitingTransport
from gateway.exchange.witness import Witness
from gateway.front_database import front_transport
from gateway.ledger.folder import TileFolder
from gateway.ledger.keys import load_key
from gateway.ledger.memory import FileHeadMemory
from gateway.ledger.note import NoteSigner, VerifierKey
from gateway.ledger.publish import Publisher
from gateway.mapping.disclosure import Sight
from gateway.mapping.plan import RecordPlan
from gateway.mappings import Mappings
from gateway.package.certificates import Certificate, load_certificates, load_private_key
from gateway.package.cms import Signer
from gateway.package.forms import Node
from gateway.planning import plans_of
from gateway.publishing import build_site_transport, is_site
from gateway.source_settings import build_source
from gateway.sources.port import Source
from gateway.store.database import Database
from gateway.ways import build_folders, build_service_transport, is_by_files

__all__ = ["Gateway", "ledger_origin"]


_HOURS = 1_000


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
        self.collecting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # one round to a peer at a time
        self._peers: dict[str, tuple[int, Peer]] = {}  # in use, and by how many

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
    def publisher(self) -> Publisher:
        """What holds the ledger against its head memory, signs its head and publishes it."""
        return Publisher(
            origin=self.origin,
            signer=self.note_signer,
            memory=FileHeadMemory(self.settings.head_memory),
            folder=TileFolder(self.settings.publish_dir),
            retired=[VerifierKey.parse(key.key) for key in read_history(self.database).ledger_keys()],
        )

    @cached_property
    def notary(self) -> Notary:
        """What publishes when there is something new."""
        return Notary(database=self.database, publisher=self.publisher, holds=self.holds, clock=self.clock)

    @cached_property
    def holds(self) -> Holds:
        """What this process holds back for a while."""
        return Holds(self.clock)

    @cached_property
    def courier(self) -> Courier:
        """What takes one batch on its way."""
        return Courier(
            database=self.database,
            clock=self.clock,
            ids=self.ids,
            owner=f"{socket.gethostname()}/{os.getpid()}",
            transfer_seconds=max((peer.timeout.total_seconds() for peer in self.settings.peers.values()), default=60.0),
        )

    @cached_property
    def anchors(self) -> Anchors:
        """What has checkpoints stamped. Raises PackageError, ExchangeError for files that cannot be used."""
        ledger = self.settings.document.ledger
        return Anchors(
            database=self.database,
            node=self.node,
            notary=self.notary,
            authorities=[self.authority(chosen) for chosen in ledger.authorities],
            holds=self.holds,
            clock=self.clock,
            every=ledger.anchor_every,
            stop_after=ledger.stop_without_anchor_after,
        )

    def authority(self, chosen: AuthoritySettings) -> Authority:
        """A time-stamp authority. Raises PackageError, ExchangeError."""
        return Authority(
            chosen.name,
            chosen.url,
            roots=self.certificates(chosen.certificates),
            clock=self.clock,
            policy=chosen.policy,
            tls=self._guarded(chosen.url, chosen.tls_certificates),
        )

    @cached_property
    def witnesses(self) -> Witnesses:
        """What has checkpoints cosigned. Raises ExchangeError for files that cannot be used."""
        chosen = self.settings.document.ledger.witnesses
        return Witnesses(
            database=self.database,
            notary=self.notary,
            witnesses=[
                Witness(one.name, one.url, key=one.verifier_key, tls=self._guarded(one.url, one.tls_certificates))
                for one in chosen
            ],
            clock=self.clock,
        )

    def _guarded(self, url: str, certificates: Iterable[Path]) -> ssl.SSLContext | None:
        """TLS to a service that does not know us."""
        return client_context([self.settings.path(path) for path in certificates]) if url.startswith("https:") else None

    @cached_property
    def ledgers(self) -> PeerLedgers:
        """The peers' ledgers as they have shown them."""
        return PeerLedgers(node=self.node, keys={peer.code: peer.ledger_keys for peer in self.settings.peers.values()})

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """What chooses who is served next."""
        return Dispatcher(
            database=self.database,
            courier=self.courier,
            reconciler=Reconciler(database=self.database, node=self.node, ledgers=self.ledgers, clock=self.clock),
            notary=self.notary,
            holds=self.holds,
            clock=self.clock,
            ids=self.ids,
        )

    @cached_property
    def decisions(self) -> Decisions:
        """What carries out a person's decisions."""
        return Decisions(
            database=self.database,
            node=self.node,
            signer=self.signer,
            courier=self.courier,
            clock=self.clock,
            ids=self.ids,
        )

    @cached_property
    def runner(self) -> Runner:
        """What runs exchanges."""
        return Runner(
            database=self.database,
            node=self.node,
            sealer=Sealer(database=self.database, node=self.node, signer=self.signer, clock=self.clock, ids=self.ids),
            dispatcher=self.dispatcher,
            notary=self.notary,
            holds=self.holds,
            working_days=self.mappings.library.working_days,
            terms=self.terms,
            clock=self.clock,
            ids=self.ids,
        )

    @property
    def terms(self) -> Terms:
        """What keeps publication periods."""
        library, zone = self.mappings.library, self.settings.node.time_zone
        return Terms(database=self.database, regimes=library.regimes, zone=zone, clock=self.clock)

    @cached_property
    def plans(self) -> Mapping[str, Plan]:
        """The exchanges that run by themselves, by name."""
        return plans_of(self.settings, self.mappings.library.working_days)

    @cached_property
    def planner(self) -> Planner:
        """What says which exchanges are due."""
        unplanned = [name for name in self.settings.exchanges if name not in self.plans]
        return Planner(
            database=self.database, plans=self.plans, unplanned=unplanned, holds=self.holds, clock=self.clock
        )

    def source(self, name: str, *, held_under: str | None = None) -> Source:
        """A source of the configuration; its records are held under its name or another one. Raises ConfigError, Findings."""
        chosen = self.settings.sources[name]
        if isinstance(chosen, RecordsSourceSettings):
            codes = [self.settings.peers[peer].code for peer in chosen.peers]
            return HeldRecords(
                name=held_under or name,
                database=self.journal,
                catalog=self.mappings.catalog(chosen.catalog),
                routes=[route_of(code, chosen.catalog, self.node.code) for code in codes],
            )
        return build_source(self.settings, held_under or name, chosen, self.mappings, self.clock)

    def record_plan(self, source: str) -> RecordPlan:
        """How rows of a source become records; what peers sent is checked alone. Raises ConfigError, Findings."""
        chosen = self.settings.sources[source]
        if isinstance(chosen, RecordsSourceSettings):
            return self.mappings.checking_plan(chosen.catalog)
        return self.mappings.record_plan(chosen.mapping)

    @asynccontextmanager
    async def exchange(self, name: str) -> AsyncIterator[Exchange]:
        """An exchange, ready to run; its connections are closed at the end. Raises ConfigError, Findings and what its parts raise."""
        try:
            chosen = self.settings.exchanges[name]
        except KeyError:
            known = ", ".join(self.settings.exchanges) or "-"
            raise ConfigError("exchange-unknown", exchange=name, known=known) from None
        plan = self.record_plan(chosen.source)
        if plan.catalog.id != chosen.catalog:
            raise ConfigError("exchange-other-catalog", exchange=name, catalog=chosen.catalog, found=plan.catalog.id)
        writing = self.mappings.writing(chosen.format, plan.catalog)
        sight = Sight(catalog=plan.catalog, clearance=Disclosure(self.settings.peers[chosen.peer].clearance))
        decides = f"{plan.digest}\n{writing.bodies.digest}\n" + ("" if sight.whole else f"{sight.clearance}\n")
        digest = hashlib.sha256(decides.encode()).hexdigest()
        source = self.source(chosen.source, held_under=self.settings.held_under(name))
        async with self.peer(chosen.peer) as peer:
            yield Exchange(
                name=name,
                catalog=plan.catalog,
                source=source,
                plan=plan,
                document=writing.bodies,
                gate=writing.gate,
                format_id=writing.format_id,
                format_version=writing.format_version,
                peer=peer,
                route=route_of(self.node.code, plan.catalog.id, peer.node.code),
                batch_size=chosen.batch_size,
                mapping_digest=digest,
                guard=Guard(
                    number=chosen.guard.number, share=chosen.guard.share, change_share=chosen.guard.change_share
                ),
                sight=sight,
            )

    @asynccontextmanager
    async def peer(self, name: str) -> AsyncIterator[Peer]:
        """A peer that we send to; its connections are shared by whoever uses it, and closed by the last one.

        Raises PackageError, ExchangeError, ConfigError.
        """
        users, peer = self._peers.get(name, (0, None))
        if peer is None:
            peer = self.new_peer(name)
        self._peers[name] = (users + 1, peer)
        try:
            yield peer
        finally:
            users, _ = self._peers.pop(name)
            if users > 1:
                self._peers[name] = (users - 1, peer)
            else:
                await peer.transport.close()

    @asynccontextmanager
    async def peer_of(self, route: str) -> AsyncIterator[Peer]:
        """The peer that a route leads to. Raises ConfigError ``route-without-peer``, and as :meth:`peer`."""
        code = receiver_of(Route(route))
        ways = self.settings.peers.items()
        sent_to = ((name, peer) for name, peer in ways if peer.url or peer.database or peer.delivery == "pull")
        name = next((name for name, peer in sent_to if peer.code == code), None)
        if name is None:
            raise ConfigError("route-without-peer", route=route)
        async with self.peer(name) as peer:
            yield peer

    def new_peer(self, name: str) -> Peer:
        """A peer with a connection of its own, for the caller to close; none is there where batches are laid out."""
        chosen = self.settings.peers[name]
        retry, taken_down = chosen.retry, chosen.feedback == "taken-down"
        return Peer(
            name=name,
            node=Node(code=chosen.code, name=chosen.name),
            trusted=self.certificates(
                [self.settings.document.keys.signing.certificate] if taken_down else chosen.certificates
            ),
            taken_down=taken_down,
            transport=self._showing(name),
            retry=Retry(
                # Nobody is tried: each hour that nobody came counts as one, and the time alone ends it.
                attempts=_HOURS if chosen.delivery == "pull" else retry.attempts,
                first=retry.first,
                factor=retry.factor,
                max=retry.max,
                give_up_after=retry.give_up_after,
            ),
            drain_rate=chosen.drain_rate,
        )

    def recorder(self, name: str) -> Recorder:
        """What takes a peer's unsigned feedback down in receipts sealed by us."""
        chosen = self.settings.peers[name]
        return Recorder(receiver=Node(code=chosen.code, name=chosen.name), signer=self.signer, clock=self.clock)

    def _showing(self, name: str) -> Transport:
        """The way to a peer, with our ledger shown beside every package; where there is no journal nothing is sent."""
        if self.journal is None:
            return self.transport(name)
        if self.settings.peers[name].delivery == "pull":
            return WaitingTransport(code=self.settings.peers[name].code, name=name)
        return ShowingTransport(
            self.transport(name),
            peer=self.settings.peers[name].code,
            database=self.journal,
            ledgers=self.ledgers,
            key=self.note_signer.verifier,
            clock=self.clock,
        )

    def transport(self, name: str) -> Transport:
        """The way to a peer: by files, through its database, to a publication site, or over HTTP."""
        if is_by_files(self.settings, name):
            return self.folders(name)
        if is_site(self.settings, name):
            catalogs, clock = self.mappings.library.catalogs, self.clock
            return build_site_transport(
                self.settings, name, catalogs=catalogs, recorder=lambda: self.recorder(name), clock=clock
            )
        if self.settings.peers[name].database is not None:
            return self.front_transport(name)
        return build_service_transport(self.settings, name, clock=self.clock, ids=self.ids)

    def folders(self, name: str) -> FolderTransport | ForeignTransport:
        """The way to a peer by files, ours or its own. Raises ExchangeError, PackageError, ConfigError."""
        mappings, recorder = self.mappings, partial(self.recorder, name)
        return build_folders(self.settings, name, self.clock, self.journal, mappings=mappings, recorder=recorder)

    def front_transport(self, name: str) -> DatabaseTransport:
        """The way to a peer through its front-end database. Raises ConfigError, Findings, ExchangeError."""
        mappings, recorder = self.mappings, self.recorder(name)
        return front_transport(self.settings, name, self.clock, self.journal, mappings=mappings, recorder=recorder)

    def certificates(self, paths: Iterable[Path]) -> tuple[Certificate, ...]:
        """Every certificate in these files. Raises PackageError."""
        return read_certificates(self.settings, paths)
