"""``gateway audit``: look into the ledger, and verify it while the node lives."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from gateway.app import read_gateway
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, language, print_json, say, screen, table
from gateway.clock import RandomIds, SystemClock, instant
from gateway.config import load_settings
from gateway.evidence.account import report_json, report_lines
from gateway.ledger.entry import decode
from gateway.ledger.note import VerifierKey
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.store.entries import DurableLog

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.command("verify", help=say("help-audit-verify"))
def _verify(config: Config = CONFIG, as_json: AsJson = False) -> None:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        log = DurableLog(gateway.database)
        report = verify_log(log, _known(log), origin=gateway.origin)
    if as_json:
        print_json(report_json(report))
    else:
        for line in report_lines(report, language()):
            screen().print(escape(line))
    match report.verdict:
        case Verdict.CONTRADICTED:
            raise typer.Exit(ExitCode.LEDGER)
        case Verdict.NOT_PROVABLE:
            raise typer.Exit(ExitCode.FOUND)
        case Verdict.PROVED:
            return


def _known(log: DurableLog) -> list[VerifierKey]:
    """The verifier key that the ledger itself began with: who verifies live needs no private key, and no outsider's trust."""
    first = next(iter(log.entries(0, 1)), None)
    return [] if first is None else [VerifierKey.parse(decode(first.leaf).text("verifier_key"))]


@app.command("show", help=say("help-audit-show"))
def _show(
    config: Config = CONFIG,
    start: Annotated[int, typer.Option("--from", min=0, help=say("audit-from"))] = 0,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help=say("batches-limit"))] = 50,
    kind: Annotated[str | None, typer.Option(help=say("audit-kind"))] = None,
    as_json: AsJson = False,
) -> None:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        log = DurableLog(gateway.database)
        rows = []
        for stored in log.entries(start, log.head().size):
            if kind is not None and stored.kind != kind:
                continue
            entry = decode(stored.leaf)
            rows.append({"index": stored.index, "kind": entry.kind, "at": instant(entry.at), **entry.fields})
            if len(rows) >= limit:
                break
    if as_json:
        print_json(rows)
        return
    names = ("index", "at", "kind", "route", "route_seq", "total", "created", "updated", "withdrawn", "rejected")
    table(
        [say(f"heading-{name.replace('_', '-')}") for name in names],
        [[row.get(name) for name in names] for row in rows],
    )
    screen().print(say("audit-shown", count=len(rows)))
