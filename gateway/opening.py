"""A gateway opened: by the one process that may work on its state, or beside it to look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from gateway.app import Gateway
from gateway.clock import Clock, Ids, instant
from gateway.config import Settings
from gateway.config_digest import configured_values
from gateway.config_keys import keys_trusted
from gateway.delivery.configured import enter_configuration
from gateway.delivery.keyring import certificate_key, check_ledger_key, enter_keys, read_history
from gateway.delivery.recover import begin_ledger, close_interrupted
from gateway.errors import StoreError
from gateway.store.database import Database
from gateway.store.entries import DurableLog
from gateway.store.lock import hold

__all__ = ["locked_gateway", "open_gateway", "read_gateway"]


@contextmanager
def locked_gateway(settings: Settings, *, what: str, clock: Clock, ids: Ids) -> Iterator[Gateway]:
    """A gateway that nobody else works on, whose journal is migrated and whose ledger is not held against its memory yet."""
    lock = hold(settings.data_dir, what=what, at=instant(clock.now()))
    with lock, closing(Database.open(settings.store_url, upgrading=True)) as database:
        database.migrate()
        gateway = Gateway(settings, database, clock, ids)
        newest = DurableLog(database).newest_checkpoint()
        signed = 0 if newest is None else newest.size
        check_ledger_key(read_history(database), gateway.note_signer.verifier, gateway.notary, signed)
        yield gateway


@contextmanager
def open_gateway(settings: Settings, *, what: str, clock: Clock, ids: Ids, signing: bool = True) -> Iterator[Gateway]:
    """A gateway that may write: the state folder is locked, the journal migrated, the ledger held against its memory.

    ``what`` says in the lock who we are. Without ``signing`` nothing is signed before :meth:`Notary.release` is called. Raises StoreError
    ``state-held`` while another process works on the state, LedgerError when the ledger was rolled back or forked, and what the parts raise.
    """
    with locked_gateway(settings, what=what, clock=clock, ids=ids) as gateway:
        gateway.notary.start()
        # One commit: what this start has to tell stands in the ledger before any work does.
        with gateway.database.begin() as conn:
            begin_ledger(
                conn,
                node=gateway.node,
                origin=gateway.origin,
                key=gateway.note_signer.verifier,
                signer=gateway.signer,
                clock=clock,
            )
            enter_keys(
                conn,
                node=gateway.node,
                own=certificate_key("package", gateway.node.code, gateway.signer.certificate),
                trusted=keys_trusted(settings, clock.now()),
                on_first_use={peer.code for peer in settings.peers.values() if not peer.ledger_keys},
                clock=clock,
            )
            enter_configuration(conn, node=gateway.node, values=configured_values(settings), clock=clock)
        close_interrupted(gateway.database, clock)
        if not signing:
            gateway.notary.withhold()
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
