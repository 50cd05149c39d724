"""Three real nodes that have worked for a while: a bureau that sends on two routes, a province and a ministry that receive.

Between them they did what leaves traces in a ledger: several batches, a withdrawal, a batch given up with a void one in its place, a change
of the key that seals and the old one revoked, a package erased after its time, a head memory laid down again, time-stamps by an authority of
the tests' own, and on the bureau's ledger cosignatures by a witness.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import __version__
from gateway.app import Gateway
from gateway.auditor import export_evidence, note_export
from gateway.clock import RandomIds, SystemClock, instant, parse_instant
from gateway.config import load_settings
from gateway.delivery.export import Exported
from gateway.delivery.keyring import read_history, revoke_key
from gateway.delivery.retention import Eraser
from gateway.evidence.manifest import Selection
from gateway.head import recover_head
from gateway.ledger.append import append
from gateway.ledger.cosignature import Cosigner
from gateway.ledger.entry import Value
from gateway.ledger.keys import generate_key
from gateway.opening import read_gateway
from gateway.orders import ORDERS
from gateway.package.certificates import Certificate, fingerprint, generate_identity, pem_of
from gateway.receiving import open_listener
from gateway.store import batches, retention
from gateway.store.cosignatures import add_cosignature
from gateway.store.entries import DurableLog, TransactionLog
from gateway.workfolder import lay_out
from tests.delivery.own_ledger import SetClock
from tests.nodes import BUREAU, PROVINCE, Folder, Nodes, lay_nodes, permit, run_once
from tests.package.stamping import Authority

MINISTRY = "111000000000002138"
CATALOG = "administrative-license"
ROUTES = tuple(f"{BUREAU}/{CATALOG}/{receiver}" for receiver in (PROVINCE, MINISTRY))
PERSON, REASON = "审计员", "年度核查"
WITNESS = Cosigner("witness.example/w1", generate_key(b"\x15" * 32))


@dataclass(frozen=True, slots=True)
class World:
    """The nodes' working folders, and the authority that stamped their ledgers."""

    nodes: Nodes
    ministry: Folder
    authority: Authority

    def folder(self, side: str) -> Folder:
        """One node's."""
        return {"bureau": self.nodes.bureau, "province": self.nodes.province, "ministry": self.ministry}[side]

    def export(self, side: str, target: Path, selection: Selection | None = None, *, note: bool = True) -> Exported:
        """A bundle as the command makes it, entered in the ledger where that is wanted."""
        chosen = selection or Selection()
        folder = self.folder(side)
        index = -1
        with folder.open() as gateway:
            stamp(gateway, self.authority)  # what earlier tests left behind the last one
            if note:
                index = note_export(gateway, PERSON, str(chosen), REASON)
            cosign(gateway)
        settings = load_settings(folder.path / "config.toml")
        with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
            return export_evidence(
                gateway,
                target,
                chosen,
                person=PERSON,
                reason=REASON,
                entry=index,
                not_entered="" if note else "state-held",
                authorities=[self.authority.root.certificate],
                tell=lambda _stage, _done, _all: None,
            )


def stamp(gateway: Gateway, authority: Authority, **changes: Value) -> int:
    """Time-stamp the ledger's newest checkpoint and enter the token; returns the entry's index."""
    gateway.notary.publish(final=True)
    newest = DurableLog(gateway.database).newest_checkpoint()
    assert newest is not None
    at = gateway.clock.now().replace(microsecond=0)
    token = authority.token(newest.note, at)
    cosign(gateway)
    fields: dict[str, Value] = {
        "node": gateway.node.code,
        "software": __version__,
        "authority": "authority",
        "checkpoint_size": newest.size,
        "checkpoint_root": newest.root.hex(),
        "token_sha256": sha256(token).hexdigest(),
        "token": base64.b64encode(token).decode(),
        "stamped_at": instant(at),
        **changes,
    }
    with gateway.database.begin() as conn:
        index = append(TransactionLog(conn), "anchor", fields, at=gateway.clock.now())
    gateway.notary.publish(final=True)
    return index


