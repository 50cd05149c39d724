"""What a verification of evidence found: four verdicts, each with its findings, told to a person and to a machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.ledger.report import Discrepancies, Discrepancy, Verdict
from gateway.texts import DEFAULT_LANGUAGE, say_text

__all__ = ["QUESTIONS", "Judgement", "Judgements", "conclude", "judgement_json", "judgement_lines"]

QUESTIONS: Final = ("integrity", "authenticity", "time", "completeness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One verdict. ``findings`` are in the order of their entries, so many of a code; ``total`` counts all there were."""

    verdict: Verdict
    findings: tuple[Discrepancy, ...]
    total: int


def conclude(found: Discrepancies) -> Judgement:
    """The verdict over what was found: proved when nothing was."""
    report = found.report(entries=0, signed=1, root=None)
    return Judgement(verdict=report.verdict, findings=report.findings, total=report.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgements:
    """The whole result. ``by_question`` has those of :data:`QUESTIONS` that were asked; ``facts`` say what was looked at.

    ``remarks`` are sentences by code that change no verdict.
    """

    by_question: Mapping[str, Judgement]
    facts: Mapping[str, str | int]
    remarks: tuple[tuple[str, Mapping[str, object]], ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        verdicts = {one.verdict for one in self.by_question.values()}
        for worst in (Verdict.CONTRADICTED, Verdict.NOT_PROVABLE):
            if worst in verdicts:
                return worst
        return Verdict.PROVED


def judgement_lines(result: Judgements, language: str = DEFAULT_LANGUAGE) -> Iterator[str]:
    """What was looked at, then each verdict with its findings and what to do, a line each. Nothing in a line can drive a terminal."""
    for name, fact in result.facts.items():
        yield _plain(say_text(f"evidence-fact-{name}", language, {"fact": fact}))
    for question, one in result.by_question.items():
        yield ""
        yield _plain(
            say_text(
                "evidence-verdict",
                language,
                {
                    "question": say_text(f"evidence-question-{question}", language, {}),
                    "verdict": say_text(f"evidence-verdict-{one.verdict.value}", language, {}),
                },
            )
        )
        for finding in one.findings:
            yield _plain(f"  {_mark(finding, language)}{finding.say(language)}")
            if fix := finding.fix(language):
                yield _plain(f"    → {fix}")
        if one.total > len(one.findings):
            yield _plain("  " + say_text("evidence-more", language, {"count": one.total - len(one.findings)}))
    if result.remarks:
        yield ""
    for code, facts in result.remarks:
        yield _plain(say_text(code, language, facts))


def _mark(finding: Discrepancy, language: str) -> str:
    mark = "evidence-mark-contradiction" if finding.contradicts else "evidence-mark-unproved"
    return say_text(mark, language, {})


def _plain(line: str) -> str:
    """Names in evidence are a stranger's: what does not print, or turns text around, is shown as its number."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in line)


def judgement_json(result: Judgements) -> dict[str, object]:
    """A JSON object: the worst verdict, facts, remarks, and each question's verdict with its findings."""
    return {
        "verdict": result.verdict.value,
        "facts": dict(result.facts),
        "remarks": [
            {"code": code, **{name: str(fact) for name, fact in facts.items()}} for code, facts in result.remarks
        ],
        **{
            question: {
                "verdict": one.verdict.value,
                "total": one.total,
                "findings": [
                    {
                        "code": finding.code,
                        "index": finding.index,
                        "expected": finding.expected,
                        "found": finding.found,
                        "contradicts": finding.contradicts,
                    }
                    for finding in one.findings
                ],
            }
            for question, one in result.by_question.items()
        },
    }
