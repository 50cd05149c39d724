"""``gateway audit``: look into the ledger, and verify it while the node lives."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer
from rich.markup import escape

from gateway.auditor import Wanted, entry_rows, unit_of
from gateway.cli import evidence, head
from gateway.cli.evidence import FromDay, Route, ToDay, days
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, language, print_json, say, screen, table
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.evidence.account import report_json, report_lines
from gateway.ledger.history import KEY_KINDS, KeyHistory
from gateway.ledger.note import VerifierKey
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.opening import read_gateway
from gateway.store.entries import DurableLog

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)
app.add_typer(head.app, name="head", help=say("help-head"))
_FIGURES = ("total", "created", "updated", "withdrawn", "rejected")


@app.command("verify", help=say("help-audit-verify"))
def _verify(config: Config = CONFIG, as_json: AsJson = False) -> None:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        log = DurableLog(gateway.database)
        report = verify_log(log, known_keys(log), origin=gateway.origin)
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


def known_keys(log: DurableLog) -> list[VerifierKey]:
    """The verifier keys that the ledger itself tells of, each announced under the one before: who verifies live needs no private key, and no
    outsider's trust.
    """
    return [VerifierKey.parse(key.key) for key in KeyHistory.of(log.of_kinds(KEY_KINDS)).ledger_keys()]


@app.command("show", help=say("help-audit-show"))
def _show(
    config: Config = CONFIG,
    index: Annotated[int, typer.Option(min=0, help=say("audit-index"))] = 0,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help=say("batches-limit"))] = 50,
    kind: Annotated[str | None, typer.Option(help=say("audit-kind"))] = None,
    route: Route = None,
    batch: Annotated[str | None, typer.Option(help=say("audit-batch"))] = None,
    unit: Annotated[str | None, typer.Option(help=say("audit-unit"))] = None,
    person: Annotated[str | None, typer.Option(help=say("audit-person"))] = None,
    start: FromDay = None,
    stop: ToDay = None,
    as_json: AsJson = False,
) -> None:
    settings = load_settings(config)
    first, after = days(start, stop, settings.node.time_zone)
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        wanted = Wanted(
            kind=kind, route=route, batch=batch, person=person, start=first, stop=after, unit=unit_of(gateway, unit)
        )
        rows = list(islice(entry_rows(gateway, wanted, index), limit))
    if as_json:
        print_json(rows)
        return
    names = ("index", "at", "kind", "route", "route_seq", *_FIGURES, "receipt", "person", "action")
    for row in rows:
        if row.get("receipt_signer"):
            row["receipt"] = say("receipt-taken-down-short" if "feedback_sha256" in row else "receipt-signed-short")
    table(
        [say(f"heading-{name.replace('_', '-')}") for name in names],
        [[row.get(name) for name in names] for row in rows],
    )
    screen().print(say("audit-shown", count=len(rows)))


evidence.register(app)
