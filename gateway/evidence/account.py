"""The report of a verification, for a person and for a machine."""

from __future__ import annotations

from gateway.ledger.report import Report
from gateway.texts import DEFAULT_LANGUAGE, say_text

__all__ = ["report_json", "report_lines"]


def report_lines(report: Report, language: str = DEFAULT_LANGUAGE) -> list[str]:
    """The verdict, then every finding with the first entry concerned, a line each."""
    facts = {"entries": report.entries, "signed": report.signed, "root": report.root.hex() if report.root else "-"}
    verdict = say_text(f"verifier-{report.verdict.value}", language, facts)
    return [verdict, *(f"  {finding.say(language)}" for finding in report.findings)]


def report_json(report: Report) -> dict[str, object]:
    """A JSON object: verdict, sizes, root (hex, or null where it cannot be computed), findings."""
    return {
        "verdict": report.verdict.value,
        "entries": report.entries,
        "signed": report.signed,
        "root": report.root.hex() if report.root else None,
        "total": report.total,
        "findings": [
            {
                "code": finding.code,
                "index": finding.index,
                "expected": finding.expected,
                "found": finding.found,
                "contradicts": finding.contradicts,
            }
            for finding in report.findings
        ],
    }
