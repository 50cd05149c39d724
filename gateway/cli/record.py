"""``gateway record``: one record withdrawn, no longer shared, shared again or corrected, wherever it was sent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.bars import progress
from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import ExitCode, local, print_json, say, screen, table
from gateway.cli.statements import show_statement
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.control import perform
from gateway.errors import error_from_json
from gateway.opening import read_gateway
from gateway.withdrawal import list_orders

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

Catalog = Annotated[str, typer.Argument(help=say("record-catalog"))]
Keys = Annotated[list[str], typer.Argument(help=say("record-keys"))]
Basis = Annotated[str, typer.Option(help=say("record-basis"))]


@app.command("withdraw", help=say("help-record-withdraw"))
def _withdraw(
    catalog: Catalog,
    keys: Keys,
    basis: Basis,
    code: Annotated[str, typer.Option(help=say("record-code"))] = "revoked",
    config: Config = CONFIG,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    args = {"catalog": catalog, "keys": keys, "code": code, "basis": basis}
    _order("record-withdraw", config, args | signed(person, reason), as_json)


@app.command("stop-share", help=say("help-record-stop-share"))
def _stop_share(
    catalog: Catalog,
    keys: Keys,
    basis: Basis,
    code: Annotated[str, typer.Option(help=say("record-code"))] = "credit-repaired",
    config: Config = CONFIG,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    args = {"catalog": catalog, "keys": keys, "code": code, "basis": basis}
    _order("record-stop-share", config, args | signed(person, reason), as_json)


@app.command("share-again", help=say("help-record-share-again"))
def _share_again(
    catalog: Catalog,
    keys: Keys,
    config: Config = CONFIG,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    _order("record-share-again", config, {"catalog": catalog, "keys": keys, **signed(person, reason)}, as_json)


@app.command("correct", help=say("help-record-correct"))
def _correct(
    catalog: Catalog,
    keys: Keys,
    config: Config = CONFIG,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    _order("record-correct", config, {"catalog": catalog, "keys": keys, **signed(person, reason)}, as_json)


def _order(verb: str, config: Any, args: dict[str, Any], as_json: bool) -> None:
    with progress(args["catalog"]) as tell:
        done = perform(load_settings(config), verb, args, tell)
    if as_json:
        print_json(done)
    else:
        screen().print(say("record-ordered", count=done["records"]))
        if "corrected" in done:
            screen().print(say("record-corrected", corrected=done["corrected"], unchanged=done["unchanged"]))
        for statement in done["statements"]:
            show_statement(statement)
        for name, error in done["failed"].items():
            screen(error=True).print(say("record-failed", exchange=name, why=error_from_json(error)))
    if done.get("unchanged"):
        raise typer.Exit(ExitCode.FOUND)
    if done["failed"] or any(statement["open"] for statement in done["statements"]):
        raise typer.Exit(ExitCode.LATER)


@app.command("list", help=say("help-record-list"))
def _list(
    catalog: Annotated[str | None, typer.Argument(help=say("record-catalog"))] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    settings = load_settings(config)
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        found = list_orders(gateway, catalog)
    if as_json:
        print_json(found)
        return
    if not found:
        screen().print(say("record-none"))
        return
    headings = (
        "heading-key",
        "heading-record-op",
        "heading-record-code",
        "record-basis",
        "option-person",
        "heading-record-at",
    )
    zone = settings.node.time_zone
    table(
        [say(heading) for heading in headings],
        [
            [one["key"], say(f"op-{one['op']}"), one["code"], one["basis"], one["person"] or "", local(one["at"], zone)]
            for one in found
        ],
    )
