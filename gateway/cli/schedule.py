"""``gateway schedule``: when each exchange runs next and why then, what was missed, what holds it up. Looks and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import chain, repeat
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape

from gateway.app import Gateway
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import language, print_json, say, screen
from gateway.clock import RandomIds, SystemClock, instant, parse_instant
from gateway.config import load_settings
from gateway.control import ask
from gateway.delivery.holds import Work
from gateway.delivery.outlook import MOST, look_ahead
from gateway.delivery.plan import BELIEVED
from gateway.delivery.schedule import Tick
from gateway.errors import ConfigError
from gateway.opening import read_gateway
from gateway.store import pauses, runs, timetable
from gateway.store.database import Connection
from gateway.texts import say_text

__all__ = ["register"]


def _schedule(
    exchanges: Annotated[list[str] | None, typer.Argument(help=say("schedule-exchanges"))] = None,
    config: Config = CONFIG,
    count: Annotated[int, typer.Option(min=1, max=1000, help=say("schedule-count"))] = 3,
    as_json: AsJson = False,
) -> None:
    settings = load_settings(config)
    names = exchanges or list(settings.exchanges)
    for name in names:
        if name not in settings.exchanges:
            raise ConfigError("exchange-unknown", exchange=name, known=", ".join(settings.exchanges) or "-")
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        found = [_one(gateway, name, count) for name in names]
    daemon = ask(settings, "state")
    holds = [hold for hold in (daemon or {}).get("holds", ()) if Work.RUN in hold["stops"]]
    if as_json:
        print_json({"daemon": daemon is not None, "holds": holds, "exchanges": found})
        return
    if any(one["schedule"] for one in found) and daemon is None:
        _line(say("schedule-no-daemon"), "yellow", indent="")
    for hold in holds:
        told = hold | {"since": _local(hold["since"], settings.node.time_zone)}
        _line(
            say("schedule-held", since=told["since"], why=say_text(f"hold-{hold['code']}", language(), told)), "red", ""
        )
    for one in found:
        _show(one, settings.node.time_zone)
    if not found:
        _line(say("schedule-none"), indent="")


def _one(gateway: Gateway, name: str, count: int) -> dict[str, Any]:
    """Everything about one exchange; while there is no journal, nothing has run, was missed or is paused."""
    chosen, node = gateway.settings.exchanges[name], gateway.settings.node
    plan = gateway.plans.get(name)
    schedule = None if plan is None else plan.schedule
    found: dict[str, Any] = {
        "exchange": name,
        "schedule": schedule and schedule.cron.text,
        "time_zone": node.time_zone.key,
        "working_days_only": chosen.working_days_only,
        "catch_up": chosen.catch_up.value,
        "since": None,
        "last_run": None,
        "paused": [],
        "ahead": None,
        "next": [],
        "missed": None,
        "due": [],
    }
    now, last = gateway.clock.now(), None
    if gateway.journal is not None:
        with gateway.journal.read() as conn:
            found |= {"last_run": _last_run(conn, name), "paused": _paused(conn, name, chosen.peer)}
            found["since"] = schedule and timetable.since(conn, name, schedule.promise)
            last = timetable.last_due(conn, name, until=instant(now + BELIEVED))
    if schedule is None:
        return found
    outlook = look_ahead(
        schedule,
        since=_moment(found["since"]),
        last_due=_moment(last),
        now=now,
        catch_up=chosen.catch_up,
        count=count,
    )
    return found | {
        "ahead": last if last is not None and last > instant(now) else None,
        "next": [_tick(tick, node.time_zone) for tick in outlook.coming],
        "missed": _missed(outlook.missed),
        "due": [_tick(tick, node.time_zone) for tick in outlook.due],
    }


def _moment(at: str | None) -> datetime | None:
    return None if at is None else parse_instant(at)


def _tick(tick: Tick, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "at": tick.due_at,
        "local": tick.at.astimezone(zone).isoformat(),
        "planned": tick.wall.isoformat(),
        "why": [why.value for why in tick.why],
    }


def _missed(ticks: Sequence[Tick]) -> dict[str, Any] | None:
    if not ticks:
        return None
    span = {"first": ticks[0].due_at, "last": ticks[-1].due_at}
    return {"count": len(ticks), "more": len(ticks) >= MOST, **span}


def _last_run(conn: Connection, name: str) -> dict[str, Any] | None:
    if (last := runs.last_run(conn, name)) is None:
        return None
    return {
        "run": last.id,
        "kind": last.kind.value,
        "due_at": last.due_at,
        "started_at": last.started_at,
        "state": last.state.value,
        "error": last.figures.get("error"),
    }


def _paused(conn: Connection, name: str, peer: str) -> list[dict[str, Any]]:
    places = ((pauses.Scope.EXCHANGE, name), (pauses.Scope.PEER, peer))
    return [
        {"scope": one.scope.value, "name": one.name, "since": one.at, "person": one.person, "reason": one.reason}
        for one in (pauses.find(conn, *place) for place in places)
        if one is not None
    ]


def _show(one: dict[str, Any], zone: ZoneInfo) -> None:
    words = [one["schedule"] or say("schedule-by-order"), one["time_zone"] if one["schedule"] else ""]
    if one["working_days_only"]:
        words.append(say("schedule-working-days"))
    screen().print(f"[bold]{escape(one['exchange'])}[/]  {escape('  '.join(filter(None, words)))}")
    if (last := one["last_run"]) is not None:
        state = say(f"schedule-{last['state']}", code=last["error"] or "-")
        kind = say(f"schedule-{last['kind']}")
        _line(say("schedule-last", at=_local(last["started_at"], zone), kind=kind, state=state))
    for pause in one["paused"]:
        _line(say(f"schedule-paused-{pause['scope']}", **(pause | {"since": _local(pause["since"], zone)})), "yellow")
    if one["schedule"] is None:
        return
    if one["since"] is None:
        _line(say("schedule-not-begun"), "yellow")
    if one["ahead"] is not None:
        _line(say("schedule-ahead", at=_local(one["ahead"], zone)), "yellow")
    if (missed := one["missed"]) is not None:
        number = f"{missed['count']:,}{'+' if missed['more'] else ''}"
        span = {end: _local(missed[end], zone) for end in ("first", "last")}
        _line(say("schedule-missed", number=number, **span), "yellow")
        _line(say(f"schedule-catch-up-{one['catch_up']}"), "yellow")
    for label, tick in zip(chain(["next"], repeat("then")), one["next"], strict=False):
        why = [say(f"schedule-why-{each}", planned=tick["planned"].replace("T", " ")) for each in tick["why"]]
        utc = tick["at"][:19].replace("T", " ")
        _line("  ".join([say(f"schedule-{label}", local=_local(tick["at"], zone), utc=utc), *why]))
    if not one["next"]:
        _line(say("schedule-never-again"), "yellow")


def _line(text: str, colour: str = "default", indent: str = "  ") -> None:
    screen().print(f"{indent}[{colour}]{escape(text)}[/]")


def _local(at: str, zone: ZoneInfo) -> str:
    """An instant of the journal as the clock on the wall shows it."""
    moment = parse_instant(at).astimezone(zone)
    weekday = say(f"weekday-{moment.isoweekday()}")
    return f"{moment:%Y-%m-%d} {weekday} {moment:%H:%M:%S}"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("schedule", help=say("help-schedule"))(_schedule)
