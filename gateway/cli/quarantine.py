"""``gateway quarantine``: what failed a check; look at it, have it tried again, hand it back to the units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.markup import escape

from gateway.app import Gateway
from gateway.catalog.model import Catalog
from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import language, print_json, say, screen, table
from gateway.cli.statements import reason_name
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.control import perform
from gateway.delivery.cases import row_of
from gateway.delivery.handback import Part, reason_text, write_handback
from gateway.errors import ConfigError
from gateway.mapping.problems import class_text, problem_fix, value_class
from gateway.mapping.trial import clear_columns, clear_fields
from gateway.opening import read_gateway
from gateway.store import quarantine
from gateway.store.database import Connection
from gateway.store.quarantine import Stage, StoredCase
from gateway.store.standing import standing_of_keys
from gateway.texts import say_text

__all__ = ["app"]

app = typer.Typer(invoke_without_command=True)
Number = Annotated[int, typer.Argument(help=say("quarantine-case"))]
Exchange = Annotated[str | None, typer.Option(help=say("batches-exchange"))]
Unit = Annotated[str | None, typer.Option(help=say("quarantine-unit"))]
Code = Annotated[str | None, typer.Option(help=say("quarantine-code"))]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help=say("batches-limit"))]


@contextmanager
def _looking(config: Path) -> Iterator[Gateway]:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        yield gateway


@app.callback()
def _bare(
    context: typer.Context,
    config: Config = CONFIG,
    exchange: Exchange = None,
    unit: Unit = None,
    code: Code = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    if context.invoked_subcommand is None:
        _list(config, exchange, unit, code, limit, as_json)


@app.command("list", help=say("help-quarantine-list"))
def _list(
    config: Config = CONFIG,
    exchange: Exchange = None,
    unit: Unit = None,
    code: Code = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    with _looking(config) as gateway, gateway.database.read() as conn:
        counted = quarantine.by_reason(conn, exchange=exchange, unit=unit)
        shown: list[dict[str, Any]] = []
        for number, case in enumerate(quarantine.cases(conn, exchange=exchange, unit=unit, code=code)):
            if number >= limit:
                break
            shown.append(_short(case, _catalog_of(gateway, case.exchange)))
    if as_json:
        print_json({"by_reason": [asdict(one) for one in counted], "cases": shown})
        return
    table(
        [say("heading-reason"), say("heading-code"), say("heading-field"), say("heading-cases")],
        [[reason_name(one.code), one.code, one.field, one.cases] for one in counted],
    )
    for one in shown:
        screen().print(f"[bold]#{one['case']}[/] {one['exchange']}  {escape(str(one['where']))}  {one['unit'] or ''}")
        for reason in one["reasons"]:
            screen().print(f"    {escape(str(reason))}")


def _catalog_of(gateway: Gateway, exchange: str) -> Catalog:
    try:
        return gateway.mappings.catalog(gateway.settings.exchanges[exchange].catalog)
    except KeyError:
        known = ", ".join(gateway.settings.exchanges) or "-"
        raise ConfigError("exchange-unknown", exchange=exchange, known=known) from None


def _short(case: StoredCase, catalog: Catalog) -> dict[str, Any]:
    return {
        "case": case.id,
        "exchange": case.exchange,
        "stage": case.stage.value,
        "where": case.locator,
        "unit": case.unit,
        "since": case.opened_at,
        "codes": [reason.code for reason in case.reasons],
        "reasons": [reason_text(case.stage, reason, catalog, language()) for reason in case.reasons],
    }


@app.command("show", help=say("help-quarantine-show"))
def _show(
    case: Number,
    config: Config = CONFIG,
    reveal: Annotated[bool, typer.Option("--reveal", help=say("quarantine-reveal"))] = False,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    who = signed(person, reason) if reveal else {}
    with _looking(config) as gateway, gateway.database.read() as conn:
        found = _told(gateway, conn, quarantine.find_case(conn, case), reveal=reveal)
    if reveal:  # no value is shown that the ledger does not know of
        _enter(config, "reveal", f"case {case}", who)
    if as_json:
        print_json(found)
        return
    out = screen()
    out.print(f"[bold]#{found['case']}[/] {found['exchange']}  {escape(found['where'])}  {found['unit'] or ''}")
    for said, fix in zip(found["reasons"], found["fixes"], strict=True):
        out.print(f"  [red]{escape(said)}[/]")
        if fix:
            out.print(f"    [dim]→[/] {escape(fix)}")
    table([say("quarantine-row"), say("quarantine-value")], list(found["row"].items()))
    if found["standing"] is not None:
        out.print(say("quarantine-standing", **{**found["standing"], "op": say(f"op-{found['standing']['op']}")}))
    columns = ("case", "stage", "since", "closed", "closed_why")
    table(
        [say(f"heading-{name.replace('_', '-')}") for name in columns],
        [
            [one["case"], _stage(one["stage"]), one["since"], one["closed"], _why(one["closed_why"])]
            for one in found["history"]
        ],
        title=say("quarantine-history"),
    )


def _stage(stage: str) -> str:
    return say_text(f"handback-stage-{stage}", language(), {})


def _why(closed_why: str | None) -> str | None:
    """Why a case is closed: one of the pipeline's reasons by its name, what a person said as it is."""
    return say(f"closed-{closed_why}") if closed_why in {"mended", "vanished", "replaced"} else closed_why