def cosign(gateway: Gateway) -> None:
    """Its witness, where the node has one, signs the newest checkpoint."""
    newest = DurableLog(gateway.database).newest_checkpoint()
    if newest is None or not gateway.settings.document.ledger.witnesses:
        return
    text, now = newest.note.decode().rpartition("\n\n")[0] + "\n", gateway.clock.now()
    with gateway.database.begin() as conn:
        add_cosignature(conn, "audit-office", newest.size, WITNESS.line(text, now), at=instant(now))


def erase_first(gateway: Gateway) -> None:
    """The package that was settled first is past its time, and no other."""
    newest, now = DurableLog(gateway.database).newest_checkpoint(), gateway.clock.now()
    assert newest is not None
    with gateway.database.read() as conn:
        first, second, *_ = retention.past_due(conn, before=instant(now), signed=newest.size)
    after = now - parse_instant(first.settled_at) - timedelta(microseconds=10)
    assert first.settled_at < second.settled_at
    still = SetClock()
    still.moment = now
    eraser = Eraser(database=gateway.database, node=gateway.node, clock=still, after=after)
    done = eraser.run(person=PERSON, reason=REASON, dry_run=False, tell=lambda _stage, _count: None)
    assert [one.batch_id for one in done.erased] == [first.batch_id]


def told_later(gateway: Gateway) -> None:
    """A receiver tells what became of a record further up."""
    fields: dict[str, Value] = {
        "node": gateway.node.code,
        "software": __version__,
        "about": f"{BUREAU}/administrative-license/{PROVINCE}",
        "peer": PROVINCE,
        "feedback_sha256": "7f" * 32,
        "signer_key_id": "6e" * 32,
        "first": 1,
        "last": 2,
        "rejected": 1,
        "accepted": 1,
        "stale": 0,
    }
    with gateway.database.begin() as conn:
        append(TransactionLog(conn), "feedback.taken", fields, at=gateway.clock.now())


def recover(folder: Folder) -> None:
    """The head memory is lost, and laid down again from a checkpoint that a peer kept."""
    settings = load_settings(folder.path / "config.toml")
    with folder.open() as gateway:
        newest = DurableLog(gateway.database).newest_checkpoint()
    assert newest is not None
    settings.head_memory.unlink()
    recover_head(
        settings, newest.note, source="peer", person=PERSON, reason=REASON, clock=SystemClock(), ids=RandomIds()
    )


def change_sealing_key(gateway: Gateway, folder: Folder, receivers: Mapping[str, Folder]) -> Certificate:
    """Another key seals from now on; it is entered, and the receivers have it beside the old one."""
    now = gateway.clock.now()
    key_pem, certificate_pem = generate_identity(
        common_name="second", code=BUREAU, san_hosts=(), at=now, days=365, serial=gateway.ids.bytes(20)
    )
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    fields: dict[str, Value] = {
        "node": gateway.node.code,
        "software": __version__,
        "purpose": "package",
        "owner": gateway.node.code,
        "key_id": fingerprint(certificate),
        "key": base64.b64encode(certificate.public_bytes(Encoding.DER)).decode(),
        "before_key_id": gateway.signer.key_id,
        "valid_from": instant(certificate.not_valid_before_utc),
        "valid_to": instant(certificate.not_valid_after_utc),
        "person": PERSON,
    }
    with gateway.database.begin() as conn:
        append(TransactionLog(conn), "key.rotated", fields, at=now)
    certs = folder.path / "certs"
    (certs / "signing.key").write_bytes(key_pem)
    (certs / "signing.crt").write_bytes(certificate_pem)
    for receiver in receivers.values():
        both = receiver.path / "certs" / "bureau-signing.crt"
        both.write_text(both.read_text() + pem_of(certificate))
    return certificate


