"""``gateway status``: how the node stands; for every batch under way when it is tried next, because of what, and when it is given up."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape

from gateway.app import Gateway
from gateway.cli.batches import batch_json
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import language, local, print_json, say, screen, table
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.control import ask
from gateway.delivery.exchange import Route, receiver_of
from gateway.opening import read_gateway
from gateway.store import alarms, attempts, batches, inbox, pauses, peers, quarantine, records, routes, runs
from gateway.store.batches import Batch
from gateway.store.database import Connection
from gateway.store.entries import DurableLog
from gateway.store.states import State
from gateway.texts import say_text, template

__all__ = ["register"]


def _status(config: Config = CONFIG, as_json: AsJson = False) -> None:
    settings = load_settings(config)
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        found = {**_state(gateway), "daemon": ask(settings, "state")}
    if as_json:
        print_json(found)
        return
    _show(found, settings.node.time_zone)


def _show(found: dict[str, Any], zone: ZoneInfo) -> None:
    out = screen()
    node, daemon = found["node"], found["daemon"]
    out.print(f"[bold]{escape(str(node['name']))}[/]  {node['code']}")
    out.print(say("status-daemon" if daemon else "status-no-daemon", **(daemon or {})))
    for hold in daemon["holds"] if daemon else ():
        out.print(f"  [red]{escape(say('status-hold', **(hold | {'since': local(hold['since'], zone)})))}[/]")
        out.print(f"  {escape(say_text('hold-' + hold['code'], language(), hold))}")
    headings = ("exchange", "last-run", "state", "records", "open-batches", "quarantine")
    table(
        [say(f"heading-{name}") for name in headings],
        [
            [
                one["exchange"],
                local(one["last_run"], zone),
                _run_state(one),
                one["records"],
                one["open_batches"],
                one["quarantine"],
            ]
            for one in found["exchanges"]
        ],
    )
    for one in found["held"]:
        out.print("  [yellow]" + escape(say("status-held-run", **one)) + "[/]")
    for one in found["paused"]:
        out.print("  [yellow]" + escape(say("status-paused", **(one | {"at": local(one["at"], zone)}))) + "[/]")
    for one in found["out_of_reach"]:
        told = one | {"opened_at": local(one["opened_at"], zone), "probe_at": local(one["probe_at"], zone)}
        out.print("  [red]" + escape(say("status-out-of-reach", **told)) + "[/]")
    for one in found["alarms"]:
        out.print(f"  [red]{escape(say('status-alarm', **(one | {'at': local(one['at'], zone)})))}[/]")
    for one in found["waiting"]:
        _waiting(one, zone)
    for one in found["received"]:
        out.print("  " + say("status-received", **(one | {"at": local(one["at"], zone)})))
    out.print(say("status-ledger", **found["ledger"]))


def _waiting(one: dict[str, Any], zone: ZoneInfo) -> None:
    out = screen()
    state = say(f"state-{one['state']}")
    out.print("  " + escape(say("status-batch", **(one | {"state": state}))))
    if one["code"]:
        words = template(one["code"], language(), "say") or ""
        detail = one["detail"] or ("" if "{" in words else words)
        out.print("    " + escape(say("status-because", code=one["code"], detail=detail)))
    told = one | {
        "next": local(one["next_attempt_at"], zone),
        "until": local(one["give_up_at"], zone),
    }
    out.print("    " + escape(say(f"status-then-{one['then']}", **told)))


def _run_state(one: dict[str, Any]) -> str:
    if one["state"] is None:
        return ""
    if one["error"]:
        return say("status-run-failed", code=one["error"])
    return say(f"run-{one['state']}")


def _state(gateway: Gateway) -> dict[str, Any]:
    log = DurableLog(gateway.database)
    newest = log.newest_checkpoint()
    exchanges: list[dict[str, object]] = []
    held: list[dict[str, object]] = []
    with gateway.database.read() as conn:
        for name, exchange in gateway.settings.exchanges.items():
            last = runs.last_run(conn, name)
            error = None if last is None else last.figures.get("error")
            exchanges.append(
                {
                    "exchange": name,
                    "last_run": last and last.started_at,
                    "state": last and last.state.value,
                    "error": error,
                    "records": records.counts(conn, exchange.catalog, gateway.settings.held_under(name)).get(
                        "upsert", 0
                    ),
                    "open_batches": len(batches.open_batches(conn, exchange=name)),
                    "quarantine": quarantine.count_open(conn, exchange=name),
                }
            )
            if last is not None and error == "mass-change":
                held.append({"run": last.id, "exchange": name, **last.figures})
        paused = [
            {"scope": one.scope.value, "name": one.name, "at": one.at, "person": one.person, "reason": one.reason}
            for one in pauses.list_all(conn)
        ]
        names = {peer.code: name for name, peer in gateway.settings.peers.items()}
        out_of_reach = [
            {
                "peer": names.get(row.code, row.code),
                "opened_at": row.opened_at,
                "probe_at": row.probe_at,
                "why": row.why,
                "failures": row.failures,
            }
            for row in peers.all_peers(conn)
            if row.opened_at is not None
        ]
        raised = [
            {"alarm": one.id, "code": one.code.value, "at": one.raised_at, "say": one.say(language())}
            for one in alarms.open_alarms(conn)
        ]
        stopped = {(one["scope"], one["name"]) for one in paused}
        away = {str(one["peer"]) for one in out_of_reach}
        first = {head.batch_id for head in routes.heads(conn)}
        waiting = [
            _batch(conn, gateway, batch, names, stopped, away, first=batch.id in first)
            for batch in batches.open_batches(conn)
        ]
        received: dict[str, dict[str, object]] = {}
        for one in inbox.list_batches(conn, limit=1000):
            received.setdefault(one.route, {"route": one.route, "sequence": one.sequence, "at": one.received_at})
    return {
        "node": {"code": gateway.node.code, "name": gateway.node.name},
        "exchanges": exchanges,
        "held": held,
        "paused": paused,
        "out_of_reach": out_of_reach,
        "alarms": raised,
        "waiting": waiting,
        "received": list(received.values()),
        "ledger": {"size": log.head().size, "signed": newest.size if newest else 0},
    }


def _batch(
    conn: Connection,
    gateway: Gateway,
    batch: Batch,
    names: dict[str, str],
    stopped: set[tuple[str, str]],
    away: set[str],
    *,
    first: bool,
) -> dict[str, Any]:
    """A batch under way: why it waits, and what comes next (``then``)."""
    peer = names.get(receiver_of(Route(batch.route)), "")
    settings = gateway.settings.peers.get(peer)
    tries = attempts.list_attempts(conn, batch.id)
    last = tries[-1] if tries else None
    if batch.state is State.ACKNOWLEDGED:
        then = "reconcile"
    elif not first:
        then = "behind"
    elif ("exchange", batch.exchange) in stopped or ("peer", peer) in stopped:
        then = "paused"
    elif batch.state is State.REFUSED:
        then = "person"
    elif peer in away:
        then = "probe"
    else:
        then = "ask" if batch.state is State.UNKNOWN else "send"
    return {
        **batch_json(batch),
        "peer": peer,
        "code": last and last.code,
        "detail": last and last.detail,
        "status": last and last.status,
        "left": max(settings.retry.attempts - batch.attempts, 0) if settings else 0,
        "then": then,
    }


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("status", help=say("help-status"))(_status)
