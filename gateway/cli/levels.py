"""``gateway pull`` and ``gateway feedback``: what this node asks of its peers, now instead of at its time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gateway.cli.bars import progress
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import fail, print_json, say, screen
from gateway.config import load_settings
from gateway.control import perform
from gateway.errors import error_from_json

__all__ = ["register"]


def _pull(
    names: Annotated[list[str] | None, typer.Argument(help=say("pull-names"))] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    settings = load_settings(config)
    wanted = names or list(settings.document.pulls)
    with progress(", ".join(wanted)) as tell:
        done = perform(settings, "pull", {"names": wanted}, tell)
    _show(done, "pull-done", as_json=as_json)


def _feedback(
    peers: Annotated[list[str] | None, typer.Argument(help=say("feedback-peers"))] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    done = perform(load_settings(config), "feedback", {"peers": peers or []}, lambda _stage, _count: None)
    _show(done, "feedback-done", as_json=as_json)


def _show(done: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
    else:
        for name, figures in done["done"].items():
            screen().print(say(sentence, name=name, **figures))
    codes = [fail(error_from_json(error)) for error in done["failed"].values()]
    if codes:
        raise typer.Exit(codes[-1])


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("pull", help=say("help-pull"))(_pull)
    app.command("feedback", help=say("help-feedback"))(_feedback)