class Everyone:
    """All three nodes for as long as receivers listen."""

    def __init__(self, world: World, urls: Mapping[str, str]) -> None:
        self.world = world
        self._configure(urls)

    def _configure(self, urls: Mapping[str, str]) -> None:
        peers = "".join(
            f"""
[peers.{name}]
code = "{code}"
name = "{name}"
url = "{urls[name]}"
certificates = ["certs/{name}-signing.crt"]
tls_certificates = ["certs/{name}-tls.crt"]
"""
            for name, code in (("province", PROVINCE), ("ministry", MINISTRY))
        )
        exchanges = "".join(
            f"""
[exchanges.permits-to-{name}]
catalog = "{CATALOG}"
source = "permits"
format = "credit-2018"
peer = "{name}"
batch_size = 4
"""
            for name in ("province", "ministry")
        )
        source = f"""
[sources.permits]
kind = "sql"
mapping = "credit-2018-permits"
url = "sqlite:///{self.world.nodes.business.file}"
query = "SELECT * FROM permits"
"""
        witness = f"""
[[ledger.witnesses]]
name = "audit-office"
url = "http://127.0.0.1:1/w1"
verifier_key = "{WITNESS.verifier}"
"""
        self.world.nodes.bureau.configure(peers + source + exchanges + witness)


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[dict[str, Gateway]]:
    """Both receivers serve; the bureau knows where."""
    with world.nodes.province.open() as province, world.ministry.open() as ministry:
        listeners = {"province": open_listener(province), "ministry": open_listener(ministry)}
        try:
            for listener in listeners.values():
                await listener.start()
            Everyone(world, {name: listener.url for name, listener in listeners.items()})
            yield {"province": province, "ministry": ministry}
        finally:
            for listener in listeners.values():
                await listener.stop()


async def order(gateway: Gateway, verb: str, **args: Any) -> dict[str, Any]:
    return await ORDERS[verb](gateway, {"person": PERSON, "reason": REASON, **args}, lambda _stage, _count: None)


def lay_world(folder: Path) -> World:
    nodes = lay_nodes(folder)
    ministry = Folder(folder / "ministry")
    lay_out(ministry.path, code=MINISTRY, name="示例部", hosts=["127.0.0.1"], clock=SystemClock(), ids=RandomIds())
    nodes.bureau.trust(ministry, "ministry")
    ministry.trust(nodes.bureau, "bureau")
    province = (nodes.province.path / "config.toml").read_text("utf-8")
    ministry.configure("[peers." + province.split("[peers.", 1)[1])
    return World(nodes=nodes, ministry=ministry, authority=Authority())


async def _live(world: World) -> None:
    nodes, authority = world.nodes, world.authority
    rows = [permit(number) for number in range(1, 10)]
    nodes.business.write(rows[:6])
    Everyone(world, {"province": "https://127.0.0.1:1", "ministry": "https://127.0.0.1:1"})
    with nodes.bureau.open() as bureau:
        stamp(bureau, authority)
        # Nobody listens: two batches wait, and one of them is given up.
        await run_once(bureau)
        waiting = [entry["batch"] for entry in _open(bureau)]
    async with listening(world) as receivers:
        for gateway in receivers.values():
            stamp(gateway, authority)
        with nodes.bureau.open() as bureau:
            await order(bureau, "abandon", batch=waiting[0])
            await order(bureau, "retry", batch=waiting[1])
            await run_once(bureau, "permits-to-province")
            await run_once(bureau, "permits-to-ministry")
            stamp(bureau, authority)
            nodes.business.write(rows[1:])  # one vanished, three are new
            await run_once(bureau, "permits-to-province")
            change_sealing_key(bureau, nodes.bureau, {"province": nodes.province, "ministry": world.ministry})
        for gateway in receivers.values():
            stamp(gateway, authority)
    async with listening(world) as receivers:
        with nodes.bureau.open() as bureau:
            await run_once(bureau, "permits-to-ministry")
            stamp(bureau, authority)
            erase_first(bureau)
            told_later(bureau)
            old = next(key for key in read_history(bureau.database).keys if key.purpose == "package")
            revoke_key(
                bureau.database,
                bureau.node,
                old.key_id,
                in_use=[bureau.signer.key_id],
                from_size=None,
                person=PERSON,
                reason=REASON,
                clock=bureau.clock,
            )
        for gateway in receivers.values():
            stamp(gateway, authority)
            erase_first(gateway)
    recover(nodes.bureau)
    recover(nodes.province)


def _open(gateway: Gateway) -> list[dict[str, str]]:
    with gateway.database.read() as conn:
        return [{"batch": one.id} for one in batches.open_batches(conn)]


def live(folder: Path) -> World:
    """The nodes after everything that the module says."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    world = lay_world(folder)
    asyncio.run(_live(world))
    return world
