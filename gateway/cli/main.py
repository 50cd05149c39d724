"""``gateway``: the commands, put together. ``GATEWAY_LANG=en`` speaks English."""

from __future__ import annotations

import sys

import typer
from typer import rich_utils

from gateway import __version__
from gateway.cli import (
    audit,
    batches,
    catalog,
    collect,
    custody,
    decide,
    demo,
    keys,
    levels,
    mapping,
    mapping_write,
    quarantine,
    record,
    resync,
    run,
    schedule,
    setup,
    site,
    status,
)
from gateway.cli.screen import fail, say
from gateway.errors import GatewayError
from gateway.logs import configure

__all__ = ["app", "main"]


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"gateway {__version__}\n")
        raise typer.Exit


# Typer's own words; it has no other way to say them in another language.
rich_utils.OPTIONS_PANEL_TITLE = say("options")
rich_utils.COMMANDS_PANEL_TITLE = say("commands")
rich_utils.ARGUMENTS_PANEL_TITLE = say("arguments")

app = typer.Typer(
    name="gateway", help=say("help"), no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback(epilog=say("exit-codes"))
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help=say("help-version")),
) -> None:
    """Options that stand before any command. Logs never go to standard output: that belongs to what the command says."""
    configure(level="warning", style="console")


for part in (setup, run, resync, levels, schedule, status, decide, collect):
    part.register(app)
app.add_typer(batches.app, name="batches", help=say("help-batches"))
app.add_typer(catalog.app, name="catalog", help=say("help-catalog"))
app.add_typer(record.app, name="record", help=say("help-record"))
app.add_typer(site.app, name="site", help=say("help-site"))
app.add_typer(quarantine.app, name="quarantine", help=say("help-quarantine"))
mapping_write.register(mapping.app)
app.add_typer(mapping.app, name="mapping", help=say("help-mapping"))
app.add_typer(audit.app, name="audit", help=say("help-audit"))
app.add_typer(keys.app, name="keys", help=say("help-keys"))
custody.register(app)
demo.register(app)


def main() -> None:
    """The console script. Every error of ours ends as a sentence and an exit code, never as a traceback."""
    try:
        app(standalone_mode=True)
    except GatewayError as error:
        sys.exit(fail(error))


if __name__ == "__main__":
    main()
