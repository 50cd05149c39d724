"""``gateway keys``: which keys the ledger tells of and when they end; a new key for the ledger; a key that is not to be believed any more."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import custody
from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import ExitCode, print_json, say, screen, table
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.control import perform
from gateway.opening import open_gateway, read_gateway

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


class _Rotated(StrEnum):
    """The keys that are changed by command; the others change with the configuration."""

    LEDGER = "ledger"


@app.command("list", help=say("help-keys-list"))
def _list(config: Config = CONFIG, as_json: AsJson = False) -> None:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        keys = custody.list_keys(gateway)
    if as_json:
        print_json(keys)
    else:
        names = ("purpose", "owner", "key-id", "entry", "state", "valid-to", "days")
        table([say(f"heading-{name}") for name in names], [_row(key) for key in keys])
        for key in keys:
            if key["warning"] is not None:
                code = "keys-ended" if key["warning"] == 0 else "keys-ends"
                screen().print("[yellow]" + say(code, **key) + "[/]")
    if any(key["warning"] == 0 for key in keys):
        raise typer.Exit(ExitCode.FOUND)


def _row(key: dict[str, Any]) -> list[object]:
    shown = (key["purpose"], key["owner"], key["key_id"], key["entry"], say(f"key-{key['state']}"))
    return [*shown, str(key["valid_to"])[:10], key["days"]]


@app.command("rotate", help=say("help-keys-rotate"))
def _rotate(
    which: Annotated[_Rotated, typer.Argument(help=say("keys-which"))],
    new: Annotated[Path, typer.Option("--new", help=say("keys-new"))],
    config: Config = CONFIG,
    person: Person = "",
    reason: Reason = "",
) -> None:
    args = signed(person, reason)
    # Not an order to the daemon: nothing at all may be appended between the entry and the old key's last signature.
    with open_gateway(
        load_settings(config), what=f"keys rotate {which}", clock=SystemClock(), ids=RandomIds()
    ) as gateway:
        done = custody.rotate_ledger(gateway, new, **args)
    screen().print(say("keys-rotated", **done))


@app.command("revoke", help=say("help-keys-revoke"))
def _revoke(
    key: Annotated[str, typer.Argument(help=say("keys-key"))],
    config: Config = CONFIG,
    from_size: Annotated[int | None, typer.Option("--from-size", min=0, help=say("keys-from-size"))] = None,
    person: Person = "",
    reason: Reason = "",
) -> None:
    args = {"key": key, "from_size": from_size, **signed(person, reason)}
    done = perform(load_settings(config), "revoke-key", args, lambda _stage, _count: None)
    screen().print(say("keys-revoked", **done))
