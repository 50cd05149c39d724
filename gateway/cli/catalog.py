"""``gateway catalog``: what may be shared, what we ask of others, what changed, and the customary sheets of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.catalog.difference import differences
from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog
from gateway.catalog.sheet import catalog_sheets
from gateway.cli.mapping import Folder, mappings_of
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, language, local, print_json, say, screen, table
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.errors import ConfigError
from gateway.mapping.workbook import workbook
from gateway.mappings import Mappings
from gateway.opening import read_gateway
from gateway.store.inbox import last_received

__all__ = ["app"]

app = typer.Typer(invoke_without_command=True)
Name = Annotated[str, typer.Argument(help=say("catalog-name"))]
Received = Mapping[tuple[str, str], str]


@contextmanager
def _looking(config: Path, folder: Path | None) -> Iterator[tuple[Mappings, Received | None]]:
    """The mappings, and when each (sender, catalog) last came, in local time; None when no journal is looked into."""
    if folder is not None:
        yield mappings_of(config, folder), None
        return
    settings = load_settings(config)
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        received: Received = {}
        if gateway.journal is not None:
            with gateway.journal.read() as conn:
                received = last_received(conn)
        yield gateway.mappings, {key: local(at, settings.node.time_zone) for key, at in received.items()}


@app.callback()
def _bare(context: typer.Context, config: Config = CONFIG, folder: Folder = None, as_json: AsJson = False) -> None:
    if context.invoked_subcommand is None:
        _list(config, folder, as_json)


@app.command("list", help=say("help-catalog-list"))
def _list(config: Config = CONFIG, folder: Folder = None, as_json: AsJson = False) -> None:
    with _looking(config, folder) as (mappings, received):
        catalogs = mappings.library.catalogs.values()
        listed = [
            {
                "id": one.id,
                "zh": one.zh,
                "en": one.en,
                "version": one.version,
                "category": one.category,
                "fields": len(one.fields),
                "deadline": one.deadline.working_days,
                "profile": sum(field.profile for field in one.fields),
            }
            for one in catalogs
        ]
        wanted = _wants(mappings.library, received)
    if as_json:
        print_json({"catalogs": listed, "wants": wanted})
        return
    label = "zh" if language() == "zh-CN" else "en"
    columns = ("label", "category", "version", "fields", "deadline", "profile")
    table(
        ["id", *(say(f"heading-{column}") for column in columns)],
        [[one["id"], one[label], *(one[column] for column in columns[1:])] for one in listed],
    )
    if wanted:
        met = sum(1 for one in wanted if one["received"])
        screen().print(say("catalog-wants", met=met, total=len(wanted)))


@app.command("show", help=say("help-catalog-show"))
def _show(name: Name, config: Config = CONFIG, folder: Folder = None, as_json: AsJson = False) -> None:
    with _looking(config, folder) as (mappings, _):
        catalog = mappings.catalog(name)
    if as_json:
        print_json(asdict(catalog))
        return
    screen().print(f"[bold]{escape(catalog.zh)}[/]  {catalog.id}  {catalog.version}  {escape(catalog.standard)}")
    headings = ("field", "label", "part", "type", "length", "required", "codelist", "disclosure", "personal", "profile")
    table(
        [say(f"heading-{heading}") for heading in headings],
        [
            [
                field.name,
                field.zh if language() == "zh-CN" else field.en,
                field.part or "",
                field.type.value,
                field.max_length or "",
                say("yes") if field.required else say("sometimes") if field.required_when else "",
                field.codelist or "",
                field.disclosure.value,
                say("yes") if field.personal else "",
                say("profile") if field.profile else "",
            ]
            for field in catalog.fields
        ],
    )


@app.command("demands", help=say("help-catalog-demands"))
def _demands(config: Config = CONFIG, folder: Folder = None, as_json: AsJson = False) -> None:
    with _looking(config, folder) as (mappings, received):
        wanted = _wants(mappings.library, received)
    if as_json:
        print_json(wanted)
        return
    headings = ("provider", "catalog", "fields", "purpose", "every", "received")
    table([say(f"heading-{heading}") for heading in headings], [_want_row(one) for one in wanted])


@app.command("diff", help=say("help-catalog-diff"))
def _diff(
    other: Annotated[Path, typer.Argument(metavar="FOLDER", help=say("catalog-other"))],
    name: Annotated[str | None, typer.Argument(help=say("catalog-name"))] = None,
    config: Config = CONFIG,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    old = mappings_of(config, other)
    with _looking(config, folder) as (mappings, _):
        new = mappings.library.catalogs
    names = [name] if name is not None else list(dict.fromkeys([*new, *old.library.catalogs]))
    if name is not None and name not in new and name not in old.library.catalogs:
        raise ConfigError("catalog-unknown", catalog=name, known=", ".join(new))
    found = [
        {"catalog": one, **asdict(each)}
        for one in names
        for each in differences(old.library.catalogs.get(one), new.get(one))
    ]
    if as_json:
        print_json(found)
    else:
        headings = ("catalog", "target", "entry", "before", "after")
        table([say(f"heading-{heading}") for heading in headings], [list(one.values()) for one in found])
        screen().print(say("catalog-differences", count=len(found)) if found else say("catalog-same"))
    if found:
        raise typer.Exit(ExitCode.FOUND)


@app.command("export", help=say("help-catalog-export"))
def _export(
    out: Annotated[Path, typer.Option("--out", help=say("catalog-out"))],
    names: Annotated[list[str] | None, typer.Argument(metavar="[CATALOG]...", help=say("catalog-names"))] = None,
    config: Config = CONFIG,
    folder: Folder = None,
) -> None:
    with _looking(config, folder) as (mappings, _):
        library = mappings.library
        chosen: list[Catalog] = [mappings.catalog(name) for name in names or library.catalogs]
        sheets = catalog_sheets(chosen, library.codelists, library.demands.values())
        data = workbook((sheet.name, sheet.headings, sheet.rows) for sheet in sheets)
    if out.exists():
        raise ConfigError("out-exists", file=str(out))
    out.write_bytes(data)
    screen().print(say("catalog-exported", file=str(out), catalogs=len(chosen)))


def _wants(library: Library, received: Received | None) -> list[dict[str, object]]:
    """Every want with the instant at which its provider last sent the catalog: "" for never, None where nobody can tell."""
    return [
        {
            "demand": demand.id,
            "zh": demand.zh,
            "en": demand.en,
            "provider": want.provider,
            "catalog": want.catalog,
            "fields": list(want.fields),
            "purpose": want.purpose,
            "every": want.every.value,
            "received": None if received is None else received.get((want.provider or "", want.catalog), ""),
        }
        for demand in library.demands.values()
        for want in demand.wants
    ]


def _want_row(one: Mapping[str, object]) -> list[str]:
    received, fields = one["received"], one["fields"]
    provider = f"{one['zh' if language() == 'zh-CN' else 'en']} {one['provider'] or say('demand-open')}"
    told = say("demand-unknown") if received is None else str(received) if received else say("demand-never")
    count = str(len(fields)) if isinstance(fields, list) else ""
    return [provider, str(one["catalog"]), count, str(one["purpose"]), say(f"every-{one['every']}"), told]
