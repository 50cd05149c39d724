"""``gateway init`` and ``gateway check``: a working folder, and whether everything in it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.checkup import check_node
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, findings_table, print_json, say, screen
from gateway.clock import RandomIds, SystemClock
from gateway.errors import Finding, Severity
from gateway.workfolder import EXAMPLE_CODE, EXAMPLE_NAME, lay_out

__all__ = ["findings_json", "register"]


def _init(
    folder: Annotated[Path, typer.Argument(help=say("init-folder"))],
    code: Annotated[str, typer.Option(help=say("init-code"))] = EXAMPLE_CODE,
    name: Annotated[str, typer.Option(help=say("init-name"))] = EXAMPLE_NAME,
    host: Annotated[list[str] | None, typer.Option(help=say("init-host"))] = None,
) -> None:
    hosts = host or ["localhost", "127.0.0.1"]
    lay_out(folder, code=code, name=name, hosts=hosts, clock=SystemClock(), ids=RandomIds())
    screen().print(say("init-done", folder=folder))


def _check(config: Config = CONFIG, as_json: AsJson = False) -> None:
    findings = check_node(config, SystemClock(), RandomIds())
    errors = sum(1 for finding in findings if finding.severity is Severity.ERROR)
    if as_json:
        print_json(findings_json(findings))
    else:
        findings_table(findings)
        said = say("findings", errors=errors, total=len(findings)) if findings else say("check-clean")
        screen().print(said)
    if errors:
        raise typer.Exit(ExitCode.FOUND)


def findings_json(findings: list[Finding]) -> list[dict[str, str]]:
    """Findings as JSON objects, with the sentences of both languages."""
    return [
        {
            "severity": finding.severity.value,
            "file": finding.file,
            "key": finding.key,
            "code": finding.code,
            "zh-CN": finding.say("zh-CN"),
            "en": finding.say("en"),
            "fix": finding.fix("en"),
        }
        for finding in findings
    ]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("init", help=say("help-init"))(_init)
    app.command("check", help=say("help-check"))(_check)
