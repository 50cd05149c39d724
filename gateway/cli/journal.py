"""``gateway status | batches | quarantine | catalog``: what the node holds and how things stand. These look and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway.app import Gateway, read_gateway
from gateway.catalog.model import Catalog
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import language, print_json, say, screen, table
from gateway.cli.statements import reason_name
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.errors import ConfigError
from gateway.mapping.problems import problem_text
from gateway.store import attempts, batches, inbox, quarantine, records, runs
from gateway.store.database import Connection
from gateway.store.entries import DurableLog

__all__ = ["register"]


@contextmanager
def _looking(config: Config) -> Iterator[Gateway]:
    with read_gateway(load_settings(config), clock=SystemClock(), ids=RandomIds()) as gateway:
        yield gateway


def _status(config: Config = CONFIG, as_json: AsJson = False) -> None:
    with _looking(config) as gateway:
        found = _state(gateway)
    if as_json:
        print_json(found)
        return
    node, ledger = found["node"], found["ledger"]
    screen().print(f"[bold]{escape(str(node['name']))}[/]  {node['code']}")
    headings = ("exchange", "last-run", "state", "records", "open-batches", "quarantine")
    table(
        [say(f"heading-{name}") for name in headings],
        [
            [one["exchange"], one["last_run"], one["state"], one["records"], one["open_batches"], one["quarantine"]]
            for one in found["exchanges"]
        ],
    )
    for one in found["waiting"]:
        screen().print("  " + say("status-waiting", **one))
    for one in found["received"]:
        screen().print("  " + say("status-received", **one))
    screen().print(say("status-ledger", **ledger))


def _state(gateway: Gateway) -> dict[str, Any]:
    log = DurableLog(gateway.database)
    newest = log.newest_checkpoint()
    exchanges: list[dict[str, object]] = []
    with gateway.database.read() as conn:
        for name, exchange in gateway.settings.exchanges.items():
            last = runs.last_run(conn, name)
            exchanges.append(
                {
                    "exchange": name,
                    "last_run": last and last.started_at,
                    "state": last and last.state.value,
                    "records": records.counts(conn, exchange.catalog, exchange.source).get("upsert", 0),
                    "open_batches": len(batches.open_batches(conn, exchange=name)),
                    "quarantine": quarantine.count_open(conn, exchange=name),
                }
            )
        waiting = [_batch_json(batch) for batch in batches.open_batches(conn)]
        received: dict[str, dict[str, object]] = {}
        for one in inbox.list_batches(conn, limit=1000):
            received.setdefault(one.route, {"route": one.route, "sequence": one.sequence, "at": one.received_at})
    return {
        "node": {"code": gateway.node.code, "name": gateway.node.name},
        "exchanges": exchanges,
        "waiting": waiting,
        "received": list(received.values()),
        "ledger": {"size": log.head().size, "signed": newest.size if newest else 0},
    }


def _batch_json(batch: batches.Batch) -> dict[str, object]:
    return {
        "batch": batch.id,
        "exchange": batch.exchange,
        "route": batch.route,
        "sequence": batch.sequence,
        "state": batch.state.value,
        "total": batch.total,
        "attempts": batch.attempts,
        "created_at": batch.created_at,
        "next_attempt_at": batch.next_attempt_at,
        "figures": dict(batch.figures),
    }


def _batches(
    batch_id: Annotated[str | None, typer.Argument(help=say("batches-id"))] = None,
    config: Config = CONFIG,
    exchange: Annotated[str | None, typer.Option(help=say("batches-exchange"))] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help=say("batches-limit"))] = 20,
    as_json: AsJson = False,
) -> None:
    with _looking(config) as gateway, gateway.database.read() as conn:
        if batch_id is not None:
            _one_batch(conn, batch_id, as_json=as_json)
            return
        found = [_batch_json(batch) for batch in batches.list_batches(conn, exchange=exchange, limit=limit)]
    if as_json:
        print_json(found)
        return
    columns = ("sequence", "state", "total", "attempts", "created_at", "exchange", "batch")
    table(
        [say(f"heading-{name.replace('_', '-')}") for name in columns],
        [[one[name] for name in columns] for one in found],
    )


def _one_batch(conn: Connection, batch_id: str, *, as_json: bool) -> None:
    batch = batches.find_batch(conn, batch_id)
    if batch is None:
        raise ConfigError("batch-unknown", batch=batch_id)
    receipt = attempts.find_receipt(conn, batch_id)
    found: dict[str, object] = {
        **_batch_json(batch),
        "package_sha256": batch.package_sha256,
        "receipt_sha256": receipt and receipt.sha256,
        "verdict": receipt and receipt.verdict,
        "tries": [asdict(attempt) for attempt in attempts.list_attempts(conn, batch_id)],
    }
    if as_json:
        print_json(found)
    else:
        table(["", ""], [[name, value] for name, value in found.items()])


def _quarantine(
    config: Config = CONFIG,
    exchange: Annotated[str | None, typer.Option(help=say("batches-exchange"))] = None,
    unit: Annotated[str | None, typer.Option(help=say("quarantine-unit"))] = None,
    code: Annotated[str | None, typer.Option(help=say("quarantine-code"))] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help=say("batches-limit"))] = 20,
    as_json: AsJson = False,
) -> None:
    with _looking(config) as gateway, gateway.database.read() as conn:
        counted = quarantine.by_reason(conn, exchange=exchange, unit=unit)
        shown: list[dict[str, Any]] = []
        for number, case in enumerate(quarantine.cases(conn, exchange=exchange, unit=unit, code=code)):
            if number >= limit:
                break
            catalog = gateway.mappings.catalog(gateway.settings.exchanges[case.exchange].catalog)
            shown.append(
                {
                    "case": case.id,
                    "exchange": case.exchange,
                    "stage": case.stage.value,
                    "where": case.locator,
                    "unit": case.unit,
                    "since": case.opened_at,
                    "codes": [reason.code for reason in case.reasons],
                    "reasons": [_told(case.stage, reason, catalog) for reason in case.reasons],
                }
            )
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


def _told(stage: quarantine.Stage, reason: quarantine.Reason, catalog: Catalog) -> str:
    """A reason as a sentence; what the receiver rejected is told in the receiver's own words."""
    if stage is quarantine.Stage.RECEIVER:
        return say("receiver-said", code=reason.code, field=reason.source, words=reason.expected)
    return problem_text(asdict(reason), catalog, language())


