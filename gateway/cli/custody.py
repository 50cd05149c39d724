"""``gateway alarms``, ``retention``, ``hold``: what waits for a person, and what persons order to be erased or kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import ExitCode, print_json, say, screen, table
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.control import perform
from gateway.custody import list_alarms, list_holds
from gateway.errors import ConfigError
from gateway.opening import read_gateway

__all__ = ["register"]

_alarms = typer.Typer(no_args_is_help=True)
_holds = typer.Typer(no_args_is_help=True)


def _silent(_stage: str, _count: int) -> None: ...


@_alarms.command("list", help=say("help-alarms-list"))
def _list(config: Config = CONFIG, as_json: AsJson = False) -> None:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        found = list_alarms(gateway)
    if as_json:
        print_json(found)
    elif not found:
        screen().print(say("alarms-none"))
    for one in () if as_json else found:
        screen().print(f"[bold]#{one['id']}[/]  {one['raised_at']}  [dim]{one['code']}[/]")
        screen().print(f"    {escape(one['say'])}")
        screen().print(f"    [dim]→[/] {escape(one['fix'])}")
    if found:
        raise typer.Exit(ExitCode.FOUND)


@_alarms.command("close", help=say("help-alarms-close"))
def _close(
    number: Annotated[int, typer.Argument(help=say("alarms-number"))],
    config: Config = CONFIG,
    accept: Annotated[bool, typer.Option("--accept", help=say("alarms-accept"))] = False,
    person: Person = "",
    reason: Reason = "",
) -> None:
    args = {"alarm": number, "accept": accept, **signed(person, reason)}
    perform(load_settings(config), "close-alarm", args, _silent)
    screen().print(say("alarms-closed", alarm=number))


def _retention(
    config: Config = CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("retention-dry"))] = False,
    disputed: Annotated[bool, typer.Option("--disputed", help=say("retention-disputed"))] = False,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    settings = load_settings(config)
    order = {"person": "-", "reason": "-"} if dry_run else signed(person, reason)
    done = perform(settings, "retention", {"dry_run": dry_run, "disputed": disputed, **order}, _silent)
    if as_json:
        print_json(done)
        return
    names = ("batch-id", "side", "settled-at", "size", "hold")
    rows = [[one[name.replace("-", "_")] for name in names[:-1]] + [one.get("hold")] for one in _payloads(done)]
    if rows:
        table([say(f"heading-{name}") for name in names], rows)
    said = "retention-would" if dry_run else "retention-done"
    screen().print(say(said, erased=len(done["erased"]), size=done["bytes"], kept=len(done["kept"])))


def _payloads(done: dict[str, Any]) -> list[dict[str, Any]]:
    return [*done["erased"], *done["kept"]]


@_holds.command("add", help=say("help-hold-add"))
def _add(
    config: Config = CONFIG,
    batch: Annotated[str | None, typer.Option(help=say("hold-batch"))] = None,
    subject: Annotated[str | None, typer.Option(help=say("hold-subject"))] = None,
    person: Person = "",
    reason: Reason = "",
) -> None:
    if (batch is None) == (subject is None):
        raise ConfigError("hold-what")
    what = {"scope": "batch", "name": batch} if batch is not None else {"scope": "subject", "name": subject}
    done = perform(load_settings(config), "hold", {**what, **signed(person, reason)}, _silent)
    screen().print(say("hold-added", **done))


@_holds.command("release", help=say("help-hold-release"))
def _release(
    number: Annotated[int, typer.Argument(help=say("hold-number"))],
    config: Config = CONFIG,
    person: Person = "",
    reason: Reason = "",
) -> None:
    perform(load_settings(config), "release-hold", {"hold": number, **signed(person, reason)}, _silent)
    screen().print(say("hold-released", hold=number))


@_holds.command("list", help=say("help-hold-list"))
def _list_holds(config: Config = CONFIG, as_json: AsJson = False) -> None:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        found = list_holds(gateway)
    if as_json:
        print_json(found)
        return
    names = ("id", "scope", "name", "at", "person", "reason")
    table([say(f"heading-hold-{name}") for name in names], [[one[name] for name in names] for one in found])


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("retention", help=say("help-retention"))(_retention)
    app.add_typer(_holds, name="hold", help=say("help-hold"))
    app.add_typer(_alarms, name="alarms", help=say("help-alarms"))
