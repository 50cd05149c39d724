"""``gateway site``: the publication site held against what it should show, or written anew."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, print_json, say, screen, table
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.control import perform
from gateway.opening import read_gateway
from gateway.sites import check_sites

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str | None, typer.Argument(help=say("site-name"))]
_WRONG = ("lingering", "over", "named", "missing", "altered", "stray")
_SHOWN = 5


@app.command("check", help=say("help-site-check"))
def _check(site: Name = None, config: Config = CONFIG, as_json: AsJson = False) -> None:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        found = check_sites(gateway, site)
    if as_json:
        print_json(found)
    for one in () if as_json else found:
        screen().print(say("site-checked", site=one["site"], shown=one["shown"], files=one["files"]))
        if one["sound"]:
            screen().print(say("site-sound"))
            continue
        rows = [
            [
                say(f"site-{name}"),
                len(one[name]),
                " ".join(one[name][:_SHOWN]) + (" …" if len(one[name]) > _SHOWN else ""),
            ]
            for name in _WRONG
            if one[name]
        ]
        table([say("site-found"), say("heading-records-count"), say("site-files")], rows)
    if not all(one["sound"] for one in found):
        raise typer.Exit(ExitCode.FOUND)


@app.command("build", help=say("help-site-build"))
def _build(site: Name = None, config: Config = CONFIG, as_json: AsJson = False) -> None:
    done = perform(load_settings(config), "site-build", {"site": site}, lambda _stage, _count: None)
    if as_json:
        print_json(done)
        return
    for one in done["sites"]:
        screen().print(say("site-built", **one))
