"""``gateway collect``: look through the folders of peers by files now, whether or not the daemon runs."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, print_json, say, screen, table
from gateway.config import load_settings
from gateway.control import perform

__all__ = ["register"]


def _silent(_stage: str, _count: int) -> None: ...


def _collect(
    peers: Annotated[list[str] | None, typer.Argument(help=say("collect-peers"))] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    found = perform(load_settings(config), "collect", {"peers": peers or []}, _silent)["peers"]
    if as_json:
        print_json(found)
    else:
        _show(found)
    if any(one["why"] for one in found.values()):
        raise typer.Exit(ExitCode.LATER)
    if any(one["refused"] or one["aside"] for one in found.values()):
        raise typer.Exit(ExitCode.FOUND)


def _show(found: dict[str, dict[str, object]]) -> None:
    counted = ("taken", "refused", "waiting", "aside", "receipts")
    headings = [say("collect-peer"), *(say(f"collect-{name}") for name in counted)]
    table(headings, [[peer, *(_count(one[name]) for name in counted)] for peer, one in found.items()])
    out = screen()
    for peer, one in found.items():
        for name in ("refused", "waiting"):
            listed = one[name]
            for file, code in listed.items() if isinstance(listed, dict) else ():
                out.print(f"{say(f'collect-{name}')}  {file}  [dim]{code}[/]")
        aside = one["aside"]
        for file in aside if isinstance(aside, list) else ():
            out.print(f"{say('collect-aside')}  {file}", markup=False)
        if one["why"]:
            screen(error=True).print(say("collect-out-of-reach", peer=peer, why=one["why"]))


def _count(listed: object) -> int:
    return len(listed) if isinstance(listed, list | dict) else 0


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("collect", help=say("help-collect"))(_collect)
