"""What every command shares: language, output for a person or a machine, errors as sentences, exit codes.

Exit codes: 0 done · 1 something was found wrong · 2 wrong usage or configuration · 3 not possible now, try later · 4 the ledger
contradicts itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.clock import parse_instant
from gateway.errors import ConfigError, Finding, Findings, GatewayError, LedgerError, Severity
from gateway.texts import DEFAULT_LANGUAGE, LANGUAGES, say_text

__all__ = ["ExitCode", "fail", "findings_table", "language", "local", "print_json", "say", "screen", "table"]


_WIDE = 200
_NOT_NOW = {
    "state-held",
    "state-unwritable",
    # The disk or the clock failed under the ledger; nothing in it contradicts anything.
    "ledger-file-failed",
    "clock-regressed",
    "store-busy",
    "exchange-paused",
    "held-back",
    "run-stopped",
    "abandon-unsure",
    "daemon-gone",
}


class ExitCode(IntEnum):
    """How a command ends; scripts rely on these."""

    DONE = 0
    FOUND = 1
    USAGE = 2
    LATER = 3
    LEDGER = 4


def language() -> str:
    """The language of messages: ``GATEWAY_LANG``, else Chinese."""
    wanted = os.environ.get("GATEWAY_LANG", DEFAULT_LANGUAGE)
    return wanted if wanted in LANGUAGES else DEFAULT_LANGUAGE


def say(code: str, /, **facts: object) -> str:
    """A sentence of the command line."""
    return say_text(f"cli-{code}", language(), facts)


def screen(*, error: bool = False) -> Console:
    """The terminal, or whatever output was redirected to."""
    stream = sys.stderr if error else sys.stdout
    # Redirected output is for reading elsewhere: nothing is cut to the width of a terminal that is not there.
    return Console(stderr=error, highlight=False, width=None if stream.isatty() or "COLUMNS" in os.environ else _WIDE)


def local(at: str | None, zone: ZoneInfo) -> str:
    """An instant as the journal writes it, in the node's time; empty for none."""
    return parse_instant(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def print_json(value: object) -> None:
    """One JSON document on standard output, and nothing else there."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Rows under headings, as wide as they need."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        shown.add_column(heading, overflow="fold")  # an id that is cut is of no use
    for row in rows:
        shown.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
    screen().print(shown)


def findings_table(findings: Sequence[Finding]) -> None:
    """Findings one below the other: where, what, and what to do."""
    out = screen()
    for finding in findings:
        colour = "red" if finding.severity is Severity.ERROR else "yellow"
        place = f"{finding.file}  {finding.key}".rstrip()
        mark = say("error") if finding.severity is Severity.ERROR else say("warning")
        out.print(f"[{colour}]{escape(mark)}[/]  [bold]{escape(place)}[/]  [dim]{finding.code}[/]")
        out.print(f"    {escape(finding.say(language()))}")
        if fix := finding.fix(language()):
            out.print(f"    [dim]→[/] {escape(fix)}")


def fail(error: GatewayError) -> ExitCode:
    """Tell an error on standard error and choose the exit code."""
    if isinstance(error, Findings):
        findings_table(error.findings)
        screen().print(say("findings", errors=error.facts["errors"], total=error.facts["total"]))
        return ExitCode.USAGE
    out = screen(error=True)
    out.print(f"[red]{escape(error.say(language()))}[/]  [dim]{error.code}[/]")
    if fix := error.fix(language()):
        out.print(f"[dim]→[/] {escape(fix)}")
    if error.retryable or error.code in _NOT_NOW:
        return ExitCode.LATER
    if isinstance(error, LedgerError):
        return ExitCode.LEDGER
    return ExitCode.USAGE if isinstance(error, ConfigError) else ExitCode.FOUND
