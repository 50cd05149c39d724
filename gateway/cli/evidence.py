"""``gateway audit export | prove``: evidence for somebody who trusts nobody's word, checked with ``gateway-verify``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gateway.auditor import export_evidence, prove
from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import language, print_json, say, screen
from gateway.clock import RandomIds, SystemClock
from gateway.config import Settings, load_settings
from gateway.control import perform
from gateway.delivery.export import Tell
from gateway.errors import ConfigError, DeliveryError, GatewayError
from gateway.evidence.manifest import Selection
from gateway.evidence.proof import proof_bytes
from gateway.ledger.entry import decode
from gateway.opening import read_gateway

__all__ = ["FromDay", "Route", "ToDay", "days", "register"]

Route = Annotated[str | None, typer.Option(help=say("audit-route"))]
FromDay = Annotated[str | None, typer.Option("--from", metavar="YYYY-MM-DD", help=say("audit-from-day"))]
ToDay = Annotated[str | None, typer.Option("--to", metavar="YYYY-MM-DD", help=say("audit-to-day"))]
Output = Annotated[Path | None, typer.Option("--output", "-o", help=say("audit-output"))]


def days(start: str | None, stop: str | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """From the beginning of the day ``start`` to the end of the day ``stop``, in the node's time. Raises ConfigError ``day-malformed``."""

    def midnight(text: str, *, later: int = 0) -> datetime:
        try:
            day = date.fromisoformat(text) + timedelta(days=later)
            return datetime(day.year, day.month, day.day, tzinfo=zone)
        except (ValueError, OverflowError) as error:
            raise ConfigError("day-malformed", day=text) from error

    return midnight(start) if start else None, midnight(stop, later=1) if stop else None


def _export(
    output: Annotated[Path, typer.Option("--output", "-o", help=say("audit-output"))],
    config: Config = CONFIG,
    batch: Annotated[list[str] | None, typer.Option(help=say("audit-export-batch"))] = None,
    route: Route = None,
    start: FromDay = None,
    stop: ToDay = None,
    everything: Annotated[bool, typer.Option("--all", help=say("audit-all"))] = False,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    settings = load_settings(config)
    first, after = days(start, stop, settings.node.time_zone)
    selection = Selection(batches=tuple(batch or ()), route=route, start=first, stop=after)
    if everything == (selection != Selection()):
        raise ConfigError("export-what")
    if output.exists():  # before anything is entered
        raise DeliveryError("export-exists", path=str(output))
    who = signed(person, reason)
    index, refusal = _enter(settings, str(selection), who, "export-not-entered")
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway, _bars() as tell:
        done = export_evidence(
            gateway,
            output,
            selection,
            person=who["person"],
            reason=who["reason"],
            entry=index,
            not_entered=refusal,
            tell=tell,
        )
    if as_json:
        print_json(
            {
                "file": str(output),
                "sha256": done.sha256,
                "bytes": done.size,
                "entries": done.entries,
                "batches": done.batches,
                "absent": done.absent,
                "verifier_sha256": done.verifier_sha256,
                "entered": index if index >= 0 else None,
                "not_entered": refusal,
            }
        )
        return
    out = screen()
    out.print(escape(say("export-done", file=output, size=done.size, entries=done.entries, batches=done.batches)))
    if done.absent:
        out.print(escape(say("export-absent", count=done.absent)))
    out.print(escape(say("export-digest", sha256=done.sha256)))
    out.print(escape(say("export-verifier", sha256=done.verifier_sha256)))
    if index >= 0:
        out.print(escape(say("export-entered", index=index)))


def _enter(settings: Settings, subject: str, who: dict[str, str], warning: str) -> tuple[int, str]:
    """The entry of what is taken away, through the process that may write; where there is none, ``warning`` says so, and the bundle does."""
    try:
        done = perform(settings, "export", {"subject": subject, **who}, lambda _stage, _count: None)
    except (GatewayError, OSError) as error:
        refused = (
            error
            if isinstance(error, GatewayError)
            else DeliveryError("export-no-right-to-write", reason=error.strerror)
        )
        out = screen(error=True)
        out.print(escape(say(warning, why=refused.say(language()))), style="yellow")
        return -1, refused.code
    return int(done["index"]), ""


@contextmanager
def _bars() -> Iterator[Tell]:
    """A bar a stage on a terminal, silence elsewhere."""
    out = screen(error=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as shown:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, whole: int) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(say(f"export-stage-{stage}"), total=whole)
            shown.update(tasks[stage], completed=done)

        yield tell


def _prove(
    config: Config = CONFIG,
    batch: Annotated[str | None, typer.Option(help=say("audit-prove-batch"))] = None,
    record: Annotated[str | None, typer.Option(help=say("audit-prove-record"))] = None,
    output: Output = None,
    person: Person = "",
    reason: Reason = "",
) -> None:
    if batch is None and record is None:
        raise ConfigError("prove-what")
    if output is not None and output.exists():
        raise DeliveryError("export-exists", path=str(output))
    # A batch's proof holds digests; a record's holds the record, so whoever takes it is entered as one who exports.
    who = None if record is None else signed(person, reason)
    settings = load_settings(config)
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        proof = prove(gateway, batch_id=batch, key=record)
    data = proof_bytes(proof)
    if who is not None:
        subject = f"one record of batch={decode(proof.entry.leaf).text('batch_id')}"
        _enter(settings, subject, who, "proof-not-entered")
    if output is None:
        sys.stdout.write(data.decode("utf-8"))
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise DeliveryError("export-unwritable", path=str(output), reason=error.strerror) from error
    screen().print(escape(say("proof-done", file=output)))


def register(app: typer.Typer) -> None:
    """Add the commands of this file to ``gateway audit``."""
    app.command("export", help=say("help-audit-export"))(_export)
    app.command("prove", help=say("help-audit-prove"))(_prove)
