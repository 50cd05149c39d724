"""``gateway audit head``: the file that remembers the ledger's newest head outside the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import ExitCode, print_json, say, screen
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.errors import ConfigError
from gateway.head import head_status, init_head, recover_head
from gateway.ledger.note import MAX_NOTE_BYTES
from gateway.opening import read_gateway

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.command("status", help=say("help-head-status"))
def _status(config: Config = CONFIG, as_json: AsJson = False) -> None:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        found = head_status(gateway)
    if as_json:
        print_json(found)
    else:
        memory = found["memory"] or {"size": "-", "root": "-", "at": "-"}
        screen().print(say("head-status", **(found | memory)))
        if found["problem"]:
            screen().print(f"[red]{escape(found['say'])}[/]  [dim]{found['problem']}[/]")
            screen().print(f"[dim]→[/] {escape(found['fix'])}")
    if found["problem"]:
        raise typer.Exit(ExitCode.LEDGER)


@app.command("init", help=say("help-head-init"))
def _init(config: Config = CONFIG) -> None:
    settings = load_settings(config)
    init_head(settings, clock=SystemClock(), ids=RandomIds())
    screen().print(say("head-laid", path=settings.head_memory))


@app.command("recover", help=say("help-head-recover"))
def _recover(
    note: Annotated[Path | None, typer.Argument(help=say("head-note"))] = None,
    config: Config = CONFIG,
    from_database: Annotated[bool, typer.Option("--from-database", help=say("head-from-database"))] = False,
    person: Person = "",
    reason: Reason = "",
) -> None:
    if (note is None) != from_database:
        raise ConfigError("head-recover-what")
    done = recover_head(
        load_settings(config),
        None if note is None else _read(note),
        source=str(note),
        **signed(person, reason),
        clock=SystemClock(),
        ids=RandomIds(),
    )
    screen().print(say("head-recovered", **done))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_NOTE_BYTES + 1)
    except OSError as error:
        raise ConfigError("head-note-unreadable", file=str(file)) from error
