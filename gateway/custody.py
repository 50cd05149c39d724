"""What persons order about evidence: alarms that are closed, payloads that are kept or erased. Each order is entered in the ledger.

Orders as :mod:`gateway.orders` lists them: the open node, plain arguments, progress; the answer is plain JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.clock import instant, parse_instant
from gateway.config_keys import certificates_named, keys_trusted
from gateway.delivery.decisions import note_action
from gateway.delivery.exchange import Progress
from gateway.delivery.expiry import stage, stage_of
from gateway.delivery.keyring import certificate_key, read_history, revoke_key, rotate_ledger_key
from gateway.delivery.retention import Eraser
from gateway.errors import ConfigError
from gateway.ledger.history import NO_END, LoggedKey, key_id_of
from gateway.ledger.keys import SEED_BYTES, generate_key, load_key, write_key
from gateway.ledger.note import NoteSigner
from gateway.package.certificates import days_left
from gateway.store import alarms, batches, inbox, outside, peer_heads
from gateway.store import retention as holding
from gateway.store.alarms import AlarmCode
from gateway.store.database import Connection
from gateway.store.outside import OutsideKind
from gateway.store.retention import HoldScope

__all__ = [
    "ORDERS",
    "anchor",
    "close_alarm",
    "hold",
    "list_alarms",
    "list_holds",
    "list_keys",
    "list_outside",
    "release",
    "retention",
    "revoke",
    "rotate_ledger",
]

_SHORTEST_NAME = 6  # characters; a shorter one would be found in every document
Args = Mapping[str, Any]
Json = dict[str, Any]


def list_alarms(gateway: Gateway) -> list[Json]:
    """The open alarms, each with its sentence in the node's language."""
    language = gateway.settings.node.language
    if gateway.journal is None:
        return []
    with gateway.database.read() as conn:
        return [{**asdict(one), "say": one.say(language), "fix": one.fix(language)} for one in alarms.open_alarms(conn)]