def _told(gateway: Gateway, conn: Connection, case: StoredCase, *, reveal: bool) -> dict[str, Any]:
    catalog, source = _catalog_of(gateway, case.exchange), gateway.settings.exchanges[case.exchange].source
    if case.stage is Stage.SOURCE:
        plan = gateway.record_plan(source)
        clear = clear_fields(catalog) if plan.mapping is None else clear_columns(plan)
    else:
        clear = clear_fields(catalog)
    keys = [] if case.key is None else [case.key]
    stood = standing_of_keys(conn, case.exchange, catalog.id, case.source, keys).get(case.key or "")
    standing = stood and {
        "version": stood.version,
        "op": stood.op,
        "sealed": stood.sealed or 0,
        "accepted": stood.accepted or 0,
        "batch": stood.batch_id or "-",
    }
    return {
        **_short(case, catalog),
        "source": case.source,
        "key": case.key,
        "fixes": [problem_fix(asdict(reason), catalog, language()) for reason in case.reasons],
        "weights": [reason.weight for reason in case.reasons],
        "row": {
            name: _shown(value, clear=reveal or name in clear)
            for name, value in row_of(case).items()
            if value is not None
        },
        "opened_run": case.opened_run,
        "last_run": case.last_run,
        "closed": case.closed_at,
        "standing": standing,
        "history": [
            {
                "case": one.id,
                "stage": one.stage.value,
                "since": one.opened_at,
                "closed": one.closed_at,
                "closed_why": one.closed_why,
                "codes": [reason.code for reason in one.reasons],
            }
            for one in quarantine.history(conn, case)
        ],
    }


def _shown(value: object, *, clear: bool) -> str:
    """A value, or what kind of value it is."""
    if clear:
        return str(value)
    described = pl.DataFrame({"value": [str(value)]}).select(value_class(pl.col("value"))).item()
    return f"（{class_text(described, language())}）"


@app.command("retry", help=say("help-quarantine-retry"))
def _retry(
    cases: Annotated[list[int] | None, typer.Argument(help=say("quarantine-cases"))] = None,
    config: Config = CONFIG,
    exchange: Exchange = None,
    unit: Unit = None,
    code: Code = None,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    args = {"cases": cases or [], "exchange": exchange, "unit": unit, "code": code, **signed(person, reason)}
    done = perform(load_settings(config), "quarantine-retry", args, _silent)
    if as_json:
        print_json(done)
        return
    for name, figures in done["exchanges"].items():
        _show_retried(name, figures)


def _show_retried(name: str, figures: Mapping[str, int]) -> None:
    out = screen()
    out.print(say("quarantine-retried", exchange=name, **figures))
    for figure, code in (("source", "reread"), ("under_way", "under-way"), ("gone", "gone")):
        if figures[figure]:
            out.print(say(f"quarantine-{code}", exchange=name, **figures))


@app.command("export", help=say("help-quarantine-export"))
def _export(
    file: Annotated[Path, typer.Option("--output", "-o", help=say("quarantine-file"), dir_okay=False)],
    config: Config = CONFIG,
    exchange: Exchange = None,
    unit: Unit = None,
    code: Code = None,
    force: Annotated[bool, typer.Option("--force", help=say("quarantine-force"))] = False,
    person: Person = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    who = signed(person, reason)
    narrowed = {"exchange": exchange, "unit": unit, "code": code}
    chosen = " ".join(f"{name}={value}" for name, value in narrowed.items() if value is not None) or "all"
    with _looking(config) as gateway, gateway.database.read() as conn:
        names = list(gateway.settings.exchanges) if exchange is None else [exchange]
        # One reading transaction: what was counted is what is written.
        done = write_handback(
            file,
            [_part(gateway, name) for name in names],
            lambda name: quarantine.cases(conn, exchange=name, unit=unit, code=code),
            now=gateway.clock.now(),
            language=language(),
            force=force,
            before=lambda done: _enter(config, "export", f"{chosen} rows={done.rows.total()}", who),
        )
    rows = done.rows.total()
    if as_json:
        print_json(
            {"file": str(file), "rows": rows, "by_exchange": done.rows, "by_unit": done.units, "by_code": done.codes}
        )
    else:
        screen().print(say("quarantine-exported", file=file, rows=rows))


def _enter(config: Path, what: str, subject: str, who: Mapping[str, str]) -> None:
    """The ledger's entry of personal data that leaves, before it does: no entry, no data."""
    perform(load_settings(config), "quarantine-out", {"what": what, "subject": subject, **who}, _silent)


def _part(gateway: Gateway, exchange: str) -> Part:
    catalog = _catalog_of(gateway, exchange)
    mapping = gateway.record_plan(gateway.settings.exchanges[exchange].source).mapping
    if mapping is None:
        return Part(exchange=exchange, catalog=catalog, columns=[item.name for item in catalog.fields])
    return Part(exchange=exchange, catalog=catalog, columns=mapping.headings or mapping.columns())


def _silent(_stage: str, _count: int) -> None: ...