def _catalog(
    name: Annotated[str | None, typer.Argument(help=say("catalog-name"))] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    with _looking(config) as gateway:
        if name is None:
            listed = [
                {"id": one.id, "zh": one.zh, "en": one.en, "version": one.version, "fields": len(one.fields)}
                for one in gateway.mappings.library.catalogs.values()
            ]
            if as_json:
                print_json(listed)
            else:
                table(["id", "zh", "en", "version", say("heading-fields")], [list(one.values()) for one in listed])
            return
        catalog = gateway.mappings.catalog(name)
        if as_json:
            print_json(asdict(catalog))
            return
        screen().print(f"[bold]{escape(catalog.zh)}[/]  {catalog.id}  {catalog.version}")
        headings = ("field", "label", "type", "length", "required", "disclosure", "personal")
        table(
            [say(f"heading-{heading}") for heading in headings],
            [
                [
                    field.name,
                    field.zh if language() == "zh-CN" else field.en,
                    field.type.value,
                    field.max_length or "",
                    say("yes") if field.required else say("sometimes") if field.required_when else "",
                    field.disclosure.value,
                    say("yes") if field.personal else "",
                ]
                for field in catalog.fields
            ],
        )


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("status", help=say("help-status"))(_status)
    app.command("batches", help=say("help-batches"))(_batches)
    app.command("quarantine", help=say("help-quarantine"))(_quarantine)
    app.command("catalog", help=say("help-catalog"))(_catalog)
