"""``gateway resync``: what was shared goes out again, chosen by a person, with the reason in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway.again import preview_resync
from gateway.cli.bars import progress
from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import ExitCode, print_json, say, screen, table
from gateway.cli.statements import show_statement
from gateway.clock import RandomIds, SystemClock
from gateway.config import Settings, load_settings
from gateway.control import perform
from gateway.delivery.compare import Verdict
from gateway.delivery.exchange import Progress
from gateway.delivery.resync import By, Fate, MappingOf
from gateway.opening import read_gateway

__all__ = ["register"]

_DAY = ["%Y-%m-%d"]


def _resync(
    exchange: Annotated[str, typer.Argument(help=say("resync-exchange"))],
    config: Config = CONFIG,
    since: Annotated[
        datetime | None, typer.Option(formats=_DAY, metavar="YYYY-MM-DD", help=say("resync-since"))
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAY, metavar="YYYY-MM-DD", help=say("resync-until"))
    ] = None,
    by: Annotated[By, typer.Option(help=say("resync-by"))] = By.DECIDED,
    key: Annotated[list[str] | None, typer.Option(help=say("resync-key"))] = None,
    unit: Annotated[str | None, typer.Option(help=say("resync-unit"))] = None,
    batch: Annotated[str | None, typer.Option(help=say("resync-batch"))] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help=say("resync-rejected"))] = False,
    everything: Annotated[bool, typer.Option("--all", help=say("resync-all"))] = False,
    compare: Annotated[bool, typer.Option("--compare", help=say("resync-compare"))] = False,
    mapping: Annotated[MappingOf, typer.Option(help=say("resync-mapping"))] = MappingOf.TODAY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("resync-dry"))] = False,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    settings = load_settings(config)
    args: dict[str, Any] = {
        "exchange": exchange,
        "since": since and since.date().isoformat(),
        "until": until and until.date().isoformat(),
        "by": by.value,
        "keys": key or [],
        "unit": unit,
        "batch": batch,
        "rejected": rejected,
        "all": everything,
        "compare": compare,
        "mapping": mapping.value,
    }
    if not dry_run:
        args |= signed(person, reason)
    with progress(exchange) as tell:
        done = _preview(settings, args, tell) if dry_run else perform(settings, "resync", args, tell)
    if as_json:
        print_json(done)
    else:
        _show(done, dry_run=dry_run)
    if not dry_run and done["statement"] is not None and done["statement"]["open"]:
        raise typer.Exit(ExitCode.LATER)


def _preview(settings: Settings, args: Mapping[str, Any], tell: Progress) -> dict[str, Any]:
    """Beside whatever process is at work, without a lock and without writing anything."""
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        return asyncio.run(preview_resync(gateway, args, tell))


def _show(done: Mapping[str, Any], *, dry_run: bool) -> None:
    out = screen()
    title = say("resync-title", exchange=done["exchange"], mapping=say(f"mapping-{done['mapping']}"))
    out.print(f"[bold]{escape(title)}[/]")
    if done["compare"] is not None:
        if lost := done["compare"]["lost"]:
            code = "resync-lost" if dry_run else "resync-replayed"
            out.print(say(code, count=len(lost), first=lost[0], last=lost[-1]))
        _show_comparison(done["compare"])
    if done["chosen"]:
        rows = [
            [say(f"fate-{fate.value}"), done["chosen"][fate.value], _keys(done["samples"].get(fate.value, []))]
            for fate in Fate
            if fate.value in done["chosen"]
        ]
        table([say("resync-fates"), say("heading-records-count"), say("heading-keys")], rows)
    if not done["sends"] and done.get("statement") is None:
        out.print(say("resync-nothing"))
    else:
        out.print(say("resync-sends" if dry_run else "resync-sent", sends=done["sends"]))
    if done["refused"]:
        out.print(say("resync-refused", refused=done["refused"]))
    if dry_run:
        out.print(say("resync-dry-note"))
    elif done["statement"] is not None:
        show_statement(done["statement"])


def _show_comparison(compare: Mapping[str, Any]) -> None:
    table(
        [say("resync-verdicts"), say("heading-records-count")],
        [[say(f"verdict-{verdict.value}"), compare[verdict.value]] for verdict in Verdict],
    )
    differing = [(verdict, one) for verdict in Verdict for one in compare["samples"].get(verdict.value, [])]
    if differing:
        table(
            [say("heading-verdict"), say("heading-key"), say("heading-ours"), say("heading-theirs")],
            [
                [say(f"verdict-{verdict.value}"), one["key"], _version(one["ours"]), _version(one["theirs"])]
                for verdict, one in differing
            ],
        )
    if compare["stray"]:
        screen().print(say("resync-stray", count=compare["stray"]))


def _version(side: Mapping[str, Any] | None) -> str:
    if side is None:
        return ""
    return say("version-shown", version=side["version"], op=say(f"op-{side['op']}"))


def _keys(keys: list[str]) -> str:
    return "、".join(keys)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("resync", help=say("help-resync"))(_resync)
