"""Statements as people read them: figures that add up, and why records were held back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from gateway.cli.screen import language, say, screen, table
from gateway.delivery.preview import Preview
from gateway.texts import template

__all__ = ["reason_name", "show_preview", "show_statement"]


def show_statement(statement: Mapping[str, Any]) -> None:
    """A statement, as :meth:`gateway.delivery.statement.Statement.to_json` writes it, on the terminal."""
    out = screen()
    out.print()
    out.print(f"[bold]{escape(say('statement', exchange=statement['exchange']))}[/]  [dim]{statement['run']}[/]")
    answered = statement["answered"]
    facts = {**statement, **answered, "known": answered["unchanged"], "unchanged": statement["unchanged"]}
    for line in ("read", "split", "answered"):
        out.print("  " + say(f"statement-{line}", **facts))
    _reasons(say("statement-quarantined"), statement["quarantined_by"])
    _reasons(say("statement-noticed"), statement["noticed_by"])


def show_preview(found: Preview) -> None:
    """What a run would do, on the terminal."""
    out = screen()
    out.print(f"[bold]{escape(say('preview', exchange=found.exchange))}[/]")
    figures = {**found.figures(), "quarantined": found.quarantined_by.total()}
    out.print("  " + say("preview-figures", **figures))
    _reasons(say("statement-quarantined"), found.quarantined_by)


def _reasons(title: str, counted: Mapping[str, int]) -> None:
    if counted:
        rows = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        table([f"  {title}", "", ""], [[f"  {reason_name(code)}", code, count] for code, count in rows])


def reason_name(code: str) -> str:
    """A problem code in two or three words."""
    return template(f"name-{code}", language(), "say") or code
