"""``gateway approve | pause | resume``: what only a person decides. Each goes into the ledger with person and reason."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.bars import progress
from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import print_json, say, screen
from gateway.cli.statements import show_statement
from gateway.config import load_settings
from gateway.control import perform
from gateway.errors import ConfigError
from gateway.store.pauses import Scope

__all__ = ["register"]

Name = Annotated[str | None, typer.Argument(help=say("pause-exchange"))]
PeerName = Annotated[str | None, typer.Option("--peer", help=say("pause-peer"))]


def _silent(_stage: str, _count: int) -> None: ...


def _approve(
    run: Annotated[str, typer.Argument(help=say("approve-run"))],
    config: Config = CONFIG,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    args = {"run": run, **signed(person, reason)}
    with progress(run) as tell:
        done = perform(load_settings(config), "approve", args, tell)
    if as_json:
        print_json(done["statement"])
    elif done["statement"]:
        show_statement(done["statement"])


def _pause(
    exchange: Name = None, peer: PeerName = None, config: Config = CONFIG, person: Person = "", reason: Reason = ""
) -> None:
    args = {**_what(exchange, peer), **signed(person, reason)}
    perform(load_settings(config), "pause", args, _silent)
    screen().print(say("paused", name=args["name"]))


def _resume(
    exchange: Name = None, peer: PeerName = None, config: Config = CONFIG, person: Person = "", reason: Reason = ""
) -> None:
    args = {**_what(exchange, peer), **signed(person, reason)}
    perform(load_settings(config), "resume", args, _silent)
    screen().print(say("resumed", name=args["name"]))


def _what(exchange: str | None, peer: str | None) -> dict[str, str]:
    if (exchange is None) == (peer is None):
        raise ConfigError("pause-what")
    if exchange is not None:
        return {"scope": Scope.EXCHANGE.value, "name": exchange}
    return {"scope": Scope.PEER.value, "name": peer or ""}


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("approve", help=say("help-approve"))(_approve)
    app.command("pause", help=say("help-pause"))(_pause)
    app.command("resume", help=say("help-resume"))(_resume)
