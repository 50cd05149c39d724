"""What operators may order, by verb. An order is a function of the open node, plain arguments and progress; it answers with plain JSON.

It is the same whether the daemon carries it out for somebody at the local socket, or a command does by itself (:mod:`gateway.control`).
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway import collect, custody, fetching, sites, withdrawal
from gateway.again import quarantine_retry, resync
from gateway.app import Gateway
from gateway.auditor import note_export
from gateway.clock import instant
from gateway.delivery.decisions import note_action
from gateway.delivery.exchange import Progress, Route
from gateway.delivery.guard import MassChange
from gateway.delivery.run import Order
from gateway.errors import ConfigError, DeliveryError, GatewayError, error_json
from gateway.store import batches, runs
from gateway.store.pauses import Scope
from gateway.store.states import State

__all__ = ["ORDERS"]

Args = Mapping[str, Any]
Json = dict[str, Any]


async def run(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Run ``exchanges`` one after another; one that fails does not stop the others.

    ``statements``, ``failed`` (errors by exchange) and ``waiting``: how many of their batches are still under way.
    """
    order = Order(person=args["person"], reason=args.get("reason"), full=bool(args.get("full")))
    statements: list[Json] = []
    failed: dict[str, Json] = {}
    for name in args["exchanges"]:
        try:
            if args.get("retry"):
                await _retry_all(gateway, name, args)
            async with gateway.exchange(name) as exchange:
                statement = await gateway.runner.run(exchange, order, tell)
        except GatewayError as error:
            failed[name] = error_json(error)
        else:
            if statement is not None:
                statements.append(statement.to_json())
    with gateway.database.read() as conn:
        waiting = sum(len(batches.open_batches(conn, exchange=name)) for name in args["exchanges"])
    return {"statements": statements, "failed": failed, "waiting": waiting}


async def _retry_all(gateway: Gateway, name: str, args: Args) -> None:
    with gateway.database.read() as conn:
        waiting = batches.open_batches(conn, exchange=name)
    async with gateway.peer(gateway.settings.exchanges[name].peer) as peer:
        for batch in waiting:
            if batch.state in {State.READY, State.SENDING, State.ACKNOWLEDGED}:
                continue
            gateway.decisions.retry(batch.id, peer, person=args["person"], reason=args.get("reason") or "-")


