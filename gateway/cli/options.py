"""Options that several commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.screen import say
from gateway.errors import ConfigError

__all__ = ["AsJson", "Config", "Person", "Reason", "signed"]

Config = Annotated[Path, typer.Option("--config", "-c", help=say("option-config"), envvar="GATEWAY_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help=say("option-json"))]
Person = Annotated[str, typer.Option(help=say("option-person"), envvar="USER")]
Reason = Annotated[str, typer.Option(help=say("option-reason"))]
CONFIG = Path("config.toml")


def signed(person: str, reason: str) -> dict[str, str]:
    """Who orders something and why, for the ledger; asked for on a terminal. Raises ConfigError ``order-unsigned`` where one is missing."""
    if sys.stdin.isatty():
        person = person.strip() or typer.prompt(say("option-person"), err=True)
        reason = reason.strip() or typer.prompt(say("option-reason"), err=True)
    if not person.strip() or not reason.strip():
        raise ConfigError("order-unsigned")
    return {"person": person.strip(), "reason": reason.strip()}