async def close_alarm(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """A person says that ``alarm`` (its number) is over. With ``accept`` the peer's ledger is believed anew from what it shows next.

    Raises StoreError ``alarm-not-open``.
    """
    with gateway.database.begin() as conn:
        at = instant(gateway.clock.now())
        closed = alarms.close_alarm(conn, args["alarm"], person=args["person"], reason=args["reason"], at=at)
        forgotten = 0
        if args.get("accept") and closed.code in {AlarmCode.PEER_LOG_INCONSISTENT, AlarmCode.PEER_ROLLED_BACK}:
            forgotten = peer_heads.forget(conn, closed.subject)
        note_action(
            conn,
            gateway.node,
            gateway.clock,
            person=args["person"],
            action="alarm.close",
            subject=f"{closed.code} {closed.subject} forgotten={forgotten}",
            reason=args["reason"],
        )
    return {**asdict(closed), "forgotten": forgotten}


async def anchor(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Have the newest checkpoint stamped and cosigned wherever that is due; where each authority and witness stands then."""
    await gateway.anchors.step()
    await gateway.witnesses.step()
    return list_outside(gateway)


def list_outside(gateway: Gateway) -> Json:
    """Up to where others vouch for the ledger, and what each of them owes since when."""
    if gateway.journal is None:
        return {"authorities": [], "witnesses": [], "peers": []}
    with gateway.database.read() as conn:
        return {
            "authorities": [asdict(one) for one in outside.list_all(conn, OutsideKind.AUTHORITY)],
            "witnesses": [asdict(one) for one in outside.list_all(conn, OutsideKind.WITNESS)],
            "peers": [asdict(one) for one in outside.list_all(conn, OutsideKind.PEER)],
        }


def list_keys(gateway: Gateway) -> list[Json]:
    """Every key that the ledger tells of, and the TLS certificates of the configuration, with the days that are left and the warning that
    was reached (:data:`gateway.delivery.expiry.WARN_AT`, 0: ended).
    """
    now = gateway.clock.now()
    logged = () if gateway.journal is None else read_history(gateway.journal).keys
    keys = [_key_json(key, now) for key in logged]
    for one in certificates_named(gateway.settings):
        if one.place.endswith("tls.certificate") or one.place.endswith("tls_certificates"):
            used = certificate_key("tls", one.place, one.certificate)
            state = {"entry": None, "state": "current", "days": days_left(one.certificate, now)}
            keys.append({**asdict(used), **state, "warning": stage(one.certificate, now)})
    return keys


def _key_json(key: LoggedKey, now: datetime) -> Json:
    state = "current" if key.current else "revoked" if key.revoked_from is not None else "replaced"
    days = None if key.valid_to == NO_END else (parse_instant(key.valid_to) - now).days
    reached = None if days is None or not key.current else stage_of(days)
    return {**asdict(key), "entry": key.index, "state": state, "days": days, "warning": reached}


def rotate_ledger(gateway: Gateway, file: Path, *, person: str, reason: str) -> Json:
    """Announce the ledger's next key, made in ``file`` unless it is there; the present one signs that and no more.

    For a gateway that nobody else appends to. Raises LedgerError, ConfigError ``key-known``.
    """
    if not file.exists():
        write_key(file, generate_key(gateway.ids.bytes(SEED_BYTES)))
    new = NoteSigner(gateway.origin, load_key(file)).verifier
    rotated = rotate_ledger_key(
        gateway.database,
        gateway.node,
        new,
        notary=gateway.notary,
        person=person,
        reason=reason,
        clock=gateway.clock,
    )
    verifier = file.with_suffix(".vkey")
    verifier.write_text(f"{new}\n", "utf-8")
    return {"file": str(file), "verifier": str(verifier), "entry": rotated, "key_id": key_id_of(new)}


async def revoke(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Nothing is to be believed under ``key`` (its id) any more, from ``from_size`` entries on. Raises as :func:`revoke_key`."""
    used = {gateway.signer.key_id, key_id_of(gateway.note_signer.verifier)}
    size = revoke_key(
        gateway.database,
        gateway.node,
        args["key"],
        in_use=used | {key.key_id for key in keys_trusted(gateway.settings, gateway.clock.now())},
        from_size=args.get("from_size"),
        person=args["person"],
        reason=args["reason"],
        clock=gateway.clock,
    )
    return {"key": args["key"], "from_size": size}


async def retention(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Erase the bytes of packages past their time, with ``disputed`` those in dispute too; with ``dry_run`` only tell which."""
    eraser = Eraser(
        database=gateway.database,
        node=gateway.node,
        clock=gateway.clock,
        after=gateway.settings.document.ledger.retention,
    )
    run = partial(
        eraser.run,
        person=args["person"],
        reason=args["reason"],
        dry_run=bool(args.get("dry_run")),
        disputed=bool(args.get("disputed")),
        tell=tell,
    )
    done = await asyncio.to_thread(run)
    return {
        "erased": [asdict(one) for one in done.erased],
        "bytes": done.bytes,
        "kept": [{**asdict(one), "hold": hold} for one, hold in done.kept],
    }


async def hold(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Keep ``name`` of ``scope`` (``batch`` or ``subject``) beyond its time; the hold's number.

    Raises StoreError ``hold-exists``, ConfigError ``batch-unknown``, ``hold-name-short``.
    """
    scope, name = HoldScope(args["scope"]), args["name"]
    with gateway.database.begin() as conn:
        if scope is HoldScope.BATCH and batches.find_batch(conn, name) is None and inbox.find_batch(conn, name) is None:
            raise ConfigError("batch-unknown", batch=name)
        if scope is HoldScope.SUBJECT and len(name) < _SHORTEST_NAME:
            raise ConfigError("hold-name-short", least=_SHORTEST_NAME)
        at = instant(gateway.clock.now())
        number = holding.add_hold(conn, scope, name, person=args["person"], reason=args["reason"], at=at)
        _note_hold(conn, gateway, args, "hold.add", number, scope, name)
    return {"hold": number}


async def release(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Let go of ``hold`` (its number). Raises StoreError ``hold-missing``."""
    with gateway.database.begin() as conn:
        released = holding.release_hold(conn, args["hold"], at=instant(gateway.clock.now()))
        _note_hold(conn, gateway, args, "hold.release", released.id, released.scope, released.name)
    return asdict(released)


def list_holds(gateway: Gateway) -> list[Json]:
    """The holds that last."""
    if gateway.journal is None:
        return []
    with gateway.database.read() as conn:
        return [asdict(one) for one in holding.holds(conn)]


def _note_hold(
    conn: Connection, gateway: Gateway, args: Args, action: str, number: int, scope: HoldScope, name: str
) -> None:
    # A subject may be a person: the ledger, which auditors read, has the hold's number alone.
    subject = f"hold {number} batch {name}" if scope is HoldScope.BATCH else f"hold {number} subject"
    order = {"person": args["person"], "action": action, "subject": subject, "reason": args["reason"]}
    note_action(conn, gateway.node, gateway.clock, **order)


ORDERS = {
    "close-alarm": close_alarm,
    "anchor": anchor,
    "revoke-key": revoke,
    "retention": retention,
    "hold": hold,
    "release-hold": release,
}
"""By verb."""
