"""``gateway run`` and ``gateway serve``: one execution of an exchange, and the node that receives."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gateway.app import Gateway, open_gateway, read_gateway
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, fail, print_json, say, screen
from gateway.cli.statements import show_preview, show_statement, statement_json
from gateway.clock import RandomIds, SystemClock
from gateway.config import Settings, load_settings
from gateway.daemon import serve
from gateway.delivery.preview import Preview, preview
from gateway.delivery.run import Order
from gateway.delivery.statement import Statement
from gateway.errors import ConfigError, GatewayError
from gateway.logs import configure
from gateway.memory import few_threads
from gateway.store import batches

__all__ = ["register"]


def _run(
    exchanges: Annotated[list[str] | None, typer.Argument(help=say("run-exchanges"))] = None,
    config: Config = CONFIG,
    everything: Annotated[bool, typer.Option("--all", help=say("run-all"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("run-dry"))] = False,
    full: Annotated[bool, typer.Option("--full", help=say("run-full"))] = False,
    retry: Annotated[bool, typer.Option("--retry", help=say("run-retry"))] = False,
    approve: Annotated[bool, typer.Option("--approve", help=say("run-approve"))] = False,
    person: Annotated[str, typer.Option(help=say("run-person"), envvar="USER")] = "",
    reason: Annotated[str, typer.Option(help=say("run-reason"))] = "",
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
    order = Order(person=person or None, reason=reason or None, full=full, retry=retry, approve=approve)
    statements, waiting, failed = _execute(settings, names, order)
    if as_json:
        print_json([statement_json(statement) for statement in statements])
    else:
        for statement in statements:
            show_statement(statement)
    if failed:
        raise typer.Exit(failed)
    if waiting:
        screen(error=True).print(say("run-waiting", count=waiting))
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


def _execute(settings: Settings, names: list[str], order: Order) -> tuple[list[Statement], int, ExitCode | None]:
    """Run the exchanges one after another; one that fails does not stop the others.

    The statements, how many batches of these exchanges are still under way (of this run or an earlier one), and how a failure ends.
    """
    statements: list[Statement] = []
    failed: ExitCode | None = None
    with open_gateway(settings, what=f"run {' '.join(names)}", clock=SystemClock(), ids=RandomIds()) as gateway:
        for name in names:
            try:
                statement = asyncio.run(_one(gateway, name, order))
            except GatewayError as error:
                failed = fail(error)
            else:
                if statement is not None:
                    statements.append(statement)
        with gateway.database.read() as conn:
            waiting = sum(len(batches.open_batches(conn, exchange=name)) for name in names)
    return statements, waiting, failed


async def _one(gateway: Gateway, name: str, order: Order) -> Statement | None:
    few_threads(asyncio.get_running_loop())
    async with gateway.exchange(name) as exchange:
        with _progress(name) as tell:
            return await gateway.runner.run(exchange, order, tell)


class _Tell:
    """Turns what a run tells into three bars."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {
            stage: progress.add_task(f"{name}  {say(f'stage-{stage}')}", total=None)
            for stage in ("read", "sealed", "reconciled")
        }

    def __call__(self, stage: str, count: int) -> None:
        self._progress.advance(self._tasks[stage], count)


@contextmanager
def _progress(name: str) -> Iterator[_Tell]:
    out = screen(error=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        yield _Tell(progress, name)


def _preview(settings: Settings, names: list[str], *, full: bool) -> list[Preview]:
    """What runs would do, without a lock and without writing anything."""

    async def one(gateway: Gateway, name: str) -> Preview:
        async with gateway.exchange(name) as exchange:
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
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        with open_gateway(settings, what="serve", clock=SystemClock(), ids=RandomIds()) as gateway:
            await serve(gateway, stop)

    asyncio.run(until_told())


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("run", help=say("help-run"))(_run)
    app.command("serve", help=say("help-serve"))(_serve)
