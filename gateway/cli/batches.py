"""``gateway batches``: what was sealed and what became of it; try again, give up, take a receipt that came by another way."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import CONFIG, AsJson, Config, Person, Reason, signed
from gateway.cli.screen import local, print_json, say, screen, table
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.control import perform
from gateway.errors import ConfigError
from gateway.opening import read_gateway
from gateway.package.container import open_package
from gateway.package.receipt import parse_receipt
from gateway.store import attempts, batches

__all__ = ["app", "batch_json"]

app = typer.Typer(invoke_without_command=True)
BatchId = Annotated[str, typer.Argument(help=say("batches-id"))]
Exchange = Annotated[str | None, typer.Option(help=say("batches-exchange"))]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help=say("batches-limit"))]
_LONGEST_RECEIPT = 32 * 1024 * 1024  # bytes


def batch_json(batch: batches.Batch) -> dict[str, object]:
    """A batch for machines."""
    return {
        "batch": batch.id,
        "exchange": batch.exchange,
        "route": batch.route,
        "sequence": batch.sequence,
        "state": batch.state.value,
        "total": batch.total,
        "attempts": batch.attempts,
        "asks": batch.asks,
        "created_at": batch.created_at,
        "next_attempt_at": batch.next_attempt_at,
        "give_up_at": batch.give_up_at,
        "deadline": batch.deadline,
        "void_of": batch.void_of,
        "figures": dict(batch.figures),
    }


@app.callback()
def _bare(
    context: typer.Context,
    config: Config = CONFIG,
    exchange: Exchange = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    if context.invoked_subcommand is None:
        _list(config, exchange, limit, as_json)


@app.command("list", help=say("help-batches-list"))
def _list(config: Config = CONFIG, exchange: Exchange = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    settings = load_settings(config)
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway, gateway.database.read() as conn:
        found = [batch_json(batch) for batch in batches.list_batches(conn, exchange=exchange, limit=limit)]
    if as_json:
        print_json(found)
        return
    columns = ("sequence", "state", "total", "attempts", "created_at", "exchange", "batch")
    zone = settings.node.time_zone
    for one in found:
        one |= {"state": say(f"state-{one['state']}"), "created_at": local(str(one["created_at"]), zone)}
    table(
        [say(f"heading-{name.replace('_', '-')}") for name in columns],
        [[one[name] for name in columns] for one in found],
    )


@app.command("show", help=say("help-batches-show"))
def _show(batch_id: BatchId, config: Config = CONFIG, as_json: AsJson = False) -> None:
    settings = load_settings(config)
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway, gateway.database.read() as conn:
        batch = batches.find_batch(conn, batch_id)
        if batch is None:
            raise ConfigError("batch-unknown", batch=batch_id)
        receipt = attempts.find_receipt(conn, batch_id)
        tries = [asdict(attempt) for attempt in attempts.list_attempts(conn, batch_id)]
        refused = [
            {"at": one.at, "code": one.code, "bytes": len(one.data)}
            for one in attempts.refused_receipts(conn, batch_id)
        ]
    found: dict[str, object] = {
        **batch_json(batch),
        "package_sha256": batch.package_sha256,
        "person": batch.person,
        "reason": batch.reason,
        "receipt_sha256": receipt and receipt.sha256,
        "verdict": receipt and receipt.verdict,
        "late": receipt and receipt.late,
        "feedback_sha256": receipt and _feedback(receipt.data),
        "tries": tries,
        "refused_receipts": refused,
    }
    if as_json:
        print_json(found)
        return
    table(["", ""], [[name, value] for name, value in found.items() if name not in {"tries", "refused_receipts"}])
    if tries:
        columns = ("number", "started_at", "ended_at", "outcome", "status", "code", "detail")
        table(
            [say(f"heading-{name.replace('_', '-')}") for name in columns], [[one[c] for c in columns] for one in tries]
        )
    if refused:
        screen().print(say("batches-refused-receipts"))
        table([say("heading-at"), say("heading-code"), say("heading-bytes")], [list(one.values()) for one in refused])


@app.command("retry", help=say("help-batches-retry"))
def _retry(batch_id: BatchId, config: Config = CONFIG, person: Person = "", reason: Reason = "") -> None:
    done = perform(load_settings(config), "retry", {"batch": batch_id, **signed(person, reason)}, _silent)
    screen().print(say("batches-now", batch=batch_id, state=say(f"state-{done['state']}")))


@app.command("abandon", help=say("help-batches-abandon"))
def _abandon(batch_id: BatchId, config: Config = CONFIG, person: Person = "", reason: Reason = "") -> None:
    done = perform(load_settings(config), "abandon", {"batch": batch_id, **signed(person, reason)}, _silent)
    if done["void"] is None:
        screen().print(say("batches-had-been-taken", batch=batch_id, state=say(f"state-{done['state']}")))
    else:
        screen().print(say("batches-abandoned", batch=batch_id, void=done["void"]))


@app.command("receipt", help=say("help-batches-receipt"))
def _receipt(
    batch_id: BatchId,
    file: Annotated[Path, typer.Argument(help=say("batches-receipt-file"))],
    config: Config = CONFIG,
) -> None:
    try:
        with file.open("rb") as stream:
            data = stream.read(_LONGEST_RECEIPT + 1)
    except OSError as error:
        raise ConfigError("receipt-file-unreadable", file=str(file), reason=type(error).__name__) from error
    if len(data) > _LONGEST_RECEIPT:
        raise ConfigError("receipt-file-too-large", file=str(file), limit=_LONGEST_RECEIPT)
    args = {"batch": batch_id, "data": base64.b64encode(data).decode()}
    done = perform(load_settings(config), "receipt", args, _silent)
    screen().print(say("batches-now", batch=batch_id, state=say(f"state-{done['state']}")))


def _feedback(receipt: bytes) -> str | None:
    """The digest of the feedback that we took down in a receipt; None for what the receiver signed itself."""
    return parse_receipt(open_package(receipt).document).feedback_sha256 or None


def _silent(_stage: str, _count: int) -> None: ...
