"""Records withdrawn, no longer shared, shared again or corrected at a person's order, wherever they were sent."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from gateway.app import Gateway
from gateway.clock import instant
from gateway.delivery.decisions import note_action
from gateway.delivery.exchange import Progress
from gateway.delivery.run import Order, Resend
from gateway.errors import ConfigError, DeliveryError, GatewayError, error_json
from gateway.package.forms import CODE, EXPLANATION
from gateway.package.record import Operation
from gateway.store import publicity, record_orders
from gateway.store.database import Connection
from gateway.store.record_orders import Known, Ordered
from gateway.store.runs import Kind

__all__ = ["ORDERS", "list_orders"]

Json = dict[str, Any]
_MOST: Final = 1_000


async def withdraw(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """Take records back: the decision was revoked, or should never have been shared.

    ``args``: ``catalog``, ``keys``, ``code`` (the reason as the receiver is told it), ``basis`` (the law or the decision that it rests on),
    ``person``, ``reason``. The order is durable before anything is sent: a run that is cut off, or an exchange that is paused, sends it later.
    It holds until :func:`share_again`, whatever the source says. Answers with ``records``, and by exchange with ``statements`` and ``failed``.
    Raises ConfigError ``record-unknown``, ``record-order-argument``, ``catalog-unknown``; StoreError ``record-held-back``.
    """
    return await _back(gateway, args, tell, Operation.WITHDRAW)


async def stop_share(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """No longer share records, after credit repair (停止共享和使用). As :func:`withdraw`."""
    return await _back(gateway, args, tell, Operation.STOP_SHARE)


async def share_again(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """Lift orders: the records go out as they stand by now, under a new version. What is over its publication period ends again at once.

    ``args`` as of :func:`withdraw`, without ``code`` and ``basis``. Raises DeliveryError ``record-not-held-back``.
    """
    found = _found(gateway, args)
    free = [one for one in found if one.order is None and one.op != Operation.STOP_SHARE]
    if free:
        raise DeliveryError("record-not-held-back", key=free[0].key)
    with gateway.database.begin() as conn:
        record_orders.lift(conn, [one.id for one in found], at=instant(gateway.clock.now()))
        _note(conn, gateway, args, "share-again", found, "")
    return await _send(gateway, args, tell, found)


async def correct(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """Send records whose rows were corrected at their source, now: the source is read from its beginning, wherever its cursor stands.

    ``args`` as of :func:`share_again`. Answers also with ``corrected`` and ``unchanged``: how many of the records have a new version. Raises
    DeliveryError ``record-held-back`` for one that an order holds back: it must be shared again first.
    """
    found = _found(gateway, args)
    held = [one for one in found if one.order is not None]
    if held:
        raise DeliveryError("record-held-back", key=held[0].key, code=held[0].order)
    with gateway.database.begin() as conn:
        _note(conn, gateway, args, "correct", found, "")
    order = Order(person=str(args["person"]), reason=str(args["reason"]), full=True)
    sources = {one.source for one in found}
    done = await _each(gateway, str(args["catalog"]), sources, tell, lambda _name: order)
    after = {one.id: one.version for one in _found(gateway, args)}
    corrected = sum(1 for one in found if after[one.id] > one.version)
    return {"records": len(found), "corrected": corrected, "unchanged": len(found) - corrected, **done}


async def _back(gateway: Gateway, args: Mapping[str, Any], tell: Progress, op: Operation) -> Json:
    found = _found(gateway, args)
    code, basis = str(args["code"]), str(args["basis"])
    for name, value, form in (("code", code, CODE.pattern), ("basis", basis, EXPLANATION.pattern)):
        if form.fullmatch(value) is None or not value:
            raise ConfigError("record-order-argument", name=name)
    same = [one for one in found if one.order is not None and one.op == op.value]
    at = instant(gateway.clock.now())
    if same:
        raise DeliveryError("record-held-back", key=same[0].key, code=same[0].order)
    rows = [Ordered(one.id, code, basis, str(args["person"]), str(args["reason"]), at) for one in found]
    # The order stands before anything is sent. A crash after it: the next run of each exchange sends what it says.
    with gateway.database.begin() as conn:
        record_orders.begin(conn, rows, op=op.value)
        _note(conn, gateway, args, op.value, found, f" code={code} basis={basis}")
    return await _send(gateway, args, tell, found)


def _found(gateway: Gateway, args: Mapping[str, Any]) -> list[Known]:
    catalog = gateway.mappings.catalog(str(args["catalog"]))
    keys = list(dict.fromkeys(str(key) for key in args["keys"]))
    if not 0 < len(keys) <= _MOST:
        raise ConfigError("record-order-argument", name="keys")
    with gateway.database.read() as conn:
        found = record_orders.named(conn, catalog.id, keys)
    missing = set(keys) - {one.key for one in found}
    if missing:
        raise ConfigError("record-unknown", key=min(missing), catalog=catalog.id)
    return found


def _note(
    conn: Connection, gateway: Gateway, args: Mapping[str, Any], action: str, found: Sequence[Known], more: str
) -> None:
    """One entry for each record. A key may name a person, and the ledger is kept for ever: its digest tells the record as surely."""
    for key in sorted({one.key for one in found}):
        digest = hashlib.sha256(key.encode()).hexdigest()
        note_action(
            conn,
            gateway.node,
            gateway.clock,
            person=str(args["person"]),
            action=f"record-{action}",
            subject=f"{args['catalog']} key-sha256={digest}{more}",
            reason=str(args["reason"]),
        )


async def _send(gateway: Gateway, args: Mapping[str, Any], tell: Progress, found: Sequence[Known]) -> Json:
    """Send what the order made due, in every exchange that sent these records."""
    ids = [one.id for one in found]

    def resend(exchange: str) -> Order | None:
        with gateway.database.read() as conn:
            if not record_orders.unsent(conn, exchange, ids):
                return None
        return Order(
            kind=Kind.RESYNC,
            person=str(args["person"]),
            reason=str(args["reason"]),
            resend=Resend(prepare=lambda conn, _run: record_orders.unsent(conn, exchange, ids)),
        )

    done = await _each(gateway, str(args["catalog"]), {one.source for one in found}, tell, resend)
    return {"records": len(found), **done}


async def _each(
    gateway: Gateway, catalog: str, sources: set[str], tell: Progress, order: Callable[[str], Order | None]
) -> Json:
    statements: list[Json] = []
    failed: dict[str, Json] = {}
    for name, chosen in gateway.settings.exchanges.items():
        if chosen.catalog != catalog or gateway.settings.held_under(name) not in sources:
            continue
        given = order(name)
        if given is None:
            continue
        try:
            async with gateway.exchange(name) as exchange:
                statement = await gateway.runner.run(exchange, given, tell)
        except GatewayError as error:
            failed[name] = error_json(error)
        else:
            statements += [] if statement is None else [statement.to_json()]
    return {"statements": statements, "failed": failed}


def list_orders(gateway: Gateway, catalog: str | None = None) -> list[Json]:
    """What persons hold back, newest first, with the publication period where there is one."""
    with gateway.database.read() as conn:
        found = list(record_orders.list_all(conn, catalog))
        periods = publicity.of(conn, [one.id for one, _ in found])
    return [
        {
            "key": one.key,
            "source": one.source,
            "op": one.op,
            "version": one.version,
            "code": order.code,
            "basis": order.basis,
            "person": order.person,
            "reason": order.reason,
            "at": order.at,
            "until": periods[one.id].until if one.id in periods else None,
        }
        for one, order in found
    ]


ORDERS: Mapping[str, Callable[[Gateway, Mapping[str, Any], Progress], Awaitable[Json]]] = {
    "record-withdraw": withdraw,
    "record-stop-share": stop_share,
    "record-share-again": share_again,
    "record-correct": correct,
}
