"""``gateway demo``: two nodes, one afternoon's work, on this machine alone."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from gateway.cli.screen import say
from gateway.demo.levels_story import play_levels
from gateway.demo.story import play

__all__ = ["register"]


def _demo(
    folder: Annotated[Path | None, typer.Argument(help=say("demo-folder"))] = None,
    levels: Annotated[bool, typer.Option("--levels", help=say("demo-levels"))] = False,
    permits: Annotated[int, typer.Option(min=200, max=1_000_000, help=say("demo-permits"))] = 2_000,
    penalties: Annotated[int, typer.Option(min=100, max=1_000_000, help=say("demo-penalties"))] = 600,
    seed: Annotated[int, typer.Option(help=say("demo-seed"))] = 2018,
) -> None:
    if levels and folder is None:
        with TemporaryDirectory(prefix="gateway-levels-") as place:
            raise typer.Exit(play_levels(Path(place), seed=seed))
    if levels and folder is not None:
        raise typer.Exit(play_levels(folder, seed=seed))
    raise typer.Exit(play(folder or Path("demo"), permits=permits, penalties=penalties, seed=seed))


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("demo", help=say("help-demo"))(_demo)
