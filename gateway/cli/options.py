"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.screen import say

__all__ = ["AsJson", "Config"]

Config = Annotated[Path, typer.Option("--config", "-c", help=say("option-config"), envvar="GATEWAY_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help=say("option-json"))]
CONFIG = Path("config.toml")
