"""``gateway mapping write``: a file of rows as documents of a format, each held against its schema. Nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from gateway.cli.mapping import Folder, mappings_of
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, language, print_json, say, screen
from gateway.clock import RandomIds, SystemClock
from gateway.config import Settings, inspect_settings
from gateway.errors import ConfigError, MappingError
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.json_plan import JsonPlan
from gateway.mapping.plan import RecordPlan
from gateway.mapping.problems import problem_text
from gateway.mapping.render_sheet import SheetPlan
from gateway.mappings import Mappings

__all__ = ["register"]


def _write(
    name: Annotated[str, typer.Argument(metavar="MAPPING", help=say("mapping-source"))],
    rows: Annotated[Path, typer.Option("--rows", help=say("mapping-rows"))],
    fmt: Annotated[str, typer.Option("--format", help=say("mapping-format"))],
    out: Annotated[Path, typer.Option("--out", help=say("mapping-out"))],
    peer: Annotated[str | None, typer.Option("--peer", help=say("mapping-peer"))] = None,
    config: Config = CONFIG,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    settings = inspect_settings(config)[0] if folder is None or config.is_file() else None
    mappings = mappings_of(config, folder)
    plan = mappings.record_plan(name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError("out-not-empty", folder=str(out))
    mapped = plan.map(_frame(rows))
    made, found = _made(mappings, fmt, plan, mapped.records, _facts(settings, plan.catalog.id, peer))
    out.mkdir(parents=True, exist_ok=True)
    files: list[dict[str, object]] = []
    for name_, data, keys in made:
        (out / name_).write_bytes(data)
        files.append({"file": str(out / name_), "keys": list(keys)})
    problems = pl.concat([mapped.problems, *found]).to_dicts()
    told = [{**one, "text": problem_text(one, plan.catalog, language())} for one in problems]
    if as_json:
        print_json({"documents": files, "problems": told})
    else:
        for one in told:
            colour = "red" if one["weight"] == "reject" else "yellow"
            screen().print(
                f"[{colour}]{escape(str(one['@row'] or ''))}  {escape(str(one['text']))}[/]  [dim]{one['code']}[/]"
            )
        left = len({one["@row"] for one in told if one["weight"] == "reject"})
        records = sum(len(keys) for _, _, keys in made)
        screen().print(say("mapping-written", documents=len(files), records=records, folder=str(out), left=left))
    if any(one["weight"] == "reject" for one in told):
        raise typer.Exit(ExitCode.FOUND)


def _made(
    mappings: Mappings, name: str, plan: RecordPlan, records: pl.DataFrame, facts: BatchFacts
) -> tuple[list[tuple[str, bytes, tuple[str, ...]]], list[pl.DataFrame]]:
    """The files: name, bytes, keys of the records in it; and what the format has against others."""
    if mappings.document_of(name) == "json":
        return _json(mappings.json_plans(name, plan.catalog), records, facts)
    if mappings.document_of(name) != "sheet":
        written = mappings.document_plan(name, plan.catalog).documents(records, facts)
        made = [(f"{number:06}.xml", data, keys) for number, (data, keys) in enumerate(written.documents, start=1)]
        return made, [written.problems]
    fmt = mappings.sheet_format(name)
    sheets = [
        SheetPlan(fmt, template, mappings.library).render(records, facts)
        for template in fmt.templates
        if template.catalog == plan.catalog.id
    ]
    if not sheets:
        raise MappingError("format-without-catalog", format=name, catalog=plan.catalog.id)
    return [(one.name, one.data, one.keys) for one in sheets if one.data is not None], [one.problems for one in sheets]


def _json(
    plans: Sequence[JsonPlan], records: pl.DataFrame, facts: BatchFacts
) -> tuple[list[tuple[str, bytes, tuple[str, ...]]], list[pl.DataFrame]]:
    """The JSON documents of every template."""
    made: list[tuple[str, bytes, tuple[str, ...]]] = []
    found: list[pl.DataFrame] = []
    for plan in plans:
        written = plan.documents(records, facts)
        found.append(written.problems)
        count = len(written.documents)
        made += (
            (plan.template.file_name(facts.created_at, facts.sequence, number, count), data, keys)
            for number, (data, keys) in enumerate(written.documents, start=1)
        )
    return made, found


def _frame(file: Path) -> pl.DataFrame:
    """The rows of a UTF-8 CSV file with headings, every cell as text. Raises ConfigError ``rows-unreadable``."""
    try:
        frame = pl.read_csv(file, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError("rows-unreadable", file=str(file)) from error
    place = pl.concat_str(pl.lit(f"{file.name}:"), pl.int_range(2, frame.height + 2).cast(pl.String))
    return frame.with_columns(place.alias("@row"))


def _facts(settings: Settings | None, catalog: str, peer: str | None) -> BatchFacts:
    """What documents may say of a batch: our own node as the configuration names it, and the receiver when one is named."""
    now = SystemClock().now()
    receiver = None if settings is None or peer is None else settings.peers.get(peer)
    if peer is not None and receiver is None:
        known = ", ".join(settings.peers) if settings is not None else ""
        raise ConfigError("peer-unknown", peer=peer, known=known or "-")
    return BatchFacts(
        id=RandomIds().uuid(now),
        sequence=1,
        created_at=now if settings is None else now.astimezone(settings.node.time_zone),
        sender_code=None if settings is None else settings.node.code,
        sender_name=None if settings is None else settings.node.name,
        receiver_code=None if receiver is None else receiver.code,
        receiver_name=None if receiver is None else receiver.name,
        catalog=catalog,
    )


def register(app: typer.Typer) -> None:
    """Add the command to ``gateway mapping``."""
    app.command("write", help=say("help-mapping-write"))(_write)
