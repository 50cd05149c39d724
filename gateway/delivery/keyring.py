"""The keys that this node uses and trusts, told to its ledger: at every start what is configured is compared with what was entered.

An auditor can then tell which key was to be believed for which entry, also of peers whose receipts the ledger speaks of. The ledger's own
key never changes by itself: its successor has to be announced under it, see :func:`rotate_ledger_key`.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway import __version__
from gateway.clock import Clock, instant
from gateway.delivery.notary import Notary
from gateway.errors import ConfigError, LedgerError
from gateway.ledger.append import append
from gateway.ledger.cosignature import CosignerKey
from gateway.ledger.entry import Value
from gateway.ledger.history import KEY_KINDS, NO_END, NOBODY, KeyHistory, LoggedKey, key_id_of
from gateway.ledger.note import VerifierKey
from gateway.package.certificates import Certificate, der_of, fingerprint
from gateway.package.forms import Node
from gateway.store.database import Connection, Database
from gateway.store.entries import DurableLog, TransactionLog

__all__ = [
    "UsedKey",
    "certificate_key",
    "check_ledger_key",
    "enter_keys",
    "ledger_key",
    "read_history",
    "revoke_key",
    "rotate_ledger_key",
]

_NOT_CONFIGURED = "not configured any more"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedKey:
    """A key in use, in the terms of ledger entries."""

    purpose: str
    owner: str
    key_id: str
    key: str
    valid_from: str
    valid_to: str


def certificate_key(purpose: str, owner: str, certificate: Certificate) -> UsedKey:
    """A certificate (purposes ``package`` and ``anchor``)."""
    return UsedKey(
        purpose=purpose,
        owner=owner,
        key_id=fingerprint(certificate),
        key=base64.b64encode(der_of(certificate)).decode(),
        valid_from=instant(certificate.not_valid_before_utc),
        valid_to=instant(certificate.not_valid_after_utc),
    )


def ledger_key(purpose: str, owner: str, key: VerifierKey | CosignerKey, at: datetime) -> UsedKey:
    """A key of a ledger or a witness, which has no validity of its own (purposes ``ledger`` and ``witness``)."""
    return UsedKey(
        purpose=purpose, owner=owner, key_id=key_id_of(key), key=str(key), valid_from=instant(at), valid_to=NO_END
    )


def read_history(database: Database) -> KeyHistory:
    """The keys that the ledger tells of; none of a ledger that has not begun."""
    return KeyHistory.of(DurableLog(database).of_kinds(KEY_KINDS))


def check_ledger_key(history: KeyHistory, configured: VerifierKey, notary: Notary, signed: int) -> None:
    """Whether the configured ledger key is the one that has to sign now; ``signed`` is the size of the newest checkpoint.

    A change that was cut off between its entry and its signature is finished under the old key, which then is told to be retired.
    Raises LedgerError: ``ledger-key-retired``, ``ledger-rotation-unsigned``, ``ledger-key-unannounced``.
    """
    keys = history.ledger_keys()
    if not keys:
        return
    current, key_id = keys[-1], key_id_of(configured)
    announced = signed > current.index or current.index == 0
    if key_id == current.key_id:
        if not announced:
            raise LedgerError("ledger-rotation-unsigned", key=key_id)
        return
    if key_id not in {key.key_id for key in keys}:
        raise LedgerError("ledger-key-unannounced", key=key_id, current=current.key_id)
    if not announced and key_id == keys[-2].key_id:
        notary.start()
        notary.publish(final=True)
    raise LedgerError("ledger-key-retired", key=key_id, current=current.key_id)


def enter_keys(
    conn: Connection,
    *,
    node: Node,
    own: UsedKey,
    trusted: Iterable[UsedKey],
    on_first_use: Collection[str],
    clock: Clock,
) -> None:
    """Enter what differs between the keys in use and those that the ledger tells of, in the caller's transaction.

    ``own`` signs our packages; ``trusted`` are those of others. The ledger keys of the peers in ``on_first_use`` (codes) are not configured:
    those trusted on first use stay. Raises ConfigError ``key-revoked-in-use`` for a key that a person has revoked.
    """
    used: defaultdict[tuple[str, str], dict[str, UsedKey]] = defaultdict(dict)
    for one in trusted:
        used[one.purpose, one.owner][one.key_id] = one
    history = KeyHistory.of(TransactionLog(conn).of_kinds(KEY_KINDS))
    _refuse_revoked(history, [own, *(key for keys in used.values() for key in keys.values())])
    _enter_own(conn, node, history, own, clock)
    for key in history.keys:
        if not key.current or key.owner == node.code or key.key_id in used[key.purpose, key.owner]:
            continue
        if key.purpose == "ledger" and key.owner in on_first_use:
            continue
        size = TransactionLog(conn).head().size
        _revoke(conn, node, key, from_size=size, person=NOBODY, reason=_NOT_CONFIGURED, at=clock.now())
    for (purpose, owner), keys in used.items():
        known = {key.key_id for key in history.current(purpose, owner)}
        for key_id, new in keys.items():
            if key_id not in known:
                _append(conn, node, "key.added", {**_fields(new), "person": ""}, clock.now())


def revoke_key(
    database: Database,
    node: Node,
    key_id: str,
    *,
    in_use: Collection[str],
    from_size: int | None,
    person: str,
    reason: str,
    clock: Clock,
) -> int:
    """A person's word that nothing is to be believed under a key from ``from_size`` entries on (from now on, if None); that size.

    ``in_use`` are the ids of the keys that this node uses or trusts now. Raises ConfigError ``key-in-use``, LedgerError ``key-unknown``.
    """
    if key_id in in_use:
        raise ConfigError("key-in-use", key=key_id)
    with database.begin() as conn:
        history = KeyHistory.of(TransactionLog(conn).of_kinds(KEY_KINDS))
        key = next((one for one in reversed(history.keys) if one.key_id == key_id), None)
        if key is None:
            raise LedgerError("key-unknown", key=key_id, owner="-")
        size = TransactionLog(conn).head().size
        stated = size if from_size is None else min(from_size, size)
        _revoke(conn, node, key, from_size=stated, person=person, reason=reason, at=clock.now())
    return stated


def rotate_ledger_key(
    database: Database, node: Node, new: VerifierKey, *, notary: Notary, person: str, reason: str, clock: Clock
) -> int:
    """Announce ``new`` as the ledger's next key, under the present one; the index of the entry. No other process may append meanwhile.

    The checkpoint over exactly this entry is the last one of the present key: after it nothing may be appended under it.
    Raises ConfigError ``key-known`` when it was the ledger's key before.
    """
    key_id, now = key_id_of(new), clock.now()
    notary.publish(final=True)
    with database.begin() as conn:
        history = KeyHistory.of(TransactionLog(conn).of_kinds(KEY_KINDS))
        if key_id in {key.key_id for key in history.ledger_keys()}:
            raise ConfigError("key-known", key=key_id)
        present = history.ledger_keys()[-1]
        action = {"person": person, "action": "key.rotate", "subject": f"ledger {key_id}", "reason": reason}
        _append(conn, node, "operator.action", action, now)
        fields = {**_fields(ledger_key("ledger", node.code, new, now)), "person": person}
        index = _append(conn, node, "key.rotated", {**fields, "before_key_id": present.key_id}, now)
    # A crash here: the entry is there and unsigned; the next start with the present key signs it (check_ledger_key).
    notary.publish(final=True)
    _log.warning("key.rotated", purpose="ledger", key_id=key_id, before=present.key_id, index=index)
    return index


def _refuse_revoked(history: KeyHistory, used: Iterable[UsedKey]) -> None:
    newest = {(key.purpose, key.owner, key.key_id): key for key in history.keys}
    for key in used:
        known = newest.get((key.purpose, key.owner, key.key_id))
        if known is not None and known.revoked_from is not None and known.revoked_by != NOBODY:
            raise ConfigError("key-revoked-in-use", key=key.key_id, owner=key.owner, person=known.revoked_by)


def _enter_own(conn: Connection, node: Node, history: KeyHistory, own: UsedKey, clock: Clock) -> None:
    current = history.current(own.purpose, own.owner)
    if own.key_id in {key.key_id for key in current}:
        return
    fields: dict[str, Value] = {**_fields(own), "person": ""}
    if not current:
        _append(conn, node, "key.added", fields, clock.now())
        return
    _append(conn, node, "key.rotated", {**fields, "before_key_id": current[-1].key_id}, clock.now())


def _fields(key: UsedKey) -> dict[str, Value]:
    return {
        "purpose": key.purpose,
        "owner": key.owner,
        "key_id": key.key_id,
        "key": key.key,
        "valid_from": key.valid_from,
        "valid_to": key.valid_to,
    }


def _revoke(
    conn: Connection, node: Node, key: LoggedKey, *, from_size: int, person: str, reason: str, at: datetime
) -> None:
    fields: dict[str, Value] = {"purpose": key.purpose, "owner": key.owner, "key_id": key.key_id}
    fields |= {"from_size": from_size, "person": person, "reason": reason}
    _append(conn, node, "key.revoked", fields, at)


def _append(conn: Connection, node: Node, kind: str, fields: Mapping[str, Value], at: datetime) -> int:
    index = append(TransactionLog(conn), kind, {"node": node.code, "software": __version__, **fields}, at=at)
    if kind != "operator.action":
        _log.info("key.entered", kind=kind, purpose=fields["purpose"], owner=fields["owner"], key_id=fields["key_id"])
    return index