async def approve(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Let a held run go on, up to what it showed: the source is read anew, and what was found may be taken back or changed.

    Raises DeliveryError ``run-not-held``, ``run-overtaken``.
    """
    run_id = args["run"]
    with gateway.database.read() as conn:
        held = runs.find_run(conn, run_id)
        last = None if held is None else runs.last_run(conn, held.exchange)
    if held is None or held.figures.get("error") != "mass-change":
        raise DeliveryError("run-not-held", run=run_id)
    if last is None or last.id != held.id:
        raise DeliveryError("run-overtaken", run=run_id, by=last.id if last else "-")
    found = MassChange(withdrawals=held.figures["withdrawals"], changes=held.figures["changes"])
    with gateway.database.begin() as conn:
        note_action(
            conn,
            gateway.node,
            gateway.clock,
            person=args["person"],
            action="approve",
            subject=f"{run_id} withdrawals={found.withdrawals} changes={found.changes}",
            reason=args["reason"],
        )
    order = Order(person=args["person"], reason=args["reason"], approved=found, approves=run_id)
    async with gateway.exchange(held.exchange) as exchange:
        statement = await gateway.runner.run(exchange, order, tell)
    return {"statement": None if statement is None else statement.to_json()}


async def pause(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Stop an exchange or a peer."""
    scope = _known(gateway, args)
    gateway.decisions.pause(scope, args["name"], person=args["person"], reason=args["reason"])
    return {}


async def resume(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Go on with an exchange or a peer; what was due meanwhile leaves at once."""
    scope = _known(gateway, args)
    gateway.decisions.resume(scope, args["name"], person=args["person"], reason=args["reason"])
    gateway.dispatcher.wake()
    return {}


def _known(gateway: Gateway, args: Args) -> Scope:
    scope, name = Scope(args["scope"]), args["name"]
    known = gateway.settings.exchanges if scope is Scope.EXCHANGE else gateway.settings.peers
    if name not in known:
        raise ConfigError(f"{scope.value}-unknown", **{scope.value: name}, known=", ".join(known) or "-")
    return scope


async def retry(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Try a batch again now."""
    batch = _batch(gateway, args["batch"])
    async with gateway.peer_of(batch.route) as peer:
        was = gateway.decisions.retry(batch.id, peer, person=args["person"], reason=args["reason"])
    await _deliver(gateway, args["batch"], tell)
    return {"was": was.value, "state": _state(gateway, args["batch"])}


async def abandon(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Give a batch up. ``void`` is the batch in its place, None when the receiver had taken it after all."""
    batch = _batch(gateway, args["batch"])
    async with gateway.peer_of(batch.route) as peer:
        void = await gateway.decisions.abandon(batch.id, peer, person=args["person"], reason=args["reason"])
    await _deliver(gateway, batch.id, tell)
    return {"void": void, "state": _state(gateway, batch.id)}


async def receipt(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Take a receipt that came by another way than the line: ``data`` in base64."""
    batch = _batch(gateway, args["batch"])
    async with gateway.peer_of(batch.route) as peer:
        await asyncio.to_thread(gateway.courier.take_receipt, batch.id, peer, base64.b64decode(args["data"]))
    await _deliver(gateway, batch.id, tell)
    return {"state": _state(gateway, batch.id)}


async def state(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """What only the running process knows: what it holds back, and which exchanges it is running."""
    return {
        "pid": os.getpid(),
        "holds": [
            {"code": hold.code, "since": instant(hold.since), "stops": sorted(hold.stops), **hold.facts}
            for hold in gateway.holds.all()
        ],
        "running": [name for name in gateway.settings.exchanges if gateway.runner.busy(name)],
    }


async def _deliver(gateway: Gateway, batch_id: str, tell: Progress) -> None:
    """One pass over the batch's route, whether or not a daemon would make it by itself."""
    route = _batch(gateway, batch_id).route
    async with gateway.peer_of(route) as peer:
        await gateway.dispatcher.deliver(Route(route), peer, tell)


def _batch(gateway: Gateway, batch_id: str) -> batches.Batch:
    with gateway.database.read() as conn:
        batch = batches.find_batch(conn, batch_id)
    if batch is None:
        raise ConfigError("batch-unknown", batch=batch_id)
    return batch


def _state(gateway: Gateway, batch_id: str) -> str:
    return _batch(gateway, batch_id).state.value


async def export(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Enter that evidence is taken away, ``subject`` of it; ``index`` is that of the entry. To write the bundle is for whoever reads it."""
    index = await asyncio.to_thread(note_export, gateway, args["person"], args["subject"], args["reason"])
    return {"index": index}


async def quarantine_out(gateway: Gateway, args: Args, tell: Progress) -> Json:
    """Enter that rows held back are shown with their personal values (``what``: reveal) or handed out in a file (export)."""
    action = {"reveal": "quarantine-reveal", "export": "quarantine-export"}[args["what"]]
    who = {"person": args["person"], "reason": args["reason"]}
    with gateway.database.begin() as conn:
        index = note_action(conn, gateway.node, gateway.clock, action=action, subject=args["subject"], **who)
    return {"index": index}


ORDERS: Mapping[str, Callable[[Gateway, Args, Progress], Awaitable[Json]]] = {
    "run": run,
    "approve": approve,
    "pause": pause,
    "resume": resume,
    "retry": retry,
    "abandon": abandon,
    "receipt": receipt,
    "resync": resync,
    "quarantine-retry": quarantine_retry,
    "quarantine-out": quarantine_out,
    "export": export,
    "state": state,
    "pull": fetching.pull,
    "feedback": fetching.feedback,
    **custody.ORDERS,
    **collect.ORDERS,
    **sites.ORDERS,
    **withdrawal.ORDERS,
}
