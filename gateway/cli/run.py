"""``gateway run`` and ``gateway serve``: one execution of an exchange, and the node at work by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.bars import progress
from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason
from gateway.cli.screen import ExitCode, fail, print_json, say, screen
from gateway.cli.statements import show_preview, show_statement
from gateway.clock import RandomIds, SystemClock
from gateway.config import Settings, load_settings
from gateway.control import perform
from gateway.daemon import serve
from gateway.delivery.held_records import HeldRecords
from gateway.delivery.onward import preview_onward
from gateway.delivery.preview import Preview, preview
from gateway.errors import ConfigError, error_from_json
from gateway.logs import configure
from gateway.memory import few_threads
from gateway.opening import open_gateway, read_gateway

__all__ = ["register"]


def _run(
    exchanges: Annotated[list[str] | None, typer.Argument(help=say("run-exchanges"))] = None,
    config: Config = CONFIG,
    everything: Annotated[bool, typer.Option("--all", help=say("run-all"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("run-dry"))] = False,
    full: Annotated[bool, typer.Option("--full", help=say("run-full"))] = False,
    retry: Annotated[bool, typer.Option("--retry", help=say("run-retry"))] = False,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    settings = load_settings(config)
    names = _chosen(settings, exchanges or [], everything=everything)
    if dry_run:
        previews = _preview(settings, names, full=full)
        if as_json:
            print_json([one.figures() for one in previews])
        else:
            for one in previews:
                show_preview(one)
        return
    args = {"exchanges": names, "full": full, "retry": retry, "person": person or "-", "reason": reason or None}
    with progress(", ".join(names)) as tell:
        done = perform(settings, "run", args, tell)
    if as_json:
        print_json(done["statements"])
    else:
        for statement in done["statements"]:
            show_statement(statement)
    codes = [fail(error_from_json(error)) for error in done["failed"].values()]
    if codes:
        raise typer.Exit(codes[-1])
    if done["waiting"]:
        screen(error=True).print(say("run-waiting", count=done["waiting"]))
        raise typer.Exit(ExitCode.LATER)


def _chosen(settings: Settings, names: list[str], *, everything: bool) -> list[str]:
    known = list(settings.exchanges)
    if everything:
        return known
    for name in names:
        if name not in known:
            raise ConfigError("exchange-unknown", exchange=name, known=", ".join(known) or "-")
    if not names:
        raise ConfigError("exchange-not-named", known=", ".join(known) or "-")
    return names


def _preview(settings: Settings, names: list[str], *, full: bool) -> list[Preview]:
    """What runs would do, without a lock and without writing anything."""

    async def one(gateway: Gateway, name: str) -> Preview:
        async with gateway.exchange(name) as exchange:
            if isinstance(exchange.source, HeldRecords):
                return await asyncio.to_thread(preview_onward, gateway.journal, exchange, exchange.source, full=full)
            return await asyncio.to_thread(preview, gateway.journal, exchange, full=full)

    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        return [asyncio.run(one(gateway, name)) for name in names]


def _serve(config: Config = CONFIG) -> None:
    settings = load_settings(config)
    configure(level=settings.document.log.level, style=settings.document.log.format)

    async def until_told() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        few_threads(loop)

        def told() -> None:
            # The second time is meant: what is under way is found as it would be after a crash.
            if stop.is_set():
                os._exit(ExitCode.LATER)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)
        # Not before the peers were asked what time it is.
        with open_gateway(settings, what="serve", clock=SystemClock(), ids=RandomIds(), signing=False) as gateway:
            await serve(gateway, stop)

    asyncio.run(until_told())


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("run", help=say("help-run"))(_run)
    app.command("serve", help=say("help-serve"))(_serve)
