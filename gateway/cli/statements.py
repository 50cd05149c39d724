"""Statements as people read them: figures that add up, and why records were held back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from gateway.cli.screen import language, say, screen, table
from gateway.delivery.preview import Preview
from gateway.delivery.statement import Statement
from gateway.texts import template

__all__ = ["reason_name", "show_preview", "show_statement", "statement_json"]


def show_statement(statement: Statement) -> None:
    """A statement on the terminal."""
    out = screen()
    out.print()
    out.print(f"[bold]{escape(say('statement', exchange=statement.exchange))}[/]  [dim]{statement.run_id}[/]")
    answered = statement.answered
    facts = {
        **statement.figures(),
        "created": answered.created,
        "updated": answered.updated,
        "known": answered.unchanged,
        "withdrawn": answered.withdrawn,
        "rejected": answered.rejected,
        "open": statement.open,
    }
    for line in ("read", "split", "answered"):
        out.print("  " + say(f"statement-{line}", **facts))
    _reasons(say("statement-quarantined"), statement.quarantined_by)
    _reasons(say("statement-noticed"), statement.noticed_by)


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


def statement_json(statement: Statement) -> dict[str, Any]:
    """A statement as a JSON object."""
    answered = statement.answered
    return {
        "run": statement.run_id,
        "exchange": statement.exchange,
        **statement.figures(),
        "upsert": statement.upsert,
        "open": statement.open,
        "answered": {
            "created": answered.created,
            "updated": answered.updated,
            "unchanged": answered.unchanged,
            "withdrawn": answered.withdrawn,
            "rejected": answered.rejected,
        },
        "quarantined_by": dict(statement.quarantined_by),
        "noticed_by": dict(statement.noticed_by),
    }
